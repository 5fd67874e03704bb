"""The inputs of a run, and the card of its weights."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nephoscope.core.types import SCORE_GRID, ProgressFactory
from nephoscope.core.version import __version__
from nephoscope.imagery.scene import find_nodata
from nephoscope.inference.card import Card
from nephoscope.inference.input_check import measure, training_ranges
from nephoscope.training.cache import Scenes
from nephoscope.training.distillation import Origin
from nephoscope.training.kept_rules import KeptRules
from nephoscope.training.replay import Replay, replayed
from nephoscope.training.settings import Settings
from nephoscope.training.validation import ValidationResult, dice_figures

BEST, LAST, PANELS = "best.safetensors", "last.ckpt", "panels"

_SCOPE_PICTURES = 1000  # the ranges are measured anew with every better epoch


@dataclass(frozen=True, eq=False)
class Job:
    """All inputs of a run, whose folder is `run`; `training` and `validation` are indices of its scenes.

    `kept` are the rules to validate by where validation scenes are too few to choose others.
    """

    settings: Settings
    run: Path
    origin: Origin
    scenes: Scenes
    training: list[int]
    validation: list[int]
    log: Callable[[str], None]
    progress: ProgressFactory
    replay: Replay | None = None
    kept: KeptRules | None = None

    @property
    def replayed(self) -> int:
        """Number of older scenes among the scenes of a step."""
        recipe = self.settings.recipe
        return replayed(recipe.batch, recipe.replay_share) if self.replay else 0

    def card(self, result: ValidationResult, epoch: int) -> Card:
        """The card of the weights after an epoch."""
        settings, recipe, scenes = self.settings, self.settings.recipe, self.scenes
        network = self.origin.network
        encoder = f" on {network['encoder']}" if "encoder" in network else ""
        how_split = (
            "as the scenes' catalogue says"
            if settings.folds is None and {"train", "val"} <= {record.split for record in scenes.records}
            else str(settings.split)
        )
        on = f"the {len(self.validation):,} validation scenes at {recipe.size}, one pass"
        best = "last epoch" if recipe.keep == "last" else "best epoch by these scenes"
        how = f"rules kept; weights of the {best}" if self.kept else "rules chosen on other days"
        card = Card(
            name=self.run.name,
            description=f"{network['architecture']}{encoder}, trained on {len(self.training):,} scenes",
            patterns=scenes.patterns,
            input_size=recipe.input_size,
            grid=SCORE_GRID,
            rules=result.rules,
            network=network,
            weights="float32",
            training={
                "data": f"{len(self.training):,} labelled scenes of {Path(settings.data).resolve().name}",
                "labels_sha256": scenes.labels_sha256,
                "split": how_split,
                # Without the folders of this machine
                "recipe": dataclasses.asdict(recipe) | {"encoder_weights": Path(recipe.encoder_weights).name},
                "epoch": epoch,
                "versions": settings.versions,
                "rules": "threshold and presence chosen on the validation scenes, at the size of training",
                **self._older(),
                **self.origin.provenance,
            },
            figures=dice_figures(result.dice, on, how),
            licence="not stated",
            made_with=f"nephoscope {__version__}",
            scope=self._scope(),
            styles=scenes.styles,
        )
        return self.kept.on_card(card, len(self.validation)) if self.kept else card

    def _older(self) -> dict[str, Any]:
        if self.replay is None:
            return {}
        folder = Path(self.settings.replay or "").name
        return {
            "replay": f"{len(self.replay.training):,} older scenes of {folder}, {self.replayed} a step; "
            "the mean of the trained weights and those of start_from"
        }

    def _scope(self) -> dict[str, tuple[float, float]]:
        """Ranges of the training pictures, and of those of the initial weights: few say little."""
        scope = scope_of(self.scenes, self.training)
        before = self.origin.initial.card.scope if self.origin.initial else {}
        return {
            name: (min(low, before[name][0]), max(high, before[name][1])) if name in before else (low, high)
            for name, (low, high) in scope.items()
        }


def scope_of(scenes: Scenes, training: Sequence[int]) -> dict[str, tuple[float, float]]:
    """The ranges of the measures of up to a thousand training pictures (`input_check.training_ranges`)."""
    sample = training[:: -(-len(training) // _SCOPE_PICTURES)]
    pictures = (np.ascontiguousarray(scenes.pictures[index]) for index in sample)
    return training_ranges(measure(picture, ~find_nodata(picture)) for picture in pictures)
