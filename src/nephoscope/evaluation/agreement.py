"""Inter-annotator agreement, and the agreement of a model with annotators.

An annotator's mask of a pattern is what they drew, or the union of their rectangles. Agreement of two masks
is the contest's Dice on 350x525, 1 where both are empty; agreement of two annotators on a scene is its mean
over the patterns.
Means are over a scene's pairs first and then over scenes: a scene with more annotators counts no more.

As most annotators leave most patterns out, two who drew nothing agree fully, and an empty prediction agrees
with everybody to some degree. A second, stricter measure leaves such agreement out: it is the mean over those
pairs and patterns of a scene where at least one of the two drew something.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nephoscope.core.types import Mask
from nephoscope.datasets.rectangles import PracticeScene
from nephoscope.evaluation.cells import AnnotatedScene, cells_by_pattern
from nephoscope.evaluation.statistics import Interval, bootstrap

Numbers = NDArray[np.float64]
Masks = NDArray[np.bool_]

MIN_SCENES = 10
"""Annotators of fewer scenes are not compared with the others."""

MAJORITY = "majority"
"""Name of the candidate that is, for each annotator, the area that more than half of the others drew.

A model learns what is common to many annotators, and such a mask agrees better with each of them than they do
with one another. So does the majority of the others, which is made without that annotator.
"""

_DRAWS = 100  # a scene, of two times three annotators
_UNION = 3  # annotators: about as many drew the rectangles of one contest label


@dataclass(frozen=True, eq=False)
class SceneAgreement:
    """Dice on one scene, from 0 to 1; arrays are in the order of `patterns` and `people`.

    Attributes:
        people: the annotators.
        patterns: names.
        drew: whether a person drew a pattern, shape (patterns, people).
        pairs: Dice of each person with each, shape (patterns, people, people).
        candidates: Dice of other masks with each person, by the masks' name, shape (patterns, people);
            `MAJORITY` is always among them.
        filled: whether such a mask has any pixel, by its name, shape (patterns, people).
        union_of_three: Dice of the union of three people with that of three others, mean over draws and
            patterns; NaN of fewer than six people.
        candidate_union_of_three: the same of the candidates with the union of three people.
    """

    people: tuple[str, ...]
    patterns: tuple[str, ...]
    drew: Masks
    pairs: Numbers
    candidates: dict[str, Numbers]
    filled: dict[str, Masks]
    union_of_three: float
    candidate_union_of_three: dict[str, float]


def agreement(
    scene: PracticeScene | AnnotatedScene,
    candidates: Mapping[str, Masks],
    patterns: Sequence[str],
    valid: Mask | None = None,
    seed: int = 0,
) -> SceneAgreement:
    """Measure the agreement of a scene's annotators with one another, with their majority and with masks.

    Args:
        scene: with at least two annotators.
        candidates: masks by name, boolean, shape (patterns, 350, 525).
        patterns: names, in the order of the masks.
        valid: where there is data, shape (350, 525); no mask counts elsewhere. Default: everywhere.
        seed: of the random choice of the unions of three.

    Raises:
        LabelError: run lengths of an annotation are wrong.
    """
    people = scene.people
    one, other = _choose_unions(len(people), seed)
    drew, pairs, unions = [], [], []
    dice: dict[str, list[Numbers]] = {name: [] for name in (*candidates, MAJORITY)}
    filled: dict[str, list[Masks]] = {name: [] for name in (*candidates, MAJORITY)}
    dice_unions: dict[str, list[Numbers]] = {name: [] for name in candidates}
    for index, cells in enumerate(cells_by_pattern(scene, patterns, valid)):
        areas = cells.drawn @ cells.pixels
        drew.append(areas > 0)
        # A matrix product does the same, but its threads compete with the other workers.
        shared = np.einsum("ic,jc->ij", cells.drawn * cells.pixels, cells.drawn)
        pairs.append(_dice(shared, areas[:, None], areas))
        first, second = (cells.drawn[side].max(axis=1) for side in (one, other))
        area = first @ cells.pixels
        unions.append(_dice((first * second) @ cells.pixels, area, second @ cells.pixels))
        others = (
            cells.drawn.sum(axis=0) - cells.drawn
        )  # number of other people who drew a cell, for each person
        most = (2 * others > len(people) - 1).astype(np.float32)
        of_most = most @ cells.pixels
        dice[MAJORITY].append(_dice((most * cells.drawn) @ cells.pixels, areas, of_most))
        filled[MAJORITY].append(of_most > 0)
        for name, masks in candidates.items():
            counts = cells.count(masks[index])
            dice[name].append(_dice(cells.drawn @ counts, areas, counts.sum()))
            filled[name].append(np.full(len(people), counts.any()))
            dice_unions[name].append(_dice(first @ counts, area, counts.sum()))
    enough = len(people) >= 2 * _UNION
    return SceneAgreement(
        people=people,
        patterns=tuple(patterns),
        drew=np.stack(drew),
        pairs=np.stack(pairs),
        candidates={name: np.stack(values) for name, values in dice.items()},
        filled={name: np.stack(values) for name, values in filled.items()},
        union_of_three=float(np.mean(unions)) if enough else np.nan,
        candidate_union_of_three={
            name: float(np.mean(values)) if enough else np.nan for name, values in dice_unions.items()
        },
    )


class AnnotatorScore(NamedTuple):
    """An annotator's mean Dice over their scenes: with the other annotators, and with a candidate."""

    person: str
    scenes: int
    others: float
    candidate: float


@dataclass(frozen=True)
class Measure:
    """Agreement of people and of a candidate by one measure; intervals are 95 %, scenes resampled.

    Attributes:
        inter_annotator: mean Dice of two people.
        candidate: mean Dice of the candidate and a person.
        difference: the second minus the first.
        inter_annotator_patterns: of two people, by pattern. Where drawn, all pairs of all scenes count alike:
            else one person's odd drawing would count as much as a pattern that everybody drew.
        candidate_patterns: of the candidate and a person, by pattern.
        annotators: people with at least `MIN_SCENES` scenes, those who agree best with others first.
    """

    inter_annotator: Interval
    candidate: Interval
    difference: Interval
    inter_annotator_patterns: dict[str, float]
    candidate_patterns: dict[str, float]
    annotators: list[AnnotatorScore]

    @property
    def as_well(self) -> int:
        """Number of `annotators` who agree with the candidate at least as well as with other people."""
        return sum(each.candidate >= each.others for each in self.annotators)


@dataclass(frozen=True)
class Comparison:
    """A candidate compared with annotators.

    Attributes:
        scenes: the number of scenes.
        people: the number of annotators of at least one of them.
        contest: by the contest's Dice, 1 where both masks are empty.
        drawn: where at least one of the two masks is not empty.
        union_of_three: mean contest's Dice of the union of three people with that of three others; None where
            no scene has six people.
        candidate_union_of_three: mean Dice of the candidate with the union of three people; None there, too,
            and for `MAJORITY`, which includes those people.
    """

    scenes: int
    people: int
    contest: Measure
    drawn: Measure
    union_of_three: float | None
    candidate_union_of_three: float | None


def compare(scenes: Sequence[SceneAgreement], candidate: str) -> Comparison:
    """Compare a candidate with annotators.

    Args:
        scenes: at least one, each with the candidate; where drawn, scenes count in which somebody drew.
        candidate: a name in `SceneAgreement.candidates`.
    """
    unions = [scene.candidate_union_of_three[candidate] for scene in scenes if candidate != MAJORITY]
    return Comparison(
        scenes=len(scenes),
        people=len({person for scene in scenes for person in scene.people}),
        contest=_measure(scenes, candidate, drawn=False),
        drawn=_measure(scenes, candidate, drawn=True),
        union_of_three=_mean_or_none(scene.union_of_three for scene in scenes),
        candidate_union_of_three=_mean_or_none(unions),
    )


def _mean_or_none(values: Iterable[float]) -> float | None:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else None


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
    columns = columns[np.isfinite(columns).all(axis=1)]  # without scenes in which nobody drew
    if len(columns):
        inter_annotator, with_candidate, difference = bootstrap(
            np.column_stack([columns, columns[:, 1] - columns[:, 0]]), range(len(columns))
        )
    else:
        inter_annotator = with_candidate = difference = Interval(np.nan, np.nan, np.nan)
    patterns, weight = np.array(by_pattern), np.array(weights)  # (scenes, people or candidate, patterns)
    if not drawn:
        weight = np.ones_like(weight)
    total = np.maximum(weight.sum(axis=0), 1)
    means = np.where(weight.any(axis=0), (np.nan_to_num(patterns) * weight).sum(axis=0) / total, np.nan)
    of_two, of_candidate = (dict(zip(scenes[0].patterns, row, strict=True)) for row in means.tolist())
    return Measure(
        inter_annotator, with_candidate, difference, of_two, of_candidate, _annotator_scores(of_person)
    )


def _annotator_scores(of_person: Mapping[str, list[tuple[float, float]]]) -> list[AnnotatorScore]:
    scores = []
    for person, rows in of_person.items():
        values = np.array(rows)
        values = values[np.isfinite(values).all(axis=1)]
        if len(values) >= MIN_SCENES:
            others, candidate = values.mean(axis=0).tolist()
            scores.append(AnnotatorScore(person, len(values), others, candidate))
    return sorted(scores, key=lambda each: (-each.others, each.person))


def _choose_unions(people: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Choose two times three different people at random, many times; each of shape (draws, 3)."""
    size = min(_UNION, people // 2)
    rng = np.random.default_rng(seed)
    chosen = np.stack([rng.permutation(people)[: 2 * size] for _ in range(_DRAWS)])
    return chosen[:, :size], chosen[:, size:]


def _dice(shared: ArrayLike, one: ArrayLike, other: ArrayLike) -> Numbers:
    """Dice from the numbers of shared pixels and of each mask's pixels; 1 where both are empty."""
    total = np.asarray(one, np.float64) + np.asarray(other, np.float64)
    return np.where(total > 0, 2 * np.asarray(shared, np.float64) / np.maximum(total, 1), 1.0)


def _mean(values: Numbers, counted: Masks, axis: int | tuple[int, ...] | None = None) -> Numbers:
    """Mean of the values that are counted; NaN where none is."""
    numbers = counted.sum(axis=axis)
    total = np.where(counted, values, 0).sum(axis=axis)
    return np.asarray(np.where(numbers > 0, total / np.maximum(numbers, 1), np.nan))
