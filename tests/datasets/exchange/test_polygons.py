"""Polygons become masks: the inverse of outlines, and by the pixels' centres."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from nephoscope.core.errors import LabelError
from nephoscope.core.outline import outline
from nephoscope.datasets.exchange.polygons import as_points, fill, rectangle


def filled(mask: np.ndarray, scale: tuple[float, float] = (1, 1)) -> np.ndarray:
    """The mask of the outlines of a mask."""
    height, width = mask.shape
    again = np.zeros_like(mask)
    for rings in outline(mask, scale=scale):
        fill(again, [as_points(ring) for ring in rings], (width * scale[0], height * scale[1]))
    return again


@settings(deadline=None)
@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=12)))
def test_the_outline_of_a_mask_filled_is_the_mask(mask):
    assert np.array_equal(filled(mask), mask)


@settings(deadline=None)
@given(st.integers(0, 2**32), st.floats(0.1, 9), st.floats(0.1, 9))
def test_so_it_is_at_any_scale(seed, x, y):
    mask = np.random.default_rng(seed).random((40, 60)) < 0.5
    assert np.array_equal(filled(mask, (x, y)), mask)


def of(points) -> np.ndarray:
    """The mask of one ring on 4 x 4 pixels."""
    mask = np.zeros((4, 4), np.bool_)
    fill(mask, [as_points(points)], (4, 4))
    return mask


def test_a_pixel_belongs_to_the_polygon_around_its_centre():
    triangle = [(0, 0), (4.1, 0), (0, 4.1)]
    assert of(triangle).tolist() == np.tri(4, dtype=bool)[::-1].tolist()
    assert np.argwhere(of([(1.4, 1.4), (1.6, 1.4), (1.6, 1.6), (1.4, 1.6)])).tolist() == [[1, 1]]
    assert not of([(1.6, 1.6), (1.9, 1.6), (1.9, 1.9), (1.6, 1.9)]).any()


def test_a_ring_may_be_closed_and_lie_outside():
    ring = [(-5, -5), (2, -5), (2, 9), (-5, 9)]
    assert np.array_equal(of(ring), np.arange(16).reshape(4, 4) % 4 < 2)
    assert np.array_equal(of([*ring, ring[0]]), of(ring))
    assert of([(-5, -5), (9, -5), (9, 9), (-5, 9)]).all()
    for away in ((100, 0), (-100, 0), (0, 100), (0, -100)):
        assert not of(np.array(ring) + away).any()


def test_rectangles_turn_clockwise_around_their_corner():
    assert rectangle(10, 10, 4, 2).tolist() == [[10, 10], [14, 10], [14, 12], [10, 12]]
    assert rectangle(10, 10, 4, 2, 90) == pytest.approx(np.array([[10, 10], [10, 14], [8, 14], [8, 10]]))


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        ([(0, 0), (1, 1)], "fewer than 3"),
        ([(0, 0), (1, 1), (0, 0)], "fewer than 3"),
        ([], "fewer than 3"),
        ([(0, 0), (1, 1), (0, float("nan"))], "not finite"),
        ([(0, 0), (1, 1), (0, float("inf"))], "not finite"),
        ([(0, 0), (1, 1), (0, 1e300)], "far"),
        ([(0, 0), (1, 1), (0,)], "pairs"),
        ([(0, 0), (1, 1), ("a", 1)], "pairs"),
        ([(0, 0), (1, 1), (10**400, 1)], "pairs"),
        ("points", "pairs"),
        (None, "pairs"),
    ],
)
def test_what_is_no_polygon(points, reason):
    with pytest.raises(LabelError, match=reason):
        as_points(points)
