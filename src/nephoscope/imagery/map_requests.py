"""Map requests, written and parsed: those of Worldview Snapshots and of WMS 1.3.0.

Source: https://wvs.earthdata.nasa.gov; OGC Web Map Service 1.3.0 (06-042).
"""

from datetime import date
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

from nephoscope.core.errors import InvalidRequestError
from nephoscope.core.geo import Bounds
from nephoscope.core.types import GridShape

FORMATS = ("jpeg", "png")
LONGEST_SIDE = 8192  # px, about the limit of Snapshots

_SNAPSHOT = {"REQUEST": "GetSnapshot", "CRS": "EPSG:4326"}
_MAP = {"SERVICE": "WMS", "VERSION": "1.3.0", "REQUEST": "GetMap", "STYLES": "", "CRS": "EPSG:4326"}
_UNESCAPED = ",:/"


class MapRequest(NamedTuple):
    """One picture of a layer on a day, in `jpeg` or `png`; its bounds do not cross the antimeridian."""

    layer: str
    day: date
    bounds: Bounds
    size: GridShape
    format: str


def snapshot_query(request: MapRequest) -> str:
    """Write a request as a query of Worldview Snapshots."""
    return urlencode(_SNAPSHOT | _values(request), safe=_UNESCAPED)


def map_query(request: MapRequest) -> str:
    """Write a request as a WMS query; no data is black, not white as by default."""
    return urlencode(_MAP | _values(request) | {"BGCOLOR": "0x000000"}, safe=_UNESCAPED)


def parse_snapshot_query(query: str) -> MapRequest:
    """Parse a query of Worldview Snapshots.

    Raises:
        InvalidRequestError: a parameter is missing or wrong.
    """
    return _parse(query, _SNAPSHOT)


def parse_map_query(query: str) -> MapRequest:
    """Parse a WMS query.

    Raises:
        InvalidRequestError: a parameter is missing or wrong.
    """
    return _parse(query, _MAP)


def _values(request: MapRequest) -> dict[str, Any]:
    west, south, east, north = request.bounds
    return {
        "TIME": request.day.isoformat(),
        # EPSG:4326 has latitude first.
        "BBOX": ",".join(f"{edge:.10g}" for edge in (south, west, north, east)),
        "LAYERS": request.layer,
        "FORMAT": f"image/{request.format}",
        "WIDTH": request.size[1],
        "HEIGHT": request.size[0],
    }


def _parse(query: str, expected: dict[str, str]) -> MapRequest:
    given = {name.upper(): value for name, value in parse_qsl(query, keep_blank_values=True)}
    for name, value in expected.items():
        if given.get(name) != value:
            raise InvalidRequestError(f"{name} must be {value!r}")
    try:
        layer, day = given["LAYERS"], date.fromisoformat(given["TIME"])
        format = given["FORMAT"].removeprefix("image/")
        size = (int(given["HEIGHT"]), int(given["WIDTH"]))
        south, west, north, east = map(float, given["BBOX"].split(","))
    except (KeyError, ValueError) as error:
        raise InvalidRequestError(f"missing, or not a day or number: {error}") from error
    if format not in FORMATS or not 1 <= min(size) <= max(size) <= LONGEST_SIDE:
        raise InvalidRequestError("FORMAT, WIDTH or HEIGHT is not supported")
    if not (-90 <= south < north <= 90 and -180 <= west < east <= 180):
        raise InvalidRequestError("BBOX must be south,west,north,east")
    return MapRequest(layer, day, Bounds(west, south, east, north), size, format)
