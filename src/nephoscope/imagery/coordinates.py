"""Location of labelled arrays, by coordinates and coordinate reference systems.

Source: CF conventions 1.11, cfconventions.org, chapters 4 (coordinates) and 5.6 (grid mappings).
"""

from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nephoscope.core.errors import SceneError
from nephoscope.core.extras import require
from nephoscope.core.geo import wrapped
from nephoscope.core.types import GridShape
from nephoscope.imagery.georeference import Georeference, bounds_of_grid
from nephoscope.imagery.scene import SourceGrid
from nephoscope.imagery.warp import Locations

_LONGITUDE = ("longitude", "lon", "lons", "long")
_LATITUDE = ("latitude", "lat", "lats")
_UNEVEN = 0.01  # of a step, by which the steps of an axis may differ


def size_of(picture: Any) -> GridShape:
    """Height and width of a picture, whose dimensions begin with y and x."""
    y, x = picture.dims[:2]
    return picture.sizes[y], picture.sizes[x]


def locate(picture: Any) -> tuple[Any, Georeference, SourceGrid | Locations | None]:
    """The picture, upright where its grid is one of degrees, its bounds, and any grid to warp from."""
    crs = _crs(picture)
    longitude, latitude = (
        _coordinate(picture, names, units)
        for names, units in ((_LONGITUDE, "degrees_east"), (_LATITUDE, "degrees_north"))
    )
    if _is_sideways(picture, longitude, latitude):
        y, x = picture.dims[:2]
        picture = picture.transpose(x, y, ...)
    (y, x), size = picture.dims[:2], size_of(picture)
    area = picture.attrs.get("area")
    if crs is not None and hasattr(area, "area_extent"):
        return picture, *_of_area(area.area_extent, crs, size)
    if crs is not None and not crs.is_geographic and x in picture.coords and y in picture.coords:
        across, down = _metres(picture[x], crs), _metres(picture[y], crs)
        if _is_even(across) and _is_even(down):
            width, height = (float(axis[-1] - axis[0]) / (len(axis) - 1) for axis in (across, down))
            west, north = across[0] - width / 2, down[0] - height / 2
            grid = SourceGrid(crs.to_wkt(), (width, 0.0, float(west), 0.0, height, float(north)), size)
            return picture, Georeference(), grid
    if crs is not None and crs.is_geographic and longitude is None and x in picture.coords:
        longitude, latitude = picture[x], picture[y]
    if longitude is None and hasattr(area, "get_lonlats"):
        return picture, Georeference(), _locations(*area.get_lonlats())
    if longitude is None or latitude is None:
        return picture, Georeference(), None
    if longitude.ndim == 2 and latitude.ndim == 2:
        axes = (y, x)
        return picture, Georeference(), _locations(longitude.transpose(*axes), latitude.transpose(*axes))
    if longitude.dims != (x,) or latitude.dims != (y,):
        reason = f"its coordinates {longitude.name} and {latitude.name} do not lie along its sides"
        return picture, Georeference(reason=reason), None
    return _upright(picture, longitude, latitude)


def _is_sideways(picture: Any, longitude: Any, latitude: Any) -> bool:
    """Whether the dimension from west to east comes first, by the dimensions' names or coordinates."""
    y, x = picture.dims[:2]
    if str(y).lower() in ("x", *_LONGITUDE) and str(x).lower() in ("y", *_LATITUDE):
        return True
    return longitude is not None and latitude is not None and (longitude.dims, latitude.dims) == ((y,), (x,))


def _of_area(
    extent: tuple[float, float, float, float], crs: Any, size: GridShape
) -> tuple[Georeference, SourceGrid | None]:
    """Location of an area of pyresample, by its outer edges: left, bottom, right, top."""
    left, bottom, right, top = (float(edge) for edge in extent)
    width, height = (right - left) / size[1], (top - bottom) / size[0]
    if crs.is_geographic:
        return bounds_of_grid(left, top, width, height, size), None
    return Georeference(), SourceGrid(crs.to_wkt(), (width, 0.0, left, 0.0, -height, top), size)


def _upright(
    picture: Any, longitude: Any, latitude: Any
) -> tuple[Any, Georeference, SourceGrid | Locations | None]:
    """Turn a picture with coordinates of one dimension so that its first pixel is the north-western one."""
    y, x = picture.dims[:2]
    across = np.unwrap(np.asarray(longitude, np.float64), period=360)
    down = np.asarray(latitude, np.float64)
    if across[-1] < across[0]:
        picture, across = picture.isel({x: slice(None, None, -1)}), across[::-1]
    if down[-1] > down[0]:
        picture, down = picture.isel({y: slice(None, None, -1)}), down[::-1]
    if not (_is_even(across) and _is_even(down)):
        return picture, Georeference(), _locations(*np.meshgrid(across, down))
    width, height = float(np.diff(across).mean()), float(-np.diff(down).mean())
    west, north = wrapped(float(across[0]) - width / 2), float(down[0]) + height / 2
    return picture, bounds_of_grid(west, north, width, height, size_of(picture)), None


def _locations(longitude: Any, latitude: Any) -> Locations:
    return np.asarray(longitude, np.float64), np.asarray(latitude, np.float64)


def _is_even(axis: NDArray[np.float64]) -> bool:
    steps = np.diff(axis)
    return bool(np.isfinite(steps).all() and np.ptp(steps) <= _UNEVEN * abs(steps.mean()) and steps.mean())


def _coordinate(picture: Any, names: tuple[str, ...], units: str) -> Any:
    """A coordinate by its standard name, its units, or its own name."""
    for key, each in picture.coords.items():
        known = (each.attrs.get("standard_name"), each.attrs.get("units"))
        if each.ndim and (names[0] == known[0] or units == known[1] or str(key).lower() in names):
            return each
    return None


def _crs(picture: Any) -> Any:
    """The coordinate reference system that an array states, as rasterio's CRS; None where it states none."""
    texts = _crs_texts(picture)
    if not texts:
        return None
    require("an array with a coordinate reference system", "geo", "rasterio")
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    for text in texts:
        with suppress(CRSError):  # the next one may be valid
            return CRS.from_user_input(text)
    return None


def _crs_texts(picture: Any) -> list[str]:
    """Texts that may be a coordinate reference system, the best first."""
    area = picture.attrs.get("area")
    texts = [area.crs.to_wkt()] if hasattr(area, "crs") and hasattr(area, "area_extent") else []
    mappings = [each.attrs for each in picture.coords.values() if not each.ndim and each.attrs]
    for attributes in (picture.attrs, *mappings):
        stated = [attributes[key] for key in ("crs_wkt", "spatial_ref", "crs") if key in attributes]
        texts += [text for text in stated if isinstance(text, str)]
        if "grid_mapping_name" in attributes and not stated:
            texts.append(_wkt_of_grid_mapping(attributes))
    return texts


def _wkt_of_grid_mapping(attributes: dict[str, Any]) -> str:
    """WKT of a CF grid mapping that is described by its parameters.

    Raises:
        SceneError: the parameters are wrong.
        MissingExtraError: pyproj, which reads them, is missing.
    """
    name = attributes["grid_mapping_name"]
    if name == "latitude_longitude":
        return "EPSG:4326"
    require(f"the grid mapping {name}", "geo", "pyproj")
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        return str(CRS.from_cf(dict(attributes)).to_wkt())
    except (CRSError, KeyError) as error:
        raise SceneError(f"its grid mapping {name} is wrong: {error}") from error


def _metres(axis: Any, crs: Any) -> NDArray[np.float64]:
    """Coordinates of an axis in the CRS's units; geostationary ones are often scanning angles."""
    values = np.asarray(axis, np.float64)
    units = str(axis.attrs.get("units", "")).lower()
    if units in ("km", "kilometre", "kilometer", "kilometres", "kilometers"):
        return values * 1000
    if units in ("rad", "radian", "radians"):
        height = crs.to_dict().get("h")
        if height is None:
            raise SceneError("its coordinates are angles, and its projection has no satellite height")
        return values * float(height)
    return values
