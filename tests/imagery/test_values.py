"""Values of any range become colours, or the range is named."""

import numpy as np
import pytest

from conftest import encoded
from nephoscope.core.errors import SceneError
from nephoscope.imagery.reading import open_scene
from nephoscope.imagery.values import parse_scale
from nephoscope.inference.pipeline import segment

# Reflectances whose true-colour stretch gives the displayed brightness: the inverse of Worldview's curve.
SHOWN, LINEAR = (0, 110, 160, 210, 240, 255), (0, 30, 60, 120, 190, 255)


def reflectances(pixels: np.ndarray) -> np.ndarray:
    return np.interp(pixels, SHOWN, LINEAR) / 255 * 1.1


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (120, 180, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("as_stored", "scale"),
    [
        (lambda values: values, "reflectance"),
        (lambda values: values.astype(np.float32), "reflectance"),
        (lambda values: 100 * values, "reflectance"),
        (lambda values: np.rint(10_000 * values).astype(np.uint16), "reflectance"),
        (lambda values: np.rint(10_000 * values).astype(np.int16), "reflectance"),
    ],
)
def test_reflectances_get_the_stretch_of_worldview(pixels, as_stored, scale):
    scene = open_scene(as_stored(reflectances(pixels)), scale=scale)
    assert np.abs(scene.read().pixels.astype(int) - pixels).max() <= 1
    assert scene.value_warnings == []


def test_the_stretch_is_the_published_one():
    stored = np.tile(np.array([0, 30, 60, 120, 190, 255, 300]) / 255 * 1.1, (40, 10))
    shown = open_scene(stored, scale="reflectance").read().pixels[0, :7, 0]
    assert shown.tolist() == [0, 110, 160, 210, 240, 255, 255]


@pytest.mark.parametrize(
    "stored",
    [
        lambda pixels: (pixels / 255 * 4000).astype(np.uint16),
        lambda pixels: (pixels / 255 * 4000).astype(np.int16),
        lambda pixels: pixels / 255 * 4000.0,
    ],
)
def test_a_small_part_of_the_range_is_stretched_with_a_warning(pixels, stored, model):
    values = stored(pixels)
    scene = open_scene(values)
    assert (
        np.abs(
            scene.read().pixels.astype(int) - np.clip(pixels * (255 / np.percentile(pixels, 99.9)), 0, 255)
        ).max()
        <= 3
    )
    (warning,) = scene.value_warnings
    assert f"from {values.min():.6g} to {values.max():.6g}" in warning
    assert warning in segment(scene, model).warnings


def test_ambiguous_values_are_refused_and_stated_ones_are_not(pixels):
    for stored in (pixels / 256 * 0.9, pixels / 256 * 90, pixels / 100.0 - 1):
        with pytest.raises(SceneError, match=r"values from .* may be colours or reflectances.*scale="):
            open_scene(stored)
    assert np.array_equal(open_scene(pixels / 256, scale=(0, 255 / 256)).read().pixels, pixels)
    assert np.array_equal(open_scene(pixels.astype(float) / 2, scale="0,127.5").read().pixels, pixels)


@pytest.mark.parametrize("text", ["bright", "1,2,3", "0,x", ""])
def test_an_unknown_scale_is_refused_by_name(text):
    with pytest.raises(SceneError, match=f"unknown scale '{text}'; available: auto, byte"):
        parse_scale(text)


@pytest.mark.parametrize(
    ("pixels", "scale", "reason"),
    [
        (np.zeros((40, 50), np.uint8), "reflectance", "8-bit values are colours"),
        (np.zeros((40, 50)), (1, 1), "two different numbers"),
        (np.zeros((40, 50)), (0, float("nan")), "two different numbers"),
        (np.zeros((40, 50)), (0, 1, 2), "two different numbers"),
        (np.zeros((40, 50)), None, "a name or two different numbers, got None"),
    ],
)
def test_a_scale_that_cannot_be_is_refused(pixels, scale, reason):
    with pytest.raises(SceneError, match=reason):
        open_scene(pixels, scale=scale)


def test_sixteen_bit_colours_of_a_png_keep_their_low_bytes(pixels):
    dark = encoded((pixels.astype(np.uint16) * 20), ".png")
    scene = open_scene(dark, scale=(0, 255 * 20))
    assert np.array_equal(scene.read().pixels, pixels)
    assert "values from" in open_scene(dark).value_warnings[0]


def test_nothing_but_missing_values_is_no_data():
    raster = open_scene(np.full((40, 50, 3), np.nan)).read()
    assert not raster.valid_mask.any()


@pytest.mark.parametrize(
    ("factor", "scale"), [(1 / 255, "byte"), (1, "unit"), (1, "uint16"), (257, "byte"), (1 / 255, "uint16")]
)
def test_a_stated_scale_that_the_values_contradict_is_warned_of(pixels, factor, scale):
    (warning,) = open_scene(pixels * float(factor), scale=scale).value_warnings
    assert f"with the scale {scale}" in warning
