"""Dice of every rule on the validation scenes, measured on the device of the network."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from nephoscope.core.types import SCORE_GRID
from nephoscope.inference.postprocess import Evidence, Rule
from nephoscope.training.rule_search import Table, search

THRESHOLDS = tuple(round(0.1 + 0.05 * step, 2) for step in range(13))
TOP_K = (1, 500, 4000, 16000)  # pixels of 350x525; the mean of 1 is the maximum
KINDS: Sequence[tuple[Evidence, int]] = (
    *(("top_k", top_k) for top_k in TOP_K),
    ("head", 1),
    *(("product", top_k) for top_k in TOP_K),
)
"""Presence evidence and its number of highest probabilities; without a presence head only the first four."""


class Measured(NamedTuple):
    """Some scenes under every rule.

    Attributes:
        dice: shape (scenes, patterns, thresholds); 1 where both masks are empty.
        empty: whether the true mask is empty, shape (scenes, patterns).
        scores: means of the highest probabilities, shape (scenes, patterns, len(TOP_K)).
        presence: probabilities of the presence head, shape (scenes, patterns), or None.
        indices: of the scenes, shape (scenes,).
    """

    dice: Tensor
    empty: Tensor
    scores: Tensor
    presence: Tensor | None
    indices: Tensor


def measure(probabilities: Tensor, truth: Tensor, presence: Tensor | None, indices: Tensor) -> Measured:
    """Measure a batch: probabilities and truth, 0 or 1, have shape (count, patterns, height, width)."""
    sizes = truth.sum((2, 3))
    by_threshold = []
    for threshold in THRESHOLDS:
        mask = (probabilities > threshold).to(truth.dtype)
        total = mask.sum((2, 3)) + sizes
        shared = (mask * truth).sum((2, 3))
        by_threshold.append(torch.where(total > 0, 2 * shared / total.clamp(min=1), 1.0))
    flat = probabilities.flatten(2)
    counts = [max(1, round(top_k * flat.shape[2] / (SCORE_GRID[0] * SCORE_GRID[1]))) for top_k in TOP_K]
    highest = flat.topk(max(counts), dim=2).values
    scores = torch.stack([highest[..., :count].mean(2) for count in counts], 2)
    return Measured(torch.stack(by_threshold, 2), sizes == 0, scores, presence, indices)


def concatenate(parts: Sequence[Measured]) -> Measured:
    """Concatenate batches on the CPU, each scene once, in the order of the scenes."""
    _, order = np.unique(np.concatenate([part.indices.cpu().numpy() for part in parts]), return_index=True)
    columns: list[Any] = [
        None if values[0] is None else torch.cat([value.cpu() for value in values])[order]
        for values in zip(*parts, strict=True)
    ]
    return Measured(*columns)


class ValidationResult(NamedTuple):
    """The best rules on the validation scenes.

    Attributes:
        rules: by pattern, on the grid of 350x525.
        dice: mean Dice by pattern under rules chosen on other days: the honest estimate.
        in_sample_dice: mean Dice by pattern on the scenes that the rules were chosen on: optimistic.
    """

    rules: dict[str, Rule]
    dice: dict[str, float]
    in_sample_dice: dict[str, float]


def search_rules(measured: Measured, folds: Sequence[int], patterns: Sequence[str]) -> ValidationResult:
    """Search threshold and presence rule of each pattern, with the fold of each validation scene."""
    result = ValidationResult({}, {}, {})
    for index, name in enumerate(patterns):
        scores = measured.scores[:, index].double().numpy().T
        if measured.presence is not None:
            presence = measured.presence[:, index].double().numpy()
            scores = np.concatenate([scores, presence[None], presence * scores])
        dice, empty = measured.dice[:, index].double().numpy().T, measured.empty[:, index].double().numpy()
        best = search(Table(dice, empty, scores), folds)
        evidence, top_k = KINDS[best.kind]
        result.rules[name] = Rule(
            THRESHOLDS[best.mask], top_k, best.cut, least_cover=0, minimum_area=0, evidence=evidence
        )
        result.dice[name], result.in_sample_dice[name] = best.held_out_dice, best.in_sample_dice
    return result


def dice_figures(dice: dict[str, float], on: str, how: str) -> list[dict[str, Any]]:
    """Mean Dice, and Dice by pattern, as `figures` of a card."""
    values = {"mean Dice": float(np.mean(list(dice.values())))}
    values |= {f"Dice of {name}": value for name, value in dice.items()}
    return [{"what": what, "value": round(value, 4), "on": on, "how": how} for what, value in values.items()]
