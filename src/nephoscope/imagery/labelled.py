"""Labelled arrays as pictures: xarray's DataArray and Dataset, NetCDF and Zarr files, satpy's Scene.

Source: CF conventions 1.11, cfconventions.org, chapters 4 (coordinates) and 5.6 (grid mappings).
"""

from collections.abc import Hashable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np

from nephoscope.core.errors import MissingExtraError, SceneError
from nephoscope.core.extras import require
from nephoscope.core.geo import parse_worldview_name
from nephoscope.core.types import GridShape
from nephoscope.imagery.array import as_values, valid_of
from nephoscope.imagery.bands import Bands, choose_bands
from nephoscope.imagery.coordinates import locate, size_of
from nephoscope.imagery.raster_file import crs_name
from nephoscope.imagery.scene import Raster, Scene, SourceGrid, check_pixels, check_size
from nephoscope.imagery.values import Scale, choose_stretch, to_raster
from nephoscope.imagery.warp import DegreeGrid, Locations, grid_of_locations, grid_of_projection, warp

_BAND_DIMENSIONS = ("band", "channel", "colo", "rgb", "c", "nephoscope_band")  # beginnings of their names
_REFERENCES = ("grid_mapping", "coordinates")  # attributes that name coordinates
_TRUE_COLOUR = ("true_color", "true_colour", "rgb", "TrueColor", "image", "picture")


def open_labelled_file(
    path: Path | str, name: str, scale: Scale, bands: Bands | None, max_pixels: int
) -> Scene:
    """Open a NetCDF file or a Zarr store with CF coordinates; see `open_labelled`.

    Raises:
        SceneError: it cannot be opened, or holds no picture.
    """
    import xarray as xr

    try:
        if Path(path).suffix == ".zarr":
            dataset = xr.open_zarr(path, decode_coords="all")
        else:
            dataset = xr.open_dataset(path, decode_coords="all")
    except Exception as error:  # each engine has its own exceptions
        raise SceneError(f"{name}: {why_not_opened(error)}") from error
    return open_labelled(dataset, name, scale, bands, max_pixels, Path(path))


def why_not_opened(error: Exception) -> str:
    """Why xarray could not open a file, in a line: of a file without an engine it lists all engines."""
    if "did not find a match in any of xarray's" in str(error):
        return "empty, damaged or not a NetCDF file, or h5netcdf or netCDF4 is not installed"
    return f"xarray cannot open it: {error}"


def open_labelled(
    source: Any, name: str, scale: Scale, bands: Bands | None, max_pixels: int, path: Path | None = None
) -> Scene:
    """Open a DataArray, a Dataset or a satpy Scene as a picture.

    Latitude and longitude come from coordinates of one or two dimensions, rising or falling; a projected grid
    from its CRS, as rioxarray, satpy or a CF grid mapping states it. Projected, uneven and two-dimensional
    grids are warped to latitude and longitude. Missing values are no data.

    Args:
        source: the object, whose arrays may be Dask's.
        name: of the scene.
        scale: what the values mean.
        bands: red, green and blue by name, or by number from 1.
        max_pixels: a larger picture is refused, or warped to a coarser grid.
        path: of its file, where there is one.

    Raises:
        SceneError: nothing tells which variables are the picture, too large or too small, or values that no
            picture has.
    """
    try:
        picture = _picture(source, bands)
        check_size(size_of(picture))
        check_pixels(size_of(picture), max_pixels)
        picture, georeference, grid = locate(picture)
        target = None
        if grid is not None:
            require("a grid that is warped to latitude and longitude", "geo", "rasterio")
        if isinstance(grid, SourceGrid):
            target = grid_of_projection(grid, max_pixels)
        elif grid is not None:
            target = grid_of_locations(grid, max_pixels)
        if target is not None:
            check_size(target.size)
    except (SceneError, MissingExtraError) as error:
        raise type(error)(f"{name}: {error}") from error
    named, named_day, named_satellite = parse_worldview_name(name)
    decoder = _Decoder(picture, name, scale, grid, target)
    return Scene(
        name,
        target.size if target else size_of(picture),
        target.bounds if target else georeference.bounds or named,
        _day(picture) or named_day,
        str(picture.attrs["platform_name"]) if "platform_name" in picture.attrs else named_satellite,
        georeference.reason,
        None,
        decoder.decode,
        path=path,
        projection=crs_name(grid.crs) if isinstance(grid, SourceGrid) else "",
        source_grid=grid if isinstance(grid, SourceGrid) else None,
        _value_warnings=decoder.warnings,
    )


class _Decoder:
    """Computes a picture's values as colours, and warps them where the grid is not one of degrees."""

    def __init__(
        self,
        picture: Any,
        name: str,
        scale: Scale,
        grid: SourceGrid | Locations | None,
        target: DegreeGrid | None,
    ) -> None:
        self._picture, self._name, self._scale = picture, name, scale
        self._grid, self._target = grid, target
        self._warnings: list[str] | None = None

    def decode(self, _min_shape: GridShape) -> Raster:
        try:
            values, valid = as_values(self._picture.to_masked_array(copy=False))
            missing = self._picture.attrs.get("_FillValue", self._picture.attrs.get("missing_value"))
            if missing is not None and np.issubdtype(values.dtype, np.integer):
                present = values != missing
                valid = present if valid is None else valid & present
            stated = valid_of(values, valid)
            colours = values[:, :, :3] if values.ndim == 3 else values
            stretch = choose_stretch(colours, stated, self._scale, _units(self._picture))
            raster = to_raster(values, stated, stretch)
        except SceneError as error:
            raise SceneError(f"{self._name}: {error}") from error
        self._warnings = stretch.warnings
        if self._grid is None or self._target is None:
            return raster
        try:
            return warp(raster, self._grid, self._target)
        except SceneError as error:
            raise SceneError(f"{self._name}: {error}") from error

    def warnings(self) -> list[str]:
        if self._warnings is None:
            self.decode((1, 1))
        return self._warnings or []


def _picture(source: Any, bands: Bands | None) -> Any:
    """The DataArray of a picture: dimensions y, x and, of more than one band, the band."""
    import xarray as xr

    if type(source).__module__.startswith("satpy"):
        source, bands = _of_satpy(source, bands), None
    if isinstance(source, xr.Dataset):
        source, bands = _of_dataset(source, bands)
    if not isinstance(source, xr.DataArray):
        raise SceneError(f"{type(source).__name__} is no picture: give its DataArray or Dataset")
    squeezed = source.squeeze(drop=False)
    if squeezed.ndim == 2:
        return squeezed
    if squeezed.ndim != 3:
        raise SceneError(
            f"a picture has dimensions y, x and bands; this has {dict(source.sizes)}: select one by .isel()"
        )
    dimension = min(squeezed.dims, key=lambda each: squeezed.sizes[each])
    count = squeezed.sizes[dimension]
    labels = squeezed[dimension].values.tolist() if dimension in squeezed.coords else []
    if not _are_bands(squeezed, dimension):
        raise SceneError(
            f"{count} times or levels along {dimension}: select one by .isel({dimension}=0), or give them "
            "one by one to segment_many"
        )
    names = [label if isinstance(label, str) else "" for label in labels] or [""] * count
    if bands is not None or any(names) or count not in (3, 4):
        squeezed = squeezed.isel({dimension: choose_bands(names, bands)})
    return squeezed.transpose(..., dimension).squeeze(drop=False)


def _are_bands(picture: Any, dimension: Hashable) -> bool:
    """Whether a dimension is that of bands, and not one of times or levels."""
    name = str(dimension).lower()
    if name in ("time", "t"):
        return False
    if dimension not in picture.coords or name.startswith(_BAND_DIMENSIONS):
        return True
    return not np.issubdtype(picture[dimension].dtype, np.number) and picture[dimension].dtype.kind != "M"


def _of_dataset(dataset: Any, bands: Bands | None) -> tuple[Any, Bands | None]:
    """The picture of a dataset: one variable with bands, or three variables, stacked."""
    attributes = [each.attrs for each in dataset.data_vars.values()]
    texts = [str(each[key]) for each in attributes for key in _REFERENCES if key in each]
    names = {name.strip(":") for text in texts for name in text.split()}
    # As `decode_coords="all"` does when a file is opened.
    dataset = dataset.set_coords(sorted(names & set(map(str, dataset.data_vars))))
    pictures = {name: each for name, each in dataset.data_vars.items() if each.squeeze().ndim in (2, 3)}
    if bands is not None and all(band in dataset.variables for band in bands):
        chosen = [dataset[band] for band in bands]
        return _stacked(chosen), None
    whole = [name for name in _TRUE_COLOUR if name in pictures and pictures[name].squeeze().ndim == 3]
    if whole or len(pictures) == 1:
        return pictures[whole[0] if whole else next(iter(pictures))], bands
    flat: list[Hashable] = [name for name, each in pictures.items() if each.squeeze().ndim == 2]
    if not flat and pictures:
        return next(iter(pictures.values())), bands  # refused with its dimensions
    if not flat:
        raise SceneError(
            f"no variable is a picture: {', '.join(map(str, dataset.data_vars)) or 'it is empty'}"
        )
    chosen = [dataset[flat[index]] for index in choose_bands([str(name) for name in flat], bands)]
    return _stacked(chosen), None


def _stacked(arrays: list[Any]) -> Any:
    import xarray as xr

    if len(arrays) == 1:
        return arrays[0]
    arrays = [each.squeeze(drop=False) for each in arrays]
    if len({each.shape for each in arrays}) > 1:
        raise SceneError(
            "its bands have different sizes ("
            + ", ".join(f"{each.name} {each.shape}" for each in arrays)
            + "): resample them to one grid first"
        )
    if len({str(each.attrs.get("units")) for each in arrays}) > 1:
        units = ", ".join(f"{each.name} in {each.attrs.get('units', 'unknown units')}" for each in arrays)
        raise SceneError(f"its bands have different units ({units}): convert them first")
    if len({str(each.attrs.get("_FillValue")) for each in arrays}) > 1:  # one cannot stand for all
        arrays = [each.where(each != each.attrs.get("_FillValue")) for each in arrays]
    stacked = xr.concat(arrays, "nephoscope_band", coords="minimal", compat="override", join="override")
    return stacked.assign_attrs(arrays[0].attrs)


def _of_satpy(scene: Any, bands: Bands | None) -> Any:
    """The dataset of a satpy Scene: the bands stated, or its one true-colour composite."""
    try:
        if bands is not None:
            return _stacked([scene[str(band)] for band in bands])  # a number would be a wavelength
        names = [each["name"] for each in scene.keys()]  # noqa: SIM118 (a Scene iterates over arrays)
        colours = [name for name in names if "bands" in scene[name].dims]
    except KeyError as error:
        raise SceneError(f"the satpy Scene has no dataset {error}; load it first") from error
    chosen = next(
        (name for name in _TRUE_COLOUR if name in colours), colours[0] if len(colours) == 1 else None
    )
    if chosen is None:
        raise SceneError(
            f"the satpy Scene has {', '.join(names) or 'no dataset'}, and no true-colour composite: load "
            "'true_color', or give the names of three by bands="
        )
    return scene[chosen]


def _units(picture: Any) -> str:
    units, standard = str(picture.attrs.get("units", "")), str(picture.attrs.get("standard_name", ""))
    if units == "%":
        return "%"
    return "reflectance" if "reflectance" in standard else ""


def _day(picture: Any) -> date | None:
    """The day by the array's start time, or by a coordinate that is one time."""
    start = picture.attrs.get("start_time")
    if isinstance(start, datetime):
        return start.date()
    times = [each for each in picture.coords.values() if np.issubdtype(each.dtype, np.datetime64)]
    single = [each for each in times if each.size == 1 and not np.isnat(each.values).any()]
    if not single:
        return None
    time = next((each for each in single if each.name == "time"), single[0])
    try:
        return date.fromisoformat(str(time.values.reshape(-1)[0].astype("datetime64[D]")))
    except ValueError:  # a year that Python's dates do not reach
        return None
