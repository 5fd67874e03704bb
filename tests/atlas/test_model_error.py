"""Intervals that include the model's error cover the true frequency as often as they say."""

import numpy as np
import pytest

from nephoscope.atlas.model_error import with_model_error
from nephoscope.inference.probability import AreaRatio
from nephoscope.training.frequency_error import area_ratio

BIAS = 0.8  # the share of the labelled area that the model predicts
TRIALS, VALIDATION_DAYS, ATLAS_DAYS = 250, 200, 100


def days(rng, count):
    """Labelled and predicted frequency of each day: some days have none, and the model errs by the day."""
    labelled = np.where(rng.random(count) < 0.5, rng.beta(2, 3, count), 0)
    return labelled, labelled * BIAS * rng.lognormal(-0.125, 0.5, count)


def test_the_interval_covers_the_truth_in_95_of_100_cases():
    rng = np.random.default_rng(0)
    truth = 0.5 * 2 / (2 + 3)  # the mean of `days`
    covered = naive = 0
    for trial in range(TRIALS):
        labelled, predicted = days(rng, VALIDATION_DAYS)
        ratio = area_ratio(labelled, predicted, range(VALIDATION_DAYS), seed=trial)
        _, atlas = days(rng, ATLAS_DAYS)
        weights = rng.multinomial(ATLAS_DAYS, np.full(ATLAS_DAYS, 1 / ATLAS_DAYS), 400)
        resamples = weights @ atlas / ATLAS_DAYS
        low, high = np.percentile(with_model_error(resamples, ratio, seed=trial), [2.5, 97.5])
        covered += low <= truth <= high
        low, high = np.percentile(resamples, [2.5, 97.5])
        naive += low <= truth <= high
    assert 0.90 <= covered / TRIALS <= 0.97
    assert naive / TRIALS < 0.75  # without the model's error the interval is about another number


def test_a_perfect_model_adds_nothing():
    resamples = np.linspace(0.1, 0.3, 1000)
    assert with_model_error(resamples, AreaRatio(1.0, 0.0)) == pytest.approx(resamples)


def test_a_frequency_is_at_most_one():
    assert with_model_error(np.full(100, 0.9), AreaRatio(1.2, 0.5)).max() == 1.0
