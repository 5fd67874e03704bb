"""What a network says of validation scenes, measured where it runs: every rule's Dice over all of them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.core.types import SCORE_GRID
from nephoscope.inference.postprocess import Evidence, Rule
from nephoscope.training.rule_search import RuleSearchResult, Table, search

THRESHOLDS = tuple(round(0.1 + 0.05 * step, 2) for step in range(13))
TOP_K = (1, 500, 4000, 16000)  # pixels of 350x525; of one, the mean is the maximum
KINDS: Sequence[tuple[Evidence, int]] = (
    *(("top_k", top_k) for top_k in TOP_K),
    ("head", 1),
    *(("product", top_k) for top_k in TOP_K),
)
"""Presence evidence and its count of highest probabilities; without a presence head only the first four."""


class Measured(NamedTuple):
    """Some scenes under every rule.

    Attributes:
        dice: shape (scenes, patterns, thresholds); 1 where both masks are empty.
        empty: whether the true mask is, shape (scenes, patterns).
        scores: means of the highest probabilities, shape (scenes, patterns, len(TOP_K)).
        head: what the presence head says, shape (scenes, patterns), or None.
        indices: which scenes, shape (scenes,).
    """

    dice: Tensor
    empty: Tensor
    scores: Tensor
    head: Tensor | None
    indices: Tensor


def measure(probabilities: Tensor, truth: Tensor, head: Tensor | None, indices: Tensor) -> Measured:
    """Measure a batch.

    Args:
        probabilities: from 0 to 1, shape (count, patterns, height, width).
        truth: 0 or 1, the same shape.
        head: what the presence head says, from 0 to 1, shape (count, patterns).
        indices: which scenes.
    """
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
    return Measured(torch.stack(by_threshold, 2), sizes == 0, scores, head, indices)


def concatenate(parts: Sequence[Measured]) -> Measured:
    """Put batches together, on the CPU, each scene once, in the scenes' order."""
    _, order = np.unique(np.concatenate([part.indices.cpu().numpy() for part in parts]), return_index=True)

    def together(values: Sequence[Tensor]) -> Tensor:
        return torch.cat([value.cpu() for value in values])[order]

    heads = [part.head for part in parts if part.head is not None]
    return Measured(
        together([part.dice for part in parts]),
        together([part.empty for part in parts]),
        together([part.scores for part in parts]),
        together(heads) if heads else None,
        together([part.indices for part in parts]),
    )


class Result(NamedTuple):
    """The best rules on the validation scenes.

    Attributes:
        rules: by pattern, on the grid of 350x525.
        dice: mean Dice by pattern under rules chosen on other days: honest.
        seen: mean Dice by pattern on the scenes that the rules were chosen on: optimistic.
    """

    rules: dict[str, Rule]
    dice: dict[str, float]
    seen: dict[str, float]


def judge(measured: Measured, folds: Sequence[int]) -> Result:
    """Search each pattern's threshold and presence rule.

    Args:
        measured: all validation scenes.
        folds: of each scene, days kept together.
    """
    rules, dice, seen = {}, {}, {}
    for index, name in enumerate(DEFAULT_NAMES):
        means = measured.scores[:, index].double().numpy().T
        if measured.head is not None:
            head = measured.head[:, index].double().numpy()
            means = np.concatenate([means, head[None], head * means])
        table = Table(
            measured.dice[:, index].double().numpy().T, measured.empty[:, index].double().numpy(), means
        )
        found = search(table, folds)
        rules[name] = _rule(found)
        dice[name], seen[name] = found.held_out, found.seen
    return Result(rules, dice, seen)


def _rule(found: RuleSearchResult) -> Rule:
    evidence, top_k = KINDS[found.kind]
    return Rule(THRESHOLDS[found.mask], top_k, found.cut, least_cover=0, minimum_area=0, evidence=evidence)
