"""`coco`: JSON of COCO, with polygons or run lengths; classes are its categories, by name.

Source: "Data format", cocodataset.org.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from nephoscope.core.errors import LabelError
from nephoscope.core.types import Mask
from nephoscope.datasets.exchange import coco_rle
from nephoscope.datasets.exchange.drawing import Drawing, Picture, check_canvas, draw, stated_canvas
from nephoscope.datasets.exchange.format import LabelFormat
from nephoscope.datasets.exchange.pictures import plain_name
from nephoscope.datasets.exchange.polygons import as_points, fill, rectangle
from nephoscope.datasets.exchange.reading import Candidate, Reading, read_json
from nephoscope.datasets.exchange.regions import Regions
from nephoscope.datasets.exchange.scene import ExportedScene


def accepts(candidate: Candidate) -> bool:
    """Whether a JSON file has images and annotations."""
    content = candidate.content
    return isinstance(content, dict) and {"images", "annotations"} <= content.keys()


def read(files: Sequence[Path], reading: Reading) -> Iterator[Drawing]:
    """Read every image; one without annotations is one in which nothing was drawn."""
    for path in files:
        with reading.entry(path.name):
            yield from _read_file(path.name, read_json(path), reading)


def _read_file(name: str, content: Any, reading: Reading) -> Iterator[Drawing]:
    categories = {each["id"]: each["name"] for each in content["categories"]}
    images = content["images"]
    by_image: dict[Any, list[Any]] = defaultdict(list)
    known = set()
    for number, image in enumerate(images, 1):
        with reading.entry(f"{name}: image {number}"):
            known.add(image["id"])
    for number, annotation in enumerate(content["annotations"], 1):
        with reading.entry(f"{name}: annotation {number}"):
            if annotation["image_id"] not in known:
                raise LabelError(f"an annotation of an unlisted image: {annotation['image_id']!r:.40}")
            by_image[annotation["image_id"]].append((number, annotation))
    for number, image in enumerate(images, 1):
        with reading.entry(f"{name}: image {number}"):
            picture = reading.pictures.find(plain_name(image["file_name"]))
            size = stated_canvas(image, picture)
            regions = Regions(picture, reading)
            for index, annotation in by_image[image["id"]]:
                with regions.entry(f"{name}: annotation {index} of {picture.path.name}"):
                    pattern = reading.pattern(categories.get(annotation["category_id"]))
                    _draw(regions.masks, pattern, annotation, size, picture)
            yield regions.drawing(str(image.get("annotator") or ""))


def _draw(
    masks: NDArray[np.bool_], index: int, annotation: Any, size: tuple[int, int], picture: Picture
) -> None:
    shape, extent = annotation.get("segmentation"), (size[1], size[0])
    if isinstance(shape, dict):
        own = (int(shape["size"][0]), int(shape["size"][1]))
        check_canvas(own, picture)
        draw(masks, index, coco_rle.decode(shape["counts"], own))
    elif shape:
        polygons = [as_points(np.asarray(flat, np.float64).reshape(-1, 2)) for flat in shape]
        for points in polygons:
            fill(masks[index], [points], extent)
    else:
        fill(masks[index], [rectangle(*map(float, annotation["bbox"]))], extent)


def collect(scenes: Iterable[ExportedScene]) -> bytes:
    """One file: a mask in run lengths for each class of each picture, at the picture's own size."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    categories: dict[str, int] = {}
    for number, scene in enumerate(scenes, 1):
        height, width = scene.size
        image = {"id": number, "file_name": scene.name, "height": height, "width": width}
        images.append(image | ({"annotator": scene.annotator} if scene.annotator else {}))
        for name, mask in scene.sized():
            category = categories.setdefault(name, len(categories) + 1)
            if mask.any():
                annotations.append(
                    {"id": len(annotations) + 1, "image_id": number, "category_id": category}
                    | _described(mask)
                )
    content = {
        "info": {"description": "Labels of nephoscope"},
        "images": images,
        "annotations": annotations,
        "categories": [
            {"id": number, "name": name, "supercategory": "pattern"} for name, number in categories.items()
        ],
    }
    return json.dumps(content, ensure_ascii=False).encode()


def _described(mask: Mask) -> dict[str, Any]:
    return {
        "iscrowd": 0,
        "area": int(np.count_nonzero(mask)),
        "bbox": list(cv2.boundingRect(mask.view(np.uint8))),
        "segmentation": {"size": list(mask.shape), "counts": coco_rle.encode(mask)},
    }


FORMAT = LabelFormat(
    name="coco",
    description="COCO: polygons, run lengths and boxes; written as run lengths",
    endings=(".json",),
    accepts=accepts,
    read=read,
    collect=collect,
    file="coco.json",
)
