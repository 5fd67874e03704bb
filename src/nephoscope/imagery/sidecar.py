"""Sidecars: JSON files beside fetched pictures that record their source.

The sidecar is written last: a picture without one, or with another hash than the sidecar's, is unfinished or
damaged.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from nephoscope.core.io import atomic_write


def sidecar(picture: Path) -> Path:
    """Path of a picture's sidecar: `scene.jpeg.json`, as `scene.json` holds the scene's patterns."""
    return picture.with_name(f"{picture.name}.json")


def sha256(content: bytes) -> str:
    """SHA-256 in hexadecimal, as sidecars hold it."""
    return hashlib.sha256(content).hexdigest()


def write_with_sidecar(picture: Path, content: bytes, about: dict[str, Any]) -> None:
    """Write a picture atomically, then its sidecar.

    Raises:
        OSError: a file cannot be written.
    """
    atomic_write(picture, content)
    atomic_write(sidecar(picture), (json.dumps(about, indent=2, ensure_ascii=False) + "\n").encode())


def read_sidecar(picture: Path) -> dict[str, Any] | None:
    """Read a picture's sidecar; None where it is missing, empty where it is another kind of file.

    Raises:
        OSError: it exists but cannot be read.
    """
    try:
        about = json.loads(sidecar(picture).read_bytes())
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError):
        return {}
    return about if isinstance(about, dict) else {}


def read_with_sidecar(picture: Path) -> tuple[bytes, dict[str, Any]] | None:
    """Read a picture and its sidecar; None where either is missing or the hash does not match.

    Raises:
        OSError: a file exists but cannot be read.
    """
    about = read_sidecar(picture)
    if not about:
        return None
    try:
        content = picture.read_bytes()
    except FileNotFoundError:
        return None
    return (content, about) if about.get("sha256") == sha256(content) else None
