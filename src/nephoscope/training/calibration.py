"""Rules for a model: searched on validation scenes, judged on days that the search did not see."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import onnx
from numpy.typing import NDArray

from nephoscope.core.errors import DatasetError
from nephoscope.core.io import atomic_write
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.core.types import Mask, Probabilities, Progress
from nephoscope.datasets.catalogue import Record, group_kfold
from nephoscope.datasets.dataset import Dataset
from nephoscope.datasets.labels import Problem
from nephoscope.evaluation.metrics import dice
from nephoscope.inference.card import Card
from nephoscope.inference.model import Model, model_file
from nephoscope.inference.postprocess import Rule, label_components, presence_score
from nephoscope.inference.segmentation import Segmentation, segment
from nephoscope.training.export import with_card
from nephoscope.training.rule_search import RuleSearchResult, Table, search
from nephoscope.training.validation import KINDS, TOP_K

THRESHOLDS = tuple(round(0.15 + 0.05 * step, 2) for step in range(11))
JOINS = (0, 20)  # pixels of 350x525
AREAS = (0, 2000, 4000, 8000, 16000)

Result = TypeVar("Result")

_FOLDS = 10
_PLAIN = len(THRESHOLDS)  # masks without joining or a minimum area come first


@dataclass(frozen=True)
class Calibration:
    """Rules, and what they are worth.

    Attributes:
        rules: by pattern.
        dice: mean Dice by pattern under rules chosen on other days: the honest estimate.
        seen: mean Dice by pattern on the scenes that the rules were chosen on: optimistic.
        before: mean Dice by pattern under the rules that the model had.
        scenes: how many.
        days: how many groups of scenes that belong together.
        unread: how many more scenes could not be read.
    """

    rules: dict[str, Rule]
    dice: dict[str, float]
    seen: dict[str, float]
    before: dict[str, float]
    scenes: int
    days: int
    unread: int = 0

    @property
    def mean(self) -> float:
        """The honest estimate, over all patterns."""
        return float(np.mean(list(self.dice.values())))


def calibrate(model: Model, dataset: Dataset, progress: Progress | None = None) -> Calibration:
    """Search every pattern's rule on labelled scenes that the model was not trained on.

    For each pattern, threshold, join distance, minimum area and presence rule are chosen for the highest mean
    Dice. Whether joining, a minimum area and the presence head are used at all is decided by the honest
    estimate: where the larger search does not do better on days it has not seen, the smaller one's rule is
    taken.

    Args:
        model: to calibrate.
        dataset: validation scenes; days of a region (`Record.group`) are kept together in ten folds.
        progress: told the scenes done so far and in all.

    Raises:
        DatasetError: fewer than two days of scenes can be read.
    """
    records, tables, before = _measure(model, dataset, progress)
    groups = [record.group for record in records]
    if len(set(groups)) < 2:
        raise DatasetError(f"{dataset.folder}: rules need scenes of at least two days to be judged on")
    folds = group_kfold(groups, min(_FOLDS, len(set(groups))))
    rules, honest, seen = {}, {}, {}
    for name, table in zip(DEFAULT_NAMES, tables, strict=True):
        small = Table(table.dice[:_PLAIN], table.empty, table.scores[: len(TOP_K)])
        found = max(search(small, folds), search(table, folds), key=lambda result: result.held_out)
        rules[name], honest[name], seen[name] = _rule(found), found.held_out, found.seen
    return Calibration(
        rules, honest, seen, before, len(records), len(set(groups)), len(dataset.records) - len(records)
    )


def calibrated(card: Card, found: Calibration, on: str) -> Card:
    """A card with other rules, and figures that say what they are worth.

    Args:
        card: of the model.
        found: its rules.
        on: what they were measured on.
    """
    honest = f"{on}; rules chosen on nine tenths of the days, judged on the tenth"
    figures = [
        {"what": "mean Dice", "value": round(found.mean, 4), "on": honest, "how": "nephoscope calibrate"},
        *(
            {
                "what": f"Dice of {name}",
                "value": round(found.dice[name], 4),
                "on": honest,
                "how": "nephoscope calibrate",
            }
            for name in DEFAULT_NAMES
        ),
        {
            "what": "mean Dice, optimistic",
            "value": round(float(np.mean(list(found.seen.values()))), 4),
            "on": f"{on}; the scenes that the rules were chosen on",
            "how": "nephoscope calibrate",
        },
    ]
    training = {**card.training, "rules": f"chosen by mean Dice on {on}"}
    return dataclasses.replace(card, rules=found.rules, figures=figures, training=training)


def write_card(model: str, card: Card, to: Path) -> None:
    """Write a model's file again with another card, whole or not at all.

    Args:
        model: its name or file.
        card: the new one.
        to: the file to write; may be the same.
    """
    atomic_write(to, with_card(onnx.load(model_file(model)), card))


def each_scene(
    model: Model,
    dataset: Dataset,
    work: Callable[[Segmentation, NDArray[np.bool_]], Result],
    progress: Progress | None = None,
) -> list[tuple[Record, Result]]:
    """Segment labelled scenes on all processors, and do something with each.

    Args:
        model: to segment with; best loaded with one thread.
        dataset: the scenes.
        work: given what was found and the true masks, shape (patterns, height, width), on the same grid.
        progress: told the scenes done so far and in all.

    Returns:
        Each scene's record and what `work` gave, in the scenes' order, less those that cannot be read.

    Raises:
        DatasetError: none can be read.
    """
    bits_of = np.arange(len(DEFAULT_NAMES), dtype=np.uint8)[:, None, None]

    def one(record: Record) -> Result:
        segmentation = segment(dataset.scene(record.image), model)
        height, width = segmentation.valid_mask.shape
        bits = dataset.bits(record.image, (height, width))
        return work(segmentation, (bits >> bits_of & 1).astype(np.bool_))

    problems: list[Problem] = []  # `explore` names them
    mapped = dataset.map(one, problems, progress=progress)
    results = [(dataset.records[index], result) for index, result in mapped]
    if not results:
        raise DatasetError(f"{dataset.folder}: none of {len(dataset.records)} scenes can be read")
    return results


def own_dice(found: Segmentation, truth: NDArray[np.bool_]) -> list[float]:
    """Dice by pattern of what a model found by its own rules."""
    return [dice(*pair) for pair in zip(found.masks, truth, strict=True)]


class _Measured(NamedTuple):
    """One scene by pattern: Dice of every mask, all evidence, whether it is empty, Dice by the own rule."""

    by_mask: NDArray[np.float64]
    scores: NDArray[np.float64]
    empty: NDArray[np.bool_]
    own: list[float]


def _measure(
    model: Model, dataset: Dataset, progress: Progress | None
) -> tuple[list[Record], list[Table], dict[str, float]]:
    """Every rule's Dice on every scene, by pattern; and the Dice of the rules that the model has."""

    def work(found: Segmentation, truth: NDArray[np.bool_]) -> _Measured:
        presence = found.prediction.presence_probabilities
        heads = [None] * len(DEFAULT_NAMES) if presence is None else presence.tolist()
        return _Measured(
            np.stack([_dice_of_masks(*pair) for pair in zip(found.probabilities, truth, strict=True)]),
            np.stack([_evidence(*pair) for pair in zip(found.probabilities, heads, strict=True)]),
            np.asarray(~truth.any(axis=(1, 2)), np.bool_),
            own_dice(found, truth),
        )

    records, measured = zip(*each_scene(model, dataset, work, progress), strict=True)
    tables = [
        Table(
            np.stack([scene.by_mask[pattern] for scene in measured], 1),
            np.array([scene.empty[pattern] for scene in measured], np.float64),
            np.stack([scene.scores[pattern] for scene in measured], 1),
        )
        for pattern in range(len(DEFAULT_NAMES))
    ]
    own = np.mean([scene.own for scene in measured], axis=0)
    return list(records), tables, dict(zip(DEFAULT_NAMES, own.tolist(), strict=True))


def _dice_of_masks(field: Probabilities, truth: Mask) -> NDArray[np.float64]:
    """Dice of every mask: all thresholds plain, then each join and minimum area of each threshold."""
    size = int(np.count_nonzero(truth))
    plain: list[float] = []
    grouped: list[float] = []
    for threshold in THRESHOLDS:
        mask = field > threshold
        for join in JOINS:
            numbers = label_components(mask, join)[mask]
            areas = np.bincount(numbers, minlength=1)
            shared = np.bincount(numbers, truth[mask], minlength=1)
            for area in AREAS:
                kept = areas >= max(1, area)
                total = areas[kept].sum() + size
                value = 2 * shared[kept].sum() / total if total else 1.0
                (plain if (join, area) == (0, 0) else grouped).append(value)
    return np.array(plain + grouped, np.float64)


_GROUPED = [
    (threshold, join, area)
    for threshold in THRESHOLDS
    for join in JOINS
    for area in AREAS
    if (join, area) != (0, 0)
]
_MASKS = [(threshold, 0, 0) for threshold in THRESHOLDS] + _GROUPED
"""Threshold, join and minimum area of each mask, in the order of `_dice_of_masks`."""


def _evidence(field: Probabilities, head: float | None) -> NDArray[np.float64]:
    means = [presence_score(field, top_k) for top_k in TOP_K]
    return np.array(means if head is None else [*means, head, *(head * mean for mean in means)])


def _rule(found: RuleSearchResult) -> Rule:
    threshold, join, area = _MASKS[found.mask]
    evidence, top_k = KINDS[found.kind]
    return Rule(threshold, top_k, found.cut, 0, area, join, evidence)
