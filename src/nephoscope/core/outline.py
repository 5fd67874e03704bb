"""Outlines of masks: polygons in pixels, and in degrees by RFC 7946 (GeoJSON)."""

from math import ceil, floor
from typing import Any

import cv2
import numpy as np

from nephoscope.core.geo import Bounds
from nephoscope.core.types import Mask

Ring = list[tuple[float, float]]

_PIXEL_DIGITS = 4  # after the point: a fraction of any pixel
_DEGREE_DIGITS = 6  # after the point: a tenth of a metre


def outline(
    mask: Mask, corner: tuple[int, int] = (0, 0), scale: tuple[float, float] = (1.0, 1.0)
) -> list[list[Ring]]:
    """Trace the edges of a mask's pixels as polygons: each an outer ring, then its holes.

    Points are (x, y) in pixels from the top left corner, so a single pixel at the origin has the corners
    (0, 0), (1, 0), (1, 1), (0, 1).

    Args:
        mask: boolean, shape (height, width).
        corner: x, y of the mask's own top left corner.
        scale: factors of x and y.
    """
    height, width = mask.shape
    # OpenCV traces pixel centres. On a grid twice as fine, where each pixel spreads over its own corners,
    # those centres are the corners: even coordinates.
    corners = np.zeros((2 * height + 1, 2 * width + 1), np.uint8)
    corners[1::2, 1::2] = mask
    corners = cv2.dilate(corners, np.ones((3, 3), np.uint8))
    contours, hierarchy = cv2.findContours(corners, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    polygons: dict[int, list[Ring]] = {}
    for index, contour in enumerate(contours):
        ring = [(x, y) for x, y in np.round((contour[:, 0] / 2 + corner) * scale, _PIXEL_DIGITS).tolist()]
        parent = int(hierarchy[0][index][3])
        polygons.setdefault(index if parent < 0 else parent, []).insert(0 if parent < 0 else 1, ring)
    return list(polygons.values())


def geometry(mask: Mask, bounds: Bounds) -> dict[str, Any]:
    """A GeoJSON geometry of a mask, cut where it crosses the antimeridian.

    Args:
        mask: boolean, shape (height, width).
        bounds: of the mask's whole grid.
    """
    polygons = [
        [_closed(ring, hole=bool(index)) for index, ring in enumerate(polygon)]
        for polygon in _polygons(mask, bounds)
    ]
    if len(polygons) == 1:
        return {"type": "Polygon", "coordinates": polygons[0]}
    return {"type": "MultiPolygon", "coordinates": polygons}


def bounding_box(bounds: Bounds) -> list[float]:
    """A GeoJSON bounding box: west, south, east, north; east is less than west across the antimeridian."""
    if bounds.width >= 360:
        return [-180.0, _rounded(bounds.south), 180.0, _rounded(bounds.north)]
    west, south, east, north = map(_rounded, bounds)
    west, east = (-180.0 if west == 180 else west), (180.0 if east == -180 else east)
    return [west, south, east, north]


def _polygons(mask: Mask, bounds: Bounds) -> list[list[Ring]]:
    """Outlines in degrees, cut where they cross the antimeridian."""
    height, width = mask.shape
    # Column of the antimeridian; rounded, so that a seam on a pixel's edge cuts no sliver off the pixel.
    seam = round((180 - bounds.west) / bounds.width * width, 6)

    def placed(part: Mask, least: float, most: float, turn: float) -> list[list[Ring]]:
        def point(x: float, y: float) -> tuple[float, float]:
            longitude = bounds.west + min(max(x, least), most) / width * bounds.width - turn
            return longitude, bounds.north - y / height * bounds.height

        return [[[point(x, y) for x, y in ring] for ring in polygon] for polygon in outline(part)]

    if seam >= width:
        return placed(mask, 0, width, 0)
    # The column on the antimeridian belongs to both sides, and its outline ends at it on each.
    columns = np.arange(width)
    west, east = mask & (columns < ceil(seam)), mask & (columns >= floor(seam))
    return placed(west, 0, seam, 0) + placed(east, seam, width, 360)


def _closed(ring: Ring, hole: bool) -> list[list[float]]:
    """A ring that ends where it began; counter-clockwise, or clockwise around a hole."""
    points = [[_rounded(x), _rounded(y)] for x, y in ring]
    x, y = np.array(ring).T
    doubled_area = float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))
    if (doubled_area > 0) == hole:
        points.reverse()
    return [*points, points[0]]


def _rounded(degrees: float) -> float:
    return round(float(degrees), _DEGREE_DIGITS)
