"""Connected regions of a pattern as objects, and their outlines."""

from dataclasses import dataclass

import cv2
import numpy as np

from nephoscope.postprocess import Groups, Probability
from nephoscope.rle import Grid, Mask

Ring = list[tuple[float, float]]


@dataclass(frozen=True)
class Region:
    """One connected region of a pattern. Places are in the picture's pixels, from its top left corner.

    Attributes:
        pattern: the pattern's name.
        area: size in the picture's pixels.
        cover: its share of the scene's pixels with data, 0 to 1.
        box: left, top, right, bottom.
        centroid: x, y of its centre of mass.
        mean_probability: mean over its pixels, 0 to 1.
        outline: polygons, each a list of rings of (x, y) that do not repeat their first point: the outer
            edge first, then the holes.
    """

    pattern: str
    area: float
    cover: float
    box: tuple[float, float, float, float]
    centroid: tuple[float, float]
    mean_probability: float
    outline: list[list[Ring]]


def find_regions(
    pattern: str, groups: Groups, probability: Probability, valid: Mask, size: Grid
) -> list[Region]:
    """Describe every group of a pattern as a region, largest first.

    Args:
        pattern: the pattern's name.
        groups: numbered from 1, shape (height, width).
        probability: the same shape.
        valid: where there is data, the same shape.
        size: height and width of the picture whose pixels the regions count in.
    """
    count = int(groups.max())
    if not count:
        return []
    y_scale, x_scale = size[0] / groups.shape[0], size[1] / groups.shape[1]
    inside = groups > 0
    numbers = groups[inside]
    rows, columns = np.nonzero(inside)
    areas = np.bincount(numbers, minlength=count + 1)
    total_probability = np.bincount(numbers, probability[inside], count + 1)
    total_x, total_y = (
        np.bincount(numbers, columns + 0.5, count + 1),
        np.bincount(numbers, rows + 0.5, count + 1),
    )
    with_data = np.count_nonzero(valid)
    regions = []
    for number in range(1, count + 1):
        mask = groups == number
        left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
        inner = mask[top : top + height, left : left + width]  # where its outline is looked for
        area = int(areas[number])
        regions.append(
            Region(
                pattern=pattern,
                area=area * y_scale * x_scale,
                cover=area / with_data,
                box=(left * x_scale, top * y_scale, (left + width) * x_scale, (top + height) * y_scale),
                centroid=(float(total_x[number]) / area * x_scale, float(total_y[number]) / area * y_scale),
                mean_probability=float(total_probability[number] / area),
                outline=[
                    [[((x + left) * x_scale, (y + top) * y_scale) for x, y in ring] for ring in polygon]
                    for polygon in outline(inner)
                ],
            )
        )
    return regions


def outline(mask: Mask) -> list[list[Ring]]:
    """Trace the edges of a mask's pixels as polygons: each an outer ring, then its holes.

    Points are (x, y) in pixels from the top left corner, so a single pixel at the origin has the corners
    (0, 0), (1, 0), (1, 1), (0, 1).

    Args:
        mask: boolean, shape (height, width).
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
        ring = [(x / 2, y / 2) for x, y in contour[:, 0].tolist()]
        parent = int(hierarchy[0][index][3])
        polygons.setdefault(index if parent < 0 else parent, []).insert(0 if parent < 0 else 1, ring)
    return list(polygons.values())
