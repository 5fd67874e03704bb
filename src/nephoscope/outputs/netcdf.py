"""`netcdf`: probabilities and masks on a grid of latitude and longitude, by the CF conventions.

Source: CF conventions 1.11, cfconventions.org. Bits and meanings of `mask` are those of the labels published
for EUREC4A.
"""

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from nephoscope.core.extras import import_extra
from nephoscope.core.geo import WGS84_GRID_MAPPING, Degrees, edges
from nephoscope.core.version import __version__
from nephoscope.imagery.overpass_time import overpass_time
from nephoscope.imagery.scene import Scene
from nephoscope.inference.segmentation import Segmentation
from nephoscope.outputs.format import Format, Web
from nephoscope.outputs.metadata import attributes, require_bounds, require_day

if TYPE_CHECKING:
    import xarray as xr

_MISSING = np.int16(-32768)
_STEP = np.float32(1e-4)  # of packed probabilities
_PACKED = {"dtype": "int16", "scale_factor": _STEP, "add_offset": np.float32(0), "_FillValue": _MISSING}
_COMPRESSED = {"zlib": True, "complevel": 4, "shuffle": True}
_NEVER_MISSING = {"_FillValue": None}


def render(segmentation: Segmentation) -> list[bytes]:
    """Render one dataset on the grid of the model's rules, rows from north to south as in the picture.

    Raises:
        SceneError: bounds or day are not known.
    """
    require_bounds(segmentation.scene)
    require_day(segmentation.scene)
    return [bytes(make_dataset(segmentation).to_netcdf(engine="h5netcdf"))]


def decoded_dataset(segmentation: Segmentation) -> "xr.Dataset":
    """Make the dataset as xarray opens its file: times are dates.

    Raises:
        MissingExtraError: xarray is not installed.
    """
    dataset: xr.Dataset = import_extra("xarray", "geo").decode_cf(make_dataset(segmentation)).load()
    return dataset


def make_dataset(segmentation: Segmentation) -> "xr.Dataset":
    """Make a dataset as it is stored in a file: times are numbers.

    The axes are latitude and longitude, or y and x in the picture's pixels where the location is unknown.
    There is no time where the day is unknown.

    Raises:
        MissingExtraError: xarray is not installed.
    """
    xarray = import_extra("xarray", "geo")
    scene, valid_mask = segmentation.scene, segmentation.valid_mask
    time = ("time",) if scene.day else ()
    axes = ("lat", "lon") if scene.bounds else ("y", "x")
    patterns = segmentation.card.patterns
    flag_type = np.int8 if len(patterns) < 8 else np.int16  # classic readers know no unsigned integers
    bits = np.left_shift(1, np.arange(len(patterns))).astype(flag_type)
    flags = (segmentation.masks * bits[:, None, None]).sum(axis=0, dtype=flag_type)
    probabilities = np.where(valid_mask, segmentation.probabilities, np.float32(np.nan))
    valid = valid_mask.astype(np.int8)
    cover = np.array([segmentation.area_fractions[name] for name in patterns], np.float32)
    grid_mapping = {"grid_mapping": "crs"} if scene.bounds else {}
    area = {**grid_mapping, "ancillary_variables": "valid"}
    variables = {
        "probability": (
            ("pattern", *time, *axes),
            probabilities[:, None] if scene.day else probabilities,
            {"long_name": "probability of the pattern", "units": "1", **area},
            _PACKED | _COMPRESSED,
        ),
        "mask": (
            (*time, *axes),
            flags[None] if scene.day else flags,
            {
                "long_name": "patterns found; 0 where there is none or no data",
                "flag_masks": bits,
                "flag_meanings": " ".join(patterns),
                **area,
            },
            _COMPRESSED | _NEVER_MISSING,
        ),
        "valid": (
            (*time, *axes),
            valid[None] if scene.day else valid,
            {
                "long_name": "whether the picture has data",
                "flag_values": np.array([0, 1], np.int8),
                "flag_meanings": "no_data data",
                **grid_mapping,
            },
            _COMPRESSED | _NEVER_MISSING,
        ),
        "cover": (
            ("pattern", *time),
            cover[:, None] if scene.day else cover,
            {"long_name": "share of the pixels with data that the pattern covers", "units": "1"},
            _NEVER_MISSING,
        ),
    }
    if presence := segmentation.presence_probabilities:
        values = np.array([presence[name] for name in patterns], np.float32)
        variables["presence_probability"] = (
            ("pattern", *time),
            values[:, None] if scene.day else values,
            {"long_name": "probability that people would draw the pattern in the scene", "units": "1"},
            _NEVER_MISSING,
        )
    # CF requires numbers in a variable named like its dimension, so the names have another.
    coordinates = {
        "pattern_name": ("pattern", np.array(patterns, object), {"long_name": "pattern of shallow clouds"})
    }
    if scene.day:
        _add_time(scene, scene.day, variables, coordinates)
    if scene.bounds:
        variables["crs"] = ((), np.int8(0), WGS84_GRID_MAPPING, {})
    for axis, pixel_edges in zip(axes, _edges(scene, valid_mask.shape), strict=True):
        _add_axis(axis, pixel_edges, variables, coordinates)
    about = {
        "Conventions": "CF-1.11",
        **attributes(segmentation),
        "source": f"true-colour satellite picture, segmented by nephoscope {__version__}",
        "history": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} nephoscope {__version__}: "
        f"segmented by model {segmentation.card.name}",
        "model_card": segmentation.card.to_json(),
    }
    dataset: xr.Dataset = xarray.Dataset(variables, coordinates, about)
    return dataset


_AXES = {
    "lat": {"standard_name": "latitude", "long_name": "latitude", "units": "degrees_north", "axis": "Y"},
    "lon": {"standard_name": "longitude", "long_name": "longitude", "units": "degrees_east", "axis": "X"},
    "y": {"long_name": "pixels of the picture below its top edge", "units": "1", "axis": "Y"},
    "x": {"long_name": "pixels of the picture right of its left edge", "units": "1", "axis": "X"},
}


def _edges(scene: Scene, grid: tuple[int, ...]) -> tuple[Degrees, Degrees]:
    """Edges of the grid's rows and columns: in degrees, or in the picture's pixels."""
    rows, columns = grid
    if scene.bounds:
        longitudes, latitudes = edges(scene.bounds, (rows, columns))
        return latitudes, longitudes
    return np.linspace(0, scene.size[0], rows + 1), np.linspace(0, scene.size[1], columns + 1)


def _add_axis(name: str, edges: Degrees, variables: dict[str, Any], coordinates: dict[str, Any]) -> None:
    """Add the centres of rows or columns as coordinate, and their edges, which have the same units."""
    bounds = f"{name}_bnds"
    centres = (edges[:-1] + edges[1:]) / 2
    coordinates[name] = (name, centres, _AXES[name] | {"bounds": bounds}, _NEVER_MISSING)
    variables[bounds] = ((name, "bnds"), np.stack([edges[:-1], edges[1:]], 1), {}, _NEVER_MISSING)


def _add_time(scene: Scene, day: date, variables: dict[str, Any], coordinates: dict[str, Any]) -> None:
    """Add the nominal time of the overpass and its limits, or else the day's beginning and its end.

    Satellites of one day have different times, so that their files can be joined along time.
    """
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    times = (midnight, midnight, midnight + timedelta(days=1))
    comment = "The hour of the overpass is not known: 00:00 UTC stands for the whole day."
    if scene.satellite:
        label = {"long_name": "satellite"}
        coordinates["satellite"] = ("time", np.array([scene.satellite], object), label, {"dtype": "S1"})
    if scene.satellite and scene.bounds and (known := overpass_time(scene.satellite, day, scene.bounds)):
        times = known
        comment = "From the orbit's nominal hour of local solar time; the limits are those of the picture."
    nominal, earliest, latest = (int(each.timestamp()) // 60 for each in times)
    about = {
        "standard_name": "time",
        "long_name": "time of the overpass",
        "units": "minutes since 1970-01-01",
        "calendar": "standard",
        "units_metadata": "leap_seconds: none",
        "axis": "T",
        "bounds": "time_bnds",
        "comment": comment,
    }
    coordinates["time"] = ("time", np.array([nominal], np.int32), about)
    variables["time_bnds"] = (("time", "bnds"), np.array([[earliest, latest]], np.int32))


FORMAT = Format(
    name="netcdf",
    description="Probabilities and masks on longitude and latitude",
    media_type="application/x-netcdf",
    render=render,
    endings=(".nc",),
    needs=("place", "day"),
    extra="geo",
    libraries=("xarray", "h5netcdf", "h5py"),
    web=Web(label="Grid", kind="NetCDF"),
)
