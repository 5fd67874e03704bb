"""How well people agree with one another, and whether a model agrees with them as well.

Everybody's mask of a pattern is the union of their rectangles. Two masks agree by the contest's Dice on
350x525, 1 where both are empty; two people agree on a scene by its mean over the patterns. What is said of
all is the mean over a scene's pairs and then over scenes: no scene counts more for having more people.

As most people leave most patterns out, two who drew nothing agree fully, and an answer that is always empty
agrees with everybody to some degree. A second, stricter measure therefore leaves such agreement out: it is
the mean over those pairs and patterns of a scene where at least one of the two drew something.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.core.types import SCORE_GRID, Mask
from nephoscope.datasets.annotations import PracticeScene, Rectangle, span
from nephoscope.evaluation.statistics import Interval, bootstrap

Numbers = NDArray[np.float64]
Masks = NDArray[np.bool_]

LEAST_PEOPLE = 10
"""A scene that fewer people labelled tells little of how people agree, and is left out."""

LEAST_SCENES = 10
"""A person who labelled fewer of the scenes is not held against the others."""

MAJORITY = "majority"
"""Name of the candidate that is, for each person, the area that more than half of the other people drew.

A model learns what is common to many people's answers, and such an answer agrees better with each of them
than they do with one another: so does what most others drew, made without that person.
"""

_DRAWS = 100  # a scene, of two times three people
_TOGETHER = 3  # people: about as many drew the rectangles of one contest label


@dataclass(frozen=True, eq=False)
class SceneAgreement:
    """Dice on one scene, from 0 to 1; people in the order of `people`, patterns of `DEFAULT_NAMES`.

    Attributes:
        people: who labelled it.
        drew: whether a person drew a pattern, shape (patterns, people).
        pairs: of each person with each, shape (patterns, people, people).
        candidates: of other masks with each person, by their name, shape (patterns, people); `MAJORITY` is
            always among them.
        filled: whether such a mask has any pixel, by its name, shape (patterns, people).
        threes: of the union of three people with that of three others, mean over draws and patterns.
        candidate_threes: the same of the candidates with the union of three people.
    """

    people: tuple[str, ...]
    drew: Masks
    pairs: Numbers
    candidates: dict[str, Numbers]
    filled: dict[str, Masks]
    threes: float
    candidate_threes: dict[str, float]


def agreement(
    scene: PracticeScene, candidates: Mapping[str, Masks], valid: Mask | None = None, seed: int = 0
) -> SceneAgreement:
    """How people agree on a scene with one another, with what most others drew, and with other masks.

    Args:
        scene: labelled by at least two people; with fewer than six, the unions are of fewer than three.
        candidates: by name, boolean, shape (patterns, 350, 525).
        valid: where there is data, shape (350, 525); nobody's mask counts elsewhere. Everywhere if left out.
        seed: of the drawing of threes.
    """
    people = tuple(sorted(scene.answers))
    answers = [scene.answers[person] for person in people]
    one, other = _draw_threes(len(people), seed)
    drew, pairs, threes = [], [], []
    dice: dict[str, list[Numbers]] = {name: [] for name in (*candidates, MAJORITY)}
    filled: dict[str, list[Masks]] = {name: [] for name in (*candidates, MAJORITY)}
    dice_threes: dict[str, list[Numbers]] = {name: [] for name in candidates}
    for index, pattern in enumerate(DEFAULT_NAMES):
        cells = _cells(answers, pattern, valid)
        areas = cells.drawn @ cells.pixels
        drew.append(areas > 0)
        # A matrix product would do the same, and waits for its threads where other workers have them.
        shared = np.einsum("ic,jc->ij", cells.drawn * cells.pixels, cells.drawn)
        pairs.append(_dice(shared, areas[:, None], areas))
        first, second = (cells.drawn[side].max(axis=1) for side in (one, other))
        area = first @ cells.pixels
        threes.append(_dice((first * second) @ cells.pixels, area, second @ cells.pixels))
        others = cells.drawn.sum(axis=0) - cells.drawn  # how many other people drew a cell, for each person
        most = (2 * others > len(people) - 1).astype(np.float32)
        of_most = most @ cells.pixels
        dice[MAJORITY].append(_dice((most * cells.drawn) @ cells.pixels, areas, of_most))
        filled[MAJORITY].append(of_most > 0)
        for name, masks in candidates.items():
            counts = cells.count(masks[index])
            dice[name].append(_dice(cells.drawn @ counts, areas, counts.sum()))
            filled[name].append(np.full(len(people), counts.any()))
            dice_threes[name].append(_dice(first @ counts, area, counts.sum()))
    return SceneAgreement(
        people=people,
        drew=np.stack(drew),
        pairs=np.stack(pairs),
        candidates={name: np.stack(found) for name, found in dice.items()},
        filled={name: np.stack(found) for name, found in filled.items()},
        threes=float(np.mean(threes)),
        candidate_threes={name: float(np.mean(found)) for name, found in dice_threes.items()},
    )


class AnnotatorScore(NamedTuple):
    """One person's mean Dice over the scenes they labelled: with the other people, and with a candidate."""

    person: str
    scenes: int
    others: float
    candidate: float


@dataclass(frozen=True)
class Measure:
    """How people and a candidate stand by one measure; intervals are 95 %, scenes resampled.

    Attributes:
        between: mean Dice of two people.
        candidate: mean Dice of the candidate and a person.
        difference: the second less the first.
        between_patterns: of two people, by pattern; where drawn, over all pairs of all scenes alike, as one
            person's whim in a scene would else count as much as a pattern that all saw.
        candidate_patterns: of the candidate and a person, by pattern.
        standings: people with at least `LEAST_SCENES` scenes, those who agree best with others first.
    """

    between: Interval
    candidate: Interval
    difference: Interval
    between_patterns: dict[str, float]
    candidate_patterns: dict[str, float]
    standings: list[AnnotatorScore]

    @property
    def as_well(self) -> int:
        """How many people of `standings` agree with the candidate at least as well as with other people."""
        return sum(each.candidate >= each.others for each in self.standings)


@dataclass(frozen=True)
class Comparison:
    """A candidate against people, over scenes.

    Attributes:
        scenes: how many.
        people: how many labelled at least one of them.
        contest: by the contest's measure, 1 where both masks are empty.
        drawn: where at least one of the two masks is not empty.
        threes: mean Dice of the union of three people with that of three others, by the contest's measure.
        candidate_threes: mean Dice of the candidate with the union of three people; None of `MAJORITY`, which
            those people are part of.
    """

    scenes: int
    people: int
    contest: Measure
    drawn: Measure
    threes: float
    candidate_threes: float | None


def compare(scenes: Sequence[SceneAgreement], candidate: str) -> Comparison:
    """Hold a candidate against people.

    Args:
        scenes: at least one, each with the candidate, and in each somebody drew something.
        candidate: its name there.
    """
    own_threes = [scene.candidate_threes[candidate] for scene in scenes if candidate != MAJORITY]
    return Comparison(
        scenes=len(scenes),
        people=len({person for scene in scenes for person in scene.people}),
        contest=_measure(scenes, candidate, drawn=False),
        drawn=_measure(scenes, candidate, drawn=True),
        threes=float(np.mean([scene.threes for scene in scenes])),
        candidate_threes=float(np.mean(own_threes)) if own_threes else None,
    )


def worth_comparing(scenes: Sequence[PracticeScene]) -> list[PracticeScene]:
    """Those that at least `LEAST_PEOPLE` people labelled."""
    return [scene for scene in scenes if len(scene.answers) >= LEAST_PEOPLE]


def _measure(scenes: Sequence[SceneAgreement], candidate: str, drawn: bool) -> Measure:
    overall, by_pattern, weights = [], [], []
    of_person: dict[str, list[tuple[float, float]]] = {}
    for scene in scenes:
        pairs, own = scene.pairs, scene.candidates[candidate]
        counted = np.broadcast_to(~np.eye(len(scene.people), dtype=np.bool_), pairs.shape)
        own_counted = np.ones(own.shape, np.bool_)
        if drawn:
            counted = counted & (scene.drew[:, :, None] | scene.drew[:, None])
            own_counted = scene.drew | scene.filled[candidate]
        overall.append((_mean(pairs, counted), _mean(own, own_counted)))
        by_pattern.append((_mean(pairs, counted, (1, 2)), _mean(own, own_counted, 1)))
        weights.append((counted.sum(axis=(1, 2)), own_counted.sum(axis=1)))
        person = zip(_mean(pairs, counted, (0, 1)), _mean(own, own_counted, 0), strict=True)
        for name, values in zip(scene.people, person, strict=True):
            of_person.setdefault(name, []).append(values)
    columns = np.array(overall)
    between, found, difference = bootstrap(
        np.column_stack([columns, columns[:, 1] - columns[:, 0]]), range(len(scenes))
    )
    patterns, weight = np.array(by_pattern), np.array(weights)  # (scenes, people or candidate, patterns)
    if not drawn:
        weight = np.ones_like(weight)
    total = np.maximum(weight.sum(axis=0), 1)
    means = np.where(weight.any(axis=0), (np.nan_to_num(patterns) * weight).sum(axis=0) / total, np.nan)
    return Measure(
        between,
        found,
        difference,
        dict(zip(DEFAULT_NAMES, means[0].tolist(), strict=True)),
        dict(zip(DEFAULT_NAMES, means[1].tolist(), strict=True)),
        _standings(of_person),
    )


def _standings(of_person: Mapping[str, list[tuple[float, float]]]) -> list[AnnotatorScore]:
    standings = []
    for person, rows in of_person.items():
        values = np.array(rows)
        values = values[np.isfinite(values).all(axis=1)]
        if len(values) >= LEAST_SCENES:
            others, candidate = values.mean(axis=0).tolist()
            standings.append(AnnotatorScore(person, len(values), others, candidate))
    return sorted(standings, key=lambda each: (-each.others, each.person))


@dataclass(frozen=True, eq=False)
class _Cells:
    """A scene cut along all edges of one pattern's rectangles: within a cell everybody's mask is constant.

    Counting cells by their pixels is exact, and there are tens of times fewer of them.

    Attributes:
        drawn: 1 where a person's mask covers a cell, else 0; shape (people, cells).
        pixels: how many pixels with data a cell has, shape (cells,).
    """

    drawn: NDArray[np.float32]
    pixels: NDArray[np.float32]
    _rows: NDArray[np.int64]
    _columns: NDArray[np.int64]
    _valid: Mask

    def count(self, mask: Mask) -> NDArray[np.float32]:
        """How many of a mask's pixels with data lie in each cell."""
        return _count(mask & self._valid, self._rows, self._columns)


def _cells(answers: Sequence[Sequence[Rectangle]], pattern: str, valid: Mask | None) -> _Cells:
    spans = [[span(each, SCORE_GRID) for each in answer if each.pattern == pattern] for answer in answers]
    edges = np.array([each for own in spans for each in own], np.int64).reshape(-1, 4)
    rows = np.unique(np.append(edges[:, :2], 0))
    columns = np.unique(np.append(edges[:, 2:], 0))
    rows, columns = rows[rows < SCORE_GRID[0]], columns[columns < SCORE_GRID[1]]
    drawn = np.zeros((len(answers), len(rows), len(columns)), np.float32)
    for person, own in enumerate(spans):
        for y0, y1, x0, x1 in own:
            inside = np.s_[
                slice(*np.searchsorted(rows, (y0, y1))), slice(*np.searchsorted(columns, (x0, x1)))
            ]
            drawn[person][inside] = 1
    valid = np.ones(SCORE_GRID, np.bool_) if valid is None else valid
    return _Cells(drawn.reshape(len(answers), -1), _count(valid, rows, columns), rows, columns, valid)


def _count(mask: Mask, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.float32]:
    by_row = np.add.reduceat(mask, rows, axis=0, dtype=np.int32)
    return np.add.reduceat(by_row, columns, axis=1).reshape(-1).astype(np.float32)


def _draw_threes(people: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Two times three different people, by chance, many times; each of shape (draws, 3)."""
    together = min(_TOGETHER, people // 2)
    rng = np.random.default_rng(seed)
    chosen = np.stack([rng.permutation(people)[: 2 * together] for _ in range(_DRAWS)])
    return chosen[:, :together], chosen[:, together:]


def _dice(shared: ArrayLike, one: ArrayLike, other: ArrayLike) -> Numbers:
    """Dice by the number of shared pixels and of each mask's own; 1 where both are empty."""
    total = np.asarray(one, np.float64) + np.asarray(other, np.float64)
    return np.where(total > 0, 2 * np.asarray(shared, np.float64) / np.maximum(total, 1), 1.0)


def _mean(values: Numbers, counted: Masks, axis: int | tuple[int, ...] | None = None) -> Numbers:
    """Mean of the values that count; NaN where none does."""
    numbers = counted.sum(axis=axis)
    total = np.where(counted, values, 0).sum(axis=axis)
    return np.asarray(np.where(numbers > 0, total / np.maximum(numbers, 1), np.nan))
