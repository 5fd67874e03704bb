"""What a run was asked to do, and with what: `run.json` in its folder."""

import dataclasses
import importlib.metadata
import json
import platform
import secrets
from dataclasses import dataclass
from pathlib import Path

from nephoscope.core.errors import TrainingError
from nephoscope.core.io import atomic_write
from nephoscope.training.config import Recipe

_FILE = "run.json"

_LIBRARIES = (
    "nephoscope",
    "numpy",
    "torch",
    "torchvision",
    "timm",
    "segmentation-models-pytorch",
    "pytorch-lightning",
)


@dataclass(frozen=True)
class Settings:
    """What a run was asked to do.

    Attributes:
        data: folder of labelled scenes.
        recipe: how to train.
        folds: parts the scenes are dealt into, or None for the split they come with.
        fold: which part is validated on.
        strict: refuse data with any problem.
        trackers: names of trackers besides the run's own log.
        device: `auto`, `cpu` or `cuda`.
        panel_every: draw validation scenes every so many epochs.
        start_from: files of trained weights that the network begins with, as the mean of all; empty for the
            weights that the recipe names.
        teachers: files of trained weights whose answers are part of the target.
        card: a file with the card of all these weights, as JSON; by default, each carries its own.
        run_id: by which trackers know the run.
        versions: of what it was begun with.
    """

    data: str
    recipe: Recipe
    folds: int | None = None
    fold: int = 0
    strict: bool = False
    trackers: tuple[str, ...] = ()
    device: str = "auto"
    panel_every: int = 2
    start_from: tuple[str, ...] = ()
    teachers: tuple[str, ...] = ()
    card: str | None = None
    run_id: str = dataclasses.field(default_factory=lambda: secrets.token_hex(4))
    versions: dict[str, str] = dataclasses.field(default_factory=lambda: _versions())

    @classmethod
    def read(cls, run: Path) -> "Settings":
        """Those of a run that was begun before.

        Raises:
            TrainingError: there is no run in the folder.
        """
        try:
            entries = json.loads((run / _FILE).read_text())
            lists = {name: tuple(entries.get(name, ())) for name in ("trackers", "start_from", "teachers")}
            return cls(**{**entries, "recipe": Recipe(**entries["recipe"]), **lists})
        except OSError as error:
            raise TrainingError(f"{run}: no run to go on with: {error.strerror or error}") from error
        except (ValueError, TypeError, KeyError) as error:
            raise TrainingError(f"{run / _FILE}: cannot be read: {error}") from error

    @staticmethod
    def exist(run: Path) -> bool:
        """Whether a run was begun in this folder."""
        return (run / _FILE).exists()

    def write(self, run: Path) -> None:
        """Write them into the run's folder."""
        atomic_write(run / _FILE, (json.dumps(dataclasses.asdict(self), indent=2) + "\n").encode())


def _versions() -> dict[str, str]:
    found = {name: importlib.metadata.version(name) for name in _LIBRARIES if _installed(name)}
    return {"python": platform.python_version(), **found}


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
