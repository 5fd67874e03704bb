"""Nominal times of overpasses.

A satellite in a sun-synchronous orbit images a location at about the same hour of local solar time every day,
by daylight. Local solar time is UTC shifted by an hour for every 15 degrees of longitude.
"""

from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from nephoscope.core.geo import Bounds
from nephoscope.imagery.worldview import SATELLITES

_EITHER_WAY = timedelta(hours=1)
"""How far an overpass may be from the nominal time, by the position in the swath and the drift of orbits."""


class OverpassTime(NamedTuple):
    """When a satellite passed over a box, in UTC: the nominal time at its middle, and the time's limits."""

    nominal: datetime
    earliest: datetime
    latest: datetime


def crossing_hour(satellite: str) -> float | None:
    """The hour of local solar time at which a satellite crosses the equator by day; None where unknown."""
    known = SATELLITES.get(satellite)
    return known.crossing if known else None


def overpass_time(satellite: str, day: date, bounds: Bounds) -> OverpassTime | None:
    """When a satellite passed over a box on a day of local solar time; None for an unknown satellite."""
    hour = crossing_hour(satellite)
    if hour is None:
        return None
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(hours=hour)
    west, middle, east = (
        begin - timedelta(minutes=round(4 * (bounds.west + part * bounds.width))) for part in (0, 0.5, 1)
    )
    return OverpassTime(middle, east - _EITHER_WAY, west + _EITHER_WAY)
