"""Frequencies of patterns by a model and by labels: how often, and over how much of the area.

Of a model, *hard* frequencies count masks, *expected* ones add up calibrated probabilities.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nephoscope.evaluation.evaluator import ModelEvaluation, Numbers
from nephoscope.evaluation.statistics import Interval, bootstrap


class Frequency(NamedTuple):
    """Means over scenes, from 0 to 1, of one pattern; and how far the model is off, in the mean.

    Attributes:
        labelled: by the labels.
        hard: by the model's masks.
        expected: by its calibrated probabilities; NaN without calibration.
        hard_bias: `hard` less `labelled`, days of a region resampled.
        expected_bias: `expected` less `labelled`.
    """

    labelled: float
    hard: float
    expected: float
    hard_bias: Interval
    expected_bias: Interval


def frequencies(
    result: ModelEvaluation, scenes: Sequence[int] | None = None
) -> dict[str, dict[str, Frequency]]:
    """Measure the frequencies of each pattern.

    Args:
        result: of the model.
        scenes: indices of the scenes to average over. Default: all.

    Returns:
        By pattern: `area`, the share of the pixels with data; and `presence`, the share of the scenes.
    """
    chosen = result.chosen(scenes)
    groups = [result.records[index].group for index in chosen]
    valid = np.maximum(1, result.valid)[:, None]
    measures = {
        "area": (result.truth / valid, result.predicted / valid, result.expected_pixels / valid),
        "presence": (result.truth > 0, result.predicted > 0, result.presence_probabilities),
    }
    return {
        name: {
            kind: _frequency(np.stack(of_scenes)[:, chosen, index].astype(np.float64), groups)
            for kind, of_scenes in measures.items()
        }
        for index, name in enumerate(result.patterns)
    }


def _frequency(measured: Numbers, groups: Sequence[str]) -> Frequency:
    """From the values of labels, masks and probabilities, shape (3, scenes)."""
    labelled, hard, expected = measured
    hard_bias, expected_bias = bootstrap(np.column_stack([hard - labelled, expected - labelled]), groups)
    return Frequency(
        float(labelled.mean()), float(hard.mean()), float(expected.mean()), hard_bias, expected_bias
    )
