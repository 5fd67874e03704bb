"""Locations: bounds in degrees, regions by name, satellite overpasses, and areas on the sphere."""

import re
from datetime import date
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nephoscope.core.errors import LocationError
from nephoscope.core.types import GridShape, Mask

Degrees = NDArray[np.float64]

SEASONS = ("DJF", "MAM", "JJA", "SON")

EARTH_RADIUS = 6371.0088
"""km; the mean radius of the Earth (IUGG)."""


class Bounds(NamedTuple):
    """Edges of a box in degrees; east is less than west where it crosses the antimeridian."""

    west: float
    south: float
    east: float
    north: float

    @property
    def width(self) -> float:
        """Degrees of longitude from west to east, more than 0 and at most 360."""
        return (self.east - self.west) % 360 or 360.0

    @property
    def height(self) -> float:
        """Degrees of latitude from south to north."""
        return self.north - self.south


class Overpass(NamedTuple):
    """One satellite over one box on one day."""

    satellite: str
    day: date
    bounds: Bounds


ATLANTIC, WEST_PACIFIC, EAST_PACIFIC = (
    Bounds(-61, 10, -40, 24),
    Bounds(159, 8, 180, 22),
    Bounds(-135, -15, -114, -1),
)
REGIONS = {
    "atlantic": ATLANTIC,
    "west-pacific": WEST_PACIFIC,
    "east-pacific": EAST_PACIFIC,
    "barbados": Bounds(-62, 6, -41, 20),
    "eurec4a": Bounds(-62, 6, -41, 20),
}
"""Regions of 21° x 14°: the three of the contest, and the ocean upwind of Barbados, where EUREC4A flew.

Source: Rasp, Schulz, Bony and Stevens 2020, BAMS, doi:10.1175/BAMS-D-19-0324.1; Stevens et al. 2021,
"EUREC4A", ESSD, doi:10.5194/essd-13-4067-2021.
"""

# Name of a NASA Worldview snapshot: satellite, layer, date, west-east, south-north.
_DEGREES = r"(-?\d+(?:\.\d+)?)"
_WORLDVIEW_NAME = re.compile(
    rf"(?P<satellite>[A-Za-z0-9]+)_CorrectedReflectance\w*?(?P<date>\d{{8}})"
    rf"_{_DEGREES}-{_DEGREES}_{_DEGREES}-{_DEGREES}"
)


def parse_bounds(text: str) -> Bounds:
    """Parse bounds: `west,south,east,north` in degrees, or a region's name.

    Longitudes from -180 to 360 become -180 to 180; bounds may cross the antimeridian.

    Raises:
        LocationError: an unknown region, not four numbers, or no box on Earth.
    """
    if region := REGIONS.get(text.strip().lower()):
        return region
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        raise LocationError(
            f"unknown region {text!r}; give west,south,east,north in degrees; available: {', '.join(REGIONS)}"
        ) from None
    if not (-90 <= south < north <= 90 and -180 <= west <= 360 and -180 <= east <= 360):
        raise LocationError(
            f"{text}: no box on Earth: south must be below north, both from -90 to 90; west and east from "
            "-180 to 360"
        )
    if west == east:
        raise LocationError(
            f"{text}: no box on Earth: west and east are equal; the whole circle is -180 to 180"
        )
    return Bounds(wrapped(west), south, 180.0 if wrapped(east) == -180 else wrapped(east), north)


def wrapped(longitude: float) -> float:
    """The same longitude from -180 to less than 180 degrees."""
    return (longitude + 180) % 360 - 180 if not -180 <= longitude < 180 else longitude


def parse_day(text: str) -> date:
    """Parse a day such as `2020-02-01`.

    Raises:
        LocationError: not a day.
    """
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise LocationError(f"{text!r} is not a day: give it as 2020-02-01") from None


def parse_overpass(text: str) -> Overpass:
    """Parse an overpass such as `Aqua/2020-02-01/barbados` or `Aqua/2020-02-01/-61,10,-40,24`.

    Raises:
        LocationError: not an overpass; any name of a satellite is accepted.
    """
    try:
        satellite, day, region = text.split("/")
    except ValueError:
        raise LocationError(
            f"{text!r} is not an overpass: give SATELLITE/DAY/REGION, such as Aqua/2020-02-01/barbados"
        ) from None
    return Overpass(satellite.strip(), parse_day(day), parse_bounds(region))


def worldview_name(overpass: Overpass, ending: str = ".jpeg") -> str:
    """Name of a snapshot at NASA Worldview: `Aqua_CorrectedReflectance20090122_-61--40_10-24.jpeg`."""
    west, south, east, north = (f"{edge:.10g}" for edge in overpass.bounds)
    day = f"{overpass.day:%Y%m%d}"
    return f"{overpass.satellite}_CorrectedReflectance{day}_{west}-{east}_{south}-{north}{ending}"


def brief_name(name: str) -> str:
    """A snapshot's name without the words that all share, for narrow columns."""
    return name.replace("CorrectedReflectance", "")


def parse_worldview_name(name: str) -> tuple[Bounds | None, date | None, str | None]:
    """Parse bounds, day and satellite of a snapshot's name; None for each that it does not contain."""
    match = _WORLDVIEW_NAME.search(name)
    if match is None:
        return None, None, None
    west, east, south, north = (float(match[group]) for group in (3, 4, 5, 6))
    try:
        day = date.fromisoformat(match["date"])
    except ValueError:
        return None, None, None
    if not (-90 <= south < north <= 90 and -180 <= west <= 180 and -180 <= east <= 180):
        return None, day, match["satellite"]
    return Bounds(west, south, east, north), day, match["satellite"]


def edges(bounds: Bounds, grid: GridShape) -> tuple[Degrees, Degrees]:
    """Edges of a grid's pixels in degrees.

    Args:
        bounds: of the whole grid.
        grid: height and width in pixels.

    Returns:
        Longitudes from west to east, shape (width + 1,), which exceed 180 where the grid crosses the
        antimeridian; latitudes from north to south, shape (height + 1,).
    """
    height, width = grid
    return (
        np.linspace(bounds.west, bounds.west + bounds.width, width + 1),
        np.linspace(bounds.north, bounds.south, height + 1),
    )


def pixel_areas(bounds: Bounds, grid: GridShape) -> NDArray[np.float64]:
    """Area of a pixel of each row on the sphere in km², shape (height,)."""
    sines = np.sin(np.radians(edges(bounds, grid)[1]))
    return np.asarray(EARTH_RADIUS**2 * np.radians(bounds.width / grid[1]) * (sines[:-1] - sines[1:]))


def area_km2(mask: Mask, bounds: Bounds) -> float:
    """Area on the sphere in km² of a mask of shape (height, width) whose whole grid has these bounds."""
    return float(mask.sum(axis=1) @ pixel_areas(bounds, (mask.shape[0], mask.shape[1])))
