"""Measurements of labelled data: presence, area, objects, position and brightness of patterns.

Masks are measured on the contest's score grid of 350x525 pixels; pictures at the smallest size, from 140x210
pixels up, that their files decode to.
"""

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from nephoscope.core.errors import DatasetError, SceneError
from nephoscope.core.types import SCORE_GRID, GridShape, Progress
from nephoscope.datasets.catalogue import Record
from nephoscope.datasets.dataset import Dataset, PackedMasks, unpack_masks
from nephoscope.datasets.labels import Problem
from nephoscope.imagery.scene import Scene
from nephoscope.inference.postprocess import label_components

Numbers = NDArray[np.float64]
Counts = NDArray[np.int64]

SPECK = round(SCORE_GRID[0] * SCORE_GRID[1] / 1000)
"""Pixels of 350x525, 0.1 % of a scene; a smaller connected component is a speck, such as the fringe of a
swath gap that was cut out of a rectangle, and not an object that a person drew."""

COUNT_WORDS = ("none", "one", "two", "three", "four", "five", "six", "seven", "eight")
"""Numbers of patterns in words, as reports and the names of their files have them."""

_SMALLEST: GridShape = (140, 210)  # px; means need no more, and a small decode is several times faster


@dataclass(frozen=True, eq=False)
class Exploration:
    """Measurements of labelled data; arrays are in the order of `records` and `patterns`.

    Attributes:
        records: scenes with valid masks.
        patterns: names, in the data set's order.
        combinations: pixels of 350x525 with each combination of patterns, shape (scenes, 2**patterns):
            column 5, binary 101, counts those with the first and the third pattern and no other.
        component_areas: for each pattern, pixels of each connected component of its masks, with specks.
        component_scenes: for each pattern, the index of the scene of each such component.
        mean_masks: share of all scenes with the pattern at a pixel, shape (patterns, 350, 525).
        brightness: mean brightness of a scene where there is data, 0 to 255, the mean of red, green and
            blue; NaN where the picture cannot be read.
        brightness_inside: the same inside a pattern's mask, shape (scenes, patterns); NaN where it is absent.
        brightness_outside: the same in the rest of such a scene.
        nodata: share of a scene without data, 0 to 1; NaN where the picture cannot be read.
        nodata_inside: share of a scene inside a pattern's mask and without data, shape (scenes, patterns).
        problems: rows and pictures that were left out.
    """

    records: tuple[Record, ...]
    patterns: tuple[str, ...]
    combinations: Counts
    component_areas: tuple[Counts, ...]
    component_scenes: tuple[Counts, ...]
    mean_masks: NDArray[np.float32]
    brightness: Numbers
    brightness_inside: Numbers
    brightness_outside: Numbers
    nodata: Numbers
    nodata_inside: Numbers
    problems: tuple[Problem, ...]

    @property
    def area_fractions(self) -> Numbers:
        """Share of each scene that each pattern covers, 0 to 1, shape (scenes, patterns)."""
        return self.combinations @ _membership(len(self.patterns)) / (SCORE_GRID[0] * SCORE_GRID[1])

    @property
    def present(self) -> NDArray[np.bool_]:
        """Whether each scene has a pixel of each pattern, shape (scenes, patterns)."""
        return self.area_fractions > 0

    def counts(self, *, specks: bool = False) -> Counts:
        """Objects of each pattern in each scene, shape (scenes, patterns); or, instead, its specks."""
        components = zip(self.component_scenes, self.component_areas, strict=True)
        chosen = [scenes[(areas < SPECK) == specks] for scenes, areas in components]
        return np.stack([np.bincount(scenes, minlength=len(self.records)) for scenes in chosen], axis=1)

    @property
    def cooccurrence(self) -> Counts:
        """Scenes that have both of two patterns, shape (patterns, patterns); each alone on the diagonal."""
        present = self.present.astype(np.int64)
        return present.T @ present

    @property
    def overlap(self) -> Numbers:
        """Share of a pattern's pixels (row) that another (column) covers too; NaN for an absent pattern."""
        pixels, members = self.combinations.sum(axis=0), _membership(len(self.patterns))
        return _ratio(members.T @ (pixels[:, None] * members), (pixels @ members)[:, None])

    def examples(self, each: int = 2, seed: int = 0) -> dict[str, list[int]]:
        """Choose a few scenes of each kind at random; kinds without scenes are left out.

        Kinds are the numbers of patterns in a scene, each pattern alone, and the widest hundredth of swath
        gaps.

        Args:
            each: the number of scenes of a kind.
            seed: the same seed chooses the same scenes.
        """
        present, readable = self.present, np.isfinite(self.nodata)
        numbers = present.sum(axis=1)
        gaps = self.nodata[self.nodata > 0]
        wide = self.nodata >= (np.quantile(gaps, 0.99) if len(gaps) else np.inf)
        kinds = {f"{name} alone": present[:, i] & (numbers == 1) for i, name in enumerate(self.patterns)}
        kinds |= {f"{COUNT_WORDS[n]} patterns": numbers == n for n in range(2, len(self.patterns) + 1)}
        kinds |= {"no pattern": numbers == 0, "wide swath gap": wide}
        rng = np.random.default_rng(seed)
        chosen = {kind: rng.permutation(np.flatnonzero(fits & readable)) for kind, fits in kinds.items()}
        return {kind: sorted(indices[:each].tolist()) for kind, indices in chosen.items() if len(indices)}


def explore(dataset: Dataset, progress: Progress | None = None) -> Exploration:
    """Measure the masks and the pictures of all scenes of a data set.

    Scenes with wrong run lengths are left out. A scene whose picture cannot be read counts by its masks. Both
    are added to the data set's own problems.

    Args:
        dataset: the scenes.
        progress: called with the scenes done so far and in all.

    Raises:
        DatasetError: no scene has valid masks.
    """
    problems = list(dataset.problems)
    kept: list[int] = []
    masks: list[_Masks] = []
    pictures: list[_Picture] = []
    count = len(dataset.patterns)
    sums = np.zeros((count, *SCORE_GRID), np.float32)

    def work(record: Record) -> tuple[PackedMasks, _Masks, _Picture | Problem]:
        bits = dataset.bits(record.image, SCORE_GRID)
        try:
            picture: _Picture | Problem = _measure_picture(dataset.scene(record.image), bits, count)
        except SceneError as error:
            picture = Problem("a picture that cannot be read", str(error))
        return bits, _measure_masks(bits, count), picture

    for index, (bits, measured, picture) in dataset.map(work, problems, progress=progress):
        kept.append(index)
        sums += unpack_masks(bits, count)
        masks.append(measured)
        if isinstance(picture, Problem):
            problems.append(picture)
            unknown = np.full(count, np.nan)
            picture = _Picture(np.nan, unknown, unknown, np.nan, unknown)
        pictures.append(picture)
    if not kept:
        raise DatasetError(f"{dataset.folder}: no scene has valid masks; the last: {problems[-1].where}")
    by_pattern = list(zip(*(each.areas for each in masks), strict=True))
    return Exploration(
        records=tuple(dataset.records[index] for index in kept),
        patterns=dataset.patterns,
        combinations=np.array([each.combinations for each in masks], np.int64),
        component_areas=tuple(np.concatenate(areas) for areas in by_pattern),
        component_scenes=tuple(np.repeat(np.arange(len(masks)), [*map(len, areas)]) for areas in by_pattern),
        mean_masks=np.divide(sums, len(kept), dtype=np.float32),
        brightness=np.array([each.brightness for each in pictures]),
        brightness_inside=np.array([each.inside for each in pictures]),
        brightness_outside=np.array([each.outside for each in pictures]),
        nodata=np.array([each.nodata for each in pictures]),
        nodata_inside=np.array([each.nodata_inside for each in pictures]),
        problems=tuple(problems),
    )


class _Masks(NamedTuple):
    """Measurements of one scene's masks: pixels by combination, and areas of components by pattern."""

    combinations: Counts
    areas: list[Counts]


class _Picture(NamedTuple):
    """Measurements of one scene's picture, as `Exploration` has them."""

    brightness: float
    inside: Numbers
    outside: Numbers
    nodata: float
    nodata_inside: Numbers


def _membership(count: int) -> Numbers:
    """Whether a combination of patterns, as the bits of a pixel, has a pattern: 0 or 1, (2**count, count)."""
    return unpack_masks(np.arange(2**count, dtype=np.uint8), count).T.astype(np.float64)


def _measure_masks(bits: PackedMasks, count: int) -> _Masks:
    combinations = np.bincount(bits.reshape(-1), minlength=2**count)
    masks = unpack_masks(bits, count)
    areas = [
        np.bincount(label_components(mask)[mask])[1:] if mask.any() else np.zeros(0, int) for mask in masks
    ]
    return _Masks(combinations, areas)


def _measure_picture(scene: Scene, bits: PackedMasks, count: int) -> _Picture:
    pixels, valid = scene.read(_SMALLEST)
    members = _membership(count)
    onto = cv2.resize(bits, valid.shape[::-1], interpolation=cv2.INTER_NEAREST)
    light = pixels[valid].mean(axis=1)
    counts = np.bincount(onto[valid], minlength=2**count).astype(np.float64)
    sums = np.bincount(onto[valid], light, minlength=2**count)
    inside = _ratio(sums @ members, counts @ members)
    outside = _ratio(sums @ (1 - members), counts @ (1 - members))
    return _Picture(
        brightness=float(light.mean()) if len(light) else np.nan,
        inside=inside,
        outside=np.where(np.isnan(inside), np.nan, outside),
        nodata=float(1 - valid.mean()),
        nodata_inside=np.bincount(onto[~valid], minlength=2**count) @ members / valid.size,
    )


def _ratio(parts: Numbers, wholes: Numbers) -> Numbers:
    """Parts by wholes; NaN where a whole is 0."""
    return np.asarray(parts / np.where(wholes > 0, wholes, np.nan))
