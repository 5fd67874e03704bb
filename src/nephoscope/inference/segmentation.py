"""Segmentation: the patterns of a scene, by a model and its rules."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nephoscope.core.errors import InvalidRequestError, ModelError
from nephoscope.core.geo import Bounds
from nephoscope.core.types import GridShape, Mask, Probabilities
from nephoscope.imagery.resize import resize_mask, resize_mask_by_area
from nephoscope.imagery.scene import Scene, open_scene
from nephoscope.inference.card import Card
from nephoscope.inference.input_check import out_of_range
from nephoscope.inference.model import Model
from nephoscope.inference.postprocess import Rule, segment_pattern
from nephoscope.inference.prediction import Prediction, Predictor
from nephoscope.inference.regions import Region, find_regions


@dataclass(frozen=True, eq=False)
class Segmentation:
    """The patterns of a scene. Arrays are on the grid of the model's rules, patterns in the card's order.

    Attributes:
        prediction: the model's prediction.
        components: connected components numbered from 1, largest first, 0 elsewhere; shape (patterns, height,
            width).
        scores: presence score from 0 to 1 by pattern; the rules hold the least score of a present pattern.
        join: distance in pixels of the grid up to which components count as one; None for that of the rules.
    """

    prediction: Prediction
    components: NDArray[np.int32]
    scores: dict[str, float]
    join: int | None = None

    @property
    def scene(self) -> Scene:
        """The picture."""
        return self.prediction.scene

    @property
    def card(self) -> Card:
        """The model's card."""
        return self.prediction.card

    @property
    def probabilities(self) -> Probabilities:
        """Values from 0 to 1, shape (patterns, height, width); 0 where there is no data."""
        return self.prediction.probabilities

    @property
    def valid_mask(self) -> Mask:
        """Mask of the pixels with data, shape (height, width)."""
        return self.prediction.valid_mask

    def __repr__(self) -> str:
        fractions = ", ".join(f"{name} {self.area_fractions[name]:.0%}" for name in self.present)
        return f"<Segmentation of {self.scene.name}: {fractions or 'no pattern'}>"

    @cached_property
    def masks(self) -> NDArray[np.bool_]:
        """One mask a pattern, which may overlap; shape (patterns, height, width)."""
        return np.asarray(self.components > 0, np.bool_)

    @cached_property
    def present(self) -> list[str]:
        """Names of the patterns that are present."""
        return [name for name, mask in zip(self.card.patterns, self.masks, strict=True) if mask.any()]

    @cached_property
    def area_fractions(self) -> dict[str, float]:
        """Fraction of the pixels with data that each pattern covers, 0 to 1 (0 in a scene without data)."""
        with_data = max(1, int(np.count_nonzero(self.valid_mask)))
        return {
            name: float(np.count_nonzero(mask) / with_data)
            for name, mask in zip(self.card.patterns, self.masks, strict=True)
        }

    @cached_property
    def regions(self) -> list[Region]:
        """Every connected region of every pattern, in the picture's own pixels."""
        return [
            region
            for name, components, probability in zip(
                self.card.patterns, self.components, self.probabilities, strict=True
            )
            for region in find_regions(name, components, probability, self.valid_mask, self.scene.size)
        ]

    @cached_property
    def warnings(self) -> list[str]:
        """Why results may be unreliable: no data, or a picture unlike those that the model was trained on."""
        if not self.valid_mask.any():
            return ["no data: the whole picture is black, so its masks are empty"]
        reasons = out_of_range(self.prediction.measures, self.card.scope)
        kind = f"unlike the pictures that the model {self.card.name} was trained on"
        return [f"{kind} ({', '.join(reasons)}): results may be unreliable"] if reasons else []

    def mask(self, pattern: str, size: GridShape | None = None) -> Mask:
        """One pattern's mask at any size; pixels without data stay false.

        Args:
            pattern: its name.
            size: height and width. Default: the grid of the rules.

        Raises:
            InvalidRequestError: an unknown pattern.
        """
        if pattern not in self.card.patterns:
            raise InvalidRequestError(
                f"unknown pattern {pattern!r}; available: {', '.join(self.card.patterns)}"
            )
        mask: Mask = self.masks[self.card.patterns.index(pattern)]
        if size is None or size == mask.shape:
            return mask
        raster = self.scene.read() if size == self.scene.size else self.prediction.raster
        return resize_mask_by_area(mask, size) & resize_mask(raster.valid_mask, size)


def segment(
    picture: str | Path | bytes | NDArray[Any] | Scene,
    model: Predictor | str | Path = "default",
    *,
    join: int | None = None,
    tta: bool = False,
    bounds: Bounds | None = None,
    day: date | None = None,
    server: str | None = None,
) -> Segmentation:
    """Segment the patterns of one picture.

    Args:
        picture: a path, a file's bytes, an array of shape (height, width, 3), or a scene.
        model: a loaded model, or the name or path of one.
        join: components of a pattern with at most this many pixels of the rules' grid between them count as
            one region. Default: from the model card.
        tta: mean over the picture and its mirror images: a little better, four times the work.
        bounds: of the picture, in place of its own; see `core.geo.parse_bounds`.
        day: on which it was taken, in place of its own.
        server: run the network on another machine: the address that its `nephoscope serve` printed, with the
            token. `model` is then the name of one of its models.

    Raises:
        SceneError: the picture cannot be used.
        ModelError: the model cannot be used.
        ServerError: the server cannot be reached, or refuses.
    """
    if server is not None:
        from nephoscope.inference.remote import RemoteModel

        if not isinstance(model, str | Path):
            raise ModelError(
                f"{model.card.name}: a loaded model cannot run on a server; "
                "give the name of one of the server's"
            )
        model = RemoteModel(server, str(model))
    elif isinstance(model, str | Path):
        model = Model.load(model)
    scene = picture if isinstance(picture, Scene) else open_scene(picture)
    scene = scene.with_location(bounds, day)
    return apply_rules(model.predict(scene, tta=tta), join=join)


def apply_rules(
    prediction: Prediction, rules: Mapping[str, Rule] | None = None, *, join: int | None = None
) -> Segmentation:
    """Apply rules to a prediction: from probabilities to masks and components.

    Args:
        prediction: of a model.
        rules: by pattern. Default: from the model card.
        join: components with at most this many pixels of the rules' grid between them count as one. Default:
            from the rules.

    Raises:
        ModelError: a rule needs a presence head and the network has none.
    """
    card, presence = prediction.card, prediction.presence_probabilities
    if rules is not None:
        card = replace(card, rules=dict(rules))
        prediction = replace(prediction, card=card)
    components = np.empty(prediction.probabilities.shape, np.int32)
    scores: dict[str, float] = {}
    for index, name in enumerate(card.patterns):
        head = None if presence is None else float(presence[index])
        components[index], scores[name] = segment_pattern(
            prediction.probabilities[index], card.rules[name], join, head
        )
    return Segmentation(prediction, components, scores, join)
