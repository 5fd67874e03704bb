"""The probabilities that people would draw a pattern in a picture, from a store's records, as an array."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nephoscope.atlas.layout import Layout
from nephoscope.atlas.manifest import Manifest

if TYPE_CHECKING:
    import xarray as xr

PRESENCE = "presence_probability"
"""Of an atlas: by time, satellite, pattern and box; a value for each picture, NaN without data or record."""


def presence_variable(layout: Layout, manifest: Manifest, patterns: Sequence[str]) -> "xr.Variable":
    """`PRESENCE` of a store, its days in order; the records are read when it is computed, all at once."""
    import xarray as xr
    from dask import array as da
    from dask.delayed import delayed

    read = delayed(_read)(layout, manifest, tuple(patterns))
    values = da.from_delayed(read, _shape(layout, patterns), np.float32)
    about = {
        "long_name": "probability that people would draw the pattern in the picture",
        "comment": "Boxes are counted in the order of lat and lon. The picture includes the margin.",
    }
    return xr.Variable(("time", "satellite", "pattern", "box_lat", "box_lon"), values, about)


def _shape(layout: Layout, patterns: Sequence[str]) -> tuple[int, ...]:
    return len(layout.days), len(layout.satellites), len(patterns), *layout.plan.shape


def _read(layout: Layout, manifest: Manifest, patterns: tuple[str, ...]) -> NDArray[np.float32]:
    values = np.full(_shape(layout, patterns), np.nan, np.float32)
    place = {day: row for row, day in enumerate(sorted(layout.days))}
    for _, records in manifest.read_all():
        for record in records:
            if presence := record.get("presence"):
                scene = layout.scene(record["index"])
                row = place[scene.overpass.day]
                values[row, scene.satellite, :, scene.row, scene.column] = [presence[n] for n in patterns]
    return values
