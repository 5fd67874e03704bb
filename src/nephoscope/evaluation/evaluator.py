"""Evaluation of a model on labelled scenes: each scene is segmented once and reduced to a few numbers.

Masks are compared on the contest's score grid of 350x525 pixels, exactly those that `nephoscope segment
--format csv` writes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nephoscope.core.errors import DatasetError
from nephoscope.core.types import SCORE_GRID, Mask, Progress
from nephoscope.datasets.catalogue import Record
from nephoscope.datasets.dataset import Dataset
from nephoscope.datasets.labels import Problem
from nephoscope.evaluation.statistics import (
    Interval,
    Reliability,
    auc,
    bootstrap,
    grouped_error,
    reliability,
)
from nephoscope.imagery.resize import resize_mask
from nephoscope.inference.model import Model
from nephoscope.inference.postprocess import resample
from nephoscope.inference.segmentation import Segmentation, apply_rules

Counts = NDArray[np.int64]
Numbers = NDArray[np.float64]
Masks = NDArray[np.bool_]

BINS = 20
"""Bins of the reliability curves, of equal width."""


class Presence(NamedTuple):
    """Detection of one pattern: it is present where its mask is not empty; NaN where there is no such scene.

    Attributes:
        precision: share of the scenes with a mask that have the label.
        recall: share of the scenes with the label that have a mask.
        auc: area under the ROC curve of the presence score.
        labelled: share of the scenes that have the label.
        predicted: share of the scenes that have a mask.
    """

    precision: float
    recall: float
    auc: float
    labelled: float
    predicted: float


@dataclass(frozen=True, eq=False)
class ModelEvaluation:
    """Result of a model on labelled scenes; arrays are in the order of `records` and `patterns`.

    Attributes:
        records: of the scenes.
        patterns: names, in the data set's order.
        valid: pixels of 350x525 with data, shape (scenes,).
        truth: pixels of each label, shape (scenes, patterns).
        predicted: pixels of each predicted mask, shape (scenes, patterns).
        overlap: pixels of each label (row) that each predicted mask (column) covers, and in the last column
            those that none covers; shape (scenes, patterns, patterns + 1).
        baselines: Dice of predictions made without looking at the picture, by name, shape (scenes, patterns).
        expected_pixels: sum of the probabilities of the pixels with data, shape (scenes, patterns); NaN
            for a model without calibration.
        scores: presence scores from 0 to 1, shape (scenes, patterns).
        presence_probabilities: that each scene has the label, shape (scenes, patterns); NaN without
            calibration.
        calibration: by bin: pixels with data, those of them that have the label, the sum of their
            probabilities; shape (scenes, patterns, `BINS`, 3).
        problems: scenes that could not be read and are left out.
    """

    records: tuple[Record, ...]
    patterns: tuple[str, ...]
    valid: Counts
    truth: Counts
    predicted: Counts
    overlap: Counts
    baselines: dict[str, Numbers]
    expected_pixels: Numbers
    scores: Numbers
    presence_probabilities: Numbers
    calibration: Numbers
    problems: tuple[Problem, ...]

    @cached_property
    def dice(self) -> Numbers:
        """The contest's Dice of each mask, 1 where both are empty; shape (scenes, patterns)."""
        return _dice(np.diagonal(self.overlap, axis1=1, axis2=2), self.predicted, self.truth)

    def means(self, dice: Numbers, scenes: Sequence[int] | None = None) -> list[Interval]:
        """Mean Dice over patterns, then of each pattern, with 95 % intervals, days of a region resampled.

        Args:
            dice: shape (scenes, patterns).
            scenes: indices of the scenes to average over. Default: all.
        """
        chosen = self.chosen(scenes)
        groups = [self.records[index].group for index in chosen]
        return bootstrap(np.column_stack([dice.mean(axis=1), dice])[chosen], groups)

    @cached_property
    def presence(self) -> dict[str, Presence]:
        """Detection of each pattern."""
        detected, labelled = self.predicted > 0, self.truth > 0
        return {
            name: Presence(
                precision=_share(labelled[:, index], detected[:, index]),
                recall=_share(detected[:, index], labelled[:, index]),
                auc=auc(self.scores[:, index], labelled[:, index]),
                labelled=float(labelled[:, index].mean()),
                predicted=float(detected[:, index].mean()),
            )
            for index, name in enumerate(self.patterns)
        }

    def reliability(self, scenes: Sequence[int] | None = None) -> dict[str, Reliability]:
        """Reliability curve of each pattern, over some scenes (by default all)."""
        sums = self.calibration[self.chosen(scenes)].sum(axis=0)
        return {name: reliability(*sums[index].T) for index, name in enumerate(self.patterns)}

    def presence_error(self, scenes: Sequence[int] | None = None) -> dict[str, float]:
        """Expected calibration error of the probability of each label; NaN without calibration."""
        chosen = self.chosen(scenes)
        present, probabilities = self.truth[chosen] > 0, self.presence_probabilities[chosen]
        return {
            name: grouped_error(probabilities[:, index], present[:, index])
            for index, name in enumerate(self.patterns)
        }

    def chosen(self, scenes: Sequence[int] | None) -> list[int]:
        """The given indices of scenes, or those of all."""
        return list(range(len(self.records))) if scenes is None else list(scenes)

    @cached_property
    def confusion(self) -> Numbers:
        """Share of a label's area (row) that each predicted pattern covers, shape (patterns, patterns + 1).

        The last column has the share that no prediction covers. Patterns may overlap, so a row may add up to
        more than 1. NaN for a pattern that is never labelled.
        """
        area = self.truth.sum(axis=0)[:, None].astype(np.float64)
        return np.asarray(self.overlap.sum(axis=0) / np.where(area > 0, area, np.nan))

    def extremes(self, count: int = 3) -> tuple[list[int], list[int]]:
        """Indices of the scenes with the highest mean Dice, best first, and with the lowest, worst first."""
        order = np.argsort(-self.dice.mean(axis=1), kind="stable").tolist()
        return order[:count], order[len(order) - 1 : max(count, len(order) - count) - 1 : -1]


class _SceneResult(NamedTuple):
    """One scene's part of a `ModelEvaluation`."""

    valid: int
    truth: Counts
    predicted: Counts
    overlap: Counts
    baselines: dict[str, Numbers]
    scores: list[float]
    presence_probabilities: list[float]
    calibration: Numbers


def check_patterns(model: Model, dataset: Dataset) -> None:
    """Check that a model and a data set have the same patterns, in any order.

    Raises:
        DatasetError: they differ.
    """
    if set(model.card.patterns) != set(dataset.patterns):
        raise DatasetError(
            f"{dataset.labels.path}: labels of {', '.join(dataset.patterns)} cannot evaluate the model "
            f"{model.card.name}, which has {', '.join(model.card.patterns)}"
        )


def evaluate_model(
    model: Model,
    dataset: Dataset,
    mean_mask: Masks | None = None,
    *,
    tta: bool = False,
    workers: int = 1,
    progress: Progress | None = None,
) -> ModelEvaluation:
    """Segment scenes and compare them with their labels.

    Args:
        model: the network and its rules; threads share it.
        dataset: the scenes to evaluate on.
        mean_mask: the baseline of that name, shape (patterns, 350, 525). Default: none.
        tta: see `segment`.
        workers: the number of threads.
        progress: called with the scenes done so far and in all.

    Raises:
        DatasetError: the model has other patterns, or no scene can be read.
        ModelError: the model returns values outside [0, 1].
    """
    check_patterns(model, dataset)

    def work(record: Record) -> _SceneResult:
        labels = dataset.masks(record.image, SCORE_GRID)
        result = apply_rules(model.predict(dataset.scene(record.image), tta=tta))
        return _evaluate(result, dataset.patterns, labels, mean_mask)

    problems: list[Problem] = []
    records, results = [], []
    for index, result in dataset.map(work, problems, workers=workers, progress=progress):
        records.append(dataset.records[index])
        results.append(result)
    if not results:
        raise DatasetError(f"{dataset.folder}: none of the {len(problems)} scenes can be read")
    return ModelEvaluation(
        records=tuple(records),
        patterns=dataset.patterns,
        valid=np.array([each.valid for each in results]),
        truth=np.stack([each.truth for each in results]),
        predicted=np.stack([each.predicted for each in results]),
        overlap=np.stack([each.overlap for each in results]),
        baselines={
            name: np.stack([each.baselines[name] for each in results]) for name in results[0].baselines
        },
        expected_pixels=np.array([each.calibration[:, :, 2].sum(axis=1) for each in results])
        * (1 if model.card.calibration else np.nan),
        scores=np.array([each.scores for each in results]),
        presence_probabilities=np.array([each.presence_probabilities for each in results]),
        calibration=np.stack([each.calibration for each in results]),
        problems=tuple(problems),
    )


def score_masks(segmentation: Segmentation, patterns: Sequence[str]) -> Masks:
    """Masks on the contest's score grid, shape (patterns, 350, 525)."""
    return np.stack([segmentation.mask(name, SCORE_GRID) for name in patterns])


def score_valid_mask(segmentation: Segmentation) -> Mask:
    """Where a scene has data, on the contest's score grid."""
    return resize_mask(segmentation.valid_mask, SCORE_GRID)


def _evaluate(
    segmentation: Segmentation, patterns: Sequence[str], labels: Masks, mean_mask: Masks | None
) -> _SceneResult:
    valid, masks = score_valid_mask(segmentation), score_masks(segmentation, patterns)
    calibration = np.zeros((len(patterns), BINS, 3))
    for index, name in enumerate(patterns):
        field = segmentation.probabilities[segmentation.card.patterns.index(name)]
        probability = resample(field, SCORE_GRID)[valid]
        bins = np.minimum((probability * BINS).astype(np.intp), BINS - 1)
        absent, present = np.bincount(bins + BINS * labels[index][valid], minlength=2 * BINS).reshape(2, BINS)
        sums = np.bincount(bins, probability, minlength=BINS)
        calibration[index] = np.column_stack([absent + present, present, sums])
    truth, columns = _pixels(labels), np.concatenate([masks, ~masks.any(axis=0, keepdims=True)])
    answers = {"all empty": np.zeros_like(labels), "everything present": np.broadcast_to(valid, labels.shape)}
    if mean_mask is not None:
        answers["mean mask"] = mean_mask & valid
    presence = segmentation.presence_probabilities
    return _SceneResult(
        valid=int(valid.sum()),
        truth=truth,
        predicted=_pixels(masks),
        overlap=np.stack([_pixels(label & columns) for label in labels]),
        baselines={
            name: _dice(_pixels(labels & answer), _pixels(answer), truth) for name, answer in answers.items()
        },
        scores=[segmentation.scores[name] for name in patterns],
        presence_probabilities=[presence.get(name, np.nan) for name in patterns],
        calibration=calibration,
    )


def _pixels(masks: Masks) -> Counts:
    """Pixels of each mask."""
    return np.asarray(masks.sum(axis=(1, 2), dtype=np.int64))


def _dice(shared: Counts, one: Counts, other: Counts) -> Numbers:
    total = one + other
    return np.where(total > 0, 2 * shared / np.maximum(total, 1), 1.0)


def _share(part: Masks, whole: Masks) -> float:
    """Share of the scenes in `whole` that are in `part`, too; NaN where `whole` is empty."""
    return float((part & whole).sum() / whole.sum()) if whole.any() else float("nan")
