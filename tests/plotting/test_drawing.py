"""Annotated scenes, legends and charts with the default patterns and with others."""

import cv2
import numpy as np
import pytest

from conftest import OWN_PATTERNS
from nephoscope.core.patterns import DEFAULT_PATTERNS, styled_patterns
from nephoscope.imagery.scene import Raster
from nephoscope.plotting import charts
from nephoscope.plotting.drawing import NO_DATA, PAPER, annotate, draw_scene, legend, side_by_side

SIZE = (200, 300)


@pytest.fixture(params=[DEFAULT_PATTERNS, *map(styled_patterns, OWN_PATTERNS.values())], ids=len)
def patterns(request):
    return request.param


@pytest.fixture
def raster():
    """Grey, without data along the left side."""
    valid_mask = np.ones(SIZE, bool)
    valid_mask[:, :30] = False
    return Raster(np.full((*SIZE, 3), 90, np.uint8) * valid_mask[..., None], valid_mask)


def columns(patterns):
    """A mask for each pattern: columns side by side, at half of the raster's resolution."""
    masks = np.zeros((len(patterns), 100, 150), bool)
    for index, mask in enumerate(masks):
        mask[20:80, 20 + 15 * index : 32 + 15 * index] = True
    return {pattern.name: mask for pattern, mask in zip(patterns, masks, strict=True)}


def has(picture, colour):
    return bool((picture == colour).all(axis=-1).sum() > 20)


def test_a_scene_shows_each_pattern_and_no_data(patterns, raster):
    drawn = draw_scene(raster, patterns, columns(patterns), 600, "title")
    assert drawn.shape == (24 + 400, 600, 3)
    assert all(has(drawn, pattern.colour) for pattern in patterns)
    assert has(drawn[24:, :60], NO_DATA)
    assert not has(drawn[24:, 70:], NO_DATA)


def test_patterns_without_a_mask_are_left_out(patterns, raster):
    drawn = draw_scene(raster, patterns, {}, 600)
    assert drawn.shape == (400, 600, 3)
    assert not any(has(drawn, pattern.colour) for pattern in patterns)


def test_names_do_not_overlap_and_the_picture_stays(raster):
    both = [(pattern, np.pad(np.ones((100, 200), bool), 50)) for pattern in DEFAULT_PATTERNS[:2]]
    pixels = raster.pixels.copy()
    image, _ = annotate(pixels, raster.valid_mask, [(each, mask[:200]) for each, mask in both], above=10)
    assert np.array_equal(pixels, raster.pixels)
    page = np.asarray(image)
    assert (page[:10] == PAPER).all()
    boxes = cv2.inRange(page[10:], np.array(PAPER), np.array(PAPER))
    count, _, stats, _ = cv2.connectedComponentsWithStats(boxes)
    assert sum(stats[1:count, cv2.CC_STAT_AREA] > 200) >= 2


def test_a_legend_has_a_line_for_each_pattern_and_no_data(patterns):
    page = legend(patterns, 500)
    assert page.shape == (26 * (len(patterns) + 1) + 12, 500, 3)
    for row, pattern in enumerate(patterns):
        assert (page[26 * row + 12 : 26 * (row + 1), 12:48] == pattern.colour).all()
    assert has(page[-26:, 12:48], NO_DATA)


def test_pictures_side_by_side():
    low, high = np.full((10, 20, 3), 1, np.uint8), np.full((30, 40, 3), 2, np.uint8)
    row = side_by_side([low, high])
    assert row.shape == (30, 20 + 10 + 40, 3)
    assert (row[:10, :20] == 1).all()
    assert (row[10:, :20] == PAPER).all()
    assert (row[:, 30:] == 2).all()


@pytest.mark.slow
def test_a_series_has_the_colour_of_its_pattern(patterns):
    values = {pattern: [0.2, 0.4] for pattern in patterns}
    for content in (
        charts.bars(dict.fromkeys(patterns, 0.5), "share", share=True),
        charts.grouped_bars(["one", "two"], values, "share", share=True),
        charts.histograms(values, [0, 0.3, 1], "share", "scenes"),
    ):
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
        assert all(has(picture, pattern.colour) for pattern in patterns)
    charts.heat_map(patterns, patterns, np.eye(len(patterns)), "row", "column")
    charts.maps({pattern: np.ones((4, 6)) for pattern in patterns}, "share")
