"""Regions of a pattern: area, centroid and outline of each component."""

from dataclasses import dataclass

import cv2
import numpy as np

from nephoscope.core.types import ComponentLabels, GridShape, Mask, Probabilities

Ring = list[tuple[float, float]]

_DIGITS = 4  # after the point, of coordinates: a fraction of any pixel


@dataclass(frozen=True)
class Region:
    """One connected region of a pattern. Coordinates are in the picture's pixels, from its top left corner.

    The outline is polygons, each a list of rings of (x, y) that do not repeat their first point: the outer
    edge first, then the holes.
    """

    pattern: str
    area: float  # in the picture's pixels
    area_fraction: float  # of the scene's pixels with data, 0 to 1
    box: tuple[float, float, float, float]  # left, top, right, bottom
    centroid: tuple[float, float]  # x, y of its centre of mass
    mean_probability: float  # over its pixels, 0 to 1
    outline: list[list[Ring]]


def find_regions(
    pattern: str, components: ComponentLabels, probability: Probabilities, valid_mask: Mask, size: GridShape
) -> list[Region]:
    """Describe every component of a pattern as a region, in their order.

    Components are numbered from 1; all arrays have one shape (height, width), the picture another `size`.
    """
    count = int(components.max())
    if not count:
        return []
    y_scale, x_scale = size[0] / components.shape[0], size[1] / components.shape[1]
    with_data = int(np.count_nonzero(valid_mask))
    regions = []
    for number in range(1, count + 1):
        mask = (components == number).view(np.uint8)
        left, top, width, height = cv2.boundingRect(mask)
        window = np.s_[top : top + height, left : left + width]
        inner = mask[window]
        moments = cv2.moments(inner, binaryImage=True)
        area = moments["m00"]
        # Moments are relative to the centre of the first pixel.
        x, y = moments["m10"] / area + left + 0.5, moments["m01"] / area + top + 0.5
        regions.append(
            Region(
                pattern=pattern,
                area=area * y_scale * x_scale,
                area_fraction=area / with_data,
                box=(left * x_scale, top * y_scale, (left + width) * x_scale, (top + height) * y_scale),
                centroid=(x * x_scale, y * y_scale),
                mean_probability=cv2.mean(probability[window], inner)[0],
                outline=outline(inner.view(np.bool_), (left, top), (x_scale, y_scale)),
            )
        )
    return regions


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
        ring = [(x, y) for x, y in np.round((contour[:, 0] / 2 + corner) * scale, _DIGITS).tolist()]
        parent = int(hierarchy[0][index][3])
        polygons.setdefault(index if parent < 0 else parent, []).insert(0 if parent < 0 else 1, ring)
    return list(polygons.values())
