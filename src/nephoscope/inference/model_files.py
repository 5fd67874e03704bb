"""Model files by name: those that come with nephoscope, and the user's own."""

import os
from collections.abc import Mapping
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path

from nephoscope.core.errors import ModelError
from nephoscope.core.folders import data_folder

ENDING = ".onnx"
VARIABLE = "NEPHOSCOPE_MODELS"
"""Environment variable that names a folder of the user's models."""

_SHIPPED = Path(str(files("nephoscope"))) / "models"


def shipped() -> list[str]:
    """Names of the models that are part of nephoscope."""
    return sorted(path.stem for path in _SHIPPED.glob(f"*{ENDING}"))


def is_shipped(path: Path) -> bool:
    """Whether a model file is part of nephoscope."""
    return path.parent == _SHIPPED


def user_folders() -> list[Path]:
    """Folders of the user's models: `NEPHOSCOPE_MODELS`, if set, then the platform's folder of data.

    Models are added to the first one.
    """
    named = os.environ.get(VARIABLE)
    return [*([Path(named)] if named else []), data_folder() / "models"]


def model_files() -> Mapping[str, Path]:
    """Files of all models that have a name. Of two with the same name, the shipped one counts."""
    named: dict[str, Path] = {}
    for folder in (_SHIPPED, *user_folders()):
        for path in sorted(folder.glob(f"*{ENDING}")):
            if path.is_file():
                named.setdefault(path.stem, path)
    return named


def model_file(model: str) -> Path:
    """Path of a model: a shipped one or the user's own by its name, or a file.

    Raises:
        ModelError: there is none.
    """
    named = model_files()
    if model in named:
        return named[model]
    path = Path(model)
    try:
        if path.is_file():
            return path
    except OSError as error:
        raise ModelError(f"{model}: {error.strerror or error}") from error
    if path.suffix or len(path.parts) > 1:
        raise ModelError(f"{model}: no such model file")
    near = get_close_matches(model, named, 1)
    hint = f"did you mean {near[0]}?" if near else f"available: {', '.join(named)}"
    raise ModelError(f"unknown model {model!r}; {hint}")
