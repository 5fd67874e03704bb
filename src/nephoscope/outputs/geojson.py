"""`geojson`: every region as a feature with its outline in longitude and latitude.

Source: RFC 7946; colours by the simplestyle specification 1.1, which many maps follow.
"""

import json
from math import ceil, floor
from typing import Any

import numpy as np

from nephoscope.core.geo import Bounds, area_km2, edges
from nephoscope.core.types import Mask
from nephoscope.inference.regions import Ring, outline
from nephoscope.inference.segmentation import Segmentation
from nephoscope.outputs.format import Format, Web
from nephoscope.outputs.metadata import attributes, region_masks, require_bounds

_DIGITS = 6  # after the point: a tenth of a metre


def render(segmentation: Segmentation) -> list[bytes]:
    """Render a FeatureCollection, its features in the order of `Segmentation.regions`.

    Raises:
        SceneError: the bounds are not known.
    """
    bounds, scene = require_bounds(segmentation.scene), segmentation.scene
    colours = {pattern.name: pattern.hex_colour for pattern in segmentation.card.styled_patterns}
    features = [
        {
            "type": "Feature",
            "bbox": _box(*_extent(mask, bounds)),
            "geometry": _geometry(mask, bounds),
            "properties": {
                "pattern": region.pattern,
                "area_km2": round(area_km2(mask, bounds), 1),
                "cover": round(region.area_fraction, 4),
                "mean_probability": round(region.mean_probability, 4),
                "scene": scene.name,
                "date": scene.day.isoformat() if scene.day else None,
                "satellite": scene.satellite,
                "stroke": colours[region.pattern],
                "fill": colours[region.pattern],
                "fill-opacity": 0.3,
            },
        }
        for region, mask in region_masks(segmentation)
    ]
    content = {
        "type": "FeatureCollection",
        "bbox": _box(bounds.west, bounds.south, bounds.west + bounds.width, bounds.north),
        "features": features,
        "provenance": attributes(segmentation) | {"rules": segmentation.card.rules_in_words},
    }
    return [(json.dumps(content, ensure_ascii=False) + "\n").encode()]


def _geometry(mask: Mask, bounds: Bounds) -> dict[str, Any]:
    polygons = [
        [_closed(ring, hole=bool(index)) for index, ring in enumerate(polygon)]
        for polygon in _polygons(mask, bounds)
    ]
    if len(polygons) == 1:
        return {"type": "Polygon", "coordinates": polygons[0]}
    return {"type": "MultiPolygon", "coordinates": polygons}


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


def _extent(mask: Mask, bounds: Bounds) -> tuple[float, float, float, float]:
    """West, south, east, north of a mask; longitudes may exceed 180."""
    longitudes, latitudes = edges(bounds, (mask.shape[0], mask.shape[1]))
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return longitudes[columns[0]], latitudes[rows[-1] + 1], longitudes[columns[-1] + 1], latitudes[rows[0]]


def _box(west: float, south: float, east: float, north: float) -> list[float]:
    """A bounding box between -180 and 180; east is less than west where it crosses the antimeridian."""
    west, south, east, north = (_rounded(edge) for edge in (west, south, east, north))
    if east - west >= 360:
        west, east = -180.0, 180.0
    west, east = (west - 360 if west >= 180 else west), (east - 360 if east > 180 else east)
    return [_rounded(west), south, _rounded(east), north]


def _rounded(degrees: float) -> float:
    return round(float(degrees), _DIGITS)


FORMAT = Format(
    name="geojson",
    description="Every region in longitude and latitude",
    media_type="application/geo+json",
    render=render,
    endings=(".geojson",),
    needs=("place",),
    web=Web(label="Outlines", kind="GeoJSON"),
)
