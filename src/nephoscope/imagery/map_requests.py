"""Requests for pictures of a part of the Earth, written and read: Worldview Snapshots', and WMS 1.3.0's.

Source: https://wvs.earthdata.nasa.gov; OGC Web Map Service 1.3.0 (06-042).
"""

from datetime import date
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

from nephoscope.core.errors import InvalidRequestError
from nephoscope.core.geo import Bounds
from nephoscope.core.types import GridShape

FORMATS = ("jpeg", "png")
LONGEST_SIDE = 8192  # px, about what Snapshots allow

_SNAPSHOT = {"REQUEST": "GetSnapshot", "CRS": "EPSG:4326"}
_MAP = {"SERVICE": "WMS", "VERSION": "1.3.0", "REQUEST": "GetMap", "STYLES": "", "CRS": "EPSG:4326"}


class MapRequest(NamedTuple):
    """One picture.

    Attributes:
        layer: what is drawn.
        day: when it was seen.
        bounds: where; it does not cross the antimeridian.
        size: height and width in pixels.
        format: `jpeg` or `png`.
    """

    layer: str
    day: date
    bounds: Bounds
    size: GridShape
    format: str


def snapshot_query(asked: MapRequest) -> str:
    """As Worldview Snapshots are asked."""
    return _query(_SNAPSHOT | _values(asked))


def map_query(asked: MapRequest) -> str:
    """As a map server is asked, which would leave white what it has no data of if it were not told."""
    return _query(_MAP | _values(asked) | {"BGCOLOR": "0x000000"})


def parse_snapshot_query(query: str) -> MapRequest:
    """What a request of `snapshot_query`'s form asks for.

    Raises:
        InvalidRequestError: a parameter is missing or wrong.
    """
    return _parse(query, _SNAPSHOT)


def parse_map_query(query: str) -> MapRequest:
    """What a request of `map_query`'s form asks for.

    Raises:
        InvalidRequestError: a parameter is missing or wrong.
    """
    return _parse(query, _MAP)


def _values(asked: MapRequest) -> dict[str, Any]:
    west, south, east, north = asked.bounds
    return {
        "TIME": asked.day.isoformat(),
        # Latitude first, as EPSG:4326 has it.
        "BBOX": ",".join(f"{edge:.10g}" for edge in (south, west, north, east)),
        "LAYERS": asked.layer,
        "FORMAT": f"image/{asked.format}",
        "WIDTH": asked.size[1],
        "HEIGHT": asked.size[0],
    }


def _query(parameters: dict[str, Any]) -> str:
    return urlencode(parameters, safe=",:/")


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
        raise InvalidRequestError(f"missing, or no day or number: {error}") from error
    if format not in FORMATS or not 1 <= min(size) <= max(size) <= LONGEST_SIDE:
        raise InvalidRequestError("FORMAT, WIDTH or HEIGHT is not offered")
    if not (-90 <= south < north <= 90 and -180 <= west < east <= 180):
        raise InvalidRequestError("BBOX must be south,west,north,east")
    return MapRequest(layer, day, Bounds(west, south, east, north), size, format)
