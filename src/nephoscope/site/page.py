"""The files of the page, which a server sends and a site copies."""

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable


def page_files() -> Iterator[tuple[str, bytes]]:
    """Paths of all files of the page, such as `browser/worker.js`, and their contents."""
    yield from _walk(files("nephoscope").joinpath("page"), "")


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        else:
            yield f"{prefix}{entry.name}", entry.read_bytes()
