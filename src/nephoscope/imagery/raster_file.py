"""Rasters of any kind by rasterio: GeoTIFF, JPEG 2000, VRT, ...; projected grids are warped to degrees."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from nephoscope.core.errors import SceneError
from nephoscope.core.geo import parse_worldview_name
from nephoscope.core.types import GridShape, Mask
from nephoscope.imagery.array import valid_of
from nephoscope.imagery.bands import Bands, choose_bands, has_colours
from nephoscope.imagery.georeference import Georeference, bounds_of_grid, read_world_file
from nephoscope.imagery.scene import Raster, Scene, SourceGrid, check_pixels, check_size
from nephoscope.imagery.values import Scale, Stretch, Values, choose_stretch, to_raster
from nephoscope.imagery.warp import DegreeGrid, grid_of_projection, is_of_gdal, warp

_CACHE = 64  # MB of decoded blocks that GDAL keeps
_WHOLE = 25_000_000  # pixels; a smaller raster is read whole
# A remote file is read in ranges; its folder is not listed.
_REMOTE: dict[str, Any] = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "CPL_VSIL_CURL_USE_HEAD": False,
    "GDAL_HTTP_CONNECTTIMEOUT": 20,
    "GDAL_HTTP_TIMEOUT": 60,
}


def open_raster(
    source: Path | bytes | str, name: str, scale: Scale, bands: Bands | None, max_pixels: int
) -> Scene:
    """Open a raster by its header.

    Bands default to those that the file calls red, green and blue. Projected, rotated and south-up grids are
    warped to latitude and longitude. Rasters of more than 25 million pixels are read coarsely where that is
    enough, so memory is bounded by what is kept.

    Args:
        source: a path, a GeoTIFF's content, or a web address, of which only what is needed is read.
        name: of the scene.
        scale: what the values mean.
        bands: red, green and blue by number, from 1, or by description.
        max_pixels: a larger picture is refused, or warped to a coarser grid.

    Raises:
        SceneError: not a raster, damaged, too large or too small, bands that it lacks, or values that no
            picture has.
    """
    reader = _Reader(source, name, scale, bands)
    with reader.dataset() as dataset:
        size: GridShape = (dataset.height, dataset.width)
        check_size(size)
        reader.bands(dataset)
        georeference, grid, target = _place(dataset, source, size, max_pixels)
    # A file's content may come from anyone, and reading a huge raster takes long even if it is read coarsely.
    if size[0] * size[1] > max_pixels and (grid is None or isinstance(source, bytes)):
        with reader.errors():
            check_pixels(size, max_pixels)
    named, day, satellite = parse_worldview_name(name)
    warped = _Warped(reader, grid, target) if grid and target else None
    return Scene(
        name,
        target.size if target else size,
        target.bounds if target else named or georeference.bounds,
        day,
        satellite,
        "" if named else georeference.reason,
        None,
        warped.decode if warped else reader.decode,
        path=source if isinstance(source, Path) else None,
        projection=crs_name(grid.crs) if grid else "",
        source_grid=grid,
        _value_warnings=reader.warnings,
    )


class _Reader:
    """Reads a raster's bands as colours, at full size or more coarsely."""

    def __init__(self, source: Path | bytes | str, name: str, scale: Scale, bands: Bands | None) -> None:
        self._source, self._name, self._scale, self._bands = source, name, scale, bands
        self._stretch: Stretch | None = None

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn whatever GDAL raises into a SceneError that names the picture."""
        try:
            yield
        except SceneError as error:
            raise type(error)(f"{self._name}: {error}") from error
        except Exception as error:
            if isinstance(error, OSError) or is_of_gdal(error):
                raise SceneError(f"{self._name}: cannot be read: {error}") from error
            raise

    @contextmanager
    def dataset(self) -> Iterator[Any]:
        """Open the file with bounded caches."""
        import rasterio
        from rasterio.io import MemoryFile

        settings = _REMOTE if isinstance(self._source, str) else {}
        with self.errors(), rasterio.Env(GDAL_CACHEMAX=_CACHE, **settings):
            if isinstance(self._source, bytes):  # from anyone: drivers of other formats can open other files
                with MemoryFile(self._source) as file, file.open(driver="GTiff") as dataset:
                    yield dataset
            else:
                with rasterio.open(self._source) as dataset:
                    yield dataset

    def bands(self, dataset: Any) -> list[int]:
        """Numbers of the bands of red, green, blue and perhaps opacity, or of the one grey band."""
        names = [text or "" for text in dataset.descriptions]
        if self._bands is None and not has_colours(names):
            if dataset.count == 1:
                return [1]
            colours = [each.name for each in dataset.colorinterp]
            wanted = [each for each in ("red", "green", "blue", "alpha") if each in colours]
            if wanted[:3] == ["red", "green", "blue"]:
                return [colours.index(each) + 1 for each in wanted]
        return [index + 1 for index in choose_bands(names, self._bands)]

    def decode(self, min_shape: GridShape) -> Raster:
        """Decode the chosen bands: whole, or where that is large, at this least height and width."""
        with self.dataset() as dataset:
            size = (dataset.height, dataset.width)
            shape = size if size[0] * size[1] <= _WHOLE else coarser(size, min_shape)
            values, valid = self._read(dataset, shape)
            if self._stretch is None:
                units = _units(dataset)
                self._stretch = choose_stretch(values[:, :, :3], valid, self._scale, units)
            return to_raster(values, valid, self._stretch)

    def _read(self, dataset: Any, shape: GridShape) -> tuple[Values, Mask | None]:
        from rasterio.enums import MaskFlags, Resampling

        bands = self.bands(dataset)
        values = dataset.read(bands, out_shape=(len(bands), *shape), resampling=Resampling.average)
        stated: Mask | None = None
        if any(
            MaskFlags.all_valid not in flags and MaskFlags.alpha not in flags
            for flags in dataset.mask_flag_enums
        ):
            stated = dataset.dataset_mask(out_shape=shape) > 0
        if dataset.count == 1 and "palette" in [each.name for each in dataset.colorinterp]:
            table = np.array([dataset.colormap(1)[index][:3] for index in range(256)], np.uint8)
            return table[values[0]], stated
        values = np.moveaxis(values, 0, 2)
        scales = [(dataset.scales[band - 1], dataset.offsets[band - 1]) for band in bands[:3]]
        if any(pair != (1.0, 0.0) for pair in scales):
            factors, offsets = np.array(scales, np.float32).T
            values = values * factors + offsets
        return values, valid_of(values, stated)

    def warnings(self) -> Sequence[str]:
        """Why colours may be wrong; decodes coarsely if nothing was decoded before."""
        if self._stretch is None:
            self.decode((1, 1))
        assert self._stretch is not None
        return self._stretch.warnings


class _Warped:
    """Decodes a raster and warps it to degrees."""

    def __init__(self, reader: _Reader, source: SourceGrid, target: DegreeGrid) -> None:
        self._reader, self._source, self._target = reader, source, target

    def decode(self, min_shape: GridShape) -> Raster:
        size = self._target.size
        shape = size if size[0] * size[1] <= _WHOLE else coarser(size, min_shape)
        # About as many source pixels as the target has.
        share = min(1.0, (shape[0] * shape[1] / (self._source.size[0] * self._source.size[1])) ** 0.5)
        height, width = (round(share * side) for side in self._source.size)
        raster = self._reader.decode((height, width))
        with self._reader.errors():
            return warp(raster, self._source, DegreeGrid(self._target.bounds, shape))


def coarser(size: GridShape, min_shape: GridShape) -> GridShape:
    """The size divided by the largest whole number that keeps it at least `min_shape`."""
    factor = max(1, min(whole // max(1, side) for whole, side in zip(size, min_shape, strict=True)))
    return -(-size[0] // factor), -(-size[1] // factor)


def _units(dataset: Any) -> str:
    units = {(unit or "").strip().lower() for unit in dataset.units}
    return "%" if units <= {"%", "percent"} else "reflectance" if units <= {"reflectance"} else ""


def _place(
    dataset: Any, source: Path | bytes | str, size: GridShape, max_pixels: int
) -> tuple[Georeference, SourceGrid | None, DegreeGrid | None]:
    """Bounds of a north-up grid in degrees; any other grid, and the one in degrees to warp it to."""
    transform, crs = dataset.transform, dataset.crs
    if crs is None and dataset.gcps[0]:
        return Georeference(reason="its grid is defined by control points: warp it first"), None, None
    if crs is None:
        georeference = read_world_file(source, size) if isinstance(source, Path) else Georeference()
        return georeference, None, None
    a, b, c, d, e, f = transform[:6]
    if crs.is_geographic and not b and not d and a > 0 and e < 0:
        return bounds_of_grid(c, f, a, -e, size), None, None
    if not (crs.is_geographic or crs.is_projected):
        reason = "its coordinate reference system is not one of the Earth's surface"
        return Georeference(reason=reason), None, None
    if transform.is_identity:
        reason = "it has a coordinate reference system, but no corner and pixel size"
        return Georeference(reason=reason), None, None
    grid = SourceGrid(crs.to_wkt(), (a, b, c, d, e, f), size)
    try:
        target = grid_of_projection(grid, max_pixels)
        check_size(target.size)
    except SceneError as error:
        return Georeference(reason=f"its grid cannot be warped: {error}"), None, None
    return Georeference(), grid, target


def crs_name(wkt: str) -> str:
    """Short name of a coordinate reference system: `EPSG:32621`, or of its projection, such as `geos`."""
    from rasterio.crs import CRS

    crs = CRS.from_wkt(wkt)
    code = crs.to_epsg()
    return f"EPSG:{code}" if code else str(crs.to_dict().get("proj", "its own"))
