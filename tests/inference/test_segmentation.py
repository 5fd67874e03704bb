"""Segmentation of scenes: masks, regions, area fractions."""

from pathlib import Path

import numpy as np
import pytest

import nephoscope
from conftest import encoded
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.evaluation.metrics import dice
from nephoscope.imagery.scene import open_scene
from nephoscope.imagery.synthetic import make_scene
from nephoscope.inference.model import Model
from nephoscope.inference.postprocess import Rule
from nephoscope.inference.segmentation import segment

GUARD = Path(__file__).parents[1] / "default_model.npz"
RULE = Rule(threshold=0.5, top_k=100, presence=0.6, least_cover=0, minimum_area=50)


@pytest.fixture
def bright(tiny_model):
    """A model for which a pattern is where its colour is bright."""
    return Model.load(tiny_model(rules=dict.fromkeys(DEFAULT_NAMES, RULE)))


def painted(height, width, **boxes):
    """A dim picture with boxes of one colour, named `red_y0_y1_x0_x1` in shares of ten."""
    pixels = np.full((height, width, 3), 60, np.uint8)
    for name, value in boxes.items():
        colour, *edges = name.split("_")
        top, bottom, left, right = (int(edge) / 10 for edge in edges)
        rows = slice(round(top * height), round(bottom * height))
        columns = slice(round(left * width), round(right * width))
        pixels[rows, columns, ("red", "green", "blue").index(colour)] = value
    return pixels


@pytest.mark.slow
@pytest.mark.parametrize("size", [(350, 525), (700, 1050), (320, 480), (200, 200), (90, 900), (900, 100)])
def test_a_pattern_is_where_it_was_painted_at_any_size(bright, size):
    pixels = painted(*size, green_2_6_3_8=240)
    result = segment(pixels, bright)
    assert result.present == ["Flower"]
    (region,) = result.regions
    height, width = size
    slack = 2 + max(size) / 80
    assert region.box == pytest.approx((0.3 * width, 0.2 * height, 0.8 * width, 0.6 * height), abs=slack)
    assert result.area_fractions["Flower"] == pytest.approx(0.2, rel=0.1)
    assert dice(result.mask("Flower", size), pixels[:, :, 1] == 240) > 0.93


def test_patterns_may_overlap(bright):
    result = segment(painted(350, 525, red_2_8_2_6=240, blue_4_9_4_9=240), bright)
    assert result.present == ["Fish", "Gravel", "Sugar"]
    assert (result.mask("Fish") & result.mask("Gravel")).any()
    assert np.array_equal(result.mask("Fish"), result.mask("Sugar"))


@pytest.mark.slow
@pytest.mark.parametrize("size", [(350, 525), (1400, 2100), (333, 777)])
def test_no_data_is_never_part_of_a_pattern(bright, size):
    pixels = np.full((*size, 3), 250, np.uint8)
    pixels[:, size[1] // 3 : size[1] // 2] = 0
    result = segment(pixels, bright)
    assert result.present == list(DEFAULT_NAMES)
    for name in DEFAULT_NAMES:
        assert not result.mask(name)[~result.valid_mask].any()
        assert not result.mask(name, size)[(pixels == 0).all(axis=2)].any()
    assert result.area_fractions["Fish"] == pytest.approx(1, abs=0.02)


def test_a_black_picture_has_no_patterns_and_no_data(model):
    result = segment(np.zeros((350, 525, 3), np.uint8), model)
    assert not result.valid_mask.any()
    assert not result.masks.any()
    assert result.regions == []
    assert set(result.area_fractions.values()) == {0}


def test_near_components_join_on_request(bright):
    pixels = painted(350, 525, green_2_6_2_4=240)
    pixels[70:210, 215:300, 1] = 240  # 5 px further right on the grid of 350x525
    scene = open_scene(pixels)
    assert len(segment(scene, bright).regions) == 2
    joined = segment(scene, bright, join=8)
    assert len(joined.regions) == 1
    assert np.array_equal(joined.masks, segment(scene, bright).masks)


@pytest.mark.slow
def test_mirror_images_are_undone(bright, model):
    pixels = painted(350, 525, green_1_4_1_5=240, blue_5_9_6_9=220)
    once, four = segment(pixels, bright), segment(pixels, bright, tta=True)
    assert np.abs(once.probabilities - four.probabilities).max() < 1e-5  # a 1x1 network sees no direction
    picture = make_scene(4, (350, 525)).pixels
    mirrored = segment(np.ascontiguousarray(picture[:, ::-1]), model, tta=True)
    straight = segment(picture, model, tta=True)
    assert np.abs(mirrored.probabilities[:, :, ::-1] - straight.probabilities).max() < 1e-3


def test_masks_at_full_size_have_the_exact_nodata(bright, tmp_path):
    pixels = np.full((1400, 2100, 3), 250, np.uint8)
    pixels[:, 701:806] = 0
    path = tmp_path / "large.jpg"
    path.write_bytes(encoded(pixels, ".jpg"))
    result = segment(path, bright)
    assert result.prediction.raster.pixels.shape[0] < 1400  # decoded no finer than the network needs
    mask = result.mask("Fish", (1400, 2100))
    assert not mask[~open_scene(path).read().valid_mask].any()
    assert mask[:, 815:].all()


@pytest.mark.slow
def test_the_public_face(jpeg):
    result = nephoscope.segment(jpeg)
    assert isinstance(result, nephoscope.Segmentation)
    assert result.masks.shape == result.probabilities.shape == result.components.shape
    assert result.masks.dtype == bool
    assert result.scene.name == "scene.jpg"
    assert set(result.scores) == set(DEFAULT_NAMES)
    assert set(nephoscope.__all__) <= set(dir(nephoscope))
    assert repr(result).startswith("<Segmentation of scene.jpg: ")
    with pytest.raises(ValueError, match="unknown pattern 'fish'; available: Fish"):
        result.mask("fish")
    with pytest.raises(AttributeError, match="no attribute 'sgment'"):
        _ = nephoscope.sgment


def test_the_default_model_answers_as_it_was_shipped(model):
    """A stored picture, its probabilities and its masks guard the shipped file and all that is behind it."""
    stored = np.load(GUARD)
    result = segment(stored["picture"], model)
    assert np.abs(result.probabilities[:, ::10, ::10] - stored["probabilities"]).max() < 0.01
    masks = np.unpackbits(stored["masks"], count=result.masks.size).reshape(result.masks.shape).astype(bool)
    for index, name in enumerate(DEFAULT_NAMES):
        assert dice(result.masks[index], masks[index]) > 0.999, name
