"""Intervals that include the model's error cover the true frequency as often as they say."""

from functools import partial

import numpy as np
import pytest

from nephoscope.atlas.climatology import RESAMPLES, Resampling
from nephoscope.atlas.model_error import label_factors
from nephoscope.inference.probability import AreaRatio
from nephoscope.training.frequency_error import area_ratio

BIAS = 0.8  # the share of the labelled area that the model predicts
TRIALS, VALIDATION_DAYS, ATLAS_DAYS = 250, 200, 100


def days(rng, count):
    """Labelled and predicted frequency of each day: some days have none, and the model errs by the day."""
    labelled = np.where(rng.random(count) < 0.5, rng.beta(2, 3, count), 0)
    return labelled, labelled * BIAS * rng.lognormal(-0.125, 0.5, count)


def intervals(ratio, seed):
    """How frequencies are pooled with the model's error and without."""
    resampling = Resampling.of(np.datetime64("2020-01-01") + np.arange(ATLAS_DAYS), seed=seed)
    factors = label_factors({"Fish": ratio}, ["Fish"], RESAMPLES, seed)
    return partial(resampling.labelled, factors=factors), resampling.pool


def test_the_interval_covers_the_truth_in_95_of_100_cases():
    rng = np.random.default_rng(0)
    truth = 0.5 * 2 / (2 + 3)  # the mean of `days`
    covered = naive = 0
    for trial in range(TRIALS):
        labelled, predicted = days(rng, VALIDATION_DAYS)
        ratio = area_ratio(labelled, predicted, range(VALIDATION_DAYS), seed=trial)
        _, atlas = days(rng, ATLAS_DAYS)
        pooled = [
            each(atlas[:, None, None, None], np.ones((ATLAS_DAYS, 1, 1)), np.arange(ATLAS_DAYS))
            for each in intervals(ratio, trial)
        ]
        within = [bool(each.low[0, 0] <= truth <= each.high[0, 0]) for each in pooled]
        covered, naive = covered + within[0], naive + within[1]
    assert 0.90 <= covered / TRIALS <= 0.97
    assert naive / TRIALS < 0.75  # without the model's error the interval is about another number


def test_a_perfect_model_adds_nothing():
    rng = np.random.default_rng(1)
    areas = rng.random((30, 1, 1, 2))
    with_error, without = (
        each(areas, np.ones((30, 1, 2)), np.arange(30)) for each in intervals(AreaRatio(1.0, 0.0), 0)
    )
    for name in ("freq", "low", "high"):
        assert getattr(with_error, name) == pytest.approx(getattr(without, name))


def test_a_frequency_is_at_most_one():
    with_error, _ = intervals(AreaRatio(1.2, 0.5), 0)
    pooled = with_error(np.full((30, 1, 1, 1), 0.9), np.ones((30, 1, 1)), np.arange(30))
    assert pooled.freq == pooled.high == 1.0
