"""ONNX Runtime Web: the files of its npm package that a site needs, checked by their SHA-512.

Source: https://www.npmjs.com/package/onnxruntime-web, MIT licence.
"""

import gzip
import hashlib
import io
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path

from nephoscope.core.errors import DownloadError, OutputError
from nephoscope.core.folders import cache_folder
from nephoscope.core.io import atomic_write
from nephoscope.imagery.http import Retry, download

PACKAGE, VERSION = "onnxruntime-web", "1.24.3"
REGISTRY = "https://registry.npmjs.org"
"""npm's registry. The environment variable `npm_config_registry` names another, as for npm itself."""

FILES: Mapping[str, str] = {
    "ort.wasm.min.mjs": (
        "245e213599afdae31c44b2859f989c2dcf9018f457001d25a76c7d8535629592"
        "0671f0452d2b6e93792a5c84dd76629d4899bbac6c619159eaafdb784c11ce91"
    ),
    "ort-wasm-simd-threaded.mjs": (
        "37579a9f1b34bb735752e37739b109c0ef40a8fed8a35a57631298c8554692e7"
        "5138ef1253f39758ceba373808ae95ea6b06a6c73a52d85eb0f8cc68f062188e"
    ),
    "ort-wasm-simd-threaded.wasm": (
        "adea201262c24fe577777bcd7ae028c1fb417927ccdf8695073089200a03ac5d"
        "84289533bc6212badce5ab5ca0cad622bcf26bbdb6e533548188ec6fd98c1a0a"
    ),
}
"""SHA-512 of each file, in hexadecimal."""

_REGISTRY_VARIABLE = "npm_config_registry"  # in small letters, as npm sets it
_LARGEST = 64 * 1024 * 1024  # bytes of the package, and of a file in it
_LONGEST = 600.0  # s for the download


def read_runtime(folder: Path | None = None) -> dict[str, bytes]:
    """Read the runtime's files, by name.

    Args:
        folder: that has them: the package's `dist`. Default: nephoscope's cache, which is filled from npm.

    Raises:
        OutputError: a file is missing, or is not that of this version.
        DownloadError: npm cannot be reached.
    """
    if folder is not None:
        return {name: _read(folder, name) for name in FILES}
    cache = cache_folder() / f"{PACKAGE}-{VERSION}"
    try:
        return {name: _read(cache, name) for name in FILES}
    except OutputError:
        files = _download()
    for name, content in files.items():
        atomic_write(cache / name, content)
    return files


def _read(folder: Path, name: str) -> bytes:
    path = folder / name
    try:
        return _checked(str(path), name, path.read_bytes())
    except OSError as error:
        raise OutputError(
            f"{path}: {error.strerror or error}; the folder must hold the files of {PACKAGE} {VERSION}, as "
            f"`npm pack {PACKAGE}@{VERSION}` brings them in package/dist"
        ) from error


def _checked(where: str, name: str, content: bytes) -> bytes:
    if hashlib.sha512(content).hexdigest() != FILES[name]:
        raise OutputError(f"{where}: is not the file of {PACKAGE} {VERSION}: its SHA-512 differs")
    return content


def _download() -> dict[str, bytes]:
    registry = os.environ.get(_REGISTRY_VARIABLE, REGISTRY).rstrip("/")
    address = f"{registry}/{PACKAGE}/-/{PACKAGE}-{VERSION}.tgz"
    try:
        package = Retry(tries=3).run(lambda: download(address, largest=_LARGEST, longest=_LONGEST))
    except DownloadError as error:
        reason = f"{error.reason}; without a network, --runtime FOLDER takes the files of {PACKAGE} {VERSION}"
        raise DownloadError(error.url, reason, error.cause, error.status) from error
    try:
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(package))) as archive:
            members = {name: archive.extractfile(f"package/dist/{name}") for name in FILES}
            return {
                name: _checked(f"{address}: {name}", name, member.read(_LARGEST) if member else b"")
                for name, member in members.items()
            }
    except (OSError, EOFError, KeyError, tarfile.TarError) as error:
        raise OutputError(f"{address}: not the package that was expected: {error}") from error
