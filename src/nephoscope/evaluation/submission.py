"""How well answers agree with labels, as the contest scores it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nephoscope.core.errors import LabelError
from nephoscope.core.types import SCORE_GRID, GridShape
from nephoscope.datasets.labels import Labels, read_labels
from nephoscope.evaluation.metrics import dice


@dataclass(frozen=True)
class Evaluation:
    """The contest's score of answers against labels.

    Attributes:
        mean: mean Dice over all scored scenes and patterns, on the grid of 350x525, 1 where both masks are
            empty.
        by_pattern: mean Dice over the scored scenes, by pattern.
        scored: number of scenes in both files.
        unanswered: number of labelled scenes without an answer; they are not scored.
        predicted_grid: height and width that the answers count on.
        truth_grid: height and width that the labels count on.
    """

    mean: float
    by_pattern: dict[str, float]
    scored: int
    unanswered: int
    predicted_grid: GridShape
    truth_grid: GridShape


def evaluate_csv(predicted: str | Path | Labels, truth: str | Path | Labels) -> Evaluation:
    """Score a file of answers against a file of labels, both in the contest's form, on either grid.

    Args:
        predicted: answers, such as the `submission.csv` of `nephoscope segment --format csv`.
        truth: labels, such as the contest's `train.csv`; `.gz` and `.xz` are unpacked.

    Raises:
        LabelError: a file is not in the contest's form, a mask is wrong, or an answered scene has no label.
        OSError: a file cannot be read.
    """
    labels = truth if isinstance(truth, Labels) else read_labels(truth)
    answers = predicted if isinstance(predicted, Labels) else read_labels(predicted, patterns=labels.patterns)
    scenes, labelled = answers.images, set(labels.images)
    if strangers := [scene for scene in scenes if scene not in labelled]:
        raise LabelError(
            f"{answers.path}: {len(strangers)} of {len(scenes)} scenes are not in {labels.path}, "
            f"the first is {strangers[0]}"
        )
    if not scenes:
        raise LabelError(f"{answers.path}: no scene in it")
    scores = np.array(
        [
            [
                dice(answers.mask(scene, name, SCORE_GRID), labels.mask(scene, name, SCORE_GRID))
                for name in labels.patterns
            ]
            for scene in scenes
        ]
    )
    return Evaluation(
        mean=float(scores.mean()),
        by_pattern=dict(zip(labels.patterns, scores.mean(axis=0).tolist(), strict=True)),
        scored=len(scenes),
        unanswered=len(labelled) - len(scenes),
        predicted_grid=answers.grid,
        truth_grid=labels.grid,
    )
