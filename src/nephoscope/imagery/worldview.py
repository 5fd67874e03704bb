"""Client for NASA Worldview: one satellite over one box on one day, as a true-colour picture.

It requests the picture from the Worldview Snapshots service, by the retry rule of `imagery.http`, and then
from GIBS, the map server beneath it. A day without coverage is a black picture, and no failure.

Source: NASA Worldview Snapshots (https://wvs.earthdata.nasa.gov) and Global Imagery Browse Services, part of
NASA EOSDIS; https://nasa-gibs.github.io/gibs-api-docs.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import cv2
import numpy as np

from nephoscope.core.citation import IMAGERY
from nephoscope.core.errors import DownloadError, InvalidRequestError, WorldviewError
from nephoscope.core.geo import Bounds, Overpass, worldview_name
from nephoscope.core.types import GridShape
from nephoscope.core.version import __version__
from nephoscope.imagery.http import LONGEST, Retry
from nephoscope.imagery.map_requests import FORMATS, MapRequest, map_query, snapshot_query
from nephoscope.imagery.map_server import is_black, request_map
from nephoscope.imagery.sidecar import read_with_sidecar, sha256, write_with_sidecar

SNAPSHOTS = "https://wvs.earthdata.nasa.gov/api/v1/snapshot"
GIBS = "https://gibs.earthdata.nasa.gov/wms/epsg4326/best/wms.cgi"
ENVIRONMENT = "NEPHOSCOPE_WORLDVIEW"
"""Environment variable with the address of a mirror of the Snapshots service."""


class Satellite(NamedTuple):
    """A satellite's true-colour layer, and its first day.

    `crossing` is the nominal hour of local solar time at which it crosses the equator by day.
    """

    layer: str
    first: date
    crossing: float | None = None


SATELLITES: dict[str, Satellite] = {
    "Terra": Satellite("MODIS_Terra_CorrectedReflectance_TrueColor", date(2000, 2, 24), 10.5),
    "Aqua": Satellite("MODIS_Aqua_CorrectedReflectance_TrueColor", date(2002, 7, 4), 13.5),
    "SNPP": Satellite("VIIRS_SNPP_CorrectedReflectance_TrueColor", date(2015, 11, 24), 13.5),
    # By the archive's own list of layers; a day too early would come back black.
    "NOAA20": Satellite("VIIRS_NOAA20_CorrectedReflectance_TrueColor", date(2018, 1, 5), 13.5),
    "NOAA21": Satellite("VIIRS_NOAA21_CorrectedReflectance_TrueColor", date(2023, 2, 10), 13.5),
}
"""Satellites by name. Other packages may add rows; the layer is a true-colour one of the archive's."""


class Picture(NamedTuple):
    """A scene's picture as it was received."""

    overpass: Overpass
    content: bytes  # a JPEG or PNG file
    url: str  # two addresses with a space between where it was joined from halves
    sha256: str
    from_cache: bool
    no_coverage: bool  # all black: the satellite has no data of that day and box


@dataclass(frozen=True)
class WorldviewClient:
    """A client for Worldview Snapshots. It holds no connection, and can be pickled.

    A box across the antimeridian comes as PNG, joined from two halves.

    Raises:
        InvalidRequestError: a value is out of range.
    """

    address: str = SNAPSHOTS  # of a service with the interface of Worldview Snapshots
    fallback: str | None = GIBS  # a map server (WMS 1.3.0), used where the first keeps failing
    cache: Path | None = None  # folder of received pictures, by their request and whichever server sent them
    tries: int = 4  # requests at most to each server, see `imagery.http.Retry`
    pause: float = 2.0  # s before the second try, see `imagery.http.Retry`
    connections: int = 4  # requests under way at once in this process
    degrees: float = 0.01  # size of a pixel
    format: str = "jpeg"  # or `png`
    patience: float = LONGEST  # s to wait for one response

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
            raise InvalidRequestError(f"pause must be at least 0, got {self.pause}")
        if not 0 < self.degrees <= 1:
            raise InvalidRequestError(f"degrees must be above 0 and at most 1, got {self.degrees}")

    @classmethod
    def from_environment(cls, address: str | None = None, **changes: Any) -> "WorldviewClient":
        """Make a client for an address. Default: the mirror in `NEPHOSCOPE_WORLDVIEW`, else NASA's server.

        A mirror has no fallback unless `changes`, which are attributes, set one.
        """
        mirror = address or os.environ.get(ENVIRONMENT)
        return cls(**({"address": mirror, "fallback": None} if mirror else {}) | changes)

    def size(self, overpass: Overpass) -> GridShape:
        """Height and width of a scene's picture in pixels."""
        bounds = overpass.bounds
        return max(1, round(bounds.height / self.degrees)), max(1, round(bounds.width / self.degrees))

    def ending(self, overpass: Overpass) -> str:
        """File ending of a scene's picture: `.jpeg` or `.png`."""
        return ".png" if overpass.bounds.east < overpass.bounds.west else f".{self.format}"

    def check(self, overpass: Overpass) -> None:
        """Check that a scene can exist, before any request.

        Raises:
            WorldviewError: an unknown satellite, or a day before its first or after today.
        """
        name, satellite = worldview_name(overpass, self.ending(overpass)), SATELLITES.get(overpass.satellite)
        if satellite is None:
            reason = f"unknown satellite {overpass.satellite!r}; available: {', '.join(SATELLITES)}"
        elif overpass.day < satellite.first:
            reason = f"{overpass.satellite} has no pictures before {satellite.first}"
        elif overpass.day > datetime.now(UTC).date():
            reason = f"{overpass.day} is in the future"
        else:
            return
        raise WorldviewError(name, "no such scene", reason)

    def picture(self, overpass: Overpass, sleep: Callable[[float], object] = time.sleep) -> Picture:
        """Get a scene's picture, from the cache where it holds an undamaged one.

        Args:
            overpass: the scene.
            sleep: waits so many seconds between tries; what it raises ends the tries.

        Raises:
            WorldviewError: no such scene, or no server sent it; the message has the reason of each.
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
        """Remove a scene's picture, which cannot be decoded, from the cache.

        Raises:
            WorldviewError: it cannot be removed.
        """
        if kept := self._kept(overpass):
            with self._cache_errors(overpass):
                kept.unlink(missing_ok=True)

    def request(self, overpass: Overpass) -> dict[str, Any]:
        """Everything that determines a picture, whichever server sends it."""
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
        """Content of a picture's sidecar: the request, the result, its source and time."""
        return {
            "satellite": picture.overpass.satellite,
            **self.request(picture.overpass),
            "urls": picture.url.split(),
            "bytes": len(picture.content),
            "sha256": picture.sha256,
            "no_coverage": picture.no_coverage,
            "fetched": datetime.now(UTC).isoformat(timespec="seconds"),
            "source": IMAGERY,
            "nephoscope": __version__,
        }

    def _kept(self, overpass: Overpass) -> Path | None:
        """The picture's path in the cache, whether or not it exists."""
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
        """Request the picture; across the antimeridian, as two halves. Returns its content and address."""
        bounds, (height, width) = overpass.bounds, self.size(overpass)
        if bounds.west <= bounds.east:
            return self._request_box(overpass, bounds, (height, width), sleep)
        left = min(width - 1, max(1, round((180 - bounds.west) / self.degrees)))
        boxes = ((bounds._replace(east=180), left), (bounds._replace(west=-180), width - left))
        halves = [self._request_box(overpass, box, (height, columns), sleep) for box, columns in boxes]
        decoded = [cv2.imdecode(np.frombuffer(half, np.uint8), cv2.IMREAD_COLOR) for half, _ in halves]
        if any(half is None for half in decoded):
            name = worldview_name(overpass, self.ending(overpass))
            raise WorldviewError(name, "cut short", "a half cannot be decoded")
        joined = cv2.imencode(".png", np.hstack([np.asarray(half) for half in decoded]))[1]  # lossless
        return bytes(joined), " ".join(url for _, url in halves)

    def _request_box(
        self, overpass: Overpass, bounds: Bounds, size: GridShape, sleep: Callable[[float], object]
    ) -> tuple[bytes, str]:
        """Request one picture from each server in turn; returns the first one and its address."""
        layer = SATELLITES[overpass.satellite].layer
        request = MapRequest(layer, overpass.day, bounds, size, self.format)
        urls = [f"{self.address}?{snapshot_query(request)}"]
        if self.fallback:
            urls.append(f"{self.fallback}?{map_query(request)}")
        retry = Retry(self.tries, self.pause)
        failures = []
        for url in urls:
            send = partial(
                request_map, url, self.format, size, connections=self.connections, patience=self.patience
            )
            try:
                return retry.run(send, sleep), url
            except DownloadError as error:
                failures.append(error)
        reasons = "; ".join(f"{urlsplit(error.url).netloc}: {error.reason}" for error in failures)
        raise WorldviewError(worldview_name(overpass, self.ending(overpass)), failures[0].cause, reasons)
