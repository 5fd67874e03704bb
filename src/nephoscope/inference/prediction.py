"""Predictions: a model's probabilities for a scene, before any rule is applied."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from nephoscope.core.types import GridShape, Image, Mask, Probabilities
from nephoscope.imagery.resize import resize, resize_mask_by_area
from nephoscope.imagery.scene import Raster, Scene
from nephoscope.inference.card import Card
from nephoscope.inference.input_check import measure
from nephoscope.inference.tiling import canvas_size


@dataclass(frozen=True, eq=False)
class Prediction:
    """A model's probabilities for one scene, on the grid of its rules."""

    scene: Scene
    raster: Raster  # decoded for the network
    card: Card
    probabilities: Probabilities  # from 0 to 1, shape (patterns, height, width); 0 where there is no data
    valid_mask: Mask  # where there is data, shape (height, width)
    head_probabilities: NDArray[np.float32] | None  # of the network's presence head, if any; (patterns,)
    tta: bool  # whether probabilities are means over mirror images
    measures: Mapping[str, float]  # of the picture at the network's resolution (`input_check.measure`)

    @property
    def uncalibrated(self) -> Probabilities:
        """The network's own output, before calibration; as `probabilities` where there was none."""
        calibration = self.card.calibration
        if not calibration:
            return self.probabilities
        fields = [
            calibration[name].pixels.inverse(field)
            for name, field in zip(self.card.patterns, self.probabilities, strict=True)
        ]
        return np.asarray(np.stack(fields) * self.valid_mask, np.float32)

    def __repr__(self) -> str:
        height, width = self.valid_mask.shape
        return f"<Prediction of {self.scene.name} by {self.card.name}: {height}x{width} pixels>"


class Predictor(Protocol):
    """Interface of models: `Model` runs the network here, `RemoteModel` on a server."""

    @property
    def card(self) -> Card:
        """The model's card."""

    def predict(self, scene: Scene, *, tta: bool = False) -> Prediction:
        """Run the network on a scene; `tta` takes the mean over the picture and its mirror images."""


class View(NamedTuple):
    """A scene at a network's resolution."""

    raster: Raster  # decoded
    canvas: Image  # at the scale of the network's input; shape (height, width, 3)

    def measures(self) -> dict[str, float]:
        """The measures of the input check, of the pixels with data."""
        size = (self.canvas.shape[0], self.canvas.shape[1])
        return measure(self.canvas, resize_mask_by_area(self.raster.valid_mask, size))


def view(scene: Scene, input_size: GridShape) -> View:
    """Decode a scene and resize it to the scale of a network's input.

    It is decoded at twice that resolution at least: a JPEG decoded at less loses the fine detail that tells
    Sugar from nothing.

    Raises:
        SceneError: the picture cannot be decoded.
    """
    height, width = canvas_size(scene.size, scene.degrees, input_size)
    raster = scene.read((2 * height, 2 * width))
    return View(raster, resize(raster.pixels, (height, width)))
