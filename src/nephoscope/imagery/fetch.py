"""Fetch scenes from NASA Worldview into a folder, named as Worldview names them, each with a sidecar."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import date, timedelta
from itertools import product
from pathlib import Path
from threading import Event
from typing import Literal, NamedTuple

from nephoscope.core.errors import NephoscopeError, OutputConflictError
from nephoscope.core.geo import Bounds, Overpass, worldview_name
from nephoscope.core.io import map_in_order
from nephoscope.imagery.sidecar import read_sidecar, read_with_sidecar, sidecar, write_with_sidecar
from nephoscope.imagery.worldview import WorldviewClient

log = logging.getLogger("nephoscope")


class Fetched(NamedTuple):
    """The result for one scene."""

    overpass: Overpass
    path: Path
    state: Literal["fetched", "kept", "failed"]  # kept: it existed already
    no_coverage: bool = False  # all black: the satellite has no data of that day and box
    reason: str = ""  # why it failed, in one line


def overpasses(satellites: Iterable[str], first: date, last: date, boxes: Iterable[Bounds]) -> list[Overpass]:
    """List every satellite over every box on every day from the first to the last, day by day."""
    days = [first + timedelta(days) for days in range((last - first).days + 1)]
    return [Overpass(satellite, day, box) for day, box, satellite in product(days, boxes, satellites)]


def fetch_scenes(
    wanted: Iterable[Overpass], folder: Path, client: WorldviewClient, *, overwrite: bool = False
) -> Iterator[Fetched]:
    """Fetch scenes into a folder, several at once; results come in order, and failures do not stop others.

    A scene that exists with its sidecar is kept. A scene fails where a file of its name is from another
    request (of another size, say), or has no sidecar and differs. With `overwrite`, all are fetched again and
    replace existing files. The folder is created if it is missing.
    """
    stopping = Event()

    def fetch(overpass: Overpass) -> Fetched:
        return _fetch_one(overpass, folder, client, overwrite, stopping)

    with closing(map_in_order(fetch, wanted, client.connections)) as results:
        try:
            yield from results
        finally:
            stopping.set()  # ends pauses between tries


def _fetch_one(
    overpass: Overpass, folder: Path, client: WorldviewClient, overwrite: bool, stopping: Event
) -> Fetched:
    path = folder / worldview_name(overpass, client.ending(overpass))

    def sleep(seconds: float) -> None:
        if stopping.wait(seconds):
            raise NephoscopeError(f"{path.name}: stopped between two tries")

    try:
        client.check(overpass)
        if not overwrite and (no_coverage := _existing(path, client.request(overpass))) is not None:
            return Fetched(overpass, path, "kept", no_coverage)
        picture = client.picture(overpass, sleep)
        if not overwrite:
            _check_replaceable(path, picture.content)
        write_with_sidecar(path, picture.content, client.about(picture))
    except NephoscopeError as error:
        return Fetched(overpass, path, "failed", reason=str(error))
    except OSError as error:
        return Fetched(overpass, path, "failed", reason=f"{path}: not written: {error.strerror or error}")
    except Exception as error:  # a bug must not fail the other scenes
        log.exception("%s: internal error", path.name)
        reason = f"{path.name}: internal error: {type(error).__name__}: {error}"
        return Fetched(overpass, path, "failed", reason=reason)
    return Fetched(overpass, path, "fetched", picture.no_coverage)


_HINT = "; replace it by --overwrite, or give another folder"


def _existing(path: Path, request: dict[str, object]) -> bool | None:
    """Whether an existing picture of a request has no coverage; None if there is none, or a damaged one."""
    about = read_sidecar(path)
    if about is None:
        return None
    if not request.items() <= about.items():
        raise OutputConflictError(f"{path}: exists and is from another request{_HINT}")
    return bool(about["no_coverage"]) if read_with_sidecar(path) else None


def _check_replaceable(path: Path, content: bytes) -> None:
    """Check that writing a picture replaces nothing but a damaged one."""
    if path.exists() and not sidecar(path).exists() and path.read_bytes() != content:
        raise OutputConflictError(f"{path}: exists without {sidecar(path).name} and differs{_HINT}")
