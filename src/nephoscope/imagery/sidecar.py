"""A picture and, beside it, where it came from: two files that belong together.

The sidecar is JSON and is written last: a picture without one, or with one that tells another hash, was not
finished or has been damaged since.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from nephoscope.core.io import atomic_write


def sidecar(picture: Path) -> Path:
    """Where the sidecar lies: `scene.jpeg.json`, for `scene.json` is what the scene's patterns are called."""
    return picture.with_name(f"{picture.name}.json")


def sha256(content: bytes) -> str:
    """The hash that a sidecar tells, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def write_with_sidecar(picture: Path, content: bytes, about: dict[str, Any]) -> None:
    """Write a picture whole, then its sidecar.

    Raises:
        OSError: a file cannot be written.
    """
    atomic_write(picture, content)
    atomic_write(sidecar(picture), (json.dumps(about, indent=2, ensure_ascii=False) + "\n").encode())


def read_sidecar(picture: Path) -> dict[str, Any] | None:
    """What a sidecar tells; None where there is none, nothing where it is another file of that name.

    Raises:
        OSError: it is there but cannot be read.
    """
    try:
        about = json.loads(sidecar(picture).read_bytes())
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError):
        return {}
    return about if isinstance(about, dict) else {}


def read_with_sidecar(picture: Path) -> tuple[bytes, dict[str, Any]] | None:
    """A picture and its sidecar; None where either is missing or they do not belong together.

    Raises:
        OSError: a file is there but cannot be read.
    """
    about = read_sidecar(picture)
    if not about:
        return None
    try:
        content = picture.read_bytes()
    except FileNotFoundError:
        return None
    return (content, about) if about.get("sha256") == sha256(content) else None
