"""`json`: what `nephoscope segment` writes of a scene, with the outline of every region in pixels."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nephoscope.core.errors import LabelError
from nephoscope.core.outline import outline
from nephoscope.core.types import LABEL_GRID
from nephoscope.datasets.exchange.drawing import Drawing, check_canvas
from nephoscope.datasets.exchange.format import LabelFormat
from nephoscope.datasets.exchange.pictures import plain_name
from nephoscope.datasets.exchange.polygons import as_points, fill
from nephoscope.datasets.exchange.reading import Candidate, Reading, read_json
from nephoscope.datasets.exchange.regions import Regions
from nephoscope.datasets.exchange.scene import ExportedScene
from nephoscope.datasets.labels import Problem


def accepts(candidate: Candidate) -> bool:
    """Whether a JSON file has a scene and its regions, or several such scenes."""
    content = candidate.content
    return isinstance(content, dict) and ({"scene", "regions"} <= content.keys() or "scenes" in content)


def read(files: Sequence[Path], reading: Reading) -> Iterator[Drawing]:
    """Read the regions of every scene; scores and presence are not labels."""
    for path in files:
        with reading.entry(path.name):
            content = read_json(path)
            for scene in content.get("scenes", [content]):
                with reading.entry(path.name):
                    yield _read_scene(path.name, scene, reading)


def _read_scene(where: str, scene: Any, reading: Reading) -> Drawing:
    picture = reading.pictures.find(plain_name(scene["scene"]))
    size = (int(scene["height"]), int(scene["width"]))
    check_canvas(size, picture)
    regions = Regions(picture, reading)
    for number, region in enumerate(scene["regions"], 1):
        with regions.entry(f"{where}: region {number}"):
            index = reading.pattern(region["pattern"])
            if not region.get("outline"):
                raise LabelError("a region without an outline")
            for polygon in region["outline"]:
                rings = [as_points(ring) for ring in polygon]
                fill(regions.masks[index], rings, (size[1], size[0]))
    return regions.drawing(str(scene.get("annotator") or ""))


def render(scene: ExportedScene, _: list[Problem]) -> Sequence[bytes]:
    """Regions with their outlines; one region for each outer ring."""
    height, width = scene.size
    scale = (width / LABEL_GRID[1], height / LABEL_GRID[0])
    content: dict[str, Any] = {
        "scene": scene.name,
        "width": width,
        "height": height,
        "bounds": scene.bounds._asdict() if scene.bounds else None,
        "regions": [
            {"pattern": name, "outline": [polygon]}
            for name, mask in zip(scene.patterns, scene.masks, strict=True)
            for polygon in outline(mask, scale=scale)
        ],
    }
    if scene.annotator:
        content["annotator"] = scene.annotator
    return [(json.dumps(content, ensure_ascii=False) + "\n").encode()]


FORMAT = LabelFormat(
    name="json",
    description="Regions with their outlines in the picture's pixels, as `nephoscope segment` writes them",
    endings=(".json",),
    accepts=accepts,
    read=read,
    file="{picture}.json",
    render=render,
)
