"""Georeference of a picture: its GeoTIFF tags, or a world file beside it.

Source: OGC GeoTIFF standard 1.1 (docs.ogc.org/is/19-008r4); Esri, "World files for raster datasets".
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from PIL import ExifTags
from PIL import Image as PilImage

from nephoscope.core.geo import Bounds, wrapped
from nephoscope.core.types import GridShape

_PIXEL_SCALE, _TIE_POINT, _TRANSFORMATION, _GEO_KEYS = 33550, 33922, 34264, 34735
_MODEL_TYPE, _RASTER_TYPE, _ANGULAR_UNITS, _PROJECTED_CRS = 1024, 1025, 2054, 3072  # GeoKeys
_PROJECTED, _GEOGRAPHIC, _PIXEL_IS_POINT, _DEGREES, _USER_DEFINED = 1, 2, 2, 9102, 32767  # their values

_WORLD_FILE_BYTES = 4096  # six numbers need far fewer
_DIGITS = 9  # after the point, of degrees: a tenth of a millimetre
_SLACK = 0.5  # pixels that rounded numbers may reach over a pole, or make a globe wider than 360 degrees


class Georeference(NamedTuple):
    """Location of a picture by its file."""

    bounds: Bounds | None = None  # outer edges of the picture's pixels, if known
    reason: str = ""  # why the bounds are unknown although the file has a georeference
    projection: str = ""  # name of its projected CRS, such as `EPSG:32621`; else empty


class _Unusable(ValueError):
    """A georeference without bounds in degrees; the message is the reason."""

    def __init__(self, reason: str, projection: str = "") -> None:
        super().__init__(reason)
        self.projection = projection


class _Grid(NamedTuple):
    """A picture's upper left corner and the size of its pixels, in degrees."""

    west: float
    north: float
    width: float
    height: float


def read_georeference(image: PilImage.Image, path: Path | None) -> Georeference:
    """Read a picture's bounds from its GeoTIFF tags, else from a world file beside it.

    Only unrotated grids of geographic degrees give bounds. They apply to the picture as it is stored, so one
    that EXIF rotates has none.

    Args:
        image: an opened picture, not yet decoded or rotated.
        path: of its file, where it is one.
    """
    try:
        grid = _from_tags(image) or (_from_world_file(path) if path else None)
        if grid is None:
            return Georeference()
        if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
            return Georeference(reason="its georeference applies to the picture before EXIF rotates it")
        return Georeference(_box(grid, image.width, image.height))
    except _Unusable as error:
        return Georeference(reason=str(error), projection=error.projection)
    except Exception:  # a damaged tag can make a decoder raise anything; the picture may still be whole
        return Georeference(reason="its georeference is damaged")


def read_world_file(path: Path, size: GridShape) -> Georeference:
    """Bounds of a picture of this height and width from a world file beside it, if there is one."""
    try:
        grid = _from_world_file(path)
        return Georeference(_box(grid, size[1], size[0])) if grid else Georeference()
    except _Unusable as error:
        return Georeference(reason=str(error))


def bounds_of_grid(west: float, north: float, width: float, height: float, size: GridShape) -> Georeference:
    """Bounds of a picture of `size` pixels whose pixels are `width` by `height` degrees."""
    try:
        return Georeference(_box(_Grid(west, north, width, height), size[1], size[0]))
    except _Unusable as error:
        return Georeference(reason=str(error))


def _from_tags(image: PilImage.Image) -> _Grid | None:
    tags = getattr(image, "tag_v2", None)  # only a TIFF's
    if tags is None or _GEO_KEYS not in tags:
        return None
    keys = _geo_keys(tags[_GEO_KEYS])
    if keys.get(_MODEL_TYPE) not in (_GEOGRAPHIC, _PROJECTED):
        raise _Unusable("its GeoTIFF tags have no geographic CRS")
    if keys[_MODEL_TYPE] == _PROJECTED:
        code = keys.get(_PROJECTED_CRS, _USER_DEFINED)
        name = f"EPSG:{code}" if code != _USER_DEFINED else "its own"
        raise _Unusable(f"its grid is in a projected CRS ({name})", name)
    if keys.get(_ANGULAR_UNITS, _DEGREES) != _DEGREES:
        raise _Unusable("its grid is not in degrees")
    # Where a pixel is a point, coordinates are those of its centre; the edge lies half a pixel before.
    before = 0.5 if keys.get(_RASTER_TYPE) == _PIXEL_IS_POINT else 0.0
    if _TRANSFORMATION in tags:
        # Rows of a 4x4 matrix from (column, row, 0, 1) to coordinates.
        width, turn, _, west, other, height, _, north = _numbers(tags[_TRANSFORMATION], 16)[:8]
        return _unrotated((width, turn, other, height, west, north), before, "its grid is rotated")
    if _PIXEL_SCALE not in tags or _TIE_POINT not in tags:
        raise _Unusable("its GeoTIFF tags have no pixel size and corner")
    width, height = _numbers(tags[_PIXEL_SCALE], 2)[:2]
    if len(tags[_TIE_POINT]) != 6:
        raise _Unusable("its grid is defined by several control points")
    column, row, _, longitude, latitude, _ = _numbers(tags[_TIE_POINT], 6)
    return _Grid(longitude - (column + before) * width, latitude + (row + before) * height, width, height)


def _geo_keys(values: object) -> dict[int, int]:
    """GeoKeys with short values, from their directory: a header of four, then four a key."""
    numbers = [int(value) for value in _numbers(values, 4)]
    entries = zip(numbers[4::4], numbers[5::4], numbers[7::4], strict=False)
    return {key: value for key, elsewhere, value in entries if not elsewhere}


def _numbers(values: object, least: int) -> list[float]:
    """A tag's numbers; a damaged tag holds anything."""
    if not isinstance(values, tuple) or len(values) < least:
        raise _Unusable("its GeoTIFF tags are damaged")
    try:
        return [float(value) for value in values]
    except (TypeError, ValueError, ArithmeticError):
        raise _Unusable("its GeoTIFF tags are damaged") from None


def _unrotated(numbers: Iterable[float], before: float, reason: str) -> _Grid:
    """Grid of the six numbers of a world file, whose origin is `before` pixels from the first edge."""
    width, turn, other, height, west, north = numbers
    if turn or other:
        raise _Unusable(reason)
    return _Grid(west - before * width, north - before * height, width, -height)


def _from_world_file(path: Path) -> _Grid | None:
    world_file = next((file for file in _world_files(path) if file.is_file()), None)
    if world_file is None:
        return None
    try:
        with world_file.open("rb") as file:
            numbers = map(float, file.read(_WORLD_FILE_BYTES).split())
        return _unrotated(numbers, 0.5, f"its world file {world_file.name} describes a rotated grid")
    except _Unusable:
        raise
    except (OSError, ValueError):
        reason = f"its world file {world_file.name} cannot be read: six numbers are expected"
        raise _Unusable(reason) from None


def _world_files(path: Path) -> list[Path]:
    """Names of a picture's world file: for `x.jpg` `x.jgw`, `x.jpgw`, `x.wld`, `x.jpg.wld`."""
    ending = path.suffix[1:].lower()
    if not ending:
        return []
    endings = (f"{ending[0]}{ending[-1]}w", f"{ending}w", "wld")
    lower = [*(path.with_suffix(f".{name}") for name in endings), path.with_name(f"{path.name}.wld")]
    return lower + [file.with_suffix(file.suffix.upper()) for file in lower]


def _box(grid: _Grid, columns: int, rows: int) -> Bounds:
    if not (grid.width > 0 and grid.height > 0):
        raise _Unusable("its rows do not run from north to south, or its columns not from west to east")
    width = grid.width * columns
    north, south = grid.north, grid.north - grid.height * rows
    over = _SLACK * grid.height
    if not (
        -360 <= grid.west < 360
        and width <= 360 + _SLACK * grid.width
        and -90 - over <= south < north <= 90 + over
    ):
        raise _Unusable("its grid is not a box in degrees on Earth; it may be in metres")
    # Coordinates of pixel centres in decimal fractions leave rounding errors at the edges.
    west, south, north = round(wrapped(grid.west), _DIGITS), round(south, _DIGITS), round(north, _DIGITS)
    east = round(west + min(width, 360.0), _DIGITS)
    return Bounds(west, max(south, -90.0), east if east <= 180 else east - 360, min(north, 90.0))
