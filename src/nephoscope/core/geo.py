"""Locations: bounds in degrees, regions by name, satellite overpasses, and areas on the sphere."""

import re
from datetime import date, datetime
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nephoscope.core.errors import LocationError
from nephoscope.core.types import GridShape, Mask

Degrees = NDArray[np.float64]

SEASONS = ("DJF", "MAM", "JJA", "SON")

EARTH_RADIUS = 6371.0088
"""km; the mean radius of the Earth (IUGG)."""


_DEGREE = 'ANGLEUNIT["degree",0.0174532925199433]'
_WGS84_WKT = (
    'GEODCRS["WGS 84",DATUM["World Geodetic System 1984",'
    'ELLIPSOID["WGS 84",6378137,298.257223563,LENGTHUNIT["metre",1]]],'
    f'PRIMEM["Greenwich",0,{_DEGREE}],CS[ellipsoidal,2],'
    f'AXIS["geodetic latitude (Lat)",north,ORDER[1],{_DEGREE}],'
    f'AXIS["geodetic longitude (Lon)",east,ORDER[2],{_DEGREE}],ID["EPSG",4326]]'
)
WGS84_GRID_MAPPING: dict[str, str | float] = {
    "grid_mapping_name": "latitude_longitude",
    "geographic_crs_name": "WGS 84",
    "horizontal_datum_name": "World Geodetic System 1984",
    "reference_ellipsoid_name": "WGS 84",
    "prime_meridian_name": "Greenwich",
    "semi_major_axis": 6378137.0,
    "inverse_flattening": 298.257223563,
    "longitude_of_prime_meridian": 0.0,
    "crs_wkt": _WGS84_WKT,
    "spatial_ref": _WGS84_WKT,
}
"""Attributes of the variable `crs` in every gridded output: EPSG:4326.

The numbers alone describe a nameless CRS. Most readers take `crs_wkt`; GDAL also knows it as `spatial_ref`.

Source: CF conventions 1.11, appendix F; OGC 12-063r5 (WKT 2).
"""


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


def distinct_regions() -> dict[str, Bounds]:
    """Regions by name, for a choice; of two names for the same bounds, the first."""
    names: dict[Bounds, str] = {}
    for name, bounds in REGIONS.items():
        names.setdefault(bounds, name)
    return {name: bounds for bounds, name in names.items()}


BoundsLike = Bounds | tuple[float, float, float, float] | str
"""Bounds, the four numbers west, south, east, north, or a text; see `as_bounds`."""

DayLike = date | np.datetime64 | str
"""A day, a time on it, or a text; see `as_day`."""

# Name of a snapshot in the contest and of `worldview_name`: satellite, layer, date, west-east, south-north.
_DEGREES = r"(-?\d+(?:\.\d+)?)"
_WORLDVIEW_NAME = re.compile(
    rf"(?P<satellite>[A-Za-z0-9]+)_CorrectedReflectance\w*?(?P<date>\d{{8}})"
    rf"_{_DEGREES}-{_DEGREES}_{_DEGREES}-{_DEGREES}"
)
# Name of a snapshot that Worldview's page saves; a browser replaces the colons of its time, or adds " (1)".
_SNAPSHOT_NAME = re.compile(r"(?<![A-Za-z0-9])snapshot-(?P<date>\d{4}-\d{2}-\d{2})(?!\d)")


def as_bounds(value: BoundsLike) -> Bounds:
    """Check bounds, or make them of four numbers or of a text (see `parse_bounds`).

    Raises:
        LocationError: an unknown region, not four numbers, or no box on Earth.
    """
    if isinstance(value, str):
        return parse_bounds(value)
    try:
        west, south, east, north = map(float, value)
    except (TypeError, ValueError):
        raise LocationError(
            f"bounds {value!r}: give west, south, east, north in degrees, or a region's name"
        ) from None
    return _box_on_earth(Bounds(west, south, east, north), allow_whole_circle=isinstance(value, Bounds))


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
    return _box_on_earth(Bounds(west, south, east, north))


def _box_on_earth(bounds: Bounds, allow_whole_circle: bool = False) -> Bounds:
    """Check bounds and wrap their longitudes; of a `Bounds`, west may equal east (see `Bounds.width`)."""
    west, south, east, north = bounds
    text = ",".join(f"{edge:.10g}" for edge in bounds)
    if not (-90 <= south < north <= 90 and -180 <= west <= 360 and -180 <= east <= 360):
        raise LocationError(
            f"{text}: no box on Earth: south must be below north, both from -90 to 90; west and east from "
            "-180 to 360"
        )
    if west == east and not allow_whole_circle:
        raise LocationError(
            f"{text}: no box on Earth: west and east are equal; the whole circle is -180 to 180"
        )
    return Bounds(wrapped(west), south, 180.0 if wrapped(east) == -180 else wrapped(east), north)


def wrapped(longitude: float) -> float:
    """The same longitude from -180 to less than 180 degrees."""
    return (longitude + 180) % 360 - 180 if not -180 <= longitude < 180 else longitude


def format_degrees(value: float, letters: Literal["EW", "NS"]) -> str:
    """A longitude (`EW`, also past the antimeridian) or a latitude (`NS`) as text, such as `61°W`."""
    value = round((value + 180) % 360 - 180 if letters == "EW" else value, 6)
    if value in (0, -180, 180):
        return f"{abs(value):g}°"
    return f"{abs(value):g}°{letters[0 if value > 0 else 1]}"


def parse_day(text: str) -> date:
    """Parse a day such as `2020-02-01`.

    Raises:
        LocationError: not a day.
    """
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise LocationError(f"{text!r} is not a day: give it as 2020-02-01") from None


def as_day(value: DayLike) -> date:
    """The day of a date, of a time, or of a text such as `2020-02-01`.

    Raises:
        LocationError: not a day.
    """
    if isinstance(value, np.datetime64):
        value = value.astype("datetime64[D]").item()  # None for NaT
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    if isinstance(value, str):
        return parse_day(value)
    raise LocationError(f"{value!r} is not a day: give a date, or a text such as 2020-02-01")


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
    """Parse bounds, day and satellite of a snapshot's name; None for each that it does not contain.

    Names that NASA Worldview's page gives, such as `snapshot-2019-09-03T00_00_00Z.jpg`, contain the day only.
    """
    match = _WORLDVIEW_NAME.search(name) or _SNAPSHOT_NAME.search(name)
    if match is None:
        return None, None, None
    try:
        day = date.fromisoformat(match["date"])
    except ValueError:
        return None, None, None
    if match.re is _SNAPSHOT_NAME:
        return None, day, None
    west, east, south, north = (float(match[group]) for group in (3, 4, 5, 6))
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
