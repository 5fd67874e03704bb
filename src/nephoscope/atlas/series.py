"""Daily frequencies of a region."""

import csv
import io
from typing import TYPE_CHECKING

import numpy as np

from nephoscope.atlas.cells import box
from nephoscope.atlas.frequency import Domain, measure
from nephoscope.core.geo import Bounds
from nephoscope.core.types import Progress

if TYPE_CHECKING:
    import xarray as xr


def series(
    atlas: "xr.Dataset",
    bounds: Bounds,
    domain: Domain = Domain(),  # noqa: B008 (a constant)
    progress: Progress | None = None,
) -> str:
    """Daily frequencies of a box as CSV: one row a day, with columns for all satellites and for each.

    A frequency is the area with the pattern over the area with data, on the sphere; it is empty without data.
    Coverage is the share with data of the part of the box that counts: it lies in the region that the atlas
    was planned for and, unless the domain includes land, is not land. Over all satellites it is their mean.
    Only the scenes that reach into the box are read.

    Raises:
        AtlasError: nothing of the atlas reaches into the box, or only land does; or a mask cannot be used.
    """
    freq = measure(atlas, box(bounds), domain, progress=progress)
    valid = freq.valid_shares[..., 0, 0].astype(np.float64)
    classes = freq.class_shares[..., 0, 0].astype(np.float64)
    counted = float(freq.counted[0, 0])
    groups = {"": slice(None)} | {f"_{name}": slice(i, i + 1) for i, name in enumerate(freq.satellites)}
    file = io.StringIO()
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(["date", *(f"{name}{end}" for end in groups for name in (*freq.classes, "coverage"))])
    for day, valid_of_day, classes_of_day in zip(freq.days, valid, classes, strict=True):
        row = [str(day)]
        for group in groups.values():
            whole = valid_of_day[group].sum()
            row += [f"{part / whole:.6g}" if whole > 0 else "" for part in classes_of_day[group].sum(axis=0)]
            row.append(f"{valid_of_day[group].mean() / counted:.6g}")
        rows.writerow(row)
    return file.getvalue()
