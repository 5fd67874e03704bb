"""Labelled scenes under every rule: what the search for rules needs to know of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from nephoscope.core.errors import DatasetError
from nephoscope.core.types import Mask, Probabilities, Progress
from nephoscope.datasets.catalogue import Record
from nephoscope.datasets.dataset import Dataset
from nephoscope.datasets.labels import Problem
from nephoscope.evaluation.metrics import dice
from nephoscope.inference.model import Model
from nephoscope.inference.postprocess import label_components, presence_score
from nephoscope.inference.segmentation import apply_rules
from nephoscope.training.rule_search import Numbers
from nephoscope.training.validation import TOP_K

THRESHOLDS = tuple(round(0.15 + 0.05 * step, 2) for step in range(11))
JOINS = (0, 20)  # pixels of 350x525
AREAS = (0, 2000, 4000, 8000, 16000)

_VARIANTS = [(threshold, join, area) for threshold in THRESHOLDS for join in JOINS for area in AREAS]
MASKS = sorted(_VARIANTS, key=lambda mask: mask[1:] != (0, 0))
"""Threshold, join and minimum area of each mask; those without join and minimum area come first."""

LEVELS = 200
"""Bins of probability, of equal width, in which pixels are counted."""


@dataclass(frozen=True, eq=False)
class ScoredScenes:
    """Labelled scenes under every rule.

    Attributes:
        by_mask: Dice of every mask, shape (patterns, masks, scenes).
        areas: of every mask, as shares of the pixels with data, shape (patterns, masks, scenes).
        scores: of every kind of presence evidence, shape (patterns, kinds, scenes).
        empty: 1 where the true mask is empty, else 0; shape (patterns, scenes).
        pixels: as in `Survey`.
        records: of the scenes.
        unread: number of scenes that cannot be read.
    """

    by_mask: Numbers
    areas: Numbers
    scores: Numbers
    empty: Numbers
    pixels: Numbers
    records: list[Record]
    unread: int

    @property
    def groups(self) -> list[str]:
        """`Record.group` of each scene."""
        return [record.group for record in self.records]


@dataclass(frozen=True, eq=False)
class Survey:
    """Probabilities of labelled scenes, and what the model's own rules make of them.

    Attributes:
        pixels: pixels with data by bin of probability, and those of them that have the label; shape
            (patterns, `LEVELS`, 2, scenes).
        before: Dice under the model's own rules, shape (patterns, scenes).
    """

    pixels: Numbers
    before: Numbers


def join_scenes(parts: Sequence[ScoredScenes]) -> ScoredScenes:
    """The scenes of several parts, in their order."""
    arrays = {
        name: np.concatenate([getattr(part, name) for part in parts], axis=-1)
        for name in ("by_mask", "areas", "scores", "empty", "pixels")
    }
    records = [record for part in parts for record in part.records]
    return ScoredScenes(**arrays, records=records, unread=sum(part.unread for part in parts))


def join_surveys(parts: Sequence[Survey]) -> Survey:
    """The scenes of several parts, in their order."""
    return Survey(
        np.concatenate([part.pixels for part in parts], axis=-1),
        np.concatenate([part.before for part in parts], axis=-1),
    )


def score_scenes(model: Model, dataset: Dataset, progress: Progress | None = None) -> ScoredScenes:
    """Measure every rule on every scene.

    Args:
        model: to measure; best loaded with one thread.
        dataset: the scenes.
        progress: called with the number of scenes done and in all.

    Raises:
        DatasetError: the labels lack a pattern of the model, or scenes of fewer than two days can be read.
    """
    found, records, unread = _map(_score, model, dataset, progress)
    by_mask, areas, scores, empty, pixels = (np.stack(column, -1) for column in zip(*found, strict=True))
    return ScoredScenes(by_mask, areas, scores, empty, pixels, records, unread)


def survey_scenes(model: Model, dataset: Dataset, progress: Progress | None = None) -> Survey:
    """Survey scenes; arguments and errors as of `score_scenes`."""
    found, _, _ = _map(_survey, model, dataset, progress)
    return Survey(*(np.stack(column, -1) for column in zip(*found, strict=True)))


def _map(
    work: Callable[[Model, Dataset, Record], tuple[Numbers, ...]],
    model: Model,
    dataset: Dataset,
    progress: Progress | None,
) -> tuple[list[tuple[Numbers, ...]], list[Record], int]:
    """Arrays of each scene, their records, and the number of scenes that cannot be read."""
    if missing := [name for name in model.card.patterns if name not in dataset.patterns]:
        raise DatasetError(
            f"{dataset.labels.path}: no labels of {', '.join(missing)}, which the model predicts; "
            f"available: {', '.join(dataset.patterns)}"
        )
    problems: list[Problem] = []  # `explore` lists them
    mapped = list(dataset.map(partial(work, model, dataset), problems, progress=progress))
    records = [dataset.records[index] for index, _ in mapped]
    if len({record.group for record in records}) < 2:
        raise DatasetError(
            f"{dataset.folder}: {len(mapped)} of {len(dataset.records)} scenes can be read; "
            "rules need scenes of at least two days"
        )
    return [scene for _, scene in mapped], records, len(problems)


def _score(model: Model, dataset: Dataset, record: Record) -> tuple[Numbers, ...]:
    """One scene by pattern, in the order of the attributes of `ScoredScenes`."""
    prediction = model.predict(dataset.scene(record.image))
    fields, heads = prediction.probabilities, prediction.head_probabilities
    truth = _truth(model, dataset, record, prediction.valid_mask)
    by_pattern = [None] * len(fields) if heads is None else heads.tolist()
    dices, areas = zip(*(measure_masks(*pair) for pair in zip(fields, truth, strict=True)), strict=True)
    return (
        np.stack(dices),
        np.stack(areas) / max(1, np.count_nonzero(prediction.valid_mask)),
        np.stack([all_evidence(*pair) for pair in zip(fields, by_pattern, strict=True)]),
        np.asarray(~truth.any(axis=(1, 2)), np.float64),
        _pixels(fields, truth, prediction.valid_mask),
    )


def _survey(model: Model, dataset: Dataset, record: Record) -> tuple[Numbers, ...]:
    """One scene by pattern, in the order of the attributes of `Survey`."""
    segmentation = apply_rules(model.predict(dataset.scene(record.image)))
    truth = _truth(model, dataset, record, segmentation.valid_mask)
    return (
        _pixels(segmentation.probabilities, truth, segmentation.valid_mask),
        np.array([dice(*pair) for pair in zip(segmentation.masks, truth, strict=True)]),
    )


def _truth(model: Model, dataset: Dataset, record: Record, valid: Mask) -> Mask:
    height, width = valid.shape
    masks = [dataset.labels.mask(record.image, name, (height, width)) for name in model.card.patterns]
    return np.stack(masks)


def _pixels(fields: Probabilities, truth: Mask, valid: Mask) -> Numbers:
    counts = np.empty((len(fields), LEVELS, 2))
    for index, (field, labelled) in enumerate(zip(fields, truth, strict=True)):
        levels = np.minimum((field[valid] * LEVELS).astype(np.int64), LEVELS - 1)
        counts[index, :, 0] = np.bincount(levels, minlength=LEVELS)
        counts[index, :, 1] = np.bincount(levels[labelled[valid]], minlength=LEVELS)
    return counts


def measure_masks(field: Probabilities, truth: Mask) -> tuple[Numbers, Numbers]:
    """Dice, and area in pixels, of every mask, in the order of `MASKS`."""
    size = int(np.count_nonzero(truth))
    values: dict[tuple[float, int, int], tuple[float, int]] = {}
    for threshold in THRESHOLDS:
        mask = field > threshold
        for join in JOINS:
            numbers = label_components(mask, join)[mask]
            areas = np.bincount(numbers, minlength=1)
            shared = np.bincount(numbers, truth[mask], minlength=1)
            for area in AREAS:
                kept = areas >= max(1, area)
                own = int(areas[kept].sum())
                total = own + size
                values[threshold, join, area] = 2 * shared[kept].sum() / total if total else 1.0, own
    dices, sizes = np.array([values[mask] for mask in MASKS], np.float64).T
    return dices, sizes


def all_evidence(field: Probabilities, head: float | None) -> Numbers:
    """Every kind of presence evidence, in the order of `validation.KINDS`."""
    means = [presence_score(field, top_k) for top_k in TOP_K]
    return np.array(means if head is None else [*means, head, *(head * mean for mean in means)])
