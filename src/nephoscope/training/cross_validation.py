"""Cross-validation of a recipe: Dice on folds that neither its weights nor its rules have seen."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nephoscope.core.errors import TrainingError
from nephoscope.core.types import ProgressFactory
from nephoscope.datasets.dataset import read_dataset
from nephoscope.datasets.splits import Folds, split
from nephoscope.inference.card import HELD_OUT, HELD_OUT_SPREAD, Card
from nephoscope.inference.model import Model
from nephoscope.training.calibration import (
    Calibration,
    calibration_figures,
    calibration_of,
    scaled,
    with_calibration,
)
from nephoscope.training.finish import MODEL
from nephoscope.training.scored_scenes import join_scenes, join_surveys, score_scenes, survey_scenes
from nephoscope.training.settings import Settings


@dataclass(frozen=True)
class CrossValidation:
    """What a recipe reaches on held-out folds.

    Attributes:
        calibration: on the scenes of all folds; its honest figures are of each fold by the other folds.
        scenes: number of scenes in each fold.
        folds: how the scenes were divided; its `index` means nothing.
        keep: which epoch's weights the runs kept; `best` was chosen by the fold itself.
    """

    calibration: Calibration
    scenes: tuple[int, ...]
    folds: Folds
    keep: str

    @property
    def dice(self) -> dict[str, tuple[float, ...]]:
        """Mean Dice by pattern in each fold, with rules chosen on the other folds."""
        return self.calibration.dice_by_fold

    @property
    def by_fold(self) -> tuple[float, ...]:
        """Mean Dice over the patterns in each fold."""
        return tuple(np.mean(list(self.dice.values()), axis=0).tolist())

    @property
    def mean(self) -> float:
        """Mean over the folds, each with the same weight."""
        return float(np.mean(self.by_fold))

    @property
    def spread(self) -> float:
        """Standard deviation between folds."""
        return float(np.std(self.by_fold, ddof=1))


def cross_validate(
    runs: Sequence[Path], progress: ProgressFactory = lambda _: lambda *_: None
) -> CrossValidation:
    """Predict the held-out scenes of finished runs, one run a fold, and search rules on them.

    The rules of a fold, and the probabilities whose errors are stated, are fitted on the held-out scenes of
    the other folds. The scale on which rules are searched is fitted on all folds; it changes no order of
    pixels.

    Args:
        runs: folders of runs on the same data, one for every fold.
        progress: for each fold.

    Raises:
        TrainingError: a run is missing or not finished, or the runs are not one for every fold of one split.
        DatasetError: see `calibrate`.
    """
    settings = [Settings.read(run) for run in runs]
    order = sorted(range(len(runs)), key=lambda index: settings[index].fold)
    first = settings[order[0]]
    if {(each.data, each.folds, each.fold_by, each.recipe.keep) for each in settings} != {
        (first.data, first.folds, first.fold_by, first.recipe.keep)
    }:
        raise TrainingError("runs of different data, folds or --keep cannot be cross-validated together")
    if [settings[index].fold for index in order] != list(range(first.folds or 0)):
        raise TrainingError(
            f"{len(runs)} runs of fold {', '.join(str(settings[index].fold) for index in order)}: "
            f"cross-validation needs one run for each of {first.folds or 'several'} folds"
        )
    dataset = read_dataset(first.data, progress=progress("reading labels"))
    models, parts, surveys, scored = [], [], [], []
    for index in order:
        _, held_out = split(dataset.records, settings[index].split)
        parts.append(dataset.select(held_out))
        # A run calibrated its model on the fold itself.
        models.append(with_calibration(Model.load(runs[index] / MODEL, threads=1), {}))
        surveys.append(survey_scenes(models[-1], parts[-1], progress(f"fold {settings[index].fold}: survey")))
    survey = join_surveys(surveys)
    for fold, (model, part) in enumerate(zip(models, parts, strict=True)):
        model = scaled(model, survey)
        scored.append(score_scenes(model, part, progress(f"fold {fold}: rules")))
    folds = [fold for fold, part in enumerate(scored) for _ in part.records]
    return CrossValidation(
        calibration=calibration_of(model.card, join_scenes(scored), survey, folds),
        scenes=tuple(len(part.records) for part in scored),
        folds=first.split,
        keep=first.recipe.keep,
    )


def cross_validated(card: Card, result: CrossValidation) -> Card:
    """A card with the rules and the figures of a cross-validation, beside the figures it has."""
    on = (
        f"{sum(result.scenes):,} scenes in {len(result.scenes)} folds, {result.folds.kind}; "
        "weights and rules of a fold are from the others"
    )
    if result.keep == "best":
        on += ", but its best epoch was chosen"
    values = {HELD_OUT: result.mean, HELD_OUT_SPREAD: result.spread}
    values |= {f"mean Dice of fold {index}": value for index, value in enumerate(result.by_fold)}
    values |= {f"Dice of {name}, held-out folds": float(np.mean(dice)) for name, dice in result.dice.items()}
    new = [
        {"what": what, "value": round(value, 4), "on": on, "how": "nephoscope cross-validate RUN..."}
        for what, value in values.items()
    ]
    new += calibration_figures(result.calibration.held_out, on, "nephoscope cross-validate RUN...")
    names = {figure["what"] for figure in new}
    kept = [figure for figure in card.figures if figure["what"] not in names]
    return dataclasses.replace(
        card,
        rules=result.calibration.rules,
        unbiased_rules=result.calibration.unbiased_rules,
        calibration=result.calibration.probabilities,
        area_ratios=result.calibration.area_ratios,
        figures=[*new, *kept],
        training={**card.training, "rules": f"chosen by mean Dice on {on}"},
    )
