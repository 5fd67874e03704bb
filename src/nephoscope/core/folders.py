"""Folders of the user: for data that stay, and for what can be made again."""

import os
import sys
from pathlib import Path


def data_folder() -> Path:
    """Folder of nephoscope's data: in LOCALAPPDATA, Library, or where the XDG specification says."""
    if sys.platform == "win32":
        parent = Path(os.environ.get("LOCALAPPDATA") or _home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        parent = _home() / "Library" / "Application Support"
    else:
        parent = Path(os.environ.get("XDG_DATA_HOME") or _home() / ".local" / "share")
    return parent / "nephoscope"


def cache_folder() -> Path:
    """Folder of what can be made again, such as decoded scenes."""
    return Path(os.environ.get("XDG_CACHE_HOME") or _home() / ".cache") / "nephoscope"


def _home() -> Path:
    return Path(os.path.expanduser("~"))  # noqa: PTH111 (Path.home() fails for a user without a home)
