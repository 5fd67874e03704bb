"""Daily frequencies on a grid of cells: of an atlas, a summary, C3ONTEXT's level 3, or people's labels."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nephoscope.atlas.c3ontext import our_name
from nephoscope.atlas.cells import Cells, aligned
from nephoscope.atlas.flags import UNCLASSIFIED
from nephoscope.atlas.frequency import Kind, measure
from nephoscope.atlas.land import land_shares
from nephoscope.atlas.store import open_atlas
from nephoscope.core.errors import AtlasError
from nephoscope.core.types import SCORE_GRID, Progress
from nephoscope.datasets.dataset import Dataset, read_dataset
from nephoscope.imagery.resize import resize_mask

if TYPE_CHECKING:
    import xarray as xr


class Daily(NamedTuple):
    """Daily frequencies of all satellites together.

    Attributes:
        name: of the source, for messages.
        days: shape (days,), datetime64[D].
        classes: the patterns, and `UNCLASSIFIED` where the source has it.
        cells: the grid.
        freq: from 0 to 1, NaN without data; shape (days, classes, rows, columns).
        kind: what a pattern covers, as in `frequency`; empty where the source does not say.
    """

    name: str
    days: NDArray[np.datetime64]
    classes: tuple[str, ...]
    cells: Cells
    freq: NDArray[np.float64]
    kind: str = ""


def read_two(
    first: str,
    second: str,
    degrees: float = 1.0,
    kind: Kind = "contest",
    progress: Progress | None = None,
) -> tuple[Daily, Daily]:
    """Read two sources of daily frequencies on one grid.

    Each is a store, a folder of labelled scenes, or a NetCDF file or Zarr folder with `freq` over date,
    longitude, latitude and pattern. The grid is that of such a file, or else has cells of `degrees` that
    cover the store.

    Args:
        first: path, or address of a store.
        second: the same.
        degrees: size of the cells.
        kind: what a pattern covers in a source that is a store.
        progress: called with the days done so far and in all, of each source that is a store.

    Raises:
        AtlasError: a source is none of these, or both are labels.
        DatasetError: the labels cannot be read.
    """
    gridded = {source: _open_gridded(Path(source)) for source in (first, second)}
    labels = [source for source in (first, second) if gridded[source] is None and _has_labels(source)]
    if len(labels) == 2:
        raise AtlasError(f"{first} and {second}: both are labels; compare one of them with an atlas")
    found: dict[str, Daily] = {}
    cells: Cells | None = None
    for source in sorted((first, second), key=lambda each: (gridded[each] is None, each in labels)):
        opened = gridded[source]
        if opened is not None:
            found[source] = _gridded(source, opened)
        elif source in labels and cells is not None:
            found[source] = _labelled(source, read_dataset(source), cells)
        else:
            found[source] = _measured(source, cells, degrees, kind, progress)
        cells = cells or found[source].cells
    return found[first], found[second]


def _has_labels(source: str) -> bool:
    return "://" not in source and any(Path(source).glob("train.csv*"))


def _measured(name: str, cells: Cells | None, degrees: float, kind: Kind, progress: Progress | None) -> Daily:
    atlas = open_atlas(name)
    longitudes, latitudes = (atlas[axis].values.astype(np.float64) for axis in ("lon", "lat"))
    measured = measure(atlas, cells or aligned(longitudes, latitudes, degrees), kind=kind, progress=progress)
    valid = measured.valid_shares.sum(axis=1, dtype=np.float64)[:, None]
    classes = measured.class_shares.sum(axis=1, dtype=np.float64)
    freq = np.divide(classes, valid, out=np.full_like(classes, np.nan), where=valid > 0)
    return Daily(name, measured.days, measured.classes, measured.cells, freq, kind)


def _open_gridded(path: Path) -> "xr.Dataset | None":
    """A summary or C3ONTEXT's level 3; None for anything else."""
    import xarray as xr

    try:
        if path.is_file():
            opened = xr.open_dataset(path, engine="h5netcdf")
        elif (path / "freq").is_dir():
            opened = xr.open_zarr(path, consolidated=False, chunks=None)
        else:
            return None
    except (ValueError, OSError) as error:
        raise AtlasError(f"{path}: neither NetCDF nor Zarr: {error}") from error
    if missing := {"date", "longitude", "latitude", "pattern"} - set(opened.get("freq", opened).dims):
        raise AtlasError(
            f"{path}: no variable freq over date, longitude, latitude, pattern: no {min(missing)}"
        )
    return opened


def _gridded(name: str, dataset: "xr.Dataset") -> Daily:
    field = (
        dataset["freq"]
        .transpose("date", "pattern", "latitude", "longitude")
        .sortby(["latitude", "longitude"])
    )
    longitudes, latitudes = (field[axis].values.astype(np.float64) for axis in ("longitude", "latitude"))
    if min(len(longitudes), len(latitudes)) < 2:
        raise AtlasError(f"{name}: fewer than two cells along an axis")
    classes = tuple(our_name(str(each)) for each in field["pattern"].values)
    cells = Cells(_edges(longitudes), _edges(latitudes))
    days = field["date"].values.astype("datetime64[D]")
    return Daily(name, days, classes, cells, field.values.astype(float), str(dataset.attrs.get("kind", "")))


def _edges(centres: NDArray[np.float64]) -> NDArray[np.float64]:
    middles = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middles[0]], middles, [2 * centres[-1] - middles[-1]]])


def _labelled(name: str, dataset: Dataset, cells: Cells) -> Daily:
    """Labels of the scenes whose day and bounds are known and that reach into the cells."""
    classes = (*dataset.patterns, UNCLASSIFIED)
    sums: dict[np.datetime64, NDArray[np.float64]] = {}
    for record in dataset.records:
        if record.day is None or record.bounds is None:
            continue
        height, width = (
            side / count
            for side, count in zip((record.bounds.height, record.bounds.width), SCORE_GRID, strict=True)
        )
        down, across = (np.arange(count, dtype=np.float64) + 0.5 for count in SCORE_GRID)
        latitudes, longitudes = record.bounds.north - height * down, record.bounds.west + width * across
        rows, columns = cells.along_latitude(latitudes), cells.along_longitude(longitudes)
        if not (rows.any() and columns.any()):
            continue
        valid = resize_mask(dataset.scene(record.image).read(SCORE_GRID).valid_mask, SCORE_GRID)
        masks = dataset.masks(record.image, SCORE_GRID) & valid
        sea = 1 - land_shares(longitudes, latitudes)  # as of an atlas
        planes = np.stack([valid, *masks, valid & ~masks.any(axis=0)]) * sea
        day = np.datetime64(record.day)
        sums[day] = sums.get(day, 0) + rows @ planes @ columns.T
    if not sums:
        raise AtlasError(f"{name}: no scene with day and bounds in scenes.csv reaches into the atlas")
    days = np.array(sorted(sums))
    areas = np.stack([sums[day] for day in days])
    valid_areas, parts = areas[:, :1], areas[:, 1:]
    freq = np.divide(parts, valid_areas, out=np.full_like(parts, np.nan), where=valid_areas > 0)
    return Daily(name, days, classes, cells, freq)
