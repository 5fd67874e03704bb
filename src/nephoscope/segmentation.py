"""A scene and a model in, its patterns out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from nephoscope.card import Card
from nephoscope.core.errors import InvalidRequestError, ModelError
from nephoscope.exchange import Answered
from nephoscope.model import Model
from nephoscope.patterns import NAMES
from nephoscope.place import Bounds
from nephoscope.postprocess import find_groups, resample
from nephoscope.regions import Region, find_regions
from nephoscope.rle import Grid, Mask
from nephoscope.scene import Least, Pixels, Scene, read_scene
from nephoscope.scope import measure, oddities
from nephoscope.tiles import Field, canvas_size, resize, run_tiled

_MIRRORS = ((1,), (0,), (0, 1))  # axes to flip: left-right, top-bottom, both


@dataclass(frozen=True, eq=False)
class Segmentation:
    """What a model found in a scene. Arrays are on the grid of the model's rules, patterns in `NAMES`' order.

    Attributes:
        scene: the picture.
        card: of the model.
        probabilities: from 0 to 1, shape (patterns, height, width); 0 where there is no data.
        valid: where there is data, shape (height, width).
        groups: connected groups numbered from 1, largest first, 0 elsewhere; shape (patterns, height, width).
        scores: presence score from 0 to 1 by pattern; the card's rules say from which one on it is present.
        heads: what the network's presence head says, from 0 to 1, shape (patterns,); None where it has none.
        join: how far apart groups were counted as one, in pixels of the grid; None for the rules' own.
        tta: whether probabilities are means over mirror images.
        measures: of the picture as the network sees it (`scope.measure`).
    """

    scene: Scene
    card: Card
    probabilities: NDArray[np.float32]
    valid: Mask
    groups: NDArray[np.int32]
    scores: dict[str, float]
    heads: NDArray[np.float32] | None = None
    join: int | None = None
    tta: bool = False
    measures: Mapping[str, float] = field(default_factory=dict)

    def __repr__(self) -> str:
        covers = ", ".join(f"{name} {self.covers[name]:.0%}" for name in self.present)
        return f"<Segmentation of {self.scene.name}: {covers or 'no pattern'}>"

    @cached_property
    def masks(self) -> NDArray[np.bool_]:
        """One mask a pattern, which may overlap; shape (patterns, height, width)."""
        return np.asarray(self.groups > 0, np.bool_)

    @cached_property
    def present(self) -> list[str]:
        """Names of the patterns that were found."""
        return [name for name, mask in zip(NAMES, self.masks, strict=True) if mask.any()]

    @cached_property
    def covers(self) -> dict[str, float]:
        """Each pattern's share of the scene's pixels with data, 0 to 1 (0 in a scene without data)."""
        with_data = max(1, int(np.count_nonzero(self.valid)))
        return {
            name: float(np.count_nonzero(mask) / with_data)
            for name, mask in zip(NAMES, self.masks, strict=True)
        }

    @cached_property
    def regions(self) -> list[Region]:
        """Every connected region of every pattern, in the picture's own pixels."""
        return [
            region
            for name, groups, probability in zip(NAMES, self.groups, self.probabilities, strict=True)
            for region in find_regions(name, groups, probability, self.valid, self.scene.size)
        ]

    @cached_property
    def warnings(self) -> list[str]:
        """Why what was found may mean nothing: no data, or a picture unlike those the model learned from."""
        if not self.valid.any():
            return ["no data: the whole picture is black, so its masks are empty"]
        odd = oddities(self.measures, self.card.scope)
        kind = f"unlike the pictures that the model {self.card.name} was trained on"
        return [f"{kind} ({', '.join(odd)}): what is found may mean nothing"] if odd else []

    def mask(self, pattern: str, size: Grid | None = None) -> Mask:
        """One pattern's mask, brought to any size; without one, on the rules' grid.

        A pixel of the scene without data stays out of the mask at every size.

        Raises:
            ValueError: no such pattern.
        """
        if pattern not in NAMES:
            raise InvalidRequestError(f"unknown pattern {pattern!r}; available: {', '.join(NAMES)}")
        mask: Mask = self.masks[NAMES.index(pattern)]
        if size is None or size == mask.shape:
            return mask
        height, width = size
        scene = self.scene.whole if size == self.scene.size else self.scene
        soft = cv2.resize(mask.view(np.uint8) * 255, (width, height), interpolation=_method(mask.shape, size))
        valid = cv2.resize(scene.valid.view(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
        return np.asarray(np.logical_and(soft >= 128, valid > 0), np.bool_)


def segment(
    picture: str | Path | bytes | NDArray[Any] | Scene,
    model: Model | str | Path = "default",
    *,
    join: int | None = None,
    tta: bool = False,
    bounds: Bounds | None = None,
    day: date | None = None,
    server: str | None = None,
) -> Segmentation:
    """Find the patterns in one picture.

    Args:
        picture: a path, a file's bytes, an array of shape (height, width, 3), or a scene.
        model: a loaded model, or the name or path of one.
        join: groups of a pattern with at most this many pixels of 350x525 between them count as one region;
            what the model's card says if left out.
        tta: mean over the picture and its mirror images: a little better, four times the work.
        bounds: where the picture is, whatever it says itself; `place.parse_bounds` makes them from words.
        day: when it was taken, whatever it says itself.
        server: the address that `nephoscope serve` printed on another machine, with its token: the network
            then runs there, and `model` is the name of one that it has. The result is the same.

    Raises:
        SceneError: the picture cannot be used.
        ModelError: the model cannot be used.
        ServerError: the server cannot be reached, or refuses; the message says why.
    """
    if server is not None:
        return _segment_there(picture, model, server, join, tta, bounds, day)
    if not isinstance(model, Model):
        model = Model.load(model)
    if not isinstance(picture, Scene):
        picture = read_scene(picture, least=worth_decoding(model.card, bounds))
    return segment_scene(picture.placed(bounds, day), model, join=join, tta=tta)


def _segment_there(
    picture: str | Path | bytes | NDArray[Any] | Scene,
    model: Model | str | Path,
    server: str,
    join: int | None,
    tta: bool,
    bounds: Bounds | None,
    day: date | None,
) -> Segmentation:
    """As `segment`, by a server's network; the rules are applied here."""
    from nephoscope.client import ask  # its imports take longer than reading a picture

    if isinstance(model, Model):
        raise ModelError(f"{model.card.name}: a loaded model stays here: name one that the server has")
    scene = picture if isinstance(picture, Scene) else read_scene(picture)
    scene = scene.placed(bounds, day)
    if isinstance(picture, str | Path):
        picture = Path(picture).read_bytes() if Path(picture).is_file() else scene  # a pipe gives once
    content = picture if isinstance(picture, bytes) else None
    answered = ask(server, scene, content, str(model), tta)
    return _judged(scene, _canvas(scene, answered.card), answered, join)


def segment_scene(scene: Scene, model: Model, *, join: int | None = None, tta: bool = False) -> Segmentation:
    """Find the patterns in a scene.

    Args:
        scene: the picture.
        model: the network and its rules.
        join: groups of a pattern with at most this many pixels of the rules' grid between them count as one.
        tta: mean over the picture and its mirror images: a little better, four times the work.
    """
    card = model.card
    canvas = _canvas(scene, card)
    fields, heads = _run(canvas, (), model)
    if tta:
        fields, heads = _mean_with_mirrors(fields, heads, canvas, model)
    grid = _rules_grid(canvas.shape[:2], card)
    valid = _valid_on(scene.valid, grid)
    probabilities = np.empty((len(NAMES), *grid), np.float32)
    for index, chances in enumerate(fields):
        np.multiply(resample(chances, grid), valid, out=probabilities[index])
    return _judged(scene, canvas, Answered(card, probabilities, valid, heads, tta), join)


def _canvas(scene: Scene, card: Card) -> Pixels:
    """A scene as the network sees it."""
    return resize(scene.pixels, canvas_size(scene.size, scene.bounds, card.input_size))


def _judged(scene: Scene, canvas: Pixels, answered: Answered, join: int | None) -> Segmentation:
    """What the card's rules make of a network's answer."""
    card, probabilities, valid, heads, tta = answered
    groups = np.empty(probabilities.shape, np.int32)
    scores: dict[str, float] = {}
    for index, name in enumerate(NAMES):
        head = None if heads is None else float(heads[index])
        groups[index], scores[name] = find_groups(probabilities[index], card.rules[name], join, head)
    measures = measure(canvas, _valid_on(scene.valid, canvas.shape[:2]))
    return Segmentation(scene, card, probabilities, valid, groups, scores, heads, join, tta, measures)


def _mean_with_mirrors(
    fields: Field, heads: Field | None, canvas: Pixels, model: Model
) -> tuple[Field, Field | None]:
    """The mean of what a canvas and its mirror images say; one of them is held at a time."""
    fields, said = fields.copy(), [heads]
    for axes in _MIRRORS:
        more, head = _run(canvas, axes, model)
        fields += more
        said.append(head)
    fields /= len(said)
    known = [head for head in said if head is not None]
    return fields, np.asarray(np.mean(known, axis=0), np.float32) if known else None


def _run(canvas: Pixels, axes: tuple[int, ...], model: Model) -> tuple[Field, Field | None]:
    """Fields of one view, turned back, and what its presence head says.

    A tile that has a pattern speaks for the scene.
    """
    heads: list[Field] = []

    def network(pictures: Pixels) -> Field:
        answer = model(pictures)
        if answer.presence is not None:
            heads.append(answer.presence)
        return answer.probabilities

    flipped = np.ascontiguousarray(np.flip(canvas, axes)) if axes else canvas
    fields = run_tiled(flipped, model.card.input_size, network)
    head = np.concatenate(heads).max(axis=0) if heads else None
    return np.flip(fields, tuple(axis + 1 for axis in axes)), head


def worth_decoding(card: Card, stated: Bounds | None = None) -> Least:
    """For `read_scene`: how finely a picture must be decoded to be segmented by this model.

    Twice as fine as the network sees it: a JPEG decoded just fine enough comes out blurred, and blur is what
    tells Sugar from nothing.

    Args:
        card: the model's.
        stated: where the picture is, whatever it says itself.
    """

    def least(size: Grid, bounds: Bounds | None) -> Grid:
        height, width = canvas_size(size, stated or bounds, card.input_size)
        return 2 * height, 2 * width

    return least


def _rules_grid(canvas: Sequence[int], card: Card) -> Grid:
    height, width = (
        max(1, round(side * fine / whole))
        for side, fine, whole in zip(canvas, card.grid, card.input_size, strict=True)
    )
    return height, width


def _valid_on(valid: Mask, grid: Grid) -> Mask:
    """A grid pixel has data where at least half of its area has."""
    share = cv2.resize(
        valid.view(np.uint8) * 255, (grid[1], grid[0]), interpolation=_method(valid.shape, grid)
    )
    return np.asarray(share >= 128, np.bool_)


def _method(before: Sequence[int], after: Grid) -> int:
    return cv2.INTER_AREA if after[0] * after[1] < before[0] * before[1] else cv2.INTER_LINEAR
