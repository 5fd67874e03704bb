"""Synthetic scenes: reproducible, with true masks, and marked as synthetic."""

import cv2
import numpy as np
import pytest

import nephoscope
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.core.types import LABEL_GRID
from nephoscope.datasets.build import write_synthetic_dataset
from nephoscope.datasets.labels import read_labels
from nephoscope.evaluation.metrics import dice
from nephoscope.imagery.reading import open_scene
from nephoscope.imagery.synthetic import SAMPLE_NAME, SAMPLE_SEED, make_scene, sample

SIZE = (350, 525)


def test_a_seed_makes_one_scene():
    assert np.array_equal(make_scene(3, SIZE).pixels, make_scene(3, SIZE).pixels)
    assert not np.array_equal(make_scene(3, SIZE).pixels, make_scene(4, SIZE).pixels)


@pytest.mark.parametrize("seed", range(6))
def test_the_swath_gap_is_no_data_and_in_no_mask(seed):
    scene = make_scene(seed, SIZE)
    read = open_scene(scene.pixels).read()
    for mask in scene.masks.values():
        assert not mask[~read.valid_mask].any()
    assert 0.8 < read.valid_mask.mean() <= 1


@pytest.mark.slow
def test_some_scenes_have_no_data():
    whole = [open_scene(make_scene(seed, SIZE).pixels).read().valid_mask.all() for seed in range(12)]
    assert 0 < sum(whole) < 12


@pytest.mark.parametrize("name", DEFAULT_NAMES)
def test_each_pattern_is_drawn_where_its_mask_is(name):
    scene = make_scene(8, SIZE, (name,), glint=False)
    assert [other for other in DEFAULT_NAMES if scene.masks[other].any()] == [name]
    brightness = scene.pixels.mean(axis=2)
    inside = scene.masks[name]
    outside = cv2.dilate(inside.astype(np.uint8), np.ones((31, 31))) == 0
    outside &= brightness > 0
    assert np.median(brightness[inside]) > np.median(brightness[outside]) + 5


def test_patterns_have_their_own_grain():
    """Sugar is finer than Flower: how far brightness stays alike across the wind, in pixels of 525."""

    def grain(name):
        scene = make_scene(5, SIZE, (name,), glint=False)
        inside = cv2.erode(scene.masks[name].astype(np.uint8), np.ones((25, 25))) > 0
        grey = scene.pixels.mean(axis=2)
        values = grey - grey[inside].mean()
        spread = (values[inside] ** 2).mean()
        for lag in range(1, 60):
            both = inside[lag:] & inside[:-lag]
            if (values[lag:] * values[:-lag])[both].mean() < spread / np.e:
                return lag
        return 60

    grains = {name: grain(name) for name in DEFAULT_NAMES}
    assert grains["Sugar"] < grains["Flower"]
    assert grains["Gravel"] < grains["Flower"]


@pytest.mark.slow
def test_the_default_model_finds_all_patterns_of_the_sample(model):
    scene = make_scene(SAMPLE_SEED, patterns=DEFAULT_NAMES)
    segmentation = nephoscope.segment(sample(), model)
    assert segmentation.warnings == []
    for name in DEFAULT_NAMES:
        assert dice(segmentation.mask(name, LABEL_GRID), scene.masks[name]) > 0.6, name


@pytest.mark.slow
def test_the_default_model_finds_the_patterns_where_they_were_drawn(model):
    """In the mean of several scenes; none is like a picture that the model does not know."""
    size = (320, 480)
    scores = []
    for seed in range(12):
        scene = make_scene(seed, size, DEFAULT_NAMES)
        segmentation = nephoscope.segment(scene.pixels, model)
        assert segmentation.warnings == []
        scores.append([dice(segmentation.mask(name, size), scene.masks[name]) for name in DEFAULT_NAMES])
    assert (np.mean(scores, axis=0) > 0.6).all(), np.mean(scores, axis=0)


def test_glint_brightens_a_strip_of_the_sea():
    dark, bright = (make_scene(4, SIZE, ("Flower",), glint=glint).pixels for glint in (False, True))
    gain = np.quantile(bright.astype(int), 0.2, axis=(0, 2)) - np.quantile(dark.astype(int), 0.2, axis=(0, 2))
    assert gain.max() > 15
    assert np.median(gain) < 5


def test_cirrus_is_a_veil_over_a_part():
    clear, veiled = (make_scene(4, SIZE, ("Flower",), glint=False, cirrus=cirrus) for cirrus in (False, True))
    assert np.median(veiled.pixels) >= np.median(clear.pixels)
    assert np.array_equal(veiled.masks["Flower"].any(), clear.masks["Flower"].any())


@pytest.mark.slow
def test_the_sample_holds_all_patterns_and_says_what_it_is():
    assert "synthetic" in SAMPLE_NAME
    scene = open_scene(sample(), name=SAMPLE_NAME)
    pixels = scene.read().pixels
    assert scene.size == LABEL_GRID
    drawn = make_scene(SAMPLE_SEED, patterns=DEFAULT_NAMES)
    assert all(drawn.masks[name].any() for name in DEFAULT_NAMES)
    corner = pixels[-90:, :300].astype(int)
    assert (corner.min(axis=2) > 150).sum() > 300  # the mark


def test_a_data_set_is_in_the_contests_layout(tmp_path):
    write_synthetic_dataset(tmp_path, 3, seed=7, size=(160, 240))
    labels = read_labels(tmp_path / "train.csv")
    assert labels.grid == LABEL_GRID
    assert labels.images == sorted(path.name for path in (tmp_path / "train_images").iterdir())
    assert len(labels.texts) == 3 * len(DEFAULT_NAMES)
    scene = make_scene(8, (160, 240))
    for name in DEFAULT_NAMES:
        assert dice(labels.mask("synthetic_00008.jpg", name, (160, 240)), scene.masks[name]) > 0.99
