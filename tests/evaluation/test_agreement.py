"""Agreement between people, in cases counted by hand."""

from datetime import date

import numpy as np
import pytest

from nephoscope.core.geo import Overpass
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.core.types import SCORE_GRID
from nephoscope.datasets.annotations import REGIONS, PracticeScene, Rectangle, masks_of
from nephoscope.evaluation.agreement import (
    LEAST_PEOPLE,
    LEAST_SCENES,
    MAJORITY,
    agreement,
    compare,
    worth_comparing,
)
from nephoscope.evaluation.metrics import dice

LEFT = Rectangle(0, 0, 1048, 1400, "Fish")
RIGHT = Rectangle(1048, 0, 2100, 1400, "Fish")
EMPTY = np.zeros((len(DEFAULT_NAMES), *SCORE_GRID), bool)


def scene(*answers):
    people = {f"u{number}": tuple(answer) for number, answer in enumerate(answers)}
    return PracticeScene(Overpass("Aqua", date(2015, 1, 31), REGIONS["1"]), "a.jpg", people)


def test_people_who_draw_the_same_agree():
    found = compare([agreement(scene([LEFT], [LEFT]), {"empty": EMPTY})], "empty")
    assert found.contest.between.mean == found.drawn.between.mean == found.threes == 1
    assert found.contest.between_patterns == dict.fromkeys(DEFAULT_NAMES, 1)
    assert found.contest.candidate.mean == 0.75  # right of three patterns that nobody saw
    assert found.drawn.candidate.mean == found.drawn.candidate_patterns["Fish"] == 0
    assert np.isnan(found.drawn.between_patterns["Sugar"])  # nobody drew it


def test_people_who_draw_apart_agree_only_on_what_they_leave_out():
    found = compare([agreement(scene([LEFT], [RIGHT]), {"empty": EMPTY})], "empty")
    assert found.contest.between_patterns == {"Fish": 0, "Flower": 1, "Gravel": 1, "Sugar": 1}
    assert found.contest.between.mean == 0.75
    assert found.drawn.between.mean == 0


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
    found = agreement(scene(*answers), {"machine": machine}, valid)
    drawn = [masks_of(answer, SCORE_GRID, valid) for answer in answers]
    for index in range(len(DEFAULT_NAMES)):
        for one, mask in enumerate(drawn):
            for other, second in enumerate(drawn):
                assert found.pairs[index, one, other] == pytest.approx(dice(mask[index], second[index]))
            by_hand = dice(machine[index] & valid, mask[index])
            assert found.candidates["machine"][index, one] == pytest.approx(by_hand)
            others = np.sum([each[index] for each in drawn[:one] + drawn[one + 1 :]], axis=0)
            by_hand = dice(others > 2.5, mask[index])
            assert found.candidates[MAJORITY][index, one] == pytest.approx(by_hand)


def test_a_drawing_in_a_gap_is_no_drawing():
    valid = np.ones(SCORE_GRID, bool)
    valid[:, :262] = False
    found = agreement(scene([LEFT], []), {}, valid)
    assert not found.drew.any()
    assert (found.pairs == 1).all()


def test_unions_of_three():
    found = compare([agreement(scene(*[[LEFT]] * 3, *[[LEFT, RIGHT]] * 3), {"empty": EMPTY})], "empty")
    assert 0.75 < found.threes < 1  # two unions are alike unless three drew the same half
    assert found.candidate_threes == 0.75


def test_whom_the_model_agrees_with():
    left = masks_of([LEFT], SCORE_GRID)
    scenes = [agreement(scene([LEFT], [LEFT], [RIGHT]), {"machine": left}) for _ in range(LEAST_SCENES)]
    told = compare(scenes, "machine")
    standings = {each.person: each for each in told.contest.standings}
    assert standings["u0"].others == (1 + 0.75) / 2
    assert (standings["u0"].candidate, standings["u2"].candidate) == (1, 0.75)
    assert standings["u2"].others == 0.75
    assert told.contest.as_well == 3
    assert told.contest.difference.mean == pytest.approx(2.75 / 3 - 2.5 / 3)
    assert told.contest.between.high == pytest.approx(told.contest.between.low)  # all scenes alike
    assert compare(scenes[1:], "machine").contest.standings == []  # too few scenes to judge a person by


def test_scenes_of_few_people_are_left_out():
    many, few = scene(*[[LEFT]] * LEAST_PEOPLE), scene([LEFT])
    assert worth_comparing([many, few]) == [many]
