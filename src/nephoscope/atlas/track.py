"""What the atlas says along a track: a ship's, an aircraft's, a drifting buoy's.

A satellite picture shows a place at about the same hour of local solar time every day, by daylight. So a
point is looked up in the picture of its day by local solar time, which is UTC moved by an hour for every 15
degrees of longitude, at the pixel it lies in. Of several satellites the one is taken that passes nearest in
time. The actual overpass may be up to an hour or so from the orbit's nominal time, by the place in the swath
and by the drift of ageing orbits.
"""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from nephoscope.atlas.cells import pixel_edges
from nephoscope.atlas.frequency import UNCLASSIFIED
from nephoscope.atlas.store import FLAGS, NO_DATA, NOT_YET
from nephoscope.core.errors import AtlasError
from nephoscope.core.patterns import DEFAULT_NAMES

if TYPE_CHECKING:
    import xarray as xr

CROSSINGS = {"Terra": 10.5, "Aqua": 13.5, "SNPP": 13.5, "NOAA20": 13.5, "NOAA21": 13.5}
"""Hour of local solar time at which each satellite crosses the equator by day, as its orbit was made to."""

NEEDED = ("time", "lon", "lat")
ADDED = ("satellite", "hours", *DEFAULT_NAMES, UNCLASSIFIED, "reason")

_MISSING = ("", "nan", "nat")  # as instruments and pandas leave gaps
_EPOCH = datetime(1970, 1, 1)  # stands where no time is known
_TOLD = 5  # wrong rows that a message names


@dataclass(frozen=True)
class Track:
    """Points in time and space.

    Attributes:
        columns: of the file, in its order.
        rows: of the file, as they were.
        times: in UTC, shape (points,), datetime64[s].
        longitudes: degrees, shape (points,); NaN where a row does not say when or where.
        latitudes: the same.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    times: NDArray[np.datetime64]
    longitudes: NDArray[np.float64]
    latitudes: NDArray[np.float64]


def read_track(path: Path) -> Track:
    """Read a track: a CSV with columns `time` (ISO 8601, in UTC unless it says otherwise), `lon` and `lat`.

    Raises:
        AtlasError: a column is missing or has a name that sampling adds, or rows are wrong; the message names
            the first of them with their lines.
        OSError: the file cannot be read.
    """
    rows: list[tuple[str, ...]] = []
    points: list[tuple[datetime, float, float]] = []
    wrong: list[str] = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = csv.reader(file)
            columns = tuple(name.strip() for name in next(lines, []))
            _check_columns(path, columns)
            where = [columns.index(name) for name in NEEDED]
            for row in lines:
                if not row:
                    continue
                try:
                    points.append(_point(row, where, len(columns)))
                    rows.append(tuple(row))
                except AtlasError as error:
                    wrong.append(f"line {lines.line_num}: {error}")
    except (UnicodeDecodeError, csv.Error) as error:
        raise AtlasError(f"{path}: not a CSV file: {error}") from error
    if wrong:
        more = f"; and {len(wrong) - _TOLD:,} more" if len(wrong) > _TOLD else ""
        raise AtlasError(f"{path}: {'; '.join(wrong[:_TOLD])}{more}")
    times = np.array([time for time, _, _ in points], "datetime64[s]")
    places = np.array([place for _, *place in points]).reshape(-1, 2)
    return Track(columns, tuple(rows), times, places[:, 0], places[:, 1])


def sample(atlas: "xr.Dataset", track: Track, overpass: Literal["nearest", "each"] = "nearest") -> str:
    """What the atlas says at every point of a track, as CSV: the track's own columns and those in `ADDED`.

    `satellite` says whose picture it was (empty where the row does not say when or where); `hours` how long
    after its overpass the point was (negative: before); each pattern and `Unclassified` is 1 or 0, or empty
    where `reason` says why. Only the scenes that hold points are read.

    Args:
        atlas: as `open_atlas` gives it.
        track: the points.
        overpass: one row a point, of the satellite that passes nearest in time; or one for each satellite.

    Raises:
        AtlasError: it is not known when one of the atlas's satellites passes.
    """
    satellites = [str(name) for name in atlas["satellite"].values]
    hours = np.stack([_hours_after(name, track) for name in satellites], axis=1)
    every = np.tile(np.arange(len(satellites)), (len(track.rows), 1))
    chosen = every if overpass == "each" else np.abs(hours).argmin(axis=1)[:, None]
    reasons, flags = _look_up(atlas, track)
    file = io.StringIO()
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow([*track.columns, *ADDED])
    for number, row in enumerate(track.rows):
        if np.isnan(track.longitudes[number]):
            rows.writerow([*row, "", "", *_answer("no position", NOT_YET)])
            continue
        for which in chosen[number]:
            found = _answer(reasons[number], int(flags[number, which]))
            rows.writerow([*row, satellites[which], f"{hours[number, which]:.2f}", *found])
    return file.getvalue()


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    if missing := [name for name in NEEDED if name not in columns]:
        raise AtlasError(f"{path}: no column {', '.join(missing)}; the first line names the columns")
    if taken := [name for name in ADDED if name in columns]:
        raise AtlasError(f"{path}: has a column {', '.join(taken)}, which sampling adds; rename it")


def _point(row: Sequence[str], where: Sequence[int], columns: int) -> tuple[datetime, float, float]:
    """Time without zone, in UTC, and place; NaN for a place where any of the three is missing.

    Raises:
        AtlasError: too few or too many values, not a time, or no place on Earth.
    """
    if len(row) != columns:
        raise AtlasError(f"{len(row)} values for {columns} columns")
    time, longitude, latitude = (row[index].strip() for index in where)
    if any(word.lower() in _MISSING for word in (time, longitude, latitude)):
        return _EPOCH, math.nan, math.nan
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:
        raise AtlasError(f"{time!r} is no time: give it as 2020-02-01T14:30:00") from None
    try:
        place = float(longitude), float(latitude)
    except ValueError:
        raise AtlasError(f"{longitude!r}, {latitude!r}: not a longitude and a latitude in degrees") from None
    if not (-180 <= place[0] <= 360 and -90 <= place[1] <= 90):
        raise AtlasError(f"{longitude}, {latitude}: no place on Earth: lon -180 to 360, lat -90 to 90")
    try:
        if moment.tzinfo is not None:
            moment = moment.astimezone(UTC).replace(tzinfo=None)
    except OverflowError:
        raise AtlasError(f"{time!r} is no time that there is in UTC") from None
    return (moment, *place)


def _local_time(track: Track) -> NDArray[np.datetime64]:
    """Local solar time of each point."""
    east = (np.nan_to_num(track.longitudes) + 180) % 360 - 180
    return np.asarray(track.times + np.round(east * 240).astype("timedelta64[s]"))


def _hours_after(satellite: str, track: Track) -> NDArray[np.float64]:
    """Hours from a satellite's overpass on the point's day to the point."""
    if satellite not in CROSSINGS:
        raise AtlasError(f"it is not known when {satellite} passes; known are {', '.join(CROSSINGS)}")
    local = _local_time(track)
    since_midnight = (local - local.astype("datetime64[D]")).astype(np.float64) / 3600
    return np.asarray(since_midnight - CROSSINGS[satellite])


def _look_up(atlas: "xr.Dataset", track: Track) -> tuple[list[str], NDArray[np.uint8]]:
    """Why a point is outside the atlas, else empty; flags of each satellite, shape (points, satellites)."""
    import xarray as xr

    flags = atlas[FLAGS]
    west_to_east = pixel_edges(flags["lon"].values.astype(np.float64))
    north_to_south = -pixel_edges(flags["lat"].values.astype(np.float64))
    east = west_to_east[0] + (track.longitudes - west_to_east[0]) % 360
    columns = np.searchsorted(west_to_east, east, side="right") - 1
    rows = np.searchsorted(north_to_south, -track.latitudes, side="right") - 1
    days = flags["time"].values.astype("datetime64[D]")
    own = _local_time(track).astype("datetime64[D]")
    times = np.clip(np.searchsorted(days, own), 0, len(days) - 1)
    placed = (columns < flags.sizes["lon"]) & (rows >= 0) & (rows < flags.sizes["lat"])
    dated = days[times] == own
    inside = np.flatnonzero(placed & dated)
    found = np.full((len(own), flags.sizes["satellite"]), NOT_YET, np.uint8)
    if len(inside):
        places = {"time": times[inside], "lat": rows[inside], "lon": columns[inside]}
        where = {name: xr.DataArray(indices, dims="point") for name, indices in places.items()}
        found[inside] = flags.isel(where).transpose("point", "satellite").values
    reasons = [
        "outside the atlas's region" if not here else "" if now else "outside the atlas's days"
        for here, now in zip(placed, dated, strict=True)
    ]
    return reasons, found


def _answer(reason: str, flags: int) -> Sequence[str | int]:
    if not reason and flags & NO_DATA:
        reason = "not segmented" if flags == NOT_YET else "no data"
    if reason:
        return [""] * (len(DEFAULT_NAMES) + 1) + [reason]
    present = [flags >> index & 1 for index in range(len(DEFAULT_NAMES))]
    return [*present, int(not any(present)), ""]
