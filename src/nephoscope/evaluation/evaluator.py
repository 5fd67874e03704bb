"""A model against labels: every scene segmented once, what is needed of it kept as a few numbers.

Masks are compared on the contest's answer grid of 350x525 pixels, exactly those that `nephoscope segment
--format csv` writes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from nephoscope.core.errors import DatasetError
from nephoscope.core.geo import SEASONS
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.core.types import SCORE_GRID, Mask, Progress
from nephoscope.datasets.catalogue import Record
from nephoscope.datasets.dataset import Dataset, PackedMasks
from nephoscope.datasets.labels import Problem
from nephoscope.evaluation.exploration import KNOWN, UNKNOWN
from nephoscope.evaluation.statistics import Interval, Reliability, auc, bootstrap, reliability
from nephoscope.inference.model import Model
from nephoscope.inference.postprocess import resample
from nephoscope.inference.segmentation import Segmentation, segment

Counts = NDArray[np.int64]
Numbers = NDArray[np.float64]
Masks = NDArray[np.bool_]

BINS = 20
"""Of the reliability curves, of equal width."""

_SETS = 2 ** len(DEFAULT_NAMES)
_HAS = np.array([[bits >> index & 1 for index in range(len(DEFAULT_NAMES))] for bits in range(_SETS)])
"""Whether a set of patterns, as the bits of a pixel, holds a pattern; shape (sets, patterns)."""


class Presence(NamedTuple):
    """Whether a pattern is in a scene, told by its mask being empty or not; NaN where there is no such scene.

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
    """What a model made of labelled scenes; arrays count scenes, then patterns in `DEFAULT_NAMES`' order.

    Attributes:
        records: of the scenes.
        joint: how many pixels of 350x525 carry which set of patterns in the label and in the answer, shape
            (scenes, 16, 16), sets as the bits of a pixel: 5 is 0101, the first and third of `DEFAULT_NAMES`.
        reference: the same of the label and the mean mask, only where there is data.
        has_mean_mask: whether there is a mean mask to judge.
        scores: presence scores from 0 to 1, shape (scenes, patterns).
        calibration: by pattern and bin: pixels with data, those of them that carry the label, the sum of
            their probabilities; over all scenes, shape (patterns, `BINS`, 3).
        problems: scenes that could not be read, left out.
    """

    records: tuple[Record, ...]
    joint: Counts
    reference: Counts
    has_mean_mask: bool
    scores: Numbers
    calibration: Numbers
    problems: tuple[Problem, ...]

    @cached_property
    def truth(self) -> Counts:
        """Pixels of each label, shape (scenes, patterns)."""
        return np.asarray(self.joint.sum(axis=2) @ _HAS)

    @cached_property
    def predicted(self) -> Counts:
        """Pixels of each answer, shape (scenes, patterns)."""
        return np.asarray(self.joint.sum(axis=1) @ _HAS)

    @cached_property
    def dice(self) -> Numbers:
        """The contest's Dice of each mask, 1 where both are empty; shape (scenes, patterns)."""
        return _dice(_shared(self.joint), self.predicted, self.truth)

    @cached_property
    def baselines(self) -> dict[str, Numbers]:
        """Dice of answers that do not look at the clouds, by what they say; shape (scenes, patterns).

        What says that something is there says so only where there is data.
        """
        with_data = self.reference.sum(axis=2)
        valid = np.repeat(with_data.sum(axis=1)[:, None], len(DEFAULT_NAMES), axis=1)
        found = {
            "all empty": _dice(np.zeros_like(self.truth), np.zeros_like(self.truth), self.truth),
            "everything present": _dice(with_data @ _HAS, valid, self.truth),
        }
        if self.has_mean_mask:
            drawn = self.reference.sum(axis=1) @ _HAS
            found["mean mask"] = _dice(_shared(self.reference), drawn, self.truth)
        return found

    def means(self, dice: Numbers, scenes: Sequence[int] | None = None) -> list[Interval]:
        """Mean Dice over patterns, then of each pattern, with 95 % intervals, days of a region resampled.

        Args:
            dice: shape (scenes, patterns).
            scenes: indices of those to count; all if left out.
        """
        chosen = list(range(len(self.records))) if scenes is None else list(scenes)
        groups = [self.records[index].group for index in chosen]
        return bootstrap(np.column_stack([dice.mean(axis=1), dice])[chosen], groups)

    def by(self, what: str) -> dict[str, list[int]]:
        """Indices of the scenes of each region, season, year or satellite; none where it is unknown of all.

        Args:
            what: a key of `KNOWN`.
        """
        found: dict[str, list[int]] = {}
        for index, record in enumerate(self.records):
            found.setdefault(KNOWN[what](record), []).append(index)
        if set(found) == {UNKNOWN}:
            return {}
        order = {name: place for place, name in enumerate((*SEASONS, UNKNOWN))}
        return dict(sorted(found.items(), key=lambda each: (order.get(each[0], 0), each[0])))

    @cached_property
    def presence(self) -> dict[str, Presence]:
        """How well the model tells which patterns a scene has, by pattern."""
        found, there = self.predicted > 0, self.truth > 0
        return {
            name: Presence(
                precision=_share(there[:, index], found[:, index]),
                recall=_share(found[:, index], there[:, index]),
                auc=auc(self.scores[:, index], there[:, index]),
                labelled=float(there[:, index].mean()),
                predicted=float(found[:, index].mean()),
            )
            for index, name in enumerate(DEFAULT_NAMES)
        }

    @cached_property
    def reliability(self) -> dict[str, Reliability]:
        """Reliability curves, by pattern."""
        return {name: reliability(*self.calibration[index].T) for index, name in enumerate(DEFAULT_NAMES)}

    @cached_property
    def confusion(self) -> Numbers:
        """Share of a label's area (row) that each pattern's answers cover, shape (patterns, patterns + 1).

        The last column has the share that no answer covers. Patterns may overlap, so a row may add up to more
        than 1. NaN for a pattern never labelled.
        """
        pixels = self.joint.sum(axis=0)
        parts = _HAS.T @ np.column_stack([pixels @ _HAS, pixels[:, 0]])
        area = self.truth.sum(axis=0)[:, None].astype(np.float64)
        return np.asarray(parts / np.where(area > 0, area, np.nan))

    def extremes(self, count: int = 3) -> tuple[list[int], list[int]]:
        """Indices of the scenes with the highest mean Dice, best first, and with the lowest, worst first."""
        order = np.argsort(-self.dice.mean(axis=1), kind="stable").tolist()
        return order[:count], order[len(order) - 1 : max(count, len(order) - count) - 1 : -1]


class _Counted(NamedTuple):
    """One scene's part of a `ModelEvaluation`."""

    joint: Counts
    reference: Counts
    scores: list[float]
    calibration: Numbers


def evaluate_model(
    model: Model,
    dataset: Dataset,
    mean_mask: Masks | None = None,
    *,
    tta: bool = False,
    workers: int = 1,
    progress: Progress | None = None,
) -> ModelEvaluation:
    """Segment scenes and hold them against their labels.

    Args:
        model: the network and its rules; workers share it.
        dataset: the scenes to judge on.
        mean_mask: what the baseline of that name answers, shape (patterns, 350, 525); there is none if left
            out.
        tta: see `segment`.
        workers: scenes worked on at the same time.
        progress: told the scenes done so far and in all.

    Raises:
        DatasetError: no scene can be read.
        ModelError: the model gives no probabilities.
    """
    reference = np.zeros(SCORE_GRID, np.uint8) if mean_mask is None else _bits(mean_mask)

    def work(record: Record) -> _Counted:
        label = dataset.bits(record.image, SCORE_GRID)
        return _count(segment(dataset.scene(record.image), model, tta=tta), label, reference)

    problems: list[Problem] = []
    kept, counted = [], []
    for index, counts in dataset.map(work, problems, workers=workers, progress=progress):
        kept.append(dataset.records[index])
        counted.append(counts)
    if not counted:
        raise DatasetError(f"{dataset.folder}: none of the {len(problems)} scenes can be read")
    return ModelEvaluation(
        records=tuple(kept),
        joint=np.stack([each.joint for each in counted]),
        reference=np.stack([each.reference for each in counted]),
        has_mean_mask=mean_mask is not None,
        scores=np.array([each.scores for each in counted]),
        calibration=np.sum([each.calibration for each in counted], axis=0),
        problems=tuple(problems),
    )


def answer(segmentation: Segmentation) -> Masks:
    """Masks on the contest's answer grid, shape (patterns, 350, 525)."""
    return np.stack([segmentation.mask(name, SCORE_GRID) for name in DEFAULT_NAMES])


def with_data(segmentation: Segmentation) -> Mask:
    """Where a scene has data, on the contest's answer grid."""
    valid = segmentation.valid_mask.view(np.uint8)
    return cv2.resize(valid, SCORE_GRID[::-1], interpolation=cv2.INTER_NEAREST).view(np.bool_)


def _count(segmentation: Segmentation, label: PackedMasks, reference: PackedMasks) -> _Counted:
    valid = with_data(segmentation)
    calibration = np.zeros((len(DEFAULT_NAMES), BINS, 3))
    for index, field in enumerate(segmentation.probabilities):
        probability = resample(field, SCORE_GRID)[valid]
        place = np.minimum((probability * BINS).astype(np.intp), BINS - 1)
        carried = (label >> index & 1)[valid]
        absent, present = np.bincount(place + BINS * carried, minlength=2 * BINS).reshape(2, BINS)
        sums = np.bincount(place, probability, minlength=BINS)
        calibration[index] = np.column_stack([absent + present, present, sums])
    return _Counted(
        joint=_joint(label, _bits(answer(segmentation))),
        reference=_joint(label[valid], reference[valid]),
        scores=[segmentation.scores[name] for name in DEFAULT_NAMES],
        calibration=calibration,
    )


def _bits(masks: Masks) -> PackedMasks:
    """Masks of all patterns in one byte a pixel, as labels are kept."""
    return np.asarray(np.packbits(masks, axis=0, bitorder="little")[0])


def _joint(label: PackedMasks, other: PackedMasks) -> Counts:
    pixels = np.bincount((label * np.uint8(_SETS) + other).reshape(-1), minlength=_SETS**2)
    return pixels.reshape(_SETS, _SETS)


def _shared(joint: Counts) -> Counts:
    """Pixels that label and answer share, pattern by pattern, shape (scenes, patterns)."""
    shared: Counts = np.einsum("stp,tn,pn->sn", joint, _HAS, _HAS, optimize=True)
    return shared


def _dice(shared: Counts, one: Counts, other: Counts) -> Numbers:
    total = one + other
    return np.where(total > 0, 2 * shared / np.maximum(total, 1), 1.0)


def _share(part: Masks, whole: Masks) -> float:
    """How many of a whole's scenes are in a part, from 0 to 1; NaN without any."""
    return float((part & whole).sum() / whole.sum()) if whole.any() else float("nan")
