"""NASA Worldview: one satellite over one box on one day, as a true-colour picture.

The Worldview Snapshots service is asked, again and with growing pauses where that may help, and then GIBS,
the map server beneath it. A day without coverage is a black picture: an answer like any other.

Source: NASA Worldview Snapshots (https://wvs.earthdata.nasa.gov) and Global Imagery Browse Services, part of
NASA EOSDIS; https://nasa-gibs.github.io/gibs-api-docs.
"""

import hashlib
import json
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import cv2
import numpy as np

from nephoscope import __version__
from nephoscope.core.errors import DownloadError, InvalidRequestError, SceneError, WorldviewError
from nephoscope.core.geo import Bounds, Overpass, worldview_name
from nephoscope.core.types import GridShape
from nephoscope.imagery.http import LONGEST
from nephoscope.imagery.map_requests import FORMATS, MapRequest, map_query, snapshot_query
from nephoscope.imagery.map_server import ask, is_black
from nephoscope.imagery.sidecar import read_with_sidecar, sha256, write_with_sidecar

SNAPSHOTS = "https://wvs.earthdata.nasa.gov/api/v1/snapshot"
GIBS = "https://gibs.earthdata.nasa.gov/wms/epsg4326/best/wms.cgi"
ENVIRONMENT = "NEPHOSCOPE_WORLDVIEW"
"""Name of the environment's variable that holds the address of a mirror of the Snapshots service."""

_HOPELESS = ("refused", "too large")  # asking the same again brings the same
_LONGEST_PAUSE = 120.0  # s; a server that wants to be left alone for longer is not asked again


class Satellite(NamedTuple):
    """A satellite's true-colour layer and the first day that is asked for."""

    layer: str
    first: date


SATELLITES: dict[str, Satellite] = {
    "Terra": Satellite("MODIS_Terra_CorrectedReflectance_TrueColor", date(2000, 2, 24)),
    "Aqua": Satellite("MODIS_Aqua_CorrectedReflectance_TrueColor", date(2002, 7, 4)),
    "SNPP": Satellite("VIIRS_SNPP_CorrectedReflectance_TrueColor", date(2015, 11, 24)),
    # The archive's own list says since when these two are there; a day too early would come back black.
    "NOAA20": Satellite("VIIRS_NOAA20_CorrectedReflectance_TrueColor", date(2018, 1, 5)),
    "NOAA21": Satellite("VIIRS_NOAA21_CorrectedReflectance_TrueColor", date(2023, 2, 10)),
}
"""Satellites by name. Other packages may add rows; the layer is a true-colour one of the archive's."""


class Picture(NamedTuple):
    """A scene's picture as it came.

    Attributes:
        overpass: what was asked for.
        content: a JPEG or PNG file.
        url: where it came from; two addresses with a space between where it was put together from halves.
        sha256: of the content.
        from_cache: whether no server was asked.
        no_coverage: whether it is all black: the satellite has no data of that day and box.
    """

    overpass: Overpass
    content: bytes
    url: str
    sha256: str
    from_cache: bool
    no_coverage: bool


@dataclass(frozen=True)
class WorldviewClient:
    """Where pictures are asked for, and how. It holds no connection, and may go to another process.

    Attributes:
        address: of a service that speaks as Worldview Snapshots do.
        fallback: of a map server (WMS 1.3.0), asked where the first keeps failing.
        cache: folder where pictures are kept by what was asked for, whichever server it was.
        tries: how often each server is asked.
        pause: seconds before the second try; each further pause is twice as long, and all are varied by half.
        connections: requests under way at once in this process.
        degrees: what a pixel spans.
        format: `jpeg` or `png`. A box across the antimeridian comes as PNG, put together from two halves.
        patience: seconds to wait for one answer.

    Raises:
        InvalidRequestError: a value makes no sense.
    """

    address: str = SNAPSHOTS
    fallback: str | None = GIBS
    cache: Path | None = None
    tries: int = 4
    pause: float = 2.0
    connections: int = 4
    degrees: float = 0.01
    format: str = "jpeg"
    patience: float = LONGEST

    def __post_init__(self) -> None:
        for address in (self.address, self.fallback or self.address):
            if not address.startswith(("http://", "https://")):
                raise InvalidRequestError(
                    f"{address}: not a server's address: it must begin with https:// or http://"
                )
        if self.format not in FORMATS:
            raise InvalidRequestError(f"unknown format {self.format!r}; available: {', '.join(FORMATS)}")
        for name in ("tries", "connections"):
            if getattr(self, name) < 1:
                raise InvalidRequestError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not self.pause >= 0:
            raise InvalidRequestError(f"pause must not be negative, got {self.pause}")
        if not 0 < self.degrees <= 1:
            raise InvalidRequestError(f"degrees must be above 0 and at most 1, got {self.degrees}")

    @classmethod
    def from_environment(cls, address: str | None = None, **changes: Any) -> "WorldviewClient":
        """The archive at an address; NASA's, or the mirror that the environment names, where none is given.

        A mirror has no fallback unless `changes`, which are attributes, give one.
        """
        mirror = address or os.environ.get(ENVIRONMENT)
        return cls(**({"address": mirror, "fallback": None} if mirror else {}) | changes)

    def size(self, overpass: Overpass) -> GridShape:
        """Height and width of a scene's picture in pixels."""
        bounds = overpass.bounds
        return max(1, round(bounds.height / self.degrees)), max(1, round(bounds.width / self.degrees))

    def ending(self, overpass: Overpass) -> str:
        """How the name of a scene's picture ends: `.jpeg` or `.png`."""
        return ".png" if _crosses(overpass.bounds) else f".{self.format}"

    def check(self, overpass: Overpass) -> None:
        """Refuse what no server can have, before any is asked.

        Raises:
            WorldviewError: no such satellite, or a day before its first or after today.
        """
        name, satellite = worldview_name(overpass, self.ending(overpass)), SATELLITES.get(overpass.satellite)
        if satellite is None:
            reason = f"no satellite {overpass.satellite!r}; there are {', '.join(SATELLITES)}"
            raise WorldviewError(name, "no such scene", reason)
        if overpass.day < satellite.first:
            reason = f"{overpass.satellite} has pictures from {satellite.first} on"
            raise WorldviewError(name, "no such scene", reason)
        if overpass.day > datetime.now(UTC).date():
            raise WorldviewError(name, "no such scene", f"{overpass.day} is still to come")

    def picture(self, overpass: Overpass, sleep: Callable[[float], object] = time.sleep) -> Picture:
        """A scene's picture, from the cache where it is there undamaged.

        Args:
            overpass: which scene.
            sleep: waits so many seconds between tries; what it raises ends the tries.

        Raises:
            WorldviewError: no such scene, or no server gave it; the message says what each answered.
        """
        self.check(overpass)
        size = self.size(overpass)
        kept = self._kept(overpass)
        with self._cache_errors(overpass):
            pair = read_with_sidecar(kept) if kept else None
        if pair:
            content, about = pair
            urls = " ".join(map(str, about.get("urls") or ()))
            return Picture(overpass, content, urls, about["sha256"], True, is_black(content, size))
        content, url = self._content(overpass, sleep)
        picture = Picture(overpass, content, url, sha256(content), False, is_black(content, size))
        if kept:
            with self._cache_errors(overpass):
                write_with_sidecar(kept, content, self.about(picture))
        return picture

    def forget(self, overpass: Overpass) -> None:
        """Drop a scene's picture from the cache: it came whole, and yet cannot be decoded.

        Raises:
            WorldviewError: it cannot be removed.
        """
        if kept := self._kept(overpass):
            with self._cache_errors(overpass):
                kept.unlink(missing_ok=True)

    def request(self, overpass: Overpass) -> dict[str, Any]:
        """What makes one picture differ from another, whichever server gives it."""
        height, width = self.size(overpass)
        return {
            "layer": SATELLITES[overpass.satellite].layer,
            "date": overpass.day.isoformat(),
            "bounds": [float(edge) for edge in overpass.bounds],
            "width": width,
            "height": height,
            "format": self.format,
        }

    def about(self, picture: Picture) -> dict[str, Any]:
        """A picture's sidecar: what was asked for, what came, from where and when."""
        return {
            "satellite": picture.overpass.satellite,
            **self.request(picture.overpass),
            "urls": picture.url.split(),
            "bytes": len(picture.content),
            "sha256": picture.sha256,
            "no_coverage": picture.no_coverage,
            "fetched": datetime.now(UTC).isoformat(timespec="seconds"),
            "source": "NASA Worldview, part of NASA EOSDIS",
            "nephoscope": __version__,
        }

    def _kept(self, overpass: Overpass) -> Path | None:
        """Where the cache has the picture, or would have it."""
        if self.cache is None:
            return None
        request = json.dumps(self.request(overpass), sort_keys=True)
        key = hashlib.sha256(request.encode()).hexdigest()
        return self.cache / key[:2] / f"{key}{self.ending(overpass)}"

    @contextmanager
    def _cache_errors(self, overpass: Overpass) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            name = worldview_name(overpass, self.ending(overpass))
            raise WorldviewError(name, "cache", f"{self.cache}: {error.strerror or error}") from error

    def _content(self, overpass: Overpass, sleep: Callable[[float], object]) -> tuple[bytes, str]:
        """The picture and its address; of a box across the antimeridian, two halves side by side."""
        bounds, (height, width) = overpass.bounds, self.size(overpass)
        if not _crosses(bounds):
            return self._ask(overpass, bounds, (height, width), sleep)
        left = min(width - 1, max(1, round((180 - bounds.west) / self.degrees)))
        halves = [
            self._ask(overpass, half, (height, columns), sleep)
            for half, columns in (
                (bounds._replace(east=180), left),
                (bounds._replace(west=-180), width - left),
            )
        ]
        try:
            content = _side_by_side([half for half, _ in halves])
        except SceneError as error:
            name = worldview_name(overpass, self.ending(overpass))
            raise WorldviewError(name, "cut short", "a half is whole, and yet no picture") from error
        return content, " ".join(url for _, url in halves)

    def _ask(
        self, overpass: Overpass, bounds: Bounds, size: GridShape, sleep: Callable[[float], object]
    ) -> tuple[bytes, str]:
        """One picture from the first server that gives it, and its address."""
        layer = SATELLITES[overpass.satellite].layer
        asked = MapRequest(layer, overpass.day, bounds, size, self.format)
        urls = [f"{self.address}?{snapshot_query(asked)}"]
        if self.fallback:
            urls.append(f"{self.fallback}?{map_query(asked)}")
        failures: list[tuple[str, str]] = []
        for url in urls:
            answer = self._persist(url, size, sleep)
            if isinstance(answer, bytes):
                return answer, url
            failures.append(answer)
        reasons = "; ".join(reason for _, reason in failures)
        raise WorldviewError(worldview_name(overpass, self.ending(overpass)), failures[0][0], reasons)

    def _persist(
        self, url: str, size: GridShape, sleep: Callable[[float], object]
    ) -> bytes | tuple[str, str]:
        """What an address gives, asked as often as allowed; else the last failure's cause and reason."""
        pause = self.pause
        for tried in range(1, self.tries + 1):
            try:
                return ask(url, self.format, size, connections=self.connections, patience=self.patience)
            except DownloadError as error:
                last = error
            wait = max(min(pause * random.uniform(0.5, 1.5), _LONGEST_PAUSE), last.retry_after or 0)
            if last.cause in _HOPELESS or wait > _LONGEST_PAUSE or tried == self.tries:
                break
            sleep(wait)
            pause *= 2
        times = f" (asked {tried} times)" if tried > 1 else ""
        return last.cause, f"{urlsplit(url).netloc}: {last.reason}{times}"


def _side_by_side(pictures: list[bytes]) -> bytes:
    """Pictures from west to east as one PNG, which adds no loss to theirs."""
    decoded = [cv2.imdecode(np.frombuffer(each, np.uint8), cv2.IMREAD_COLOR) for each in pictures]
    if any(each is None for each in decoded):
        raise SceneError("cannot be decoded")
    return bytes(cv2.imencode(".png", np.hstack([np.asarray(each) for each in decoded]))[1])


def _crosses(bounds: Bounds) -> bool:
    return bounds.east < bounds.west
