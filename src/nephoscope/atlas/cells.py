"""Cells of a longitude-latitude grid, and how much of each the atlas's pixels cover.

A pixel that lies across cells counts in each of them by its area there, on the sphere. Such an area is a
product of a share along latitude and one along longitude, so two small matrices give it exactly.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nephoscope.core.errors import AtlasError
from nephoscope.core.geo import Bounds, wrapped

Degrees = NDArray[np.float64]
Shares = NDArray[np.float64]

_FINEST, _COARSEST = 0.1, 45.0  # degrees; patterns are hundreds of km wide
_ROUND = 6  # decimals of a degree, 0.1 m: edges that should meet do


@dataclass(frozen=True, eq=False)
class Cells:
    """Boxes between lines of longitude and lines of latitude.

    Attributes:
        longitudes: edges in degrees, ascending, shape (columns + 1,); may exceed 180.
        latitudes: edges in degrees, ascending, shape (rows + 1,).
    """

    longitudes: Degrees
    latitudes: Degrees

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self.latitudes) - 1, len(self.longitudes) - 1

    @property
    def areas(self) -> NDArray[np.float64]:
        """Of each cell on a sphere of radius 1, shape (rows, columns)."""
        return np.outer(np.diff(_sines(self.latitudes)), np.diff(np.radians(self.longitudes)))

    @property
    def extent(self) -> Bounds:
        """From the first edges to the last."""
        (west, east), (south, north) = (
            edges[[0, -1]].tolist() for edges in (self.longitudes, self.latitudes)
        )
        return Bounds(wrapped(west), south, 180.0 if east == 180 else wrapped(east), north)

    def along_latitude(self, centres: Degrees, region: Bounds | None = None) -> Shares:
        """Share of each row's extent that each line of pixels covers, shape (rows, pixels).

        The pixels are evenly spaced, in either order. Of pixels that a region cuts, only the part inside
        counts.
        """
        rows = _sines(self.latitudes)
        return _overlaps(rows, _sines(_latitude_edges(centres, region))) / np.diff(rows)[:, None]

    def along_longitude(self, centres: Degrees, region: Bounds | None = None) -> Shares:
        """Share of each column's extent that each column of pixels covers, shape (columns, pixels).

        As `along_latitude`. The pixels ascend. Longitudes that differ by 360 degrees are the same.
        """
        edges = _longitude_edges(centres, region)
        turns = sum(_overlaps(self.longitudes, edges + turn) for turn in (-360.0, 0.0, 360.0))
        return np.asarray(turns / np.diff(self.longitudes)[:, None])


def aligned(longitudes: Degrees, latitudes: Degrees, size: float, region: Bounds | None = None) -> Cells:
    """The cells at whole multiples of a size in degrees that the atlas, or a region of it, reaches into.

    Longitudes (ascending) and latitudes (in either order) are the centres of the atlas's pixels.

    Raises:
        AtlasError: the size is too fine or too coarse.
    """
    if not _FINEST <= size <= _COARSEST:
        raise AtlasError(f"cells must have {_FINEST:g} to {_COARSEST:g} degrees, got {size:g}")
    west, east = _longitude_edges(longitudes, region)[[0, -1]]
    south, north = np.sort(_latitude_edges(latitudes, region)[[0, -1]])
    columns = _multiples(west, east, size)
    around = columns[0] + 360
    if columns[-1] > around:  # the last cell ends where the first begins
        columns = np.append(columns[columns < around], around)
    return Cells(columns, np.clip(_multiples(south, north, size), -90, 90))


def extent(longitudes: Degrees, latitudes: Degrees) -> Bounds:
    """The bounds of a grid by the centres of its pixels, in either order of latitudes."""
    return Cells(pixel_edges(longitudes), np.sort(pixel_edges(latitudes))).extent


def box(bounds: Bounds) -> Cells:
    """A box as the only cell of a grid."""
    west, south, _, north = bounds
    return Cells(np.array([west, west + bounds.width]), np.array([south, north]))


def pixel_edges(centres: Degrees) -> Degrees:
    """Edges of two or more (else `AtlasError`) evenly spaced pixels, in their order, shape (pixels + 1,)."""
    if len(centres) < 2:
        raise AtlasError("the atlas must have at least 2 x 2 pixels")
    step = (centres[-1] - centres[0]) / (len(centres) - 1)
    return np.asarray(np.round(centres[0] + step * (np.arange(len(centres) + 1) - 0.5), _ROUND))


def _latitude_edges(centres: Degrees, region: Bounds | None) -> Degrees:
    """Edges of the pixels' parts inside a region; pixels outside have no extent."""
    edges = pixel_edges(centres)
    return np.clip(edges, region.south, region.north) if region else edges


def _longitude_edges(centres: Degrees, region: Bounds | None) -> Degrees:
    edges = pixel_edges(centres)
    if region is None:
        return edges
    turns = [region.west + turn for turn in (-360.0, 0.0, 360.0)]
    west = max(turns, key=lambda west: min(west + region.width, edges[-1]) - max(west, edges[0]))
    return np.clip(edges, west, west + region.width)


def _multiples(low: float, high: float, size: float) -> Degrees:
    first, last = np.floor(round(low / size, _ROUND)), np.ceil(round(high / size, _ROUND))
    return np.round(np.arange(first, last + 1) * size, _ROUND)


def _sines(latitudes: Degrees) -> NDArray[np.float64]:
    return np.asarray(np.sin(np.radians(latitudes)))


def _overlaps(cells: NDArray[np.float64], pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Length that each cell (ascending edges) shares with each pixel (edges in either order)."""
    low, high = np.minimum(pixels[:-1], pixels[1:]), np.maximum(pixels[:-1], pixels[1:])
    shared = np.minimum(cells[1:, None], high) - np.maximum(cells[:-1, None], low)
    return np.asarray(np.clip(shared, 0, None))
