"""Masks of polygons: a pixel belongs to a polygon that contains its centre.

The inverse of `core.outline.outline`: filled, the outline of a mask is that mask to the pixel.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nephoscope.core.errors import LabelError
from nephoscope.core.types import Mask

Points = NDArray[np.float64]

_FARTHEST = 1e7  # of a coordinate in pixels, percent or degrees; farther points are no drawing
_CROSSINGS = 4_000_000  # of edges and rows in memory at once


def as_points(values: ArrayLike) -> Points:
    """The points of one ring, shape (points, 2): x, y.

    Raises:
        LabelError: fewer than three, or a coordinate is not a finite number, or far too large.
    """
    try:
        points = np.asarray(values, np.float64)
    except (ValueError, TypeError, OverflowError):
        raise LabelError("points that are not pairs of numbers") from None
    if points.ndim == 2 and points.shape[1] == 3:
        points = points[:, :2]  # GeoJSON allows a height
    if points.size and (points.ndim != 2 or points.shape[1] != 2):
        raise LabelError("points that are not pairs of numbers")
    if not np.isfinite(points).all():
        raise LabelError("a point that is not finite")
    if points.size and np.abs(points).max() > _FARTHEST:
        raise LabelError("a point far from the picture")
    if len(np.unique(points.reshape(-1, 2), axis=0)) < 3:
        raise LabelError("fewer than 3 points")
    return points


def fill(mask: Mask, rings: Sequence[Points], extent: tuple[float, float]) -> None:
    """Add a polygon to a mask: its outer ring, without its holes.

    Args:
        mask: of the whole picture, changed in place.
        rings: each of shape (points, 2), x and y from the picture's top left corner; closed or not.
        extent: width and height of the picture in the unit of the points.
    """
    height, width = mask.shape
    edges = np.concatenate([_edges(ring * (np.array([width, height]) / extent)) for ring in rings])
    # Row y lies between the ends of an edge where y + 0.5 does.
    first, end = np.clip(np.ceil(np.sort(edges[:, 1::2], axis=1) - 0.5), 0, height).astype(np.int64).T
    crossed = np.flatnonzero(end > first)
    left, right = np.clip((edges[:, ::2].min() - 1, edges[:, ::2].max() + 1), 0, width).astype(np.int64)
    if not len(crossed) or left == right:
        return
    edges, first, counts = edges[crossed], first[crossed], (end - first)[crossed]
    top, bottom = int(first.min()), int((first + counts).max())
    changes = np.zeros((bottom - top, right - left + 1), np.uint8)
    for part in np.split(np.arange(len(edges)), np.flatnonzero(np.diff(np.cumsum(counts) // _CROSSINGS)) + 1):
        rows, columns = _crossings(edges[part], first[part], counts[part])
        np.add.at(changes, (rows - top, np.clip(columns, left, right) - left), np.uint8(1))
    # An odd number of edges to the left: inside. Sums wrap at 256, which keeps them odd or even.
    inside = np.cumsum(changes[:, :-1], axis=1, dtype=np.uint8) & 1
    mask[top:bottom, left:right] |= inside.view(np.bool_)


def rectangle(left: float, top: float, width: float, height: float, rotation: float = 0.0) -> Points:
    """Corners of a rectangle, turned clockwise around its top left corner by degrees, shape (4, 2).

    Raises:
        LabelError: as `as_points`; a rectangle without an area has fewer than three corners.
    """
    for number in (left, top, width, height, rotation):
        if not abs(number) <= _FARTHEST:
            raise LabelError(f"a rectangle far from the picture: {number:g}")
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float64)
    if rotation:
        cosine, sine = np.cos(np.radians(rotation)), np.sin(np.radians(rotation))
        corners = corners @ np.array([(cosine, sine), (-sine, cosine)])
    return as_points(corners + np.array([left, top]))


def _edges(ring: Points) -> Points:
    """Edges of a closed ring: x, y of both ends, shape (points, 4)."""
    return np.column_stack((ring, np.roll(ring, -1, axis=0)))


def _crossings(
    edges: Points, first: NDArray[np.int64], counts: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows whose centres edges cross, and the first column of each whose centre lies to the right."""
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    rows = np.repeat(first, counts) + np.arange(len(starts)) - starts
    x0, y0, x1, y1 = np.repeat(edges, counts, axis=0).T
    x = x0 + (rows + 0.5 - y0) / (y1 - y0) * (x1 - x0)
    return rows, np.ceil(x - 0.5).astype(np.int64)
