"""Sources of pictures, from command-line arguments: files, folders, globs, URLs, `worldview:...`."""

import glob
import hashlib
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from nephoscope.core.errors import NephoscopeError, SceneError, TooManyPixelsError
from nephoscope.core.geo import parse_overpass, worldview_name
from nephoscope.core.io import is_hidden, sanitize_name, unique_name
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.imagery.picture import read_bounded
from nephoscope.imagery.reading import ENDINGS, LABELLED_ENDINGS, open_scene
from nephoscope.imagery.scene import MAX_PIXELS, Scene
from nephoscope.imagery.values import Scale

_OUTPUT = re.compile(rf"_(overlay|panel|patterns|{'|'.join(DEFAULT_NAMES)})\.(jpg|png|tif)$")
"""Outputs of `segment`, which are not segmented again; see `_is_mask` for masks of other patterns."""


@dataclass(frozen=True)
class Source:
    """A picture not yet opened."""

    name: str  # its file name, made unique
    open: Callable[[], Scene]  # may raise SceneError
    path: Path | None = None
    file_name: str = ""  # before it was made unique
    identity: Callable[[], str] = lambda: ""
    """A hash of the content of a file or of standard input, or of the address; empty where it is unknown.

    May raise OSError or SceneError.
    """


def find_sources(
    words: Sequence[str],
    max_pixels: int = MAX_PIXELS,
    *,
    bands: str | Sequence[int | str] | None = None,
    scale: Scale | str = "auto",
) -> list[Source]:
    """Find the pictures that arguments stand for, in order, each once.

    Args:
        words: a file, a folder (without its subfolders), a glob, `-` for standard input, an http or https
            URL, `worldview:SATELLITE/DAY/REGION` for a scene from NASA Worldview (the region by name or as
            west,south,east,north), or `sample` for the built-in synthetic scene. Names that begin with a
            dot, and overlays, panels and masks that nephoscope wrote, are left out of folders and globs.
        max_pixels: a larger picture is refused before it is decoded.
        bands: of every picture; see `open_scene`.
        scale: of every picture; see `open_scene`.

    Returns:
        Sources. A word without a picture becomes a source that raises its error when opened.
    """
    options = {"max_pixels": max_pixels, "bands": bands, "scale": scale}
    sources: list[Source] = []
    taken: set[str] = set()
    paths: set[Path] = set()
    for word in words:
        for name, where in _safe_locations(word):
            path = where if isinstance(where, Path) else None
            if path in paths:
                continue
            if path:
                paths.add(path)
            file_name = sanitize_name(name)
            name = unique_name(file_name, lambda other: stem_of(other) in taken)
            taken.add(stem_of(name))
            identity = partial(_identity, word, file_name, where)
            sources.append(Source(name, _opener(name, where, options), path, file_name, identity))
    return sources


def open_source(
    word: str, *, bands: str | Sequence[int | str] | None = None, scale: Scale | str = "auto"
) -> Scene:
    """Open the one picture that a word stands for; see `find_sources`.

    Raises:
        SceneError: it stands for none or several, or the picture cannot be used.
    """
    if not word.strip():
        raise SceneError("the path is empty")
    sources = find_sources([word], bands=bands, scale=scale)
    if len(sources) > 1:
        raise SceneError(f"{word}: {len(sources)} pictures: nephoscope.segment_many takes them all")
    if sources[0].path:
        return open_scene(word, bands=bands, scale=scale)  # errors name it as it was written
    return sources[0].open()


def _identity(word: str, name: str, where: "_Location") -> str:
    if isinstance(where, Path):
        if not where.is_file():  # of a pipe nothing would be left to decode
            return ""
        with where.open("rb") as file:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    if word == _STDIN and callable(where):
        content = where()
        return f"sha256:{hashlib.sha256(content if isinstance(content, bytes) else b'').hexdigest()}"
    # Of an address only the hash is kept: its query may hold a password.
    return f"address:{hashlib.sha256(f'{word} {name}'.encode(errors='surrogatepass')).hexdigest()}"


_STDIN = "-"
_WORLDVIEW = "worldview:"
Fetch = Callable[[], bytes | Scene | str]
_Location = Path | SceneError | Fetch


def _safe_locations(word: str) -> list[tuple[str, _Location]]:
    """Locations with absolute paths; an error where the operating system refuses the word as a path."""
    if "\0" in word:
        return [("picture", SceneError(f"{word}: a path cannot hold a null character"))]
    try:
        return [
            (name, where.absolute() if isinstance(where, Path) else where) for name, where in _locations(word)
        ]
    except NephoscopeError as error:
        return [(word, SceneError(f"{word}: {error}"))]
    except OSError as error:
        return [("picture", SceneError(f"{word}: {error.strerror or error}"))]


def _locations(word: str) -> Iterator[tuple[str, _Location]]:
    """Yield name and location of each picture that a word stands for; an error where it stands for none."""
    if word == _STDIN:
        yield "stdin", cache(lambda: read_bounded(sys.stdin.buffer, "stdin"))
    elif word == "sample":
        from nephoscope.imagery.synthetic import SAMPLE_NAME, sample  # slow to import

        yield SAMPLE_NAME, sample
    elif prefixes := [prefix for prefix in SOURCES if word.startswith(prefix)]:
        yield from SOURCES[max(prefixes, key=len)](word)
    elif Path(word).is_dir() and Path(word).suffix.lower() not in LABELLED_ENDINGS:  # Zarr's are folders
        yield from _folder(Path(word))
    elif Path(word).exists() or not glob.has_magic(word):
        yield Path(word).name or word, Path(word)
    elif matches := _glob(word):
        for path in matches:
            yield path.name, path
    else:
        yield word, SceneError(f"{word}: no file matches")


def _glob(pattern: str) -> list[Path]:
    paths = map(Path, glob.glob(pattern, recursive=True))  # noqa: PTH207 (takes absolute patterns too)
    return sorted(path for path in paths if path.is_file() and not _is_output(path))


def _is_picture(path: Path) -> bool:
    if is_hidden(path) or path.suffix.lower() not in ENDINGS:
        return False
    return not path.is_fifo() and not _is_output(path)


def _is_output(path: Path) -> bool:
    return bool(_OUTPUT.search(path.name)) or (path.suffix == ".png" and _is_mask(path))


def _is_mask(path: Path) -> bool:
    """Whether a PNG is a mask NAME_PATTERN.png: grey, with the picture NAME or NAME.json beside it."""
    parts = path.stem.split("_")
    names = ["_".join(parts[:count]) for count in range(1, len(parts)) if any(parts[:count])]
    beside = (
        path.with_name(name + ending)
        for name in names
        for ending in (".json", *ENDINGS, *map(str.upper, ENDINGS))
    )
    if not any(other.is_file() for other in beside):
        return False
    with path.open("rb") as file:
        return file.read(26).endswith(b"\x08\x00")  # eight bits, no colour: of the PNG's header


def _folder(folder: Path) -> Iterator[tuple[str, _Location]]:
    try:
        pictures = sorted(path for path in folder.iterdir() if _is_picture(path))
    except OSError as error:
        yield str(folder), SceneError(f"{folder}: the folder cannot be read: {error.strerror or error}")
        return
    for path in pictures:
        yield path.name, path
    if not pictures:
        yield str(folder), SceneError(f"{folder}: no picture in this folder ({', '.join(ENDINGS)})")


def _opener(name: str, where: _Location, options: dict[str, Any]) -> Callable[[], Scene]:
    def open_source() -> Scene:
        if isinstance(where, SceneError):
            raise where
        source = where if isinstance(where, Path) else where()
        if isinstance(source, Scene):
            return replace(source, name=name)
        try:
            return open_scene(source, name=name, **options)
        except TooManyPixelsError as error:
            raise SceneError(f"{error} (--max-pixels raises it)") from error

    return open_source


def _address(url: str) -> list[tuple[str, Fetch]]:
    from nephoscope.imagery.http import download

    try:
        name = Path(unquote(urlsplit(url).path)).name or "picture"
    except ValueError:  # not an address; the download fails with the reason
        name = "picture"
    if Path(name).suffix.lower() in LABELLED_ENDINGS:
        raise SceneError("NetCDF and Zarr are not read from web addresses: download it and give its path")
    if name.lower().endswith((".tif", ".tiff")) and find_spec("rasterio"):
        return [(name, partial(_remote_raster, url))]
    return [(name, partial(download, url))]


def _remote_raster(url: str) -> str | bytes:
    """The address of a raster that can be read in parts; its content where the server sends no parts."""
    from nephoscope.imagery.http import accepts_ranges, download

    return url if accepts_ranges(url) else download(url)


def _overpass(word: str) -> list[tuple[str, Fetch]]:
    from nephoscope.imagery.worldview import WorldviewClient

    overpass = parse_overpass(word.removeprefix(_WORLDVIEW))
    client = WorldviewClient.from_environment()
    name = worldview_name(overpass, client.ending(overpass))
    return [(name, lambda: client.picture(overpass).content)]


SOURCES: dict[str, Callable[[str], Iterable[tuple[str, Fetch]]]] = {
    "http://": _address,
    "https://": _address,
    _WORLDVIEW: _overpass,
}
"""Sources of pictures by the prefix of their words. Other packages may add rows.

A function takes the whole word. For each picture it gives a file name and a function that fetches it: the
bytes of a file, a scene, or the address of a GeoTIFF that is read in parts. Both raise a NephoscopeError
where they cannot.
"""


def stem_of(name: str) -> str:
    """What outputs of a picture are named after, in small letters, as some file systems ignore capitals."""
    return Path(name).stem.lower()
