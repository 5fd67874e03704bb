"""Sources of pictures, from command-line arguments: files, folders, globs, URLs, `worldview:...`."""

import glob
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

from nephoscope.core.errors import NephoscopeError, SceneError, TooManyPixelsError
from nephoscope.core.geo import parse_overpass, worldview_name
from nephoscope.core.io import sanitize_name, unique_name
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.imagery.scene import MAX_PIXELS, Scene, open_scene, read_bounded
from nephoscope.imagery.synthetic import SAMPLE_NAME, sample

ENDINGS = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp")
"""File endings of a folder's pictures, in small or capital letters."""

_OUTPUT = re.compile(rf"_(overlay|panel|patterns|{'|'.join(DEFAULT_NAMES)})\.(jpg|png|tif)$")
"""Outputs of `segment`, which are not segmented again; see `_is_mask` for masks of other patterns."""


@dataclass(frozen=True)
class Source:
    """A picture not yet opened."""

    name: str  # its file name, made unique
    open: Callable[[], Scene]  # may raise SceneError
    path: Path | None = None


def find_sources(words: list[str], max_pixels: int = MAX_PIXELS) -> list[Source]:
    """Find the pictures that arguments stand for, in order, each once.

    Args:
        words: a file, a folder (without its subfolders), a glob, `-` for standard input, an http or https
            URL, `worldview:SATELLITE/DAY/REGION` for a scene from NASA Worldview (the region by name or as
            west,south,east,north), or `sample` for the built-in synthetic scene. Overlays, panels and masks
            that nephoscope wrote are left out of folders and globs.
        max_pixels: a larger picture is refused before it is decoded.

    Returns:
        Sources. A word without a picture becomes a source that raises its error when opened.
    """
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
            name = unique_name(sanitize_name(name), lambda other: _stem(other) in taken)
            taken.add(_stem(name))
            sources.append(Source(name, _opener(name, where, max_pixels), path))
    return sources


_WORLDVIEW = "worldview:"
Fetch = Callable[[], bytes | Scene]
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
    if word == "-":
        yield "stdin", lambda: read_bounded(sys.stdin.buffer, "stdin")
    elif word == "sample":
        yield SAMPLE_NAME, sample
    elif prefixes := [prefix for prefix in SOURCES if word.startswith(prefix)]:
        yield from SOURCES[max(prefixes, key=len)](word)
    elif Path(word).is_dir():
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
    return path.suffix.lower() in ENDINGS and not path.is_fifo() and not _is_output(path)


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


def _opener(name: str, where: _Location, max_pixels: int) -> Callable[[], Scene]:
    def open_source() -> Scene:
        if isinstance(where, SceneError):
            raise where
        source = where if isinstance(where, Path) else where()
        if isinstance(source, Scene):
            return replace(source, name=name)
        try:
            return open_scene(source, name=name, max_pixels=max_pixels)
        except TooManyPixelsError as error:
            raise SceneError(f"{error} (--max-pixels raises it)") from error

    return open_source


def _address(url: str) -> list[tuple[str, Fetch]]:
    from nephoscope.imagery.http import download

    try:
        name = Path(unquote(urlsplit(url).path)).name or "picture"
    except ValueError:  # not an address; the download fails with the reason
        name = "picture"
    return [(name, partial(download, url))]


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
bytes of a file, or a scene. Both raise a NephoscopeError where they cannot.
"""


def _stem(name: str) -> str:
    return Path(name).stem.lower()  # outputs are named after it, and some file systems ignore case
