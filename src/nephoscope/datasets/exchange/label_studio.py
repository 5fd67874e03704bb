"""`label-studio`: Label Studio's JSON: brush strokes, polygons, rectangles and ellipses of several people.

Source: "Export annotations", labelstud.io/guide/export.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from nephoscope.core.errors import LabelError
from nephoscope.core.types import Mask
from nephoscope.datasets.collection import on_grid
from nephoscope.datasets.exchange import brush
from nephoscope.datasets.exchange.drawing import Drawing, Picture, check_canvas, draw
from nephoscope.datasets.exchange.format import LabelFormat
from nephoscope.datasets.exchange.pictures import names_in_address
from nephoscope.datasets.exchange.polygons import Points, as_points, fill, rectangle
from nephoscope.datasets.exchange.reading import Candidate, Reading, read_json
from nephoscope.datasets.exchange.regions import Regions
from nephoscope.datasets.exchange.scene import ExportedScene

_KINDS = ("brushlabels", "polygonlabels", "rectanglelabels", "ellipselabels")
_ANNOTATORS = "annotators"  # in a task's data: names in the order of its annotations
_CORNERS = 72  # of an ellipse


def accepts(candidate: Candidate) -> bool:
    """Whether a JSON file is a list of tasks."""
    content = candidate.content
    return isinstance(content, list) and any(
        isinstance(task, dict) and "data" in task and "annotations" in task for task in content
    )


def read(files: Sequence[Path], reading: Reading) -> Iterator[Drawing]:
    """Read all annotations of all tasks but those that were cancelled; of one person the last counts."""
    for path in files:
        with reading.entry(path.name):
            for number, task in enumerate(read_json(path), 1):
                with reading.entry(f"{path.name}: task {number}"):
                    yield from _read_task(f"{path.name}: task {number}", task, reading)


def _read_task(where: str, task: Any, reading: Reading) -> Iterator[Drawing]:
    annotations = [each for each in task["annotations"] if not each.get("was_cancelled")]
    if not annotations:
        return  # nobody has done this task yet
    names = task["data"].get(_ANNOTATORS) or []
    people = [
        _person(each, names[index] if index < len(names) else "") for index, each in enumerate(annotations)
    ]
    picture = reading.pictures.find_first(names_in_address(_address(task["data"])))
    order = sorted(range(len(annotations)), key=lambda each: str(annotations[each].get("updated_at", "")))
    for index in reversed(order):
        with reading.entry(where):
            regions = Regions(picture, reading)
            for number, result in enumerate(annotations[index]["result"], 1):
                with regions.entry(f"{where}: region {number} of {picture.path.name}"):
                    _draw(regions.masks, result, picture, reading)
            yield regions.drawing(people[index])


def _person(annotation: Any, name: object) -> str:
    """Who made an annotation: an address or a name, a number of a user, or what the task says."""
    who = annotation.get("completed_by")
    if isinstance(who, dict):
        names = (who.get("first_name"), who.get("last_name"))
        who = who.get("email") or " ".join(map(str, filter(None, names))) or who.get("id")
    return str(name if who is None else who).strip()


def _address(data: Any) -> object:
    """That of a task's picture: its `image`, or the only address among its values."""
    if "image" in data:
        return data["image"]
    texts = [value for key, value in data.items() if isinstance(value, str) and "." in value]
    if len(texts) != 1:
        raise LabelError("a task without an image")
    return texts[0]


def _draw(masks: NDArray[np.bool_], result: Any, picture: Picture, reading: Reading) -> None:
    """Draw one region; choices, texts and relations have no shape and are passed over."""
    value = result.get("value") or {}
    labels = next((value[kind] for kind in (*_KINDS, "labels") if kind in value), None)
    if labels is None:
        if result.get("type") in {*_KINDS, "keypointlabels"}:
            raise LabelError("a region without a class")
        return
    size = (int(result.get("original_height", 0)), int(result.get("original_width", 0)))
    check_canvas(size, picture)
    indices = [reading.pattern(label) for label in labels]
    if not indices:
        raise LabelError("a region without a class")
    if "rle" in value:
        mask = brush.decode(value["rle"], size)
        for index in indices:
            draw(masks, index, mask)
        return
    # Percent of either side become pixels, as angles are between pixels.
    points = _outline(value, size[1] / 100, size[0] / 100)
    for index in indices:
        fill(masks[index], [points], (size[1], size[0]))


def _outline(value: Any, across: float, down: float) -> Points:
    """Points in pixels of a polygon, rectangle or ellipse in percent."""
    if "points" in value:
        return as_points(value["points"]) * (across, down)
    rotation = float(value.get("rotation") or 0)
    x, y = float(value["x"]) * across, float(value["y"]) * down
    if "radiusX" in value:
        angles = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
        radii = (float(value["radiusX"]) * across, float(value["radiusY"]) * down)
        points = np.column_stack((np.cos(angles), np.sin(angles))) * radii
        cosine, sine = np.cos(np.radians(rotation)), np.sin(np.radians(rotation))
        return as_points(points @ np.array([(cosine, sine), (-sine, cosine)]) + (x, y))
    return rectangle(x, y, float(value["width"]) * across, float(value["height"]) * down, rotation)


def collect(scenes: Iterable[ExportedScene]) -> bytes:
    """Tasks with a brush mask a class and person.

    Label Studio takes `completed_by` of its own users alone, so names are in the task's data.
    """
    tasks = []
    for scene in scenes:
        drawings = scene.drawings or {scene.annotator: scene.masks}
        data: dict[str, Any] = {"image": quote(scene.name)}
        if any(drawings):
            data[_ANNOTATORS] = list(drawings)
        annotations = [
            {"result": [brush_region(name, mask) for name, mask in _drawn(scene, masks)]}
            for masks in drawings.values()
        ]
        tasks.append({"data": data, "annotations": annotations})
    return json.dumps(tasks, ensure_ascii=False).encode()


def _drawn(scene: ExportedScene, masks: NDArray[np.bool_]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    for name, mask in zip(scene.patterns, masks, strict=True):
        if mask.any():
            yield name, on_grid(mask, scene.size)


def brush_region(
    pattern: str, mask: Mask, *, label: str = "", control: str = "label", picture: str = "image"
) -> dict[str, Any]:
    """A region of a result, for annotations and predictions: the whole mask of a pattern as brush strokes.

    Args:
        pattern: its name, which is the region's identity.
        mask: at the picture's own size.
        label: of the labelling interface. Default: the pattern's name.
        control: name of the interface's tag of brush labels.
        picture: name of its tag of the picture.
    """
    return {
        "id": pattern,
        "type": "brushlabels",
        "from_name": control,
        "to_name": picture,
        "original_width": mask.shape[1],
        "original_height": mask.shape[0],
        "image_rotation": 0,
        "value": {"format": "rle", "rle": brush.encode(mask), "brushlabels": [label or pattern]},
    }


FORMAT = LabelFormat(
    name="label-studio",
    description="Label Studio: brush, polygons, rectangles, ellipses; written as brush masks",
    endings=(".json",),
    accepts=accepts,
    read=read,
    collect=collect,
    file="label-studio.json",
    people=True,
)
