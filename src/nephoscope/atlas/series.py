"""A box's frequencies, day by day."""

import csv
import io
from typing import TYPE_CHECKING

import numpy as np

from nephoscope.atlas.cells import box
from nephoscope.atlas.frequency import CLASSES, measure
from nephoscope.core.geo import Bounds
from nephoscope.core.types import Progress

if TYPE_CHECKING:
    import xarray as xr


def series(atlas: "xr.Dataset", bounds: Bounds, progress: Progress | None = None) -> str:
    """Daily frequencies of a box as CSV: one row a day, and columns for all satellites and for each.

    A frequency is the area in which the pattern was found over the area with data, on the sphere; it is empty
    without data. Coverage is the share with data of the part of the box that lies in the atlas, over all
    satellites its mean. Only the scenes that reach into the box are read.

    Args:
        atlas: as `open_atlas` gives it.
        bounds: of the box.
        progress: told the days done so far and in all.

    Raises:
        AtlasError: the atlas does not reach into the box.
    """
    found = measure(atlas, box(bounds), progress=progress)
    data, classes = found.data[..., 0, 0].astype(np.float64), found.classes[..., 0, 0].astype(np.float64)
    inside = float(found.inside[0, 0])
    groups = {"": slice(None)} | {f"_{name}": slice(i, i + 1) for i, name in enumerate(found.satellites)}
    file = io.StringIO()
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(["date", *(f"{name}{end}" for end in groups for name in (*CLASSES, "coverage"))])
    for day, seen, parts in zip(found.days, data, classes, strict=True):
        row = [str(day)]
        for which in groups.values():
            whole = seen[which].sum()
            row += [f"{part / whole:.6g}" if whole > 0 else "" for part in parts[which].sum(axis=0)]
            row.append(f"{seen[which].mean() / inside:.6g}")
        rows.writerow(row)
    return file.getvalue()
