"""Settings of a run: `run.json` in its folder."""

import dataclasses
import json
import platform
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nephoscope.core.errors import TrainingError
from nephoscope.core.io import atomic_write
from nephoscope.datasets.splits import FoldBy, Folds
from nephoscope.training.config import Recipe

_FILE = "run.json"

_LIBRARIES = (
    *("nephoscope", "numpy", "torch", "torchvision", "timm", "segmentation-models-pytorch"),
    "pytorch-lightning",
)


@dataclass(frozen=True)
class Settings:
    """Settings of a run.

    Attributes:
        data: folder of labelled scenes.
        folds: number of folds, or None for the split of the catalogue.
        fold: which one to validate on.
        fold_by: see `splits.Folds`.
        strict: refuse data with any problem.
        trackers: besides the run's own log.
        panel_every: draw validation scenes every so many epochs.
        start_from: files of weights whose mean is the initial weights; empty for those of the recipe.
        teachers: files of weights whose predictions are part of the target.
        card: file with the card of all these weights, as JSON. Default: the one in each file.
        own_size: train at the size of the recipe, not at that of `start_from`.
        replay: folder of older labelled scenes, whose training scenes are part of every step.
        run_id: of the run, for trackers.
    """

    data: str
    recipe: Recipe
    folds: int | None = None
    fold: int = 0
    fold_by: FoldBy = "day"
    strict: bool = False
    trackers: tuple[str, ...] = ()
    device: str = "auto"
    panel_every: int = 2
    start_from: tuple[str, ...] = ()
    teachers: tuple[str, ...] = ()
    card: str | None = None
    own_size: bool = False
    replay: str | None = None
    run_id: str = dataclasses.field(default_factory=lambda: secrets.token_hex(4))
    versions: dict[str, str] = dataclasses.field(default_factory=lambda: _versions())

    @property
    def split(self) -> Folds:
        """How scenes are divided."""
        return Folds(self.folds, self.fold, self.fold_by)

    @classmethod
    def read(cls, run: Path) -> "Settings":
        """Read the settings of a run.

        Raises:
            TrainingError: the folder has no run, or its settings cannot be read.
        """
        try:
            entries = json.loads((run / _FILE).read_text())
            lists = {name: tuple(entries.get(name, ())) for name in ("trackers", "start_from", "teachers")}
            return cls(**{**entries, "recipe": Recipe(**entries["recipe"]), **lists})
        except OSError as error:
            raise TrainingError(f"{run}: no run to resume: {error.strerror or error}") from error
        except (ValueError, TypeError, KeyError) as error:
            raise TrainingError(f"{run / _FILE}: cannot be read: {error}") from error

    @staticmethod
    def exist(run: Path) -> bool:
        """Whether a folder has a run."""
        return (run / _FILE).exists()

    def write(self, run: Path) -> None:
        """Write them into the folder of a run."""
        atomic_write(run / _FILE, (json.dumps(dataclasses.asdict(self), indent=2) + "\n").encode())


def _versions() -> dict[str, str]:
    import importlib.metadata  # the command imports this module at its start, and needs no versions there

    versions = {"python": platform.python_version()}
    for name in _LIBRARIES:
        with suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions
