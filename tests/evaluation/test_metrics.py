"""Overlap of masks, in cases counted by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays

from nephoscope.core.errors import ShapeMismatchError
from nephoscope.evaluation.metrics import dice, iou

FULL, EMPTY = np.ones((4, 5), bool), np.zeros((4, 5), bool)
LEFT = FULL & (np.arange(5) < 2)


@pytest.mark.parametrize("score", [dice, iou])
def test_known_cases(score):
    assert score(EMPTY, EMPTY) == 1
    assert score(FULL, FULL) == 1
    assert score(LEFT, ~LEFT) == 0
    assert score(EMPTY, LEFT) == 0


def test_a_part_of_the_whole():
    assert dice(LEFT, FULL) == pytest.approx(2 * 8 / (8 + 20))
    assert iou(LEFT, FULL) == pytest.approx(8 / 20)


@given(arrays(np.bool_, (6, 7)), arrays(np.bool_, (6, 7)))
def test_symmetric_bounded_and_tied_to_each_other(one, other):
    assert dice(one, other) == dice(other, one)
    assert 0 <= iou(one, other) <= dice(one, other) <= 1
    assert dice(one, other) == pytest.approx(2 * iou(one, other) / (1 + iou(one, other)))


@pytest.mark.parametrize("score", [dice, iou])
def test_different_shapes_are_refused(score):
    with pytest.raises(ShapeMismatchError, match=r"\(4, 5\)"):
        score(FULL, np.ones((5, 4), bool))
