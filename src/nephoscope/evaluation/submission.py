"""Scores of a submission against labels, by the contest's metric."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nephoscope.core.errors import LabelError
from nephoscope.core.types import SCORE_GRID, GridShape
from nephoscope.datasets.labels import Labels, read_labels
from nephoscope.evaluation.metrics import dice


@dataclass(frozen=True)
class Evaluation:
    """The contest's score of a submission.

    Attributes:
        mean: mean Dice over all scored scenes and patterns, on 350x525 pixels, 1 where both masks are empty.
        by_pattern: mean Dice over the scored scenes, by pattern.
        scored: number of scenes in both files.
        unanswered: number of labelled scenes that the submission lacks; they are not scored.
        predicted_grid: height and width of the submission's masks.
        truth_grid: height and width of the labels' masks.
        notes: what was read in another than the contest's form, in either file.
    """

    mean: float
    by_pattern: dict[str, float]
    scored: int
    unanswered: int
    predicted_grid: GridShape
    truth_grid: GridShape
    notes: tuple[str, ...] = ()


def evaluate_csv(predicted: str | Path | Labels, truth: str | Path | Labels) -> Evaluation:
    """Score a submission against labels, both files in the contest's form, on either grid.

    Args:
        predicted: such as the `submission.csv` of `nephoscope segment --format csv`.
        truth: such as the contest's `train.csv`; may be compressed.

    Raises:
        LabelError: a file is not in the contest's form, a mask is wrong, or a scene has no label.
        OSError: a file cannot be read.
    """
    labels = truth if isinstance(truth, Labels) else read_labels(truth)
    answers = predicted if isinstance(predicted, Labels) else read_labels(predicted, patterns=labels.patterns)
    answers = answers.named_as(labels.images)
    scenes, labelled = answers.images, set(labels.images)
    if unlabelled := [scene for scene in scenes if scene not in labelled]:
        raise LabelError(
            f"{answers.path}: {len(unlabelled)} of {len(scenes)} scenes are not in {labels.path}, "
            f"the first is {unlabelled[0]}"
        )
    if not scenes:
        raise LabelError(f"{answers.path}: no scene")
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
        notes=tuple(f"{each.path}: {note}" for each in (answers, labels) for note in each.notes),
    )
