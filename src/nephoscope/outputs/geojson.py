"""`geojson`: every region as a feature with its outline in longitude and latitude.

Source: RFC 7946; colours by the simplestyle specification 1.1, which many maps follow.
"""

import json
from typing import Any

from nephoscope.core.outline import bounding_box
from nephoscope.inference.segmentation import Segmentation
from nephoscope.outputs.format import Format, Web
from nephoscope.outputs.metadata import attributes, require_bounds


def render(segmentation: Segmentation) -> list[bytes]:
    """Render a FeatureCollection as JSON.

    Raises:
        SceneError: the bounds are not known.
    """
    return [(json.dumps(feature_collection(segmentation), ensure_ascii=False) + "\n").encode()]


def feature_collection(segmentation: Segmentation) -> dict[str, Any]:
    """Make a FeatureCollection of plain values, its features in the order of `Segmentation.regions`.

    Raises:
        SceneError: the bounds are not known.
    """
    bounds, scene = require_bounds(segmentation.scene), segmentation.scene
    colours = {pattern.name: pattern.hex_colour for pattern in segmentation.card.styled_patterns}
    features = [region.__geo_interface__ for region in segmentation.regions]
    for feature in features:
        colour = colours[feature["properties"]["pattern"]]
        feature["properties"] |= {
            "scene": scene.name,
            "date": scene.day.isoformat() if scene.day else None,
            "satellite": scene.satellite,
            "stroke": colour,
            "fill": colour,
            "fill-opacity": 0.3,
        }
    return {
        "type": "FeatureCollection",
        "bbox": bounding_box(bounds),
        "features": features,
        "provenance": attributes(segmentation) | {"rules": segmentation.card.rules_in_words},
    }


FORMAT = Format(
    name="geojson",
    description="Every region in longitude and latitude",
    media_type="application/geo+json",
    render=render,
    endings=(".geojson",),
    needs=("place",),
    web=Web(label="Outlines", kind="GeoJSON"),
)
