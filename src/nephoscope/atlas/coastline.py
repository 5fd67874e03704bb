"""Outlines of land for maps, without a network: at 1:50 million, down to islands such as Barbados.

Source: Natural Earth 4.1.0, public domain, naturalearthdata.com; rounded to 0.01°, without lakes and
Antarctica. `scripts/store_coastline.py` made the file.
"""

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FILE = Path(__file__).with_name("coastline.npz")
STEP = 0.01  # degrees


@cache
def outlines() -> tuple[NDArray[np.float64], ...]:
    """Rings around land: longitude and latitude in degrees, each of shape (points, 2).

    A ring across the antimeridian goes on past 180 or -180 degrees.
    """
    with np.load(FILE) as stored:
        points = np.cumsum(stored["differences"], axis=0, dtype=np.int16) * STEP  # wraps on purpose
        return tuple(np.split(points, np.cumsum(stored["lengths"], dtype=np.int64)[:-1]))


def land(
    longitudes: tuple[float, float], latitudes: tuple[float, float] = (-90, 90)
) -> list[NDArray[np.float64]]:
    """The rings that reach into a box, shifted by multiples of 360 degrees into it.

    Longitudes are west and east in degrees; east is more than west and may exceed 180.
    """
    west, east = longitudes
    south, north = latitudes
    rings = []
    for ring in outlines():
        (left, low), (right, high) = ring.min(axis=0), ring.max(axis=0)
        if low <= north and high >= south:
            turns = range(int(np.ceil((west - right) / 360)), int(np.floor((east - left) / 360)) + 1)
            rings += [ring + np.array([360 * turn, 0]) for turn in turns]
    return rings
