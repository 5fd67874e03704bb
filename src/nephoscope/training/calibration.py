"""Calibration: search the rules of a model on validation scenes, with cross-validation over days."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx

from nephoscope.core.errors import DatasetError
from nephoscope.core.io import atomic_write
from nephoscope.core.types import Mask, Probabilities, Progress
from nephoscope.datasets.catalogue import Record
from nephoscope.datasets.dataset import Dataset
from nephoscope.datasets.labels import Problem
from nephoscope.datasets.splits import group_kfold
from nephoscope.evaluation.metrics import dice
from nephoscope.inference.card import Card
from nephoscope.inference.model import Model
from nephoscope.inference.model_files import model_file
from nephoscope.inference.postprocess import Rule, label_components, presence_score
from nephoscope.inference.segmentation import apply_rules
from nephoscope.training.export import with_card
from nephoscope.training.rule_search import Numbers, RuleSearchResult, Table, search
from nephoscope.training.validation import KINDS, TOP_K, dice_figures

THRESHOLDS = tuple(round(0.15 + 0.05 * step, 2) for step in range(11))
JOINS = (0, 20)  # pixels of 350x525
AREAS = (0, 2000, 4000, 8000, 16000)

_FOLDS = 10
_VARIANTS = [(threshold, join, area) for threshold in THRESHOLDS for join in JOINS for area in AREAS]
_MASKS = sorted(_VARIANTS, key=lambda mask: mask[1:] != (0, 0))
"""Threshold, join and minimum area of each mask; those without join and minimum area come first."""


@dataclass(frozen=True)
class Calibration:
    """Rules, and their Dice.

    Attributes:
        rules: by pattern.
        dice: mean Dice by pattern under rules chosen on other days: the honest estimate.
        in_sample_dice: mean Dice by pattern on the scenes that the rules were chosen on: optimistic.
        before: mean Dice by pattern under the previous rules of the model.
        scenes: number of scenes.
        days: number of groups of scenes that belong together.
        unread: number of scenes that cannot be read.
    """

    rules: dict[str, Rule]
    dice: dict[str, float]
    in_sample_dice: dict[str, float]
    before: dict[str, float]
    scenes: int
    days: int
    unread: int = 0

    @property
    def mean(self) -> float:
        """The honest estimate, over all patterns."""
        return float(np.mean(list(self.dice.values())))


def calibrate(model: Model, dataset: Dataset, progress: Progress | None = None) -> Calibration:
    """Search the rules of all patterns on labelled scenes that the model was not trained on.

    For each pattern, threshold, join distance, minimum area and presence rule are chosen for the highest mean
    Dice. Joining, a minimum area and the presence head are only used where they improve the honest estimate.

    Args:
        model: to calibrate; best loaded with one thread.
        dataset: validation scenes; days of a region (`Record.group`) are kept together in ten folds.
        progress: called with the number of scenes done and in all.

    Raises:
        DatasetError: the labels lack a pattern of the model, or scenes of fewer than two days can be read.
    """
    scored = score_scenes(model, dataset, progress)
    folds = group_kfold(scored.groups, min(_FOLDS, len(set(scored.groups))))
    results = choose_rules(scored, folds)
    patterns = model.card.patterns
    return Calibration(
        rules={name: rule_of(result) for name, result in zip(patterns, results, strict=True)},
        dice={name: result.held_out_dice for name, result in zip(patterns, results, strict=True)},
        in_sample_dice={name: result.in_sample_dice for name, result in zip(patterns, results, strict=True)},
        before=dict(zip(patterns, scored.before.mean(axis=-1).tolist(), strict=True)),
        scenes=len(scored.groups),
        days=len(set(scored.groups)),
        unread=scored.unread,
    )


@dataclass(frozen=True, eq=False)
class ScoredScenes:
    """Labelled scenes under every rule.

    Attributes:
        by_mask: Dice of every mask, shape (patterns, masks, scenes).
        scores: of every kind of presence evidence, shape (patterns, kinds, scenes).
        empty: 1 where the true mask is empty, else 0; shape (patterns, scenes).
        before: Dice under the model's own rules, shape (patterns, scenes).
        groups: `Record.group` of each scene.
        unread: number of scenes that cannot be read.
    """

    by_mask: Numbers
    scores: Numbers
    empty: Numbers
    before: Numbers
    groups: list[str]
    unread: int


def score_scenes(model: Model, dataset: Dataset, progress: Progress | None = None) -> ScoredScenes:
    """Measure the Dice of every rule on every scene; arguments and errors as of `calibrate`."""
    if missing := [name for name in model.card.patterns if name not in dataset.patterns]:
        raise DatasetError(
            f"{dataset.labels.path}: no labels of {', '.join(missing)}, which the model predicts; "
            f"available: {', '.join(dataset.patterns)}"
        )
    problems: list[Problem] = []  # `explore` lists them
    mapped = list(dataset.map(partial(_score, model, dataset), problems, progress=progress))
    groups = [dataset.records[index].group for index, _ in mapped]
    if len(set(groups)) < 2:
        raise DatasetError(
            f"{dataset.folder}: {len(mapped)} of {len(dataset.records)} scenes can be read; "
            "rules need scenes of at least two days"
        )
    by_mask, scores, empty, before = (
        np.stack(column, -1) for column in zip(*(scene for _, scene in mapped), strict=True)
    )
    return ScoredScenes(by_mask, scores, empty, before, groups, len(problems))


def choose_rules(scored: ScoredScenes, folds: Sequence[int]) -> list[RuleSearchResult]:
    """Search the rule of each pattern, with the fold of each scene."""
    results = []
    for by_mask, empty, scores in zip(scored.by_mask, scored.empty, scored.scores, strict=True):
        small = Table(by_mask[: len(THRESHOLDS)], empty, scores[: len(TOP_K)])
        both = search(small, folds), search(Table(by_mask, empty, scores), folds)
        results.append(max(both, key=lambda result: result.held_out_dice))
    return results


def rule_of(result: RuleSearchResult) -> Rule:
    """The rule that `choose_rules` chose."""
    (threshold, join, area), (evidence, top_k) = _MASKS[result.mask], KINDS[result.kind]
    return Rule(threshold, top_k, result.cut, 0, area, join, evidence)


def calibrated(card: Card, calibration: Calibration, on: str) -> Card:
    """A card with other rules, and their Dice as its figures, measured `on` some scenes."""
    how = "nephoscope calibrate"
    honest = f"{on}; rules chosen on nine tenths of the days, judged on the tenth"
    in_sample = f"{on}; the scenes that the rules were chosen on"
    optimistic = dice_figures(calibration.in_sample_dice, in_sample, how)[0]
    figures = [*dice_figures(calibration.dice, honest, how), optimistic | {"what": "mean Dice, optimistic"}]
    training = {**card.training, "rules": f"chosen by mean Dice on {on}"}
    return dataclasses.replace(card, rules=calibration.rules, figures=figures, training=training)


def write_card(model: str, card: Card, to: Path) -> None:
    """Write the file of a model (its name or path) with another card, atomically; `to` may be the same."""
    atomic_write(to, with_card(onnx.load(model_file(model)), card))


class _SceneScores(NamedTuple):
    """One scene by pattern: Dice of every mask, evidence, 1 for an empty label, Dice under the own rule."""

    by_mask: Numbers
    scores: Numbers
    empty: Numbers
    before: Numbers


def _score(model: Model, dataset: Dataset, record: Record) -> _SceneScores:
    segmentation = apply_rules(model.predict(dataset.scene(record.image)))
    height, width = segmentation.valid_mask.shape
    patterns, presence = model.card.patterns, segmentation.prediction.presence_probabilities
    truth = np.stack([dataset.labels.mask(record.image, name, (height, width)) for name in patterns])
    heads = [None] * len(patterns) if presence is None else presence.tolist()
    return _SceneScores(
        np.stack([_dice_of_masks(*pair) for pair in zip(segmentation.probabilities, truth, strict=True)]),
        np.stack([_evidence(*pair) for pair in zip(segmentation.probabilities, heads, strict=True)]),
        np.asarray(~truth.any(axis=(1, 2)), np.float64),
        np.array([dice(*pair) for pair in zip(segmentation.masks, truth, strict=True)]),
    )


def _dice_of_masks(field: Probabilities, truth: Mask) -> Numbers:
    """Dice of every mask, in the order of `_MASKS`."""
    size = int(np.count_nonzero(truth))
    values: dict[tuple[float, int, int], float] = {}
    for threshold in THRESHOLDS:
        mask = field > threshold
        for join in JOINS:
            numbers = label_components(mask, join)[mask]
            areas = np.bincount(numbers, minlength=1)
            shared = np.bincount(numbers, truth[mask], minlength=1)
            for area in AREAS:
                kept = areas >= max(1, area)
                total = areas[kept].sum() + size
                values[threshold, join, area] = 2 * shared[kept].sum() / total if total else 1.0
    return np.array([values[mask] for mask in _MASKS], np.float64)


def _evidence(field: Probabilities, head: float | None) -> Numbers:
    """Every kind of presence evidence, in the order of `KINDS`."""
    means = [presence_score(field, top_k) for top_k in TOP_K]
    return np.array(means if head is None else [*means, head, *(head * mean for mean in means)])
