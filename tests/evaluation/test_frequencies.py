"""Frequencies by labels, masks and probabilities: planted biases are found, with intervals."""

import numpy as np
import pytest

from nephoscope.core.geo import Bounds
from nephoscope.datasets.catalogue import Record
from nephoscope.evaluation.evaluator import BINS, ModelEvaluation
from nephoscope.evaluation.frequencies import frequencies
from nephoscope.evaluation.statistics import grouped_error

SCENES, PIXELS = 600, 10_000


def binned():
    """Pixels of a probability of 0.5, of which half have the label in every other scene, else 0.7."""
    calibration = np.zeros((SCENES, 1, BINS, 3))
    calibration[:, 0, BINS // 2] = 10, 5, 5
    calibration[1::2, 0, BINS // 2, 1] = 7
    return calibration


@pytest.fixture
def result():
    """Masks of Fish miss a third of the scenes, and are too large elsewhere; probabilities are right."""
    rng = np.random.default_rng(0)
    probability = rng.uniform(0, 1, SCENES)
    labelled = rng.random(SCENES) < probability
    truth = labelled * 3000
    kept = labelled & (np.cumsum(labelled) % 3 != 0)
    predicted = np.where(kept, 1.65 * truth, 0).astype(int)
    expected = probability * 3000
    column = (slice(None), None)
    return ModelEvaluation(
        records=tuple(
            Record(f"{number}.jpg", day=np.datetime64("2016-01-01").astype(object), bounds=Bounds(0, 0, 1, 1))
            if number % 2
            else Record(f"{number}.jpg")
            for number in range(SCENES)
        ),
        patterns=("Fish",),
        valid=np.full(SCENES, PIXELS),
        truth=truth[column],
        predicted=predicted[column],
        overlap=np.zeros((SCENES, 1, 2), int),
        baselines={},
        expected_pixels=expected[column],
        scores=probability[column],
        presence_probabilities=probability[column],
        calibration=binned(),
        problems=(),
    )


def test_planted_biases_are_found(result):
    found = frequencies(result)["Fish"]
    area, presence = found["area"], found["presence"]
    assert area.hard / area.labelled == pytest.approx(1.1, abs=0.01)
    assert presence.hard / presence.labelled == pytest.approx(2 / 3, abs=0.01)
    assert presence.hard_bias.high < 0
    assert presence.expected_bias.low < 0 < presence.expected_bias.high
    assert area.expected_bias.low < 0 < area.expected_bias.high
    assert result.presence_error()["Fish"] < 0.05


def test_calibration_errors_are_those_of_the_chosen_scenes(result):
    even, odd = range(0, SCENES, 2), range(1, SCENES, 2)
    assert result.reliability(even)["Fish"].error == pytest.approx(0.0)
    assert result.reliability(odd)["Fish"].error == pytest.approx(0.2)
    assert result.reliability()["Fish"].error == pytest.approx(0.1)
    assert result.presence_error(even)["Fish"] != result.presence_error()["Fish"]


def test_a_part_of_the_scenes_is_averaged_over(result):
    part = list(range(0, SCENES, 2))
    found = frequencies(result, part)["Fish"]["presence"]
    assert found.labelled == pytest.approx(float((result.truth[part] > 0).mean()))


def test_the_error_of_perfect_and_of_bold_probabilities():
    rng = np.random.default_rng(1)
    probability = rng.random(5000)
    present = rng.random(5000) < probability
    assert grouped_error(probability, present) < 0.02
    assert grouped_error(np.sqrt(probability), present) == pytest.approx(2 / 3 - 1 / 2, abs=0.02)
