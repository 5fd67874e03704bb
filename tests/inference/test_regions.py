"""Regions: their measures, and outlines that enclose exactly their pixels."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays

from nephoscope.core.outline import outline
from nephoscope.inference.postprocess import label_components, remove_small_components
from nephoscope.inference.regions import find_regions


def test_a_rectangle():
    mask = np.zeros((50, 60), bool)
    mask[10:20, 30:50] = True
    probability = np.where(mask, np.float32(0.8), np.float32(0.1))
    valid = np.ones_like(mask)
    valid[:10] = False
    (region,) = find_regions("Fish", label_components(mask), probability, valid, (100, 240))
    assert region.pattern == "Fish"
    assert region.area == 200 * 2 * 4
    assert region.area_fraction == pytest.approx(200 / (40 * 60))
    assert region.box == (120, 20, 200, 40)
    assert region.centroid == (160, 30)
    assert region.mean_probability == pytest.approx(0.8)
    assert [len(polygon) for polygon in region.outline] == [1]
    assert set(region.outline[0][0]) == {(120, 20), (200, 20), (200, 40), (120, 40)}


def test_a_ring_has_a_hole():
    mask = np.zeros((30, 30), bool)
    mask[5:25, 5:25] = True
    mask[10:20, 10:20] = False
    ((outer, hole),) = outline(mask)
    assert set(outer) == {(5, 5), (25, 5), (25, 25), (5, 25)}
    # The corners of a hole are cut by half a pixel.
    assert {round(abs(x - 15)) for x, _ in hole} == {round(abs(y - 15)) for _, y in hole}
    assert _area(hole) == pytest.approx(100, abs=1)


def test_no_components_no_regions():
    empty = np.zeros((5, 5), np.int32)
    assert find_regions("Fish", empty, np.zeros((5, 5), np.float32), empty == 0, (5, 5)) == []


def test_joined_parts_are_one_region_with_two_polygons():
    mask = np.zeros((20, 20), bool)
    mask[2:6, 2:6] = mask[2:6, 8:12] = True
    (region,) = find_regions(
        "Sugar", label_components(mask, join=2), mask.astype(np.float32), mask | True, (20, 20)
    )
    assert len(region.outline) == 2
    assert region.area == 32


@settings(deadline=None)
@given(arrays(np.bool_, (12, 14)))
def test_outlines_enclose_exactly_the_mask(mask):
    """Every pixel's centre is inside the polygons if the pixel is on, outside if it is off."""
    canvas = np.zeros(mask.shape, int)
    for polygon in outline(mask):
        for ring in polygon:
            contour = np.array(ring, np.float32).reshape(-1, 1, 2)
            for y, x in np.ndindex(mask.shape):
                canvas[y, x] += cv2.pointPolygonTest(contour, (x + 0.5, y + 0.5), measureDist=False) > 0
    assert np.array_equal(canvas % 2 == 1, mask)


@given(arrays(np.bool_, (12, 14)))
def test_regions_add_up_to_the_mask(mask):
    groups = remove_small_components(label_components(mask), 1)
    regions = find_regions("Gravel", groups, mask.astype(np.float32), mask | True, mask.shape)
    assert sum(region.area for region in regions) == mask.sum()
    assert [region.area for region in regions] == sorted((region.area for region in regions), reverse=True)


def _area(ring):
    x, y = np.array(ring).T
    return abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2
