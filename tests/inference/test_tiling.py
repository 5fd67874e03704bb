"""Tiling: scenes of any size at the right scale, and without seams."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nephoscope.core.geo import Bounds
from nephoscope.imagery.resize import resize
from nephoscope.inference.tiling import canvas_size, run_tiled

FRAME = (320, 480)


def pixelwise(pictures):
    """A 1x1 network: each class is a colour, from 0 to 1."""
    return pictures.transpose(0, 3, 1, 2).astype(np.float32) / 255


@settings(max_examples=30, deadline=None)
@given(st.integers(40, 900), st.integers(40, 1100), st.integers(0, 2**32 - 1))
def test_tiled_equals_whole_for_a_pixelwise_network(height, width, seed):
    canvas = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    tiled = run_tiled(canvas, FRAME, pixelwise)
    assert np.abs(tiled - pixelwise(canvas[None])[0]).max() < 1e-5


@pytest.mark.parametrize("size", [(320, 480), (500, 1300), (100, 100)])
def test_a_constant_stays_constant(size):
    def constant(pictures):
        return np.full((len(pictures), 4, *FRAME), 0.25, np.float32)

    assert np.allclose(run_tiled(np.zeros((*size, 3), np.uint8), FRAME, constant), 0.25)


def coordinates(pictures):
    """A network that tells where on the canvas each pixel lies, which its colours say."""
    red, green, blue = pictures.transpose(3, 0, 1, 2).astype(np.float32)
    return np.stack([red * 4 + blue // 64, green * 16 + blue % 64 // 4], 1)


@pytest.mark.parametrize("size", [(320, 480), (500, 1300), (900, 481), (321, 300), (1000, 2000)])
def test_a_ramp_stays_a_ramp(size):
    """No seam where tiles meet: each pixel keeps the coordinates that it has on the canvas."""
    y, x = np.mgrid[: size[0], : size[1]]
    canvas = np.dstack([y // 4, x // 16, y % 4 * 64 + x % 16 * 4]).astype(np.uint8)
    rows, columns = run_tiled(canvas, FRAME, coordinates)
    assert np.abs(rows - y).max() < 1e-2
    assert np.abs(columns - x).max() < 1e-2


def test_a_single_tile_is_the_networks_output():
    canvas = np.random.default_rng(3).integers(0, 255, (*FRAME, 3), dtype=np.uint8)
    assert np.array_equal(run_tiled(canvas, FRAME, pixelwise), pixelwise(canvas[None])[0])
    assert np.abs(run_tiled(canvas[:200], FRAME, pixelwise) - pixelwise(canvas[None, :200])[0]).max() < 1e-6


def test_what_each_tile_gets_wrong_at_its_edges_is_weighed_down():
    """Networks are unsure at the edges of a picture: of an error of 1 there, little is left inside."""

    def unsure(pictures):
        fields = np.zeros((len(pictures), 1, *FRAME), np.float32)
        fields[:, :, :8] = fields[:, :, -8:] = fields[..., :8] = fields[..., -8:] = 1
        return fields

    inside = run_tiled(np.zeros((1000, 2000, 3), np.uint8), FRAME, unsure)[0, 8:-8, 8:-8]
    assert inside.max() < 0.25
    assert inside.mean() < 0.02


def test_memory_beyond_the_picture_and_the_result_does_not_grow_with_the_scene():
    def beyond_once(height):
        canvas = np.zeros((height, 900, 3), np.uint8)
        tracemalloc.start()
        try:
            result = run_tiled(canvas, FRAME, pixelwise)
            return tracemalloc.get_traced_memory()[1] - result.nbytes
        finally:
            tracemalloc.stop()

    def beyond(height):
        """Tracing sees the allocations of all threads, also of those that other tests left behind."""
        return min(beyond_once(height) for _ in range(3))

    small, tall = beyond(640), beyond(8 * 640)
    assert tall < small + 100_000  # of which a column of weights takes 20,000


def test_a_differing_tile_is_blended_without_a_step():
    def by_tile(pictures):
        return np.full((1, 1, *FRAME), pictures[0, 0, 0, 0] / 255, np.float32)

    canvas = np.zeros((320, 800, 3), np.uint8)
    canvas[:, 300:] = 255
    line = run_tiled(canvas, FRAME, by_tile)[0, 160]
    assert line[0] == 0
    assert line[-1] == 1
    assert np.abs(np.diff(line)).max() < 0.02


@pytest.mark.parametrize(
    ("size", "canvas"),
    [
        ((1400, 2100), (320, 480)),
        ((350, 525), (320, 480)),
        ((1000, 1505), (320, 480)),  # near enough to the frame's shape
        ((1000, 1000), (320, 320)),
        ((2000, 1500), (640, 480)),
        ((1000, 5000), (320, 1600)),
        ((6000, 1000), (2880, 480)),
    ],
)
def test_where_the_place_is_unknown_a_picture_is_one_view(size, canvas):
    assert canvas_size(size, None, FRAME) == canvas


@pytest.mark.parametrize(
    ("bounds", "canvas"),
    [
        (Bounds(-61, 10, -40, 24), (320, 480)),
        (Bounds(-61, 10, -19, 24), (320, 960)),
        (Bounds(-60, 10, -53, 24), (320, 160)),
        (Bounds(170, -15, -169, -1), (320, 480)),
        (Bounds(-180, -14, 180, 14), (640, 8229)),
    ],
)
def test_where_the_place_is_known_the_scale_is_the_training_pictures(bounds, canvas):
    assert canvas_size((777, 999), (bounds.height, bounds.width), FRAME) == canvas


def test_shrinking_does_not_alias():
    stripes = np.zeros((1400, 2100, 3), np.uint8)
    stripes[:, ::2] = 200
    assert np.abs(resize(stripes, (320, 480)).astype(int) - 100).max() <= 13


@pytest.mark.parametrize("width", [1050, 700, 525])
def test_a_picture_comes_out_equally_sharp_from_any_size(width):
    """What a network is shown must not depend on how large the file was."""
    grain = np.random.default_rng(0).integers(0, 256, (700, 1050, 3)).astype(np.uint8)
    whole = resize(grain, (1400, 2100))

    def sharpness(pixels):
        return np.diff(resize(pixels, (320, 480)).astype(float), axis=1).std()

    assert sharpness(resize(whole, (width * 2 // 3, width))) == pytest.approx(sharpness(whole), rel=0.2)
