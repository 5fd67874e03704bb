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
from nephoscope.inference.postprocess import Rule
from nephoscope.training.calibration import ScoredScenes, choose_rules, rule_of, score_scenes
from nephoscope.training.finish import MODEL
from nephoscope.training.settings import Settings


@dataclass(frozen=True)
class CrossValidation:
    """What a recipe reaches on held-out folds.

    Attributes:
        rules: by pattern, chosen on the scenes of all folds.
        dice: mean Dice by pattern in each fold, with rules chosen on the other folds.
        scenes: number of scenes in each fold.
        folds: how the scenes were divided; its `index` means nothing.
        keep: which epoch's weights the runs kept; `best` was chosen by the fold itself.
    """

    rules: dict[str, Rule]
    dice: dict[str, tuple[float, ...]]
    scenes: tuple[int, ...]
    folds: Folds
    keep: str

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

    The rules of a fold are chosen on the held-out scenes of the other folds.

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
    scored = []
    for index in order:
        _, held_out = split(dataset.records, settings[index].split)
        model = Model.load(runs[index] / MODEL, threads=1)
        scored.append(score_scenes(model, dataset.select(held_out), progress(f"fold {settings[index].fold}")))
    results = choose_rules(*_join(scored))
    patterns = model.card.patterns
    return CrossValidation(
        rules={name: rule_of(result) for name, result in zip(patterns, results, strict=True)},
        dice={name: result.held_out_by_fold for name, result in zip(patterns, results, strict=True)},
        scenes=tuple(len(part.groups) for part in scored),
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
    kept = [figure for figure in card.figures if figure["what"] not in values]
    training = {**card.training, "rules": f"chosen by mean Dice on {on}"}
    return dataclasses.replace(card, rules=result.rules, figures=[*new, *kept], training=training)


def _join(scored: Sequence[ScoredScenes]) -> tuple[ScoredScenes, list[int]]:
    """The scenes of all folds, and the fold of each."""
    joined = ScoredScenes(
        by_mask=np.concatenate([part.by_mask for part in scored], axis=-1),
        scores=np.concatenate([part.scores for part in scored], axis=-1),
        empty=np.concatenate([part.empty for part in scored], axis=-1),
        before=np.concatenate([part.before for part in scored], axis=-1),
        groups=[group for part in scored for group in part.groups],
        unread=sum(part.unread for part in scored),
    )
    return joined, [index for index, part in enumerate(scored) for _ in part.groups]
