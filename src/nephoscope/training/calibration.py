"""Calibration of a model on validation scenes: its probabilities, and its rules.

Probabilities are calibrated first, by Platt scaling, which becomes part of the model file. Rules are searched
on the calibrated probabilities. Every figure is measured on days, or folds, that its fit has not seen.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx

from nephoscope.core.io import atomic_write
from nephoscope.core.types import ProgressFactory
from nephoscope.datasets.catalogue import Record
from nephoscope.datasets.dataset import Dataset
from nephoscope.datasets.splits import group_kfold
from nephoscope.evaluation.statistics import auc
from nephoscope.inference.card import Card
from nephoscope.inference.model import Model
from nephoscope.inference.model_files import model_file
from nephoscope.inference.postprocess import Rule
from nephoscope.inference.probability import AreaRatio, PatternCalibration, Platt
from nephoscope.training.export import with_card
from nephoscope.training.frequency_error import area_ratio
from nephoscope.training.platt_fit import fit_pixels, fit_platt, held_out_pixels, held_out_presence
from nephoscope.training.rule_search import Numbers, RuleSearchResult, Table, search
from nephoscope.training.scored_scenes import (
    MASKS,
    THRESHOLDS,
    ScoredScenes,
    Survey,
    score_scenes,
    survey_scenes,
)
from nephoscope.training.unbiased_rules import HeldOutAreas, PatternScenes, held_out_areas, match
from nephoscope.training.validation import KINDS, TOP_K, dice_figures

_FOLDS = 10


class HeldOut(NamedTuple):
    """What probabilities and unbiased rules reach on scenes that their fit has not seen, of one pattern.

    Attributes:
        pixel_error: expected calibration error of pixels.
        presence_error: the same of the probability of presence.
        labelled: share of each scene's pixels with data that have the label, shape (scenes,).
        present: 1 where the pattern is labelled, else 0; shape (scenes,).
        expected_area: mean probability of each scene's pixels.
        expected_presence: probability of presence of each scene.
        unbiased: areas and presence by unbiased rules.
    """

    pixel_error: float
    presence_error: float
    labelled: Numbers
    present: Numbers
    expected_area: Numbers
    expected_presence: Numbers
    unbiased: HeldOutAreas

    def biases(self) -> dict[str, Numbers]:
        """Predicted less labelled, of each scene, by name."""
        return {
            "expected area": self.expected_area - self.labelled,
            "expected presence": self.expected_presence - self.present,
            "area, unbiased rules": self.unbiased.areas - self.labelled,
            "presence, unbiased rules": self.unbiased.present - self.present,
        }


@dataclass(frozen=True)
class Calibration:
    """Calibrated probabilities and rules, and what they reach.

    Attributes:
        rules: of the highest Dice, by pattern.
        unbiased_rules: whose areas and numbers of scenes match the labels', by pattern.
        probabilities: their calibration, by pattern.
        dice: mean Dice by pattern under rules chosen on other days: the honest estimate.
        dice_by_fold: the same of each fold.
        in_sample_dice: mean Dice by pattern on the scenes that the rules were chosen on: optimistic.
        before: mean Dice by pattern under the previous rules of the model.
        held_out: calibration error and bias on other days, by pattern.
        area_ratios: labelled over predicted area, by pattern and by kind as in the card.
        records: the scenes.
        unread: number of scenes that cannot be read.
    """

    rules: dict[str, Rule]
    unbiased_rules: dict[str, Rule]
    probabilities: dict[str, PatternCalibration]
    dice: dict[str, float]
    dice_by_fold: dict[str, tuple[float, ...]]
    in_sample_dice: dict[str, float]
    before: dict[str, float]
    held_out: dict[str, HeldOut]
    area_ratios: dict[str, dict[str, AreaRatio]]
    records: list[Record]
    unread: int = 0

    @property
    def mean(self) -> float:
        """The honest estimate, over all patterns."""
        return float(np.mean(list(self.dice.values())))

    @property
    def scenes(self) -> int:
        """Number of scenes."""
        return len(self.records)

    @property
    def days(self) -> int:
        """Number of groups of scenes that belong together."""
        return len({record.group for record in self.records})


def calibrate(
    model: Model, dataset: Dataset, progress: ProgressFactory = lambda _: lambda *_: None
) -> Calibration:
    """Calibrate a model on labelled scenes that it was not trained on; the network runs twice on each.

    For each pattern, a Platt scaling of its probabilities is fitted. Then threshold, join distance, minimum
    area and presence rule are chosen for the highest mean Dice; joining, a minimum area and the presence head
    are only used where they improve the honest estimate. Unbiased rules match areas and presence.

    Args:
        model: to calibrate; best loaded with one thread.
        dataset: validation scenes; days of a region (`Record.group`) are kept together in ten folds.
        progress: for each part of the work.

    Raises:
        DatasetError: the labels lack a pattern of the model, or scenes of fewer than two days can be read.
    """
    survey = survey_scenes(model, dataset, progress("calibrating probabilities"))
    model = scaled(model, survey)
    scored = score_scenes(model, dataset, progress("searching rules"))
    folds = group_kfold(scored.groups, min(_FOLDS, len(set(scored.groups))))
    return calibration_of(model.card, scored, survey, folds)


def calibration_of(card: Card, scored: ScoredScenes, survey: Survey, folds: Sequence[int]) -> Calibration:
    """Calibration of a model by measures of its scenes.

    Args:
        card: of the model, with the scaling of `scaled`.
        scored: the scenes with this scaling.
        survey: the scenes before it.
        folds: of each scene.
    """
    patterns = card.patterns
    results = choose_rules(scored, folds)
    probabilities, unbiased, held_out, ratios = {}, {}, {}, {}
    for index, name in enumerate(patterns):
        present = 1 - scored.empty[index]
        kind = int(np.argmax([auc(scores, present) for scores in scored.scores[index]]))
        evidence, top_k = KINDS[kind]
        scenes = PatternScenes(scored.scores[index, kind], scored.pixels[index], present)
        matched = match(scenes)
        unbiased[name] = Rule(matched.threshold, top_k, matched.cut, 0, 0, 0, evidence)
        probabilities[name] = PatternCalibration(
            card.calibration[name].pixels,
            fit_platt(scenes.scores, np.ones_like(present), present),
            evidence,
            top_k,
        )
        pixels = held_out_pixels(survey.pixels[index], folds)
        presence = held_out_presence(scenes.scores, present, folds)
        areas = held_out_areas(scenes, folds)
        held_out[name] = HeldOut(
            pixels.error, presence.error, scenes.labelled, present, pixels.expected, presence.expected, areas
        )
        result = results[index]
        contest = scored.areas[index, result.mask] * (scored.scores[index, result.kind] >= result.cut)
        predicted = {"contest": contest, "unbiased": areas.areas, "expected": pixels.expected}
        ratios[name] = {
            kind: area_ratio(scenes.labelled, values, scored.groups) for kind, values in predicted.items()
        }
    return Calibration(
        rules={name: rule_of(result) for name, result in zip(patterns, results, strict=True)},
        unbiased_rules=unbiased,
        probabilities=probabilities,
        dice={name: result.held_out_dice for name, result in zip(patterns, results, strict=True)},
        dice_by_fold={name: result.held_out_by_fold for name, result in zip(patterns, results, strict=True)},
        in_sample_dice={name: result.in_sample_dice for name, result in zip(patterns, results, strict=True)},
        before=dict(zip(patterns, survey.before.mean(axis=-1).tolist(), strict=True)),
        held_out=held_out,
        area_ratios=ratios,
        records=scored.records,
        unread=scored.unread,
    )


def scaled(model: Model, survey: Survey) -> Model:
    """The model with probabilities that fit the labels of a survey of it, and the rules that it had."""
    card, calibration = model.card, {}
    for name, pixels in zip(card.patterns, survey.pixels.sum(-1), strict=True):
        old, fitted = card.calibration.get(name), fit_pixels(pixels)
        pixels = fitted.after(old.pixels) if old else fitted
        calibration[name] = PatternCalibration(pixels, Platt(), "top_k", 1)
    return with_calibration(model, calibration)


def with_calibration(model: Model, calibration: dict[str, PatternCalibration]) -> Model:
    """The model with another calibration of its probabilities."""
    card = dataclasses.replace(model.card, calibration=calibration)
    content = with_card(onnx.load_from_string(model.content), card)
    return Model.from_bytes(content, card.name, threads=model.threads)


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
    (threshold, join, area), (evidence, top_k) = MASKS[result.mask], KINDS[result.kind]
    return Rule(threshold, top_k, result.cut, 0, area, join, evidence)


def calibrated(card: Card, calibration: Calibration, on: str) -> Card:
    """A card with rules and probabilities of a calibration, and its figures, measured `on` some scenes."""
    how = "nephoscope calibrate"
    honest = f"{on}; rules chosen on nine tenths of the days, judged on the tenth"
    in_sample = f"{on}; the scenes that the rules were chosen on"
    optimistic = dice_figures(calibration.in_sample_dice, in_sample, how)[0]
    fitted = f"{on}; fitted on nine tenths of the days, judged on the tenth"
    return dataclasses.replace(
        card,
        rules=calibration.rules,
        unbiased_rules=calibration.unbiased_rules,
        calibration=calibration.probabilities,
        area_ratios=calibration.area_ratios,
        figures=[
            *dice_figures(calibration.dice, honest, how),
            optimistic | {"what": "mean Dice, optimistic"},
            *calibration_figures(calibration.held_out, fitted, how),
        ],
        training={**card.training, "rules": f"chosen by mean Dice on {on}"},
    )


def calibration_figures(held_out: Mapping[str, HeldOut], on: str, how: str) -> list[dict[str, Any]]:
    """Calibration errors and biases by pattern, as `figures` of a card."""
    values: dict[str, float] = {}
    for name, result in held_out.items():
        values[f"calibration error of pixels, {name}"] = result.pixel_error
        values[f"calibration error of presence, {name}"] = result.presence_error
        values |= {f"bias of {what}, {name}": float(bias.mean()) for what, bias in result.biases().items()}
    return [{"what": what, "value": round(value, 4), "on": on, "how": how} for what, value in values.items()]


def write_card(model: str, card: Card, to: Path) -> None:
    """Write the file of a model (its name or path) with another card, atomically; `to` may be the same."""
    atomic_write(to, with_card(onnx.load(model_file(model)), card))
