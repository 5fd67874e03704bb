"""Land: its outlines, and how much of each pixel of a grid it covers.

The outlines are those of Natural Earth at 1:50 million, down to islands such as Barbados. They are
simplified: a coast may be off by a kilometre or two. Lakes count as land. Antarctica is not among them.
"""

from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nephoscope.atlas.cells import Degrees, pixel_edges

FILE = Path(__file__).with_name("coastline.npz")
STEP = 0.01  # degrees, of the outlines

_FINER = (
    4  # lines and columns of points in a pixel; 0.01° apart in a store's pixels, as exact as the outlines
)
_LINES = 256  # of pixels, rasterised at a time


@cache
def outlines() -> tuple[NDArray[np.float64], ...]:
    """Rings around land: longitude and latitude in degrees, each of shape (points, 2).

    A ring across the antimeridian goes on past 180 or -180 degrees.

    Source: Natural Earth 4.1.0, public domain, naturalearthdata.com; rounded to 0.01°, without lakes and
    Antarctica. `scripts/store_coastline.py` made the file.
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


def land_shares(longitudes: Degrees, latitudes: Degrees) -> NDArray[np.float32]:
    """Share of each pixel that is land, from 0 to 1, shape (latitudes, longitudes).

    Longitudes (ascending) and latitudes (in either order) are centres of evenly spaced pixels. The shares are
    counted at 4 x 4 points of each pixel. The last grid is kept in memory.
    """
    across, down = pixel_edges(longitudes), pixel_edges(latitudes)
    return _land_shares(
        (float(across[0]), float(across[-1]), len(longitudes)),
        (float(down[0]), float(down[-1]), len(latitudes)),
    )


@lru_cache(maxsize=1)
def _land_shares(across: tuple[float, float, int], down: tuple[float, float, int]) -> NDArray[np.float32]:
    """Shares of a grid by its first and last edge and the number of its pixels."""
    from rasterio.features import rasterize
    from rasterio.transform import Affine

    west, east, columns = across
    first, last, lines = down
    width, height = (east - west) / columns, (last - first) / lines
    shares = np.zeros((lines, columns), np.float32)
    for start in range(0, lines, _LINES):
        count = min(_LINES, lines - start)
        top, bottom = first + start * height, first + (start + count) * height
        rings = land((west, east), (min(top, bottom), max(top, bottom)))
        if rings:
            points: NDArray[np.uint8] = rasterize(
                [{"type": "Polygon", "coordinates": [ring.tolist()]} for ring in rings],
                (count * _FINER, columns * _FINER),
                transform=Affine(width / _FINER, 0, west, 0, height / _FINER, top),
                dtype="uint8",
            )
            counted = points.reshape(count, _FINER, columns, _FINER).sum(axis=(1, 3), dtype=np.uint8)
            shares[start : start + count] = counted / np.float32(_FINER**2)
    shares.setflags(write=False)
    return shares
