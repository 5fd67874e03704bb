"""Many scenes from NASA Worldview into a folder: named as Worldview names them, each with a sidecar."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from threading import Event
from typing import Literal, NamedTuple

from nephoscope.core.errors import DownloadError, NephoscopeError, OutputConflictError
from nephoscope.core.geo import Bounds, Overpass, worldview_name
from nephoscope.core.io import map_in_order
from nephoscope.imagery.sidecar import read_sidecar, sha256, sidecar, write_with_sidecar
from nephoscope.imagery.worldview import WorldviewClient

log = logging.getLogger("nephoscope")


class Fetched(NamedTuple):
    """What became of a scene.

    Attributes:
        overpass: which.
        path: of its picture.
        state: `fetched`; `kept`, as it was there already; or `failed`.
        no_coverage: whether the picture is all black: the satellite has no data of that day and box.
        reason: why it failed, in one line.
    """

    overpass: Overpass
    path: Path
    state: Literal["fetched", "kept", "failed"]
    no_coverage: bool = False
    reason: str = ""


def overpasses(satellites: Iterable[str], first: date, last: date, boxes: Iterable[Bounds]) -> list[Overpass]:
    """Every satellite over every box on every day from the first to the last, day by day."""
    days = [first + timedelta(days) for days in range((last - first).days + 1)]
    boxes, satellites = list(boxes), list(satellites)
    return [Overpass(satellite, day, box) for day in days for box in boxes for satellite in satellites]


def fetch_scenes(
    wanted: Iterable[Overpass], folder: Path, archive: WorldviewClient, *, overwrite: bool = False
) -> Iterator[Fetched]:
    """Fetch scenes into a folder, several at once; results come in order, and one that fails costs no other.

    A scene that is there with its sidecar is kept. What is there under its name but was another request (of
    another size, say), or has no sidecar and differs, is left alone, and the scene fails.

    Args:
        wanted: which scenes.
        folder: where to; made if it is not there.
        archive: where from; it says how many requests are under way at once.
        overwrite: fetch all anew, and replace what is there.
    """
    stopping = Event()

    def fetch(overpass: Overpass) -> Fetched:
        return _one(overpass, folder, archive, overwrite, stopping)

    with closing(map_in_order(fetch, wanted, archive.connections)) as results:
        try:
            yield from results
        finally:
            stopping.set()  # nobody waits between two tries for a caller that has stopped


def _one(
    overpass: Overpass, folder: Path, archive: WorldviewClient, overwrite: bool, stopping: Event
) -> Fetched:
    path = folder / worldview_name(overpass, archive.ending(overpass))

    def sleep(seconds: float) -> None:
        if stopping.wait(seconds):
            raise DownloadError(path.name, "stopped between two tries", "too slow")

    try:
        archive.check(overpass)
        if not overwrite and (there := _there(path, archive.request(overpass))) is not None:
            return Fetched(overpass, path, "kept", there)
        picture = archive.picture(overpass, sleep)
        if not overwrite:
            _check_place(path, picture.content)
        write_with_sidecar(path, picture.content, archive.about(picture))
    except NephoscopeError as error:
        return Fetched(overpass, path, "failed", reason=str(error))
    except OSError as error:
        return Fetched(overpass, path, "failed", reason=f"{path}: not written: {error.strerror or error}")
    except Exception as error:  # one scene must never cost the others
        log.exception("%s: internal error", path.name)
        reason = f"{path.name}: internal error: {type(error).__name__}: {error}"
        return Fetched(overpass, path, "failed", reason=reason)
    return Fetched(overpass, path, "fetched", picture.no_coverage)


_MEND = "; --overwrite replaces it, another folder leaves it"


def _there(path: Path, request: dict[str, object]) -> bool | None:
    """Whether the picture that is there, whole and as requested, has no coverage; None if it is not there.

    Raises:
        OutputConflictError: the sidecar is of another request.
    """
    about = read_sidecar(path)
    if about is None:
        return None
    if not request.items() <= about.items():
        raise OutputConflictError(f"{path}: is there and was another request{_MEND}")
    if not path.is_file() or sha256(path.read_bytes()) != about["sha256"]:
        return None
    return bool(about["no_coverage"])


def _check_place(path: Path, content: bytes) -> None:
    """Let a picture be written where nothing is lost but what was damaged.

    Raises:
        OutputConflictError: something else is there.
    """
    if path.exists() and not sidecar(path).exists() and path.read_bytes() != content:
        raise OutputConflictError(
            f"{path}: is there without {sidecar(path).name} and is another picture{_MEND}"
        )
