"""`netcdf`: probabilities and masks on a grid of latitude and longitude, by the CF conventions.

Source: CF conventions 1.11, cfconventions.org. Bits and meanings of `mask` are those of the labels published
for EUREC4A.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import numpy as np

from nephoscope.core.geo import edges
from nephoscope.core.version import __version__
from nephoscope.inference.segmentation import Segmentation
from nephoscope.outputs.format import Format, Web
from nephoscope.outputs.metadata import attributes, require_bounds, require_day

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
    return [bytes(_dataset(segmentation).to_netcdf(engine="h5netcdf"))]


def _dataset(segmentation: Segmentation) -> Any:
    import xarray as xr

    scene, valid_mask = segmentation.scene, segmentation.valid_mask
    longitudes, latitudes = edges(require_bounds(scene), (valid_mask.shape[0], valid_mask.shape[1]))
    day = require_day(scene)
    patterns = segmentation.card.patterns
    flag_type = np.int8 if len(patterns) < 8 else np.int16  # classic readers know no unsigned integers
    bits = np.left_shift(1, np.arange(len(patterns))).astype(flag_type)
    flags = (segmentation.masks * bits[:, None, None]).sum(axis=0, dtype=flag_type)
    area = {"grid_mapping": "crs", "ancillary_variables": "valid"}
    variables = {
        "probability": (
            ("pattern", "time", "lat", "lon"),
            np.where(valid_mask, segmentation.probabilities, np.float32(np.nan))[:, None],
            {"long_name": "probability of the pattern", "units": "1", **area},
            _PACKED | _COMPRESSED,
        ),
        "mask": (
            ("time", "lat", "lon"),
            flags[None],
            {
                "long_name": "patterns found; 0 where there is none or no data",
                "flag_masks": bits,
                "flag_meanings": " ".join(patterns),
                **area,
            },
            _COMPRESSED | _NEVER_MISSING,
        ),
        "valid": (
            ("time", "lat", "lon"),
            valid_mask[None].astype(np.int8),
            {
                "long_name": "whether the picture has data",
                "flag_values": np.array([0, 1], np.int8),
                "flag_meanings": "no_data data",
                "grid_mapping": "crs",
            },
            _COMPRESSED | _NEVER_MISSING,
        ),
        "cover": (
            ("pattern", "time"),
            np.array([[segmentation.area_fractions[name]] for name in patterns], np.float32),
            {"long_name": "share of the pixels with data that the pattern covers", "units": "1"},
            _NEVER_MISSING,
        ),
        "crs": ((), np.int8(0), _WGS84, {}),
        **_bounds(longitudes, latitudes, day),
    }
    about = {
        "Conventions": "CF-1.11",
        **attributes(segmentation),
        "source": f"true-colour satellite picture, segmented by nephoscope {__version__}",
        "history": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} nephoscope {__version__}: "
        f"segmented by model {segmentation.card.name}",
        "model_card": segmentation.card.to_json(),
    }
    return xr.Dataset(variables, _coordinates(longitudes, latitudes, day, patterns), about)


_WGS84 = {
    "grid_mapping_name": "latitude_longitude",
    "semi_major_axis": 6378137.0,
    "inverse_flattening": 298.257223563,
    "longitude_of_prime_meridian": 0.0,
}
_EPOCH = date(1970, 1, 1)


def _coordinates(longitudes: Any, latitudes: Any, day: date, patterns: Sequence[str]) -> dict[str, Any]:
    """Centres of the grid's pixels, the day's beginning, and the patterns' names."""
    return {
        "time": (
            "time",
            np.array([(day - _EPOCH).days], np.int32),
            {
                "standard_name": "time",
                "long_name": "day of the picture",
                "units": "days since 1970-01-01",
                "calendar": "standard",
                "units_metadata": "leap_seconds: none",
                "axis": "T",
                "bounds": "time_bnds",
                "comment": "The hour of the overpass is not known: 00:00 UTC stands for the whole day.",
            },
        ),
        # CF requires numbers in a variable named like its dimension, so the names have another.
        "pattern_name": ("pattern", np.array(patterns, object), {"long_name": "pattern of shallow clouds"}),
        "lat": _axis("lat", "latitude", "degrees_north", "Y", latitudes),
        "lon": _axis("lon", "longitude", "degrees_east", "X", longitudes),
    }


def _axis(name: str, long_name: str, units: str, axis: str, edges: Any) -> tuple[Any, ...]:
    names = {"standard_name": long_name, "long_name": long_name}
    about = {**names, "units": units, "axis": axis, "bounds": f"{name}_bnds"}
    return name, (edges[:-1] + edges[1:]) / 2, about, _NEVER_MISSING


def _bounds(longitudes: Any, latitudes: Any, day: date) -> dict[str, Any]:
    """Edges of the pixels and of the day; by the conventions they have the units of their coordinates."""
    first = (day - _EPOCH).days
    return {
        "time_bnds": (("time", "bnds"), np.array([[first, first + 1]], np.int32)),
        "lat_bnds": (("lat", "bnds"), np.stack([latitudes[:-1], latitudes[1:]], 1), {}, _NEVER_MISSING),
        "lon_bnds": (("lon", "bnds"), np.stack([longitudes[:-1], longitudes[1:]], 1), {}, _NEVER_MISSING),
    }


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
