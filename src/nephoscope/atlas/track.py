"""Sample an atlas along a track: a ship's, an aircraft's, a drifting buoy's.

A satellite images a location at about the same hour of local solar time every day, by daylight. So a point is
looked up in the image of its day by local solar time, which is UTC shifted by an hour for every 15 degrees
of longitude, at the pixel it lies in. Of several satellites the one that passes nearest in time is taken. The
actual overpass may differ from the orbit's nominal time by up to an hour or so, with the position in the
swath and with the drift of ageing orbits.
"""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from nephoscope.atlas.cells import pixel_edges
from nephoscope.atlas.flags import FLAGS, NOT_SEGMENTED, UNCLASSIFIED, Flags, decode, patterns_of
from nephoscope.core.errors import AtlasError
from nephoscope.core.io import csv_text
from nephoscope.imagery.overpass_time import crossing_hour
from nephoscope.imagery.worldview import SATELLITES

if TYPE_CHECKING:
    import xarray as xr

NEEDED = ("time", "lon", "lat")

_MISSING = ("", "nan", "nat")  # as instruments and pandas write missing values
_EPOCH = datetime(1970, 1, 1)  # stands for an unknown time
_LISTED = 5  # wrong rows that a message lists


@dataclass(frozen=True)
class Track:
    """Points in time and space.

    Attributes:
        columns, rows: of the file, unchanged.
        times: in UTC, shape (points,), datetime64[s].
        longitudes, latitudes: degrees, shape (points,); NaN where a row lacks time or location.
        name: of the file, for messages.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    times: NDArray[np.datetime64]
    longitudes: NDArray[np.float64]
    latitudes: NDArray[np.float64]
    name: str = "track"


def read_track(path: Path) -> Track:
    """Read a track: a CSV with columns `time` (ISO 8601, in UTC unless a zone is given), `lon` and `lat`.

    Raises:
        AtlasError: a column is missing, or rows are wrong; the message lists the first of them with their
            lines.
        OSError: the file cannot be read.
    """
    rows: list[tuple[str, ...]] = []
    points: list[tuple[datetime, float, float]] = []
    wrong: list[str] = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = csv.reader(file)
            columns = tuple(name.strip() for name in next(lines, []))
            if missing := [name for name in NEEDED if name not in columns]:
                raise AtlasError(f"{path}: no column {', '.join(missing)}; the first line must name them")
            needed = [columns.index(name) for name in NEEDED]
            for row in filter(None, lines):
                try:
                    points.append(_parse_point(row, needed, len(columns)))
                    rows.append(tuple(row))
                except AtlasError as error:
                    wrong.append(f"line {lines.line_num}: {error}")
    except (UnicodeDecodeError, csv.Error) as error:
        raise AtlasError(f"{path}: not a CSV file: {error}") from error
    if wrong:
        more = f"; and {len(wrong) - _LISTED:,} more" if len(wrong) > _LISTED else ""
        raise AtlasError(f"{path}: {'; '.join(wrong[:_LISTED])}{more}")
    times = np.array([time for time, _, _ in points], "datetime64[s]")
    locations = np.array([location for _, *location in points]).reshape(-1, 2)
    return Track(columns, tuple(rows), times, locations[:, 0], locations[:, 1], str(path))


def sample(atlas: "xr.Dataset", track: Track, overpass: Literal["nearest", "each"] = "nearest") -> str:
    """Sample the atlas at every point of a track, as CSV: the track's columns, then those of the atlas.

    `satellite` names the satellite of the image (empty where the row lacks time or location); `hours` is how
    long after its overpass the point was (negative: before); each pattern and `Unclassified` is 1 or 0, or
    empty for the reason in `reason`. A point has one row, of the satellite that passes nearest in time, or a
    row for each satellite. Only the scenes that hold points are read.

    Raises:
        AtlasError: the overpass time of a satellite is unknown, or the track has a column that is added.
    """
    patterns = patterns_of(atlas[FLAGS])
    added = ("satellite", "hours", *patterns, UNCLASSIFIED, "reason")
    if taken := [name for name in added if name in track.columns]:
        raise AtlasError(f"{track.name}: has a column {', '.join(taken)}, which sampling adds; rename it")
    satellites = [str(name) for name in atlas["satellite"].values]
    crossings = {name: crossing_hour(name) for name in satellites}
    if unknown := [name for name, hour in crossings.items() if hour is None]:
        known = [name for name in SATELLITES if crossing_hour(name) is not None]
        raise AtlasError(f"unknown overpass time of {unknown[0]!r}; available: {', '.join(known)}")
    # Local solar time
    east = (np.nan_to_num(track.longitudes) + 180) % 360 - 180
    local = np.asarray(track.times + np.round(east * 240).astype("timedelta64[s]"))
    days = local.astype("datetime64[D]")
    since_midnight = (local - days).astype(np.float64) / 3600
    hours = since_midnight[:, None] - np.array([crossings[name] for name in satellites], np.float64)
    nearest = np.abs(hours).argmin(axis=1)
    reasons, flags = _look_up(atlas, track, days)
    decoded = decode(flags, len(patterns))
    classes = (*decoded.present, decoded.unclassified)
    classes = (*decoded.present, decoded.unclassified)
    rows: list[list[object]] = []
    nothing = [""] * (len(patterns) + 1)
    for number, row in enumerate(track.rows):
        if np.isnan(track.longitudes[number]):
            rows.append([*row, "", "", *nothing, "no position"])
            continue
        for which in range(len(satellites)) if overpass == "each" else [nearest[number]]:
            point = number, which
            reason = reasons[number]
            if not reason and not decoded.valid[point]:
                reason = "not segmented" if decoded.not_segmented[point] else "no data"
            values = nothing if reason else [int(mask[point]) for mask in classes]
            rows.append([*row, satellites[which], f"{hours[point]:.2f}", *values, reason])
    return csv_text([*track.columns, *added], rows)


def _parse_point(row: Sequence[str], needed: Sequence[int], columns: int) -> tuple[datetime, float, float]:
    """Time without zone, in UTC, longitude and latitude; these are NaN where any of the three is missing."""
    if len(row) != columns:
        raise AtlasError(f"{len(row)} values for {columns} columns")
    time, longitude, latitude = (row[index].strip() for index in needed)
    if any(word.lower() in _MISSING for word in (time, longitude, latitude)):
        return _EPOCH, math.nan, math.nan
    try:
        moment = datetime.fromisoformat(time)
        if moment.tzinfo is not None:
            moment = moment.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise AtlasError(f"invalid time {time!r}; give it as 2020-02-01T14:30:00") from None
    try:
        location = float(longitude), float(latitude)
    except ValueError:
        raise AtlasError(f"{longitude!r}, {latitude!r}: not a longitude and a latitude in degrees") from None
    if not (-180 <= location[0] <= 360 and -90 <= location[1] <= 90):
        raise AtlasError(f"{longitude}, {latitude}: lon must be from -180 to 360, lat from -90 to 90")
    return (moment, *location)


def _look_up(atlas: "xr.Dataset", track: Track, days: NDArray[np.datetime64]) -> tuple[list[str], Flags]:
    """Why a point is outside the atlas, else empty; flags of each satellite, shape (points, satellites)."""
    import xarray as xr

    flags = atlas[FLAGS]
    west_to_east = pixel_edges(flags["lon"].values.astype(np.float64))
    north_to_south = -pixel_edges(flags["lat"].values.astype(np.float64))
    east = west_to_east[0] + (track.longitudes - west_to_east[0]) % 360
    columns = np.searchsorted(west_to_east, east, side="right") - 1
    rows = np.searchsorted(north_to_south, -track.latitudes, side="right") - 1
    days_of_atlas = flags["time"].values.astype("datetime64[D]")
    times = np.clip(np.searchsorted(days_of_atlas, days), 0, len(days_of_atlas) - 1)
    in_region = (columns < flags.sizes["lon"]) & (rows >= 0) & (rows < flags.sizes["lat"])
    in_period = days_of_atlas[times] == days
    inside = np.flatnonzero(in_region & in_period)
    sampled = np.full((len(days), flags.sizes["satellite"]), NOT_SEGMENTED, np.uint8)
    if len(inside):
        indices = {"time": times[inside], "lat": rows[inside], "lon": columns[inside]}
        points = {name: xr.DataArray(values, dims="point") for name, values in indices.items()}
        sampled[inside] = flags.isel(points).transpose("point", "satellite").values
    outside = ["outside the atlas's region", "outside the atlas's days"]
    return np.select([~in_region, ~in_period], outside, "").tolist(), sampled
