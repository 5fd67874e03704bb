"""Pictures of a day, a satellite and a region from the imagery archive; no other host is contacted."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from math import prod
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Query, Request, Response

from nephoscope.core.errors import DownloadError, WorldviewError
from nephoscope.core.geo import Overpass, distinct_regions, parse_bounds, parse_day, worldview_name
from nephoscope.imagery.http import download
from nephoscope.imagery.worldview import SATELLITES, WorldviewClient
from nephoscope.server.limits import Limits
from nephoscope.server.problems import Problem
from nephoscope.server.schemas import WorldviewState, problems

router = APIRouter(tags=["worldview"])

_PROBE_TIMEOUT = 3.0  # s
_PROBE_LIFETIME = 60.0  # s for which the result of a probe is kept
_THREADS = 4
_QUEUE = 8


class ArchiveProxy:
    """Access to the imagery archive with few connections and a short queue."""

    def __init__(self, client: WorldviewClient, limits: Limits, enabled: bool = True):
        self.client, self.limits, self.enabled = client, limits, enabled
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="archive")
        self._requests = 0
        self._probed: tuple[float, str] | None = None
        self._probing = asyncio.Lock()
        self._closing = threading.Event()

    async def unavailable(self) -> str:
        """Why the archive cannot be reached; empty if it can. Kept for a minute."""
        if not self.enabled:
            return "turned off by its operator"
        async with self._probing:
            if self._probed is None or time.monotonic() - self._probed[0] > _PROBE_LIFETIME:
                reason = await asyncio.get_running_loop().run_in_executor(self._threads, self._probe)
                self._probed = (time.monotonic(), reason)
            return self._probed[1]

    def _probe(self) -> str:
        address = urlsplit(self.client.address)
        try:
            download(f"{address.scheme}://{address.netloc}/", longest=_PROBE_TIMEOUT, redirects=False)
        except DownloadError as error:
            # Any HTTP status means that the server is there.
            return "" if error.status is not None else f"{address.netloc}: {error.reason}"
        return ""

    async def picture(self, overpass: Overpass) -> bytes:
        """A scene's picture.

        Raises:
            Problem: the queue is full, there is no such scene, it is too large, or the archive failed.
        """
        if not self.enabled:
            raise Problem("not-found", "this server fetches nothing from NASA Worldview")
        name = worldview_name(overpass, self.client.ending(overpass))
        pixels = prod(self.client.size(overpass))
        if pixels > self.limits.pixels:
            raise Problem("too-large", f"{name}: {pixels:,} pixels; the limit is {self.limits.pixels:,}")
        if self._requests >= _THREADS + _QUEUE:
            raise Problem("full", "too many requests to the archive; retry in 10 s", 10)
        self._requests += 1
        try:
            work = partial(self.client.picture, overpass, self._pause)
            picture = await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except WorldviewError as error:
            kind = "value" if error.cause == "no such scene" else "archive"
            raise Problem(kind, str(error)) from error
        finally:
            self._requests -= 1
        if (size := len(picture.content)) > self.limits.picture_bytes:
            raise Problem("too-large", f"{name}: {size:,} bytes; the limit is {self.limits.picture_bytes:,}")
        return picture.content

    def _pause(self, seconds: float) -> None:
        """Wait between two tries, unless the server stops."""
        if self._closing.wait(seconds):
            raise Problem("time", "the server is stopping", 10)

    def close(self) -> None:
        """End the threads without waiting for the archive."""
        self._closing.set()
        self._threads.shutdown(wait=False, cancel_futures=True)


@router.get(
    "/worldview",
    operation_id="get_worldview",
    response_model=WorldviewState,
    responses=problems("token", "origin"),
)
async def state(request: Request) -> dict[str, Any]:
    """Whether pictures can be fetched by day and region; satellites and named regions."""
    archive: ArchiveProxy = request.app.state.archive
    reason = await archive.unavailable()
    return {
        "available": not reason,
        "reason": reason,
        "host": urlsplit(archive.client.address).netloc,
        "satellites": [{"name": name, "first": known.first} for name, known in SATELLITES.items()],
        "regions": [{"name": name, "bounds": list(bounds)} for name, bounds in distinct_regions().items()],
    }


@router.get(
    "/worldview/picture",
    operation_id="fetch_picture",
    response_class=Response,
    responses=problems("token", "origin", "not-found", "too-large", "value", "archive", "time")
    | {
        200: {
            "description": "The picture.",
            "content": {
                kind: {"schema": {"type": "string", "contentMediaType": kind}}
                for kind in ("image/jpeg", "image/png")
            },
        }
    },
)
async def picture(
    request: Request,
    satellite: Annotated[str, Query(examples=["Aqua"], max_length=40)],
    day: Annotated[str, Query(examples=["2020-02-01"], max_length=40)],
    place: Annotated[
        str, Query(examples=["barbados"], description="A region, or west,south,east,north.", max_length=200)
    ],
) -> Response:
    """The picture of a satellite, a day and a region from NASA Worldview."""
    archive: ArchiveProxy = request.app.state.archive
    overpass = Overpass(satellite, parse_day(day), parse_bounds(place))
    content = await archive.picture(overpass)
    name = worldview_name(overpass, archive.client.ending(overpass))
    media_type = "image/png" if name.endswith(".png") else "image/jpeg"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=media_type, headers=headers)
