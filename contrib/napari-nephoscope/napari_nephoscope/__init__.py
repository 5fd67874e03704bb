"""Patterns of shallow clouds in napari: segment a picture, correct the masks, save them as a data set.

Each pattern has a Labels layer of its own, because patterns overlap. A layer knows its picture by the
picture's `unique_id`, so that either may be renamed.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from magicgui import magic_factory
from napari.layers import Image, Labels
from napari.qt.threading import FunctionWorker, thread_worker
from napari.utils.colormaps import DirectLabelColormap
from napari.utils.notifications import show_info, show_warning
from napari.viewer import Viewer
from numpy.typing import NDArray

import nephoscope
from nephoscope import NephoscopeError, Scene, Segmentation, open_scene
from nephoscope.core.errors import DatasetError
from nephoscope.datasets.catalogue import Record
from nephoscope.datasets.collection import Collection, LabelledScene
from nephoscope.datasets.dataset import ENDINGS

KEY = "nephoscope"
"""Of a layer's metadata."""

_OPACITY = 0.5


def get_reader(path: str | list[str]) -> Callable[[str], list[Any]] | None:
    """The hook for files: a function that reads one, or None for several or for what is no picture."""
    try:
        open_scene(path)
    except (NephoscopeError, OSError):
        return None
    return read_picture


def read_picture(path: str) -> list[Any]:
    """An Image layer of a picture in true colour; pixels without data are transparent."""
    scene = open_scene(path)
    raster = scene.read()
    opacity = np.where(raster.valid_mask, np.uint8(255), np.uint8(0))
    return [(np.dstack((raster.pixels, opacity)), {"name": scene.name, "rgb": True}, "image")]


def scene_of(picture: Image) -> Scene:
    """The picture of a layer: its file, which may know place and day, else its pixels."""
    pixels = colours(picture)
    path = picture.source.path
    if path and Path(path).is_file():
        scene = open_scene(path)
        if scene.size == pixels.shape[:2]:  # else another plane of it, or another reader's rotation
            return scene
    is_file_name = Path(picture.name).suffix.lower() in ENDINGS
    return open_scene(pixels, name=picture.name if is_file_name else f"{picture.name}.png")


def colours(picture: Image) -> NDArray[np.uint8]:
    """Red, green and blue of an Image layer, shape (height, width, 3), or its grey values.

    Raises:
        DatasetError: a stack of pictures.
    """
    pixels = np.asarray(picture.data)
    if picture.ndim != 2:
        raise DatasetError(f"{picture.name}: a stack of pictures; choose a layer of one picture")
    return pixels[..., :3] if picture.rgb else pixels


def segment(picture: Image, model: str = "default") -> Segmentation:
    """Segment the picture of a layer."""
    return nephoscope.segment(scene_of(picture), model)


def add_masks(viewer: Viewer, picture: Image, result: Segmentation) -> list[Labels]:
    """Add a Labels layer for each pattern, in its colour, above the picture; 1 is the pattern."""
    layers = []
    for pattern in result.card.styled_patterns:
        layer = Labels(
            result.mask(pattern.name, result.scene.size).astype(np.uint8),
            name=f"{pattern} in {picture.name}",
            colormap=DirectLabelColormap(color_dict={None: pattern.hex_colour, 0: "transparent"}),
            opacity=_OPACITY,
            scale=picture.scale[-2:],
            translate=picture.translate[-2:],
            metadata={
                KEY: {
                    "picture": str(picture.unique_id),
                    "pattern": pattern.name,
                    "patterns": result.card.patterns,
                }
            },
        )
        layers.append(viewer.add_layer(layer))
    return layers


def save_masks(viewer: Viewer, picture: Image, folder: Path, annotator: str) -> str:
    """Save the Labels layers of a picture as what a person drew in it.

    Returns:
        The picture's name in the data set.

    Raises:
        DatasetError: no layer is of this picture, two are of one pattern, or a name cannot be saved.
    """
    about = {
        layer: layer.metadata[KEY]
        for layer in viewer.layers
        if isinstance(layer, Labels) and layer.metadata.get(KEY, {}).get("picture") == str(picture.unique_id)
    }
    if not about:
        raise DatasetError(f"{picture.name}: segment it first; there is no mask of it")
    patterns = next(iter(about.values()))["patterns"]
    drawn: dict[str, NDArray[np.bool_]] = {}
    for layer, its in about.items():
        if its["pattern"] in drawn:
            raise DatasetError(
                f"{layer.name}: two layers of this pattern; remove the one that does not count"
            )
        drawn[its["pattern"]] = np.asarray(layer.data) > 0
    scene = scene_of(picture)
    masks = np.stack([drawn.get(name, np.zeros(scene.size, np.bool_)) for name in patterns])
    path = Path(picture.source.path or "")
    if path.suffix.lower() in ENDINGS and scene.path:
        name, content = path.name, path.read_bytes()
    else:
        name, content = f"{Path(scene.name).stem}.png", _png(scene)
    record = Record(name, "", scene.satellite or "", scene.day, scene.bounds)
    return Collection(folder, patterns).save(LabelledScene(name, content, annotator, masks, record))


def _png(scene: Scene) -> bytes:
    return cv2.imencode(".png", scene.read().pixels[..., ::-1])[1].tobytes()


def start(viewer: Viewer, picture: Image, model: str = "default") -> FunctionWorker[Segmentation]:
    """Segment a picture in a thread, so that napari stays usable, and add its masks."""
    worker = thread_worker(segment)(picture, model)

    def done(result: Segmentation) -> None:
        add_masks(viewer, picture, result)
        for text in result.warnings:
            show_warning(f"{picture.name}: {text}")

    worker.returned.connect(done)  # before it starts, as it could be done already
    worker.start()
    return worker


def save(viewer: Viewer, picture: Image, folder: Path, annotator: str = "napari") -> None:
    """Save the masks of a picture in a data set, and say so."""
    name = save_masks(viewer, picture, folder, annotator)
    show_info(f"{name}: saved in {folder}")


segment_widget = magic_factory(start, call_button="Segment", model={"tooltip": "Name or file of a model"})
save_widget = magic_factory(
    save,
    call_button="Save",
    folder={"mode": "d", "tooltip": "The data set; created if it is missing"},
    annotator={"tooltip": "Who corrected the masks"},
)
