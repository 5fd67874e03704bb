"""Rules: from probabilities to components, each step in cases that can be counted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nephoscope.inference.postprocess import (
    LARGEST_JOIN,
    Rule,
    above,
    is_present,
    label_components,
    presence_score,
    remove_small_components,
    resample,
    segment_pattern,
)

RULE = Rule(threshold=0.5, top_k=10, presence=0.6, least_cover=0, minimum_area=4)


def field(**boxes: float) -> np.ndarray:
    """A 20x30 field of zeros with values in boxes named `y0_y1_x0_x1`."""
    values = np.zeros((20, 30), np.float32)
    for name, value in boxes.items():
        top, bottom, left, right = map(int, name.strip("b").split("_"))
        values[top:bottom, left:right] = value
    return values


def test_above_is_strict():
    assert not above(np.full((20, 30), 0.5, np.float32), 0.5).any()
    assert above(np.full((20, 30), 0.51, np.float32), 0.5).all()


def test_presence_is_the_mean_of_the_highest():
    assert presence_score(field(b0_1_0_5=1.0, b1_2_0_5=0.5), 10) == pytest.approx(0.75)


def test_missing_data_is_no_evidence():
    assert presence_score(field(b0_1_0_5=1.0), 10) == pytest.approx(0.5)
    assert presence_score(np.ones((2, 3), np.float32), 10) == pytest.approx(0.6)
    assert presence_score(field(), 10) == 0


@given(arrays(np.float32, (8, 9), elements=st.floats(0, 1, width=32)), st.integers(1, 100))
def test_presence_equals_sorting(values, top_k):
    top = np.sort(values.ravel())[::-1][:top_k]
    result = presence_score(values, top_k)
    assert result == pytest.approx(top.sum(dtype=float) / top_k)


@pytest.mark.parametrize("order", ["random", "rising", "falling", "high at every 16th", "two values"])
def test_presence_of_large_fields_equals_sorting(order):
    rng = np.random.default_rng(0)
    values = np.sort(rng.random(9600, np.float32))
    if order == "random":
        rng.shuffle(values)
    elif order == "falling":
        values = values[::-1]
    elif order == "high at every 16th":
        values = np.concatenate([values[9000:].reshape(600, 1), values[:9000].reshape(600, 15)], 1).ravel()
    elif order == "two values":
        values = np.round(values)
    top = np.sort(values)[::-1]
    for top_k in (1, 30, 700, 5000, 9599):
        expected = pytest.approx(top[:top_k].mean(dtype=float))
        assert presence_score(values.reshape(80, 120), top_k) == expected


def test_least_cover_is_a_condition_of_presence():
    mask = field(b0_1_0_5=1.0) > 0
    assert is_present(0.6, mask, RULE)
    assert not is_present(0.59, mask, RULE)
    assert not is_present(0.9, mask, Rule(0.5, 10, 0.6, least_cover=6, minimum_area=0))
    assert not is_present(1.0, mask & False, RULE)


def test_diagonal_neighbours_are_one_component():
    assert label_components(np.eye(20, 30, dtype=bool)).max() == 1


@pytest.mark.parametrize("gap", range(1, 8))
def test_components_join_up_to_the_given_distance(gap):
    mask = field(b5_9_2_6=1.0) > 0
    mask[5:9, 6 + gap : 10 + gap] = True
    assert label_components(mask, join=gap - 1).max() == 2
    joined = label_components(mask, join=gap)
    assert joined.max() == 1
    assert np.array_equal(joined > 0, mask)  # nothing is painted between them
    assert label_components(mask.T, join=gap).max() == 1


@pytest.mark.parametrize("join", [-1, LARGEST_JOIN + 1])
def test_joining_has_bounds(join):
    with pytest.raises(ValueError, match="join must be between 0 and 100"):
        label_components(field() > 0, join)


def test_small_components_go_and_the_largest_comes_first():
    groups = label_components(field(b0_2_0_2=1.0, b5_10_0_4=1.0, b15_16_0_3=1.0) > 0)
    kept = remove_small_components(groups, 4)
    assert kept.max() == 2
    assert (kept == 1).sum() == 20
    assert (kept == 2).sum() == 4


def test_small_components_near_each_other_are_kept_when_joined():
    values = field(b0_1_0_3=1.0, b0_1_5_8=1.0, b10_12_10_15=0.9)
    assert segment_pattern(values, RULE)[0].max() == 1
    groups, score = segment_pattern(values, RULE, join=2)
    assert groups.max() == 2
    assert (groups == 2).sum() == 6
    assert score == pytest.approx((6 + 4 * 0.9) / 10)


def test_an_absent_pattern_has_no_components_but_a_score():
    groups, score = segment_pattern(field(b0_2_0_2=1.0), RULE)
    assert not groups.any()
    assert score == pytest.approx(0.4)


@given(arrays(np.bool_, (9, 11)), st.integers(0, 5))
def test_joining_only_merges(mask, join):
    apart, joined = label_components(mask), label_components(mask, join)
    assert np.array_equal(joined > 0, mask)
    for number in range(1, apart.max() + 1):
        assert len(np.unique(joined[apart == number])) == 1


@pytest.mark.parametrize("grid", [(350, 525), (100, 140), (320, 480)])
def test_a_constant_stays_constant_on_any_grid(grid):
    resampled = resample(np.full((320, 480), 0.37, np.float32), grid)
    assert resampled.shape == grid
    assert np.allclose(resampled, 0.37)
