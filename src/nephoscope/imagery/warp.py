"""Warping of pictures on projected, rotated or curvilinear grids to latitude and longitude, by rasterio."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nephoscope.core.errors import SceneError
from nephoscope.core.geo import Bounds, wrapped
from nephoscope.core.types import GridShape, Mask
from nephoscope.imagery.scene import Raster, SourceGrid

FINEST = 0.0025
"""Degrees; finer grids are read at this resolution. MODIS has 250 m, and models see 0.04 degrees."""

_DEGREES = "EPSG:4326"
_PROBES = 65  # points a side whose coordinates give the bounds
_WHOLE_CIRCLE = 359.0  # degrees; wider pictures are taken as a whole circle

Locations = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Longitude and latitude in degrees of every pixel's centre, each of shape (height, width)."""


class DegreeGrid(NamedTuple):
    """A grid of latitude and longitude, rows from north to south."""

    bounds: Bounds
    size: GridShape


def grid_of_projection(source: SourceGrid, max_pixels: int) -> DegreeGrid:
    """The grid in degrees that covers a projected one at its resolution, within limits.

    Raises:
        SceneError: no pixel of the source lies on Earth.
    """
    from pyproj import Transformer

    height, width = source.size
    columns, rows = (np.linspace(0, side, min(_PROBES, side + 1)) for side in (width, height))
    x, y = _apply(source.transform, *(each.ravel() for each in np.meshgrid(columns, rows)))
    shape = (len(rows), len(columns))
    # Where a point lies beside the Earth, as at the edges of a full disk, pyproj gives infinity.
    transformer = Transformer.from_crs(source.crs, _DEGREES, always_xy=True)
    longitude, latitude = (np.reshape(each, shape) for each in transformer.transform(x, y))
    steps = (height / (len(rows) - 1), width / (len(columns) - 1))
    return _grid_around(longitude, latitude, steps, max_pixels)


def grid_of_locations(locations: Locations, max_pixels: int) -> DegreeGrid:
    """The grid in degrees that covers pixels of known centres at their resolution, within limits.

    Raises:
        SceneError: no pixel has a location on Earth.
    """
    return _grid_around(*locations, (1.0, 1.0), max_pixels, margin=0.5)


def _grid_around(
    longitude: NDArray[np.float64],
    latitude: NDArray[np.float64],
    steps: tuple[float, float],
    max_pixels: int,
    margin: float = 0.0,
) -> DegreeGrid:
    """Cover points that lie `steps` pixels apart, and `margin` pixels around them."""
    on_earth = np.isfinite(longitude) & np.isfinite(latitude) & (np.abs(latitude) <= 90)
    if not on_earth.any():
        raise SceneError("no pixel of its grid lies on Earth")
    unwrapped = _unwrapped(np.where(on_earth, longitude, np.nan))
    latitude = np.where(on_earth, latitude, np.nan)
    west, east = float(np.nanmin(unwrapped)), float(np.nanmax(unwrapped))
    south, north = float(np.nanmin(latitude)), float(np.nanmax(latitude))
    step = max(_pixel_degrees(unwrapped, latitude, steps), FINEST)
    step = max(step, ((east - west) * (north - south) / max_pixels) ** 0.5)
    west, east = west - margin * step, east + margin * step
    south, north = max(-90.0, south - margin * step), min(90.0, north + margin * step)
    if east - west >= _WHOLE_CIRCLE:
        west, east = -180.0, 180.0
    size = (max(1, round((north - south) / step)), max(1, round((east - west) / step)))
    east = wrapped(east)
    return DegreeGrid(Bounds(wrapped(west), south, 180.0 if east == -180 else east, north), size)


def _unwrapped(longitude: NDArray[np.float64]) -> NDArray[np.float64]:
    """Longitudes without a jump at the antimeridian: within 180 degrees of their mean direction."""
    radians = np.radians(longitude)
    middle = np.degrees(np.arctan2(np.nanmean(np.sin(radians)), np.nanmean(np.cos(radians))))
    return np.asarray((longitude - middle + 180) % 360 - 180 + middle)


def _pixel_degrees(
    longitude: NDArray[np.float64], latitude: NDArray[np.float64], steps: tuple[float, float]
) -> float:
    """Size of a pixel in degrees: the median over the picture of its shorter side."""
    sides = []
    for axis, step in enumerate(steps):
        along = np.hypot(np.diff(longitude, axis=axis), np.diff(latitude, axis=axis))
        if np.isfinite(along).any():
            sides.append(float(np.nanmedian(along)) / step)
    return min(sides, default=0.0)


def _apply(
    transform: tuple[float, ...], columns: NDArray[np.float64], rows: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    a, b, c, d, e, f = transform
    return a * columns + b * rows + c, d * columns + e * rows + f


def warp(raster: Raster, source: SourceGrid | Locations, grid: DegreeGrid) -> Raster:
    """Warp a decoded picture to a grid of latitude and longitude: bicubic, of pixels with data alone.

    Args:
        raster: the picture, of any size.
        source: its grid, scaled to the raster's size, or the location of every pixel.
        grid: in degrees.

    Raises:
        SceneError: GDAL cannot warp it.
    """
    from rasterio import Affine
    from rasterio.crs import CRS
    from rasterio.enums import Resampling
    from rasterio.warp import reproject

    height, width = raster.valid_mask.shape
    if isinstance(source, SourceGrid):
        down, across = source.size[0] / height, source.size[1] / width
        a, b, c, d, e, f = source.transform
        transform = Affine(a * across, b * down, c, d * across, e * down, f)
        place = {"src_transform": transform, "src_crs": source.crs}
    else:
        raster, located = _upright(raster, source, grid.bounds.west + grid.bounds.width / 2)
        place = {"src_geoloc_array": np.stack(located), "src_crs": CRS.from_user_input(_DEGREES)}
    opacity = np.where(raster.valid_mask, np.uint8(255), np.uint8(0))
    layers = np.concatenate([np.moveaxis(raster.pixels, 2, 0), opacity[None]])
    result = np.zeros((4, *grid.size), np.uint8)
    try:
        reproject(
            layers,
            result,
            dst_transform=_transform(grid),
            dst_crs=_DEGREES,
            src_alpha=4,
            dst_alpha=4,
            resampling=Resampling.cubic if isinstance(source, SourceGrid) else Resampling.bilinear,
            **place,
        )
    except Exception as error:
        if not is_of_gdal(error):
            raise
        raise SceneError(f"its grid cannot be warped to latitude and longitude: {error}") from error
    valid = result[3] >= 128
    pixels = np.ascontiguousarray(np.moveaxis(result[:3], 0, 2))
    pixels[~valid] = 0
    return Raster(pixels, valid)


def is_of_gdal(error: Exception) -> bool:
    """Whether an error comes from GDAL or rasterio; GDAL's own classes share no public base."""
    return type(error).__module__.partition(".")[0] == "rasterio"


def _transform(grid: DegreeGrid) -> Any:
    """Affine transformation from columns and rows to longitude, which may exceed 180, and latitude."""
    from rasterio.transform import from_bounds

    (west, south, _, north), (rows, columns) = grid
    return from_bounds(west, south, west + grid.bounds.width, north, columns, rows)


def _upright(raster: Raster, source: Locations, middle: float) -> tuple[Raster, Locations]:
    """Turn a picture of located pixels so that north is up and east right; longitudes around the middle."""
    longitude, latitude = source
    longitude = (longitude - middle + 180) % 360 - 180 + middle
    flips: tuple[int, ...] = ()
    if np.nanmean(latitude[0]) < np.nanmean(latitude[-1]):
        flips += (0,)
    if np.nanmean(longitude[:, 0]) > np.nanmean(longitude[:, -1]):
        flips += (1,)
    turned = Raster(np.ascontiguousarray(np.flip(raster.pixels, flips)), np.flip(raster.valid_mask, flips))
    return turned, (_corners(np.flip(longitude, flips)), _corners(np.flip(latitude, flips)))


def _corners(centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """Coordinates of the pixels' upper left corners, which GDAL expects, by those of their centres."""
    down, across = np.gradient(centres)
    return np.asarray(centres - (down + across) / 2)


def unwarp(mask: Mask, bounds: Bounds, source: SourceGrid) -> Mask:
    """Bring a mask from latitude and longitude back to the grid of its picture: nearest neighbours.

    Args:
        mask: shape (height, width), with these bounds.
        bounds: of the mask's whole grid in degrees.
        source: the picture's grid.

    Returns:
        The mask on that grid, false beyond the bounds.
    """
    from rasterio import Affine
    from rasterio.enums import Resampling
    from rasterio.warp import reproject

    height, width = mask.shape
    result = np.zeros(source.size, np.uint8)
    reproject(
        mask.astype(np.uint8),
        result,
        src_transform=_transform(DegreeGrid(bounds, (height, width))),
        src_crs=_DEGREES,
        dst_transform=Affine(*source.transform),
        dst_crs=source.crs,
        resampling=Resampling.nearest,
    )
    return result > 0
