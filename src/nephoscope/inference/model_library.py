"""The models that have a name: their list, and those that the user adds and removes."""

import hashlib
import re
from pathlib import Path
from typing import Any
from urllib.parse import urldefrag, urlsplit

from nephoscope.core.errors import ModelError
from nephoscope.core.io import atomic_write
from nephoscope.imagery.http import download
from nephoscope.inference.model import Model
from nephoscope.inference.model_files import ENDING, model_files, shipped, user_folders

_LARGEST = 1024 * 1024 * 1024  # bytes of a download
_LONGEST = 3600.0  # s
_HASH = "#sha256="


def list_models() -> list[dict[str, Any]]:
    """Describe every model that has a name, as plain values.

    A file that is not a usable model has an `error` in place of a `description`.
    """
    entries = []
    for name, path in model_files().items():
        content = _read(path)
        entry = {
            "name": name,
            "file": str(path),
            "shipped": name in shipped(),
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        try:
            entry["description"] = Model.from_bytes(
                content, str(path), threads=1, device="cpu"
            ).card.description
        except ModelError as error:
            entry["error"] = str(error)
        entries.append(entry)
    return entries


def add_model(source: str, name: str | None = None, *, overwrite: bool = False) -> Path:
    """Copy a model into the user's folder, so that its name is enough to use it.

    Args:
        source: a model file, or an http(s) address of one that ends with `#sha256=` and the file's SHA-256. A
            model from the network is only used if it is the one that its author published.
        name: to use it by. Default: that of the file, without its ending.
        overwrite: whether a model of the same name is replaced.

    Returns:
        The new file.

    Raises:
        ModelError: the name is taken or impossible, an address has no hash or a wrong one, or the file is not
            a model.
        DownloadError: the address cannot be downloaded.
        OSError: the file cannot be read or written.
    """
    address, _, expected = source.partition(_HASH)
    is_url = urlsplit(source).scheme in ("http", "https")
    if is_url and not expected:
        raise ModelError(
            f"{source}: a model from the network needs its SHA-256, so that no other file takes its place: "
            f"{urldefrag(source).url}{_HASH}..."
        )
    if not is_url:
        address = source
    name = name or Path(urlsplit(address).path if is_url else address).stem
    _check_name(name, overwrite)
    content = download(address, largest=_LARGEST, longest=_LONGEST) if is_url else _read(address)
    actual = hashlib.sha256(content).hexdigest()
    if is_url and actual != expected.lower():
        raise ModelError(f"{address}: is not the expected file: its SHA-256 is {actual}, not {expected}")
    Model.from_bytes(content, address, threads=1, device="cpu")
    path = user_folders()[0] / f"{name}{ENDING}"
    atomic_write(path, content)
    return path


def remove_model(name: str) -> Path:
    """Remove one of the user's models.

    Returns:
        The file that was removed.

    Raises:
        ModelError: it is part of nephoscope, or there is none of this name.
        OSError: its file cannot be removed.
    """
    _refuse_shipped(name)
    named = model_files()
    if name not in named:
        own = ", ".join(sorted(named.keys() - set(shipped()))) or "none"
        raise ModelError(f"unknown model {name!r}; models of your own: {own}")
    named[name].unlink()
    return named[name]


def _check_name(name: str, overwrite: bool) -> None:
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name):
        raise ModelError(f"{name!r} cannot be a name: use letters, digits, '.', '-' and '_'")
    _refuse_shipped(name)
    if name in model_files() and not overwrite:
        raise ModelError(f"{name}: exists already; use --overwrite to replace it, or --name for another name")


def _refuse_shipped(name: str) -> None:
    if name in shipped():
        raise ModelError(f"{name}: is part of nephoscope and stays as it is")


def _read(path: str | Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror or error}") from error
