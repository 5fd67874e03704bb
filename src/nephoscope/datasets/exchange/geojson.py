"""`geojson` and `geojson-pixels`: outlines as features, in degrees by RFC 7946, or in pixels of the picture.

A feature's class is its property `pattern`, its picture `scene`, the person `annotator`. Features without
`scene` belong to the picture that the file is named after.
"""

import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nephoscope.core.errors import LabelError
from nephoscope.core.geo import Bounds
from nephoscope.core.outline import bounding_box, geometry, outline
from nephoscope.core.types import LABEL_GRID
from nephoscope.datasets.exchange.drawing import Drawing, Picture, stated_canvas
from nephoscope.datasets.exchange.format import LabelFormat
from nephoscope.datasets.exchange.pictures import plain_name
from nephoscope.datasets.exchange.polygons import Points, as_points, fill
from nephoscope.datasets.exchange.reading import Candidate, Reading, read_json
from nephoscope.datasets.exchange.regions import Regions
from nephoscope.datasets.exchange.scene import ExportedScene
from nephoscope.datasets.labels import Problem

_CLASS_KEYS = ("pattern", "class", "label", "name")
_PIXELS = "pixels"  # value of the member `coordinates` of a file in pixels


def _accepts(candidate: Candidate, *, in_pixels: bool) -> bool:
    content = candidate.content
    return (
        isinstance(content, dict)
        and content.get("type") == "FeatureCollection"
        and (content.get("coordinates") == _PIXELS) == in_pixels
    )


def _read(files: Sequence[Path], reading: Reading, *, in_pixels: bool) -> Iterator[Drawing]:
    for path in files:
        with reading.entry(path.name):
            yield from _read_file(path, read_json(path), reading, in_pixels)


def _read_file(path: Path, content: Any, reading: Reading, in_pixels: bool) -> Iterator[Drawing]:
    own = content.get("scene") or (content.get("provenance") or {}).get("picture") or path.stem
    drawn: dict[tuple[str, str], list[tuple[int, Any]]] = {}
    for number, feature in enumerate(content["features"], 1):
        with reading.entry(f"{path.name}: feature {number}"):
            properties = feature.get("properties") or {}
            key = plain_name(properties.get("scene") or own), str(properties.get("annotator") or "")
            drawn.setdefault(key, []).append((number, feature))
    for (name, annotator), features in (drawn or {(plain_name(own), ""): []}).items():
        with reading.entry(f"{path.name}: {name}"):
            picture = reading.pictures.find(name)
            place = _canvas(content, picture) if in_pixels else _bounds(content, picture)
            regions = Regions(picture, reading)
            for number, feature in features:
                with regions.entry(f"{path.name}: feature {number}"):
                    _draw(regions.masks, feature, place, reading)
            yield regions.drawing(annotator)


def _canvas(content: Any, picture: Picture) -> tuple[float, float]:
    """Width and height of what coordinates are pixels of: as the file says, or the picture."""
    height, width = stated_canvas(content, picture)
    return width, height


def _bounds(content: Any, picture: Picture) -> Bounds:
    if bounds := picture.record.bounds:
        return bounds
    if "provenance" in content and "bbox" in content:  # of `nephoscope segment`: the picture's own
        west, south, east, north = map(float, content["bbox"])
        if -180 <= west <= 180 and -180 <= east <= 180 and -90 <= south < north <= 90:
            return Bounds(west, south, east, north)
    raise LabelError("a picture of unknown location: state it by --bounds west,south,east,north")


def _draw(
    masks: NDArray[np.bool_], feature: Any, place: Bounds | tuple[float, float], reading: Reading
) -> None:
    properties, shape = feature.get("properties") or {}, feature["geometry"]
    index = reading.pattern(next((properties[key] for key in _CLASS_KEYS if properties.get(key)), None))
    kind = shape["type"]
    if kind not in ("Polygon", "MultiPolygon"):
        raise LabelError(f"a geometry that is no polygon: {kind!r:.40}")
    for polygon in [shape["coordinates"]] if kind == "Polygon" else shape["coordinates"]:
        rings = [as_points(ring) for ring in polygon]
        if not rings:
            raise LabelError("fewer than 3 points")
        if isinstance(place, Bounds):
            rings = _in_box(rings, place)
            fill(masks[index], rings, (place.width, place.height))
        else:
            fill(masks[index], rings, place)


def _in_box(rings: list[Points], bounds: Bounds) -> list[Points]:
    """Degrees as x and y from the box's north-west corner; on the turn that is nearest to the box."""
    longitudes = [ring[:, 0] for ring in rings]
    if bounds.east < bounds.west and bounds.width < 180:  # a drawing that is not cut at the antimeridian
        longitudes = [np.unwrap(each, period=360) for each in longitudes]
    x = longitudes[0] - bounds.west
    middle, half = (x.min() + x.max()) / 2, bounds.width / 2
    # Up to the rounding of coordinates, a whole circle's own middle stays where it is.
    turn = -360 * round((middle - half) / 360)
    if len(rings) > 1:
        longitudes = [each + 360 * round((longitudes[0][0] - each[0]) / 360) for each in longitudes]
    return [
        np.column_stack((each - bounds.west + turn, bounds.north - ring[:, 1]))
        for each, ring in zip(longitudes, rings, strict=True)
    ]


def _render_degrees(scene: ExportedScene, _: list[Problem]) -> Sequence[bytes]:
    if scene.bounds is None:
        raise LabelError("a picture of unknown location, whose labels have no degrees")
    features = []
    for name, mask in zip(scene.patterns, scene.masks, strict=True):
        shape = geometry(mask, scene.bounds)
        polygons = [shape["coordinates"]] if shape["type"] == "Polygon" else shape["coordinates"]
        features += [_feature(scene, name, polygon) for polygon in polygons]
    return _file(scene, features, {"bbox": bounding_box(scene.bounds)})


def _render_pixels(scene: ExportedScene, _: list[Problem]) -> Sequence[bytes]:
    height, width = scene.size
    scale = (width / LABEL_GRID[1], height / LABEL_GRID[0])
    features = [
        _feature(scene, name, [[*ring, ring[0]] for ring in polygon])
        for name, mask in zip(scene.patterns, scene.masks, strict=True)
        for polygon in outline(mask, scale=scale)
    ]
    return _file(scene, features, {"coordinates": _PIXELS, "width": width, "height": height})


def _feature(scene: ExportedScene, pattern: str, polygon: Any) -> dict[str, Any]:
    properties = {"pattern": pattern, "scene": scene.name}
    if scene.annotator:
        properties["annotator"] = scene.annotator
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": polygon},
        "properties": properties,
    }


def _file(scene: ExportedScene, features: list[dict[str, Any]], members: dict[str, Any]) -> Sequence[bytes]:
    content = {"type": "FeatureCollection", "scene": scene.name, **members, "features": features}
    return [(json.dumps(content, ensure_ascii=False) + "\n").encode()]


_format = partial(LabelFormat, endings=(".geojson", ".json"))

DEGREES = _format(
    name="geojson",
    description="Outlines in longitude and latitude; needs the picture's location",
    accepts=partial(_accepts, in_pixels=False),
    read=partial(_read, in_pixels=False),
    file="{picture}.geojson",
    render=_render_degrees,
)
PIXELS = _format(
    name="geojson-pixels",
    description="Outlines in the picture's pixels",
    accepts=partial(_accepts, in_pixels=True),
    read=partial(_read, in_pixels=True),
    file="{picture}_pixels.geojson",
    render=_render_pixels,
)
