"""Regions of a pattern: area, centroid and outline of each component, in pixels and in degrees."""

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from nephoscope.core.errors import SceneError
from nephoscope.core.geo import Bounds, area_km2, edges, wrapped
from nephoscope.core.outline import Ring, bounding_box, geometry, outline
from nephoscope.core.types import ComponentLabels, GridShape, Mask, Probabilities


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
    mask: Mask = field(compare=False)  # of its box, on the grid of the rules
    bounds: Bounds | None  # of its box in degrees; None where the scene's location is unknown

    def __repr__(self) -> str:
        x, y = self.centroid
        return f"<Region of {self.pattern}: {self.area_fraction:.1%} of the scene around ({x:.0f}, {y:.0f})>"

    @property
    def area_km2(self) -> float | None:
        """Area on the sphere in km²; None where the scene's location is unknown."""
        return None if self.bounds is None else area_km2(self.mask, self.bounds)

    @property
    def longitude(self) -> float | None:
        """Longitude of the centroid, from -180 to 180 degrees; None where the location is unknown."""
        if self.bounds is None:
            return None
        left, _, right, _ = self.box
        return wrapped(self.bounds.west + (self.centroid[0] - left) / (right - left) * self.bounds.width)

    @property
    def latitude(self) -> float | None:
        """Latitude of the centroid in degrees; None where the scene's location is unknown."""
        if self.bounds is None:
            return None
        _, top, _, bottom = self.box
        return self.bounds.north - (self.centroid[1] - top) / (bottom - top) * self.bounds.height

    @property
    def __geo_interface__(self) -> dict[str, Any]:
        """The region as a GeoJSON feature, in degrees: for shapely, geopandas and others.

        Source: RFC 7946.

        Raises:
            SceneError: the scene's location is unknown.
        """
        if self.bounds is None:
            raise SceneError(
                f"{self!r}: unknown location; state it by the argument `bounds` of nephoscope.segment"
            )
        return {
            "type": "Feature",
            "bbox": bounding_box(self.bounds),
            "geometry": geometry(self.mask, self.bounds),
            "properties": {
                "pattern": self.pattern,
                "area_km2": round(area_km2(self.mask, self.bounds), 1),
                "cover": round(self.area_fraction, 4),
                "mean_probability": round(self.mean_probability, 4),
            },
        }


def find_regions(
    pattern: str,
    components: ComponentLabels,
    probability: Probabilities,
    valid_mask: Mask,
    size: GridShape,
    bounds: Bounds | None = None,
) -> list[Region]:
    """Describe every component of a pattern as a region, in their order.

    Components are numbered from 1; all arrays have one shape (height, width), the picture another `size`.
    """
    count = int(components.max())
    if not count:
        return []
    rows, columns = components.shape
    y_scale, x_scale = size[0] / rows, size[1] / columns
    with_data = int(np.count_nonzero(valid_mask))
    regions = []
    for number in range(1, count + 1):
        mask = (components == number).view(np.uint8)
        left, top, width, height = cv2.boundingRect(mask)
        window = np.s_[top : top + height, left : left + width]
        inner = mask[window].copy()
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
                mask=inner.view(np.bool_),
                bounds=bounds and _part(bounds, (rows, columns), window),
            )
        )
    return regions


def _part(bounds: Bounds, grid: GridShape, window: tuple[slice, slice]) -> Bounds:
    """Bounds of a window of a grid that has these bounds."""
    longitudes, latitudes = edges(bounds, grid)
    rows, columns = window
    west, east = (wrapped(float(longitudes[edge])) for edge in (columns.start, columns.stop))
    north, south = (float(latitudes[edge]) for edge in (rows.start, rows.stop))
    return Bounds(west, south, 180.0 if east == -180 else east, north)
