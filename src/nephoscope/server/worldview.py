"""A day, a satellite and a place in, the archive's picture out; no other host is ever asked."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from math import prod
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Query, Request, Response

from nephoscope.core.errors import DownloadError, LocationError, WorldviewError
from nephoscope.core.geo import REGIONS, Bounds, Overpass, parse_bounds, parse_day, worldview_name
from nephoscope.imagery.http import download
from nephoscope.imagery.worldview import SATELLITES, WorldviewClient
from nephoscope.server.problems import Problem
from nephoscope.server.schemas import PROBLEMS, WorldviewState
from nephoscope.server.settings import Limits

router = APIRouter(tags=["worldview"])

_LOOK = 3.0  # s in which the archive must answer to count as reachable
_REMEMBER = 60.0  # s
_AT_ONCE = 4
_WAITING = 8


class Overpasses:
    """The archive as the server asks it: few at a time, and few waiting.

    Args:
        archive: that is asked.
        limits: that its pictures must keep.
    """

    def __init__(self, archive: WorldviewClient, limits: Limits):
        self.archive, self.limits = archive, limits
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="archive")
        self._inside = 0
        self._looked: tuple[float, str] | None = None
        self._looking = asyncio.Lock()
        self._closing = threading.Event()

    async def unavailable(self) -> str:
        """Why the archive cannot be reached; empty where it can. Remembered for a minute."""
        async with self._looking:
            if self._looked is None or time.monotonic() - self._looked[0] > _REMEMBER:
                reason = await asyncio.get_running_loop().run_in_executor(self._threads, self._look)
                self._looked = (time.monotonic(), reason)
            return self._looked[1]

    def _look(self) -> str:
        place = urlsplit(self.archive.address)
        try:
            download(f"{place.scheme}://{place.netloc}/", longest=_LOOK, redirects=False)
        except DownloadError as error:
            # Whatever it says of its root: it is there.
            return "" if error.status is not None else f"{place.netloc}: {error.reason}"
        return ""

    async def picture(self, overpass: Overpass) -> bytes:
        """A scene's picture.

        Raises:
            Problem: too many ask, there is no such scene, it is too large, or the archive did not give it.
        """
        name = worldview_name(overpass, self.archive.ending(overpass))
        pixels = prod(self.archive.size(overpass))
        if pixels > self.limits.pixels:
            raise Problem(
                "too-large", f"{name}: {pixels:,} pixels; up to {self.limits.pixels:,} are taken here"
            )
        if self._inside >= _AT_ONCE + _WAITING:
            raise Problem("full", "many ask the archive just now; come again in 10 s", 10)
        self._inside += 1
        try:
            work = partial(self.archive.picture, overpass, self._pause)
            found = await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except WorldviewError as error:
            kind = "value" if error.cause == "no such scene" else "archive"
            raise Problem(kind, str(error)) from error
        finally:
            self._inside -= 1
        if len(found.content) > self.limits.picture_bytes:
            raise Problem(
                "too-large",
                f"{name}: {len(found.content):,} bytes; a picture may have {self.limits.picture_bytes:,}",
            )
        return found.content

    def _pause(self, seconds: float) -> None:
        """Wait between two tries; a server that stops does not."""
        if self._closing.wait(seconds):
            raise Problem("time", "the server stops", 10)

    def close(self) -> None:
        """End the threads; what the archive still sends is not waited for."""
        self._closing.set()
        self._threads.shutdown(wait=False, cancel_futures=True)


@router.get("/worldview", response_model=WorldviewState, responses=PROBLEMS)
async def state(request: Request) -> dict[str, Any]:
    """Whether pictures can be had by day and place, of which satellites, and the regions with names."""
    overpasses: Overpasses = request.app.state.overpasses
    reason = await overpasses.unavailable()
    named: dict[Bounds, str] = {}
    for name, bounds in REGIONS.items():
        named.setdefault(bounds, name)  # of two names for one box, the first
    return {
        "available": not reason,
        "reason": reason,
        "host": urlsplit(overpasses.archive.address).netloc,
        "satellites": [
            {"name": name, "first": satellite.first.isoformat()} for name, satellite in SATELLITES.items()
        ],
        "regions": [{"name": name, "bounds": list(bounds)} for bounds, name in named.items()],
    }


@router.get(
    "/worldview/picture",
    response_class=Response,
    responses=PROBLEMS
    | {200: {"description": "The picture.", "content": {"image/jpeg": {}, "image/png": {}}}},
)
async def picture(
    request: Request,
    satellite: Annotated[str, Query(examples=["Aqua"], max_length=40)],
    day: Annotated[str, Query(examples=["2020-02-01"], max_length=40)],
    place: Annotated[
        str, Query(examples=["barbados"], description="A region, or west,south,east,north.", max_length=200)
    ],
) -> Response:
    """The picture of one satellite over one place on one day, from NASA Worldview."""
    overpasses: Overpasses = request.app.state.overpasses
    try:
        overpass = Overpass(satellite, parse_day(day), parse_bounds(place))
    except LocationError as error:
        raise Problem("value", str(error)) from error
    content = await overpasses.picture(overpass)
    name = worldview_name(overpass, overpasses.archive.ending(overpass))
    media_type = "image/png" if name.endswith(".png") else "image/jpeg"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=media_type, headers=headers)
