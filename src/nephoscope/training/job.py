"""The inputs of a run, and the card of its weights."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nephoscope.core.types import SCORE_GRID, ProgressFactory
from nephoscope.core.version import __version__
from nephoscope.imagery.scene import find_nodata
from nephoscope.inference.card import Card
from nephoscope.inference.input_check import measure, training_ranges
from nephoscope.training.cache import Scenes
from nephoscope.training.distillation import Origin
from nephoscope.training.settings import Settings
from nephoscope.training.validation import ValidationResult, dice_figures

BEST, LAST, PANELS = "best.safetensors", "last.ckpt", "panels"

_SCOPE_PICTURES = 1000  # the ranges are measured anew with every better epoch


@dataclass(frozen=True, eq=False)
class Job:
    """All inputs of a run, whose folder is `run`; `training` and `validation` are indices of its scenes."""

    settings: Settings
    run: Path
    origin: Origin
    scenes: Scenes
    training: list[int]
    validation: list[int]
    log: Callable[[str], None]
    progress: ProgressFactory

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
        return Card(
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
                **self.origin.provenance,
            },
            figures=dice_figures(result.dice, on, "rules chosen on other days"),
            licence="not stated",
            made_with=f"nephoscope {__version__}",
            scope=scope_of(scenes, self.training),
            styles=scenes.styles,
        )


def scope_of(scenes: Scenes, training: Sequence[int]) -> dict[str, tuple[float, float]]:
    """The ranges of the measures of up to a thousand training pictures (`input_check.training_ranges`)."""
    sample = training[:: -(-len(training) // _SCOPE_PICTURES)]
    pictures = (np.ascontiguousarray(scenes.pictures[index]) for index in sample)
    return training_ranges(measure(picture, ~find_nodata(picture)) for picture in pictures)
