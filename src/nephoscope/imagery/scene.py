"""Scenes: satellite pictures, opened by their header and decoded on demand.

`reading.open_scene` reads name, size, location and day. `Scene.read` decodes, as coarsely as the caller
allows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from nephoscope.core.errors import SceneError, TooManyPixelsError
from nephoscope.core.extras import install_command
from nephoscope.core.geo import Bounds, BoundsLike, DayLike, as_bounds, as_day
from nephoscope.core.types import GridShape, Image, Mask
from nephoscope.imagery.components import large_components

MAX_PIXELS = 100_000_000  # default limit of a picture's pixels: 300 MB once decoded

_LEAST_SIDE = 32  # px; a smaller picture cannot show how clouds organise
_LONGEST = 20  # times the shorter side; a narrower picture, enlarged for the network, would fill the memory
NODATA_BRIGHTNESS = 10  # of 255: no data is black, and JPEG's ringing at its edge stays below this
_MIN_NODATA_FRACTION = 0.0005  # of the picture: a smaller black patch is a shadow


class Raster(NamedTuple):
    """A decoded picture."""

    pixels: Image  # red, green, blue, shape (height, width, 3); nearly black where there is no data
    valid_mask: Mask  # boolean, shape (height, width); false where there is no data


class SourceGrid(NamedTuple):
    """The grid of a picture that is warped to latitude and longitude when it is read."""

    crs: str  # as WKT, or a code such as `EPSG:4326`
    transform: tuple[float, float, float, float, float, float]  # affine, from column and row to x and y
    size: GridShape


def _no_warnings() -> Sequence[str]:
    return ()


@dataclass(frozen=True, eq=False)
class Scene:
    """One satellite picture, not yet decoded. Its bounds, day and satellite are None where unknown."""

    name: str  # in tables and files: its file name where it has one
    size: GridShape  # height and width in pixels
    bounds: Bounds | None
    day: date | None  # on which it was taken
    satellite: str | None
    location_problem: str  # why the bounds are unknown although the file has a georeference; else empty
    source: Path | bytes | None = field(repr=False)  # a picture file or its content; None for anything else
    _decode: Callable[[GridShape], Raster] = field(repr=False)
    _full: list[Raster] = field(default_factory=list, repr=False)  # one, once it is decoded at full size
    extent: float | None = None  # degrees from west to east, as stated for a picture of unknown bounds
    path: Path | None = None  # of the file, where `source` is None though there is one
    projection: str = ""  # name of the projected CRS of its file, such as `EPSG:32621`; else empty
    source_grid: SourceGrid | None = field(default=None, repr=False)  # of a picture that is warped
    _value_warnings: Callable[[], Sequence[str]] = field(default=_no_warnings, repr=False)

    def __repr__(self) -> str:
        place = self.bounds and "west {:g}, south {:g}, east {:g}, north {:g}".format(*self.bounds)
        known = (self.satellite, self.day, place)
        facts = [f"{self.size[0]}x{self.size[1]} pixels", *(str(fact) for fact in known if fact)]
        return f"<Scene {self.name}: {', '.join(facts)}>"

    def read(self, min_shape: GridShape | None = None) -> Raster:
        """Decode the picture. A full-size raster is kept for the next call.

        Args:
            min_shape: least height and width. A JPEG is decoded at a half, a quarter or an eighth of its size
                where that is enough; large rasters are read coarsely. Default: full size.

        Raises:
            SceneError: the picture is damaged, or its file is missing.
        """
        if self._full and min_shape is None:
            return self._full[0]
        raster = self._decode(min_shape or self.size)
        if raster.valid_mask.shape == self.size:
            self._full[:] = [raster]
        return raster

    @property
    def degrees(self) -> tuple[float, float] | None:
        """Degrees that its height and width span; None where neither bounds nor extent are known.

        A stated extent applies to the width; pixels are taken to span as much in either direction.
        """
        if self.bounds is not None:
            return self.bounds.height, self.bounds.width
        if self.extent is not None:
            return self.extent * self.size[0] / self.size[1], self.extent
        return None

    @property
    def value_warnings(self) -> list[str]:
        """Why the colours may be wrong: how values of an unusual range were read. Decodes the picture."""
        return list(self._value_warnings())

    def with_location(
        self,
        bounds: BoundsLike | None = None,
        day: DayLike | None = None,
        extent: float | None = None,
    ) -> "Scene":
        """A copy of the scene with other bounds, day and extent; None leaves them unchanged.

        Args:
            bounds: of the whole picture, in degrees; see `core.geo.as_bounds`.
            day: on which it was taken; see `core.geo.as_day`.
            extent: degrees from west to east that the picture shows, where its bounds are unknown.

        Raises:
            SceneError: bounds for a picture on a projected grid, or an extent that is out of range or
                contradicts known bounds.
            LocationError: they are not bounds, or not a day.
        """
        if bounds is not None and self.projection:
            raise SceneError(
                f"{self.name}: bounds do not describe its grid ({self.projection}); "
                + (
                    "leave them out: it is warped to latitude and longitude"
                    if self.source_grid
                    else f"{install_command('geo')}, to have it warped to latitude and longitude"
                )
            )
        if extent is not None:
            check_extent(extent)
            if bounds is not None or self.bounds:
                raise SceneError(f"{self.name}: its bounds are known: leave the extent out")
        return replace(
            self,
            bounds=self.bounds if bounds is None else as_bounds(bounds),
            day=self.day if day is None else as_day(day),
            extent=extent or (self.extent if bounds is None else None),
        )


def check_extent(degrees: float) -> None:
    """Check that a picture can span so many degrees from west to east.

    Raises:
        SceneError: it cannot.
    """
    if not 0 < degrees <= 360:
        raise SceneError(f"extent must be more than 0 and at most 360 degrees, got {degrees:g}")


def check_size(size: GridShape) -> None:
    """Check that a picture of this height and width can be segmented.

    Raises:
        SceneError: it is too small or too narrow.
    """
    if min(size) < _LEAST_SIDE:
        raise SceneError(f"{size[1]} x {size[0]} px is too small: at least {_LEAST_SIDE} a side")
    if max(size) > _LONGEST * min(size):
        raise SceneError(f"{size[1]} x {size[0]} px is more than {_LONGEST} times as long as wide")


def check_pixels(size: GridShape, max_pixels: int) -> None:
    """Check that a picture of this height and width does not exceed a limit.

    Raises:
        TooManyPixelsError: it does.
    """
    if size[0] * size[1] > max_pixels:
        raise TooManyPixelsError(f"{size[1]} x {size[0]} px is over the limit of {max_pixels:,} pixels")


def find_nodata(pixels: Image) -> Mask:
    """Find no data: connected black areas of at least 0.05 % of the picture, such as gaps between swaths.

    Pixels are red, green, blue, of shape (height, width, 3); the mask's shape is (height, width).
    """
    black = cv2.inRange(pixels, (0, 0, 0), (NODATA_BRIGHTNESS,) * 3)
    least = max(1, round(_MIN_NODATA_FRACTION * black.size))
    if cv2.countNonZero(black) < least:
        return np.zeros(black.shape, np.bool_)
    return large_components(np.asarray(black, np.uint8), least)
