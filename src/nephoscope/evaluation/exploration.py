"""What labelled data look like, in numbers: how often, how much, how large, where, how bright.

Masks are measured on the contest's answer grid of 350x525 pixels; pictures at the least size, from 140x210
pixels up, that their files decode to.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from nephoscope.core.errors import DatasetError, SceneError
from nephoscope.core.geo import SEASONS
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.core.types import SCORE_GRID, GridShape, Progress
from nephoscope.datasets.catalogue import Record
from nephoscope.datasets.dataset import Dataset, PackedMasks
from nephoscope.datasets.labels import Problem
from nephoscope.imagery.scene import Scene
from nephoscope.inference.postprocess import label_components

Numbers = NDArray[np.float64]

SPECK = round(SCORE_GRID[0] * SCORE_GRID[1] / 1000)
"""Pixels of 350x525, 0.1 % of a scene; a smaller connected group is a speck, such as the fringe of a black
gap that was cut out of a rectangle, and no object that a person drew."""

UNKNOWN = "unknown"

KNOWN: dict[str, Callable[[Record], str]] = {
    "region": lambda record: record.region,
    "season": lambda record: record.season,
    "year": lambda record: record.season_year,
    "satellite": lambda record: record.satellite or UNKNOWN,
}
"""What scenes are compared by, and how a record tells it; `unknown` where it does not."""

_SETS = 2 ** len(DEFAULT_NAMES)
_HAS = np.array(
    [[bits >> index & 1 for index in range(len(DEFAULT_NAMES))] for bits in range(_SETS)], np.float64
)
"""Whether a set of patterns, as the bits of a pixel, holds a pattern; shape (sets, patterns)."""

_LEAST_PICTURE: GridShape = (140, 210)  # px; means need no more, and a small decode is several times faster


@dataclass(frozen=True, eq=False)
class Exploration:
    """What was measured of labelled scenes; arrays count scenes and patterns in the order of these.

    Attributes:
        records: scenes with sound masks.
        pixels: how many pixels of 350x525 carry which set of patterns, shape (scenes, 16): column 5 counts
            those whose bits are 0101, the first and third of `DEFAULT_NAMES` and no other.
        areas: pattern by pattern, the pixels of 350x525 of each connected group of a mask, specks included...
        owners: ... and the index of its scene.
        position: share of all scenes that carry a pattern at a pixel, shape (patterns, 350, 525).
        brightness: mean brightness of a scene where there is data, 0 to 255, the mean of red, green and
            blue; NaN where the picture cannot be read.
        inside: the same inside a pattern's mask, shape (scenes, patterns); NaN where it is absent.
        outside: the same in the rest of such a scene.
        gaps: share of a scene without data, 0 to 1; NaN where the picture cannot be read.
        stray: share of a scene that carries a pattern and has no data, 0 to 1, shape (scenes, patterns).
        problems: what was wrong, and left out.
    """

    records: tuple[Record, ...]
    pixels: NDArray[np.int64]
    areas: tuple[NDArray[np.int64], ...]
    owners: tuple[NDArray[np.int64], ...]
    position: NDArray[np.float32]
    brightness: Numbers
    inside: Numbers
    outside: Numbers
    gaps: Numbers
    stray: Numbers
    problems: tuple[Problem, ...]

    @property
    def cover(self) -> Numbers:
        """Share of each scene that carries each pattern, 0 to 1, shape (scenes, patterns)."""
        return self.pixels @ _HAS / (SCORE_GRID[0] * SCORE_GRID[1])

    @property
    def present(self) -> NDArray[np.bool_]:
        """Whether each scene has a pixel of each pattern, shape (scenes, patterns)."""
        return np.asarray(self.pixels @ _HAS > 0)

    def counts(self, *, specks: bool = False) -> NDArray[np.int64]:
        """Objects of each pattern in each scene, shape (scenes, patterns); or, instead, its specks."""
        scenes = len(self.records)
        chosen = [
            owners[(areas < SPECK) == specks] for owners, areas in zip(self.owners, self.areas, strict=True)
        ]
        return np.stack([np.bincount(owners, minlength=scenes) for owners in chosen], axis=1)

    @property
    def together(self) -> NDArray[np.int64]:
        """Scenes that have both of two patterns, shape (patterns, patterns); its diagonal has each alone."""
        present = self.present.astype(np.int64)
        return present.T @ present

    @property
    def overlap(self) -> Numbers:
        """Share of a pattern's pixels (row) that carry another (column) too; NaN for a pattern never seen."""
        return _ratio(_HAS.T @ (self.pixels.sum(axis=0)[:, None] * _HAS), self.pixels.sum(axis=0) @ _HAS)

    def by(self, what: str) -> dict[str, NDArray[np.int64]]:
        """Indices of the scenes of each region, season, year or satellite, in the order of their names.

        Scenes of which it is unknown come last, under that word; where it is unknown of all, there are none.

        Args:
            what: a key of `KNOWN`.
        """
        told = np.array([KNOWN[what](record) for record in self.records], dtype=object)
        if (told == UNKNOWN).all():
            return {}
        order = {name: place for place, name in enumerate((*SEASONS, UNKNOWN))}
        names = sorted(set(told), key=lambda name: (name == UNKNOWN, order.get(name, 0), name))
        return {name: np.flatnonzero(told == name) for name in names}

    def examples(self, each: int = 2, seed: int = 0) -> dict[str, list[int]]:
        """Indices of a few scenes of each kind, chosen by chance: kinds without scenes are left out.

        Kinds go by how many patterns a scene has; a wide swath gap is among the widest hundredth.

        Args:
            each: how many of a kind.
            seed: the same seed chooses the same scenes.
        """
        present, readable = self.present, np.isfinite(self.gaps)
        patterns = present.sum(axis=1)
        gaps = self.gaps[self.gaps > 0]
        wide = self.gaps >= (np.quantile(gaps, 0.99) if len(gaps) else np.inf)
        kinds = {f"{name} alone": present[:, i] & (patterns == 1) for i, name in enumerate(DEFAULT_NAMES)}
        kinds |= {f"{word} patterns": patterns == n for n, word in enumerate(("two", "three", "four"), 2)}
        kinds |= {"no pattern": patterns == 0, "wide swath gap": wide}
        rng = np.random.default_rng(seed)
        chosen = {kind: rng.permutation(np.flatnonzero(fits & readable)) for kind, fits in kinds.items()}
        return {kind: sorted(indices[:each].tolist()) for kind, indices in chosen.items() if len(indices)}


def explore(dataset: Dataset, progress: Progress | None = None) -> Exploration:
    """Measure all scenes of labelled data, their masks and their pictures.

    Scenes with wrong run lengths are left out. A scene whose picture cannot be read counts by its masks. Both
    are named among the problems, after the data set's own.

    Args:
        dataset: the scenes.
        progress: told the scenes done so far and in all.

    Raises:
        DatasetError: no scene has sound masks.
    """
    problems = list(dataset.problems)
    kept: list[int] = []
    masks: list[_Masks] = []
    pictures: list[_Picture] = []
    position = np.zeros((len(DEFAULT_NAMES), *SCORE_GRID), np.float32)

    def work(record: Record) -> tuple[PackedMasks, _Masks, _Picture | Problem]:
        bits = dataset.bits(record.image, SCORE_GRID)
        try:
            picture: _Picture | Problem = _measure_picture(dataset.scene(record.image), bits)
        except SceneError as error:
            picture = Problem("a picture that cannot be read", str(error))
        return bits, _measure_masks(bits), picture

    for index, (bits, measured, picture) in dataset.map(work, problems, progress=progress):
        kept.append(index)
        position += [bits >> place & 1 for place in range(len(DEFAULT_NAMES))]
        masks.append(measured)
        if isinstance(picture, Problem):
            problems.append(picture)
            picture = _UNREAD
        pictures.append(picture)
    if not kept:
        raise DatasetError(f"{dataset.folder}: no scene has sound masks; the last: {problems[-1].where}")
    return Exploration(
        records=tuple(dataset.records[index] for index in kept),
        pixels=np.array([each.pixels for each in masks], np.int64),
        areas=tuple(np.concatenate([each.areas[i] for each in masks]) for i in range(len(DEFAULT_NAMES))),
        owners=tuple(
            np.repeat(np.arange(len(masks)), [len(each.areas[i]) for each in masks])
            for i in range(len(DEFAULT_NAMES))
        ),
        position=np.divide(position, len(kept), dtype=np.float32),
        brightness=np.array([each.brightness for each in pictures]),
        inside=np.array([each.inside for each in pictures]),
        outside=np.array([each.outside for each in pictures]),
        gaps=np.array([each.gap for each in pictures]),
        stray=np.array([each.stray for each in pictures]),
        problems=tuple(problems),
    )


@dataclass(frozen=True, eq=False)
class _Masks:
    """One scene's part of `Exploration`, of its masks."""

    pixels: NDArray[np.int64]
    areas: list[NDArray[np.int64]]


@dataclass(frozen=True, eq=False)
class _Picture:
    """One scene's part of `Exploration`, of its picture."""

    brightness: float
    inside: Numbers
    outside: Numbers
    gap: float
    stray: Numbers


_NOTHING = np.full(len(DEFAULT_NAMES), np.nan)
_UNREAD = _Picture(np.nan, _NOTHING, _NOTHING, np.nan, _NOTHING)


def _measure_masks(bits: PackedMasks) -> _Masks:
    pixels = np.bincount(bits.reshape(-1), minlength=_SETS)
    areas = []
    for index, count in enumerate(pixels @ _HAS):
        mask = (bits >> index & 1).view(np.bool_)
        areas.append(np.bincount(label_components(mask)[mask])[1:] if count else np.zeros(0, np.int64))
    return _Masks(pixels, areas)


def _measure_picture(scene: Scene, bits: PackedMasks) -> _Picture:
    pixels, valid = scene.read(_LEAST_PICTURE)
    onto = cv2.resize(bits, valid.shape[::-1], interpolation=cv2.INTER_NEAREST)
    light = pixels[valid].mean(axis=1)
    counts = np.bincount(onto[valid], minlength=_SETS).astype(np.float64)
    sums = np.bincount(onto[valid], light, minlength=_SETS)
    inside = _ratio(sums @ _HAS, counts @ _HAS)
    outside = _ratio(sums @ (1 - _HAS), counts @ (1 - _HAS))
    return _Picture(
        brightness=float(light.mean()) if len(light) else np.nan,
        inside=inside,
        outside=np.where(np.isnan(inside), np.nan, outside),
        gap=float(1 - valid.mean()),
        stray=np.bincount(onto[~valid], minlength=_SETS) @ _HAS / valid.size,
    )


def _ratio(parts: Numbers, wholes: Numbers) -> Numbers:
    """Parts by wholes, row by row where there are several; NaN where a whole is 0."""
    safe = np.where(wholes > 0, wholes, np.nan)
    return np.asarray(parts / (safe[:, None] if parts.ndim == 2 else safe))
