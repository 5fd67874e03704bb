"""Inter-annotator agreement, in cases counted by hand."""

from datetime import date

import numpy as np
import pytest

from nephoscope.core.geo import Overpass
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.core.types import LABEL_GRID, SCORE_GRID
from nephoscope.datasets.annotations import Annotation
from nephoscope.datasets.rectangles import REGIONS, PracticeScene, Rectangle, masks_of
from nephoscope.evaluation.agreement import (
    MAJORITY,
    MIN_SCENES,
    agreement,
    compare,
)
from nephoscope.evaluation.metrics import dice
from nephoscope.evaluation.people import MIN_ANNOTATORS, annotated_scenes, with_enough_annotators

LEFT = Rectangle(0, 0, 1048, 1400, "Fish")
RIGHT = Rectangle(1048, 0, 2100, 1400, "Fish")
EMPTY = np.zeros((len(DEFAULT_NAMES), *SCORE_GRID), bool)


def scene(*answers):
    people = {f"u{number}": tuple(answer) for number, answer in enumerate(answers)}
    return PracticeScene(Overpass("Aqua", date(2015, 1, 31), REGIONS["1"]), "a.jpg", people)


def measure(scene, candidates, valid=None):
    return agreement(scene, candidates, DEFAULT_NAMES, valid)


def test_annotators_who_draw_the_same_agree():
    result = compare([measure(scene([LEFT], [LEFT]), {"empty": EMPTY})], "empty")
    contest, drawn = result.contest, result.drawn
    assert contest.inter_annotator.mean == drawn.inter_annotator.mean == 1
    assert result.union_of_three is None  # takes six people
    assert contest.inter_annotator_patterns == dict.fromkeys(DEFAULT_NAMES, 1)
    assert contest.candidate.mean == 0.75  # right in three patterns that nobody drew
    assert drawn.candidate.mean == drawn.candidate_patterns["Fish"] == 0
    assert np.isnan(drawn.inter_annotator_patterns["Sugar"])  # nobody drew it


def test_annotators_who_draw_apart_agree_only_on_what_they_leave_out():
    result = compare([measure(scene([LEFT], [RIGHT]), {"empty": EMPTY})], "empty")
    assert result.contest.inter_annotator_patterns == {"Fish": 0, "Flower": 1, "Gravel": 1, "Sugar": 1}
    assert result.contest.inter_annotator.mean == 0.75
    assert result.drawn.inter_annotator.mean == 0


def test_cells_count_as_pixels_do():
    rng = np.random.default_rng(3)
    answers = []
    for _ in range(6):
        left, top = rng.uniform(-200, 2000, 5), rng.uniform(-100, 1300, 5)
        sides = zip(left, top, left + rng.uniform(50, 900, 5), top + rng.uniform(50, 900, 5), strict=True)
        answers.append([Rectangle(*corners, DEFAULT_NAMES[rng.integers(4)]) for corners in sides])
    valid = np.ones(SCORE_GRID, bool)
    valid[:, 100:180] = False
    machine = rng.random((len(DEFAULT_NAMES), *SCORE_GRID)) < 0.3
    result = measure(scene(*answers), {"machine": machine}, valid)
    drawn = [masks_of(answer, SCORE_GRID, valid) for answer in answers]
    for index in range(len(DEFAULT_NAMES)):
        for one, mask in enumerate(drawn):
            for other, second in enumerate(drawn):
                assert result.pairs[index, one, other] == pytest.approx(dice(mask[index], second[index]))
            by_hand = dice(machine[index] & valid, mask[index])
            assert result.candidates["machine"][index, one] == pytest.approx(by_hand)
            others = np.sum([each[index] for each in drawn[:one] + drawn[one + 1 :]], axis=0)
            by_hand = dice(others > 2.5, mask[index])
            assert result.candidates[MAJORITY][index, one] == pytest.approx(by_hand)


def test_rectangles_without_data_are_not_counted():
    valid = np.ones(SCORE_GRID, bool)
    valid[:, :262] = False
    result = measure(scene([LEFT], []), {}, valid)
    assert not result.drew.any()
    assert (result.pairs == 1).all()


def test_unions_of_three():
    result = compare([measure(scene(*[[LEFT]] * 3, *[[LEFT, RIGHT]] * 3), {"empty": EMPTY})], "empty")
    assert 0.75 < result.union_of_three < 1  # two unions are alike unless three drew the same half
    assert result.candidate_union_of_three == 0.75


def test_agreement_with_each_annotator():
    left = masks_of([LEFT], SCORE_GRID)
    scenes = [measure(scene([LEFT], [LEFT], [RIGHT]), {"machine": left}) for _ in range(MIN_SCENES)]
    contest = compare(scenes, "machine").contest
    scores = {each.person: each for each in contest.annotators}
    assert scores["u0"].others == (1 + 0.75) / 2
    assert (scores["u0"].candidate, scores["u2"].candidate) == (1, 0.75)
    assert scores["u2"].others == 0.75
    assert contest.as_well == 3
    assert contest.difference.mean == pytest.approx(2.75 / 3 - 2.5 / 3)
    assert contest.inter_annotator.high == pytest.approx(contest.inter_annotator.low)  # all scenes alike
    assert compare(scenes[1:], "machine").contest.annotators == []  # too few scenes to judge a person by


def test_annotators_of_other_patterns():
    names = ("Cell", "Roll")
    cell, roll = LEFT._replace(pattern="Cell"), LEFT._replace(pattern="Roll")
    masks = masks_of([cell], SCORE_GRID, patterns=names)
    result = compare([agreement(scene([cell], [cell, roll]), {"machine": masks}, names)], "machine")
    assert result.contest.inter_annotator_patterns == {"Cell": 1, "Roll": 0}
    assert result.contest.candidate_patterns == {"Cell": 1, "Roll": 0.5}


def test_scenes_with_few_annotators_are_left_out():
    many, few = scene(*[[LEFT]] * MIN_ANNOTATORS), scene([LEFT])
    assert with_enough_annotators([many, few]) == [many]


def test_masks_count_as_rectangles_do():
    rng = np.random.default_rng(4)
    answers = []
    for _ in range(6):
        left, top = rng.uniform(0, 2000, 5), rng.uniform(0, 1300, 5)
        sides = zip(left, top, left + rng.uniform(50, 900, 5), top + rng.uniform(50, 900, 5), strict=True)
        answers.append([Rectangle(*corners, DEFAULT_NAMES[rng.integers(4)]) for corners in sides])
    valid = np.ones(SCORE_GRID, bool)
    valid[:, 100:180] = False
    machine = rng.random((len(DEFAULT_NAMES), *SCORE_GRID)) < 0.3
    rectangles = scene(*answers)
    drawn = [
        Annotation.from_masks("a.jpg", person, masks_of(answer, LABEL_GRID), DEFAULT_NAMES)
        for person, answer in rectangles.answers.items()
    ]
    (masks,) = annotated_scenes([*drawn, Annotation("b.jpg", "u0", {})])
    one, other = (measure(each, {"machine": machine}, valid) for each in (rectangles, masks))
    assert one.people == other.people
    assert np.allclose(one.pairs, other.pairs)
    assert np.array_equal(one.drew, other.drew)
    for name in ("machine", MAJORITY):
        assert np.allclose(one.candidates[name], other.candidates[name])
    assert one.union_of_three == pytest.approx(other.union_of_three)


def test_scenes_in_which_nobody_drew_count_by_the_contests_dice_alone():
    result = compare([measure(scene([LEFT], [LEFT]), {}), measure(scene([], []), {})], MAJORITY)
    assert (result.contest.inter_annotator.mean, result.drawn.inter_annotator.mean) == (1, 1)
    result = compare([measure(scene([], []), {})], MAJORITY)
    assert result.contest.inter_annotator.mean == 1
    assert np.isnan(result.drawn.inter_annotator.mean)
