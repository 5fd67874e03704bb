"""Out-of-distribution warnings: pictures unlike the training data, and pictures like them."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

import nephoscope
from conftest import DEFAULT_CARD, encoded
from nephoscope.cli import app
from nephoscope.core.errors import CardError
from nephoscope.datasets.dataset import read_dataset
from nephoscope.datasets.splits import split
from nephoscope.imagery.reading import open_scene
from nephoscope.imagery.synthetic import make_scene, sample
from nephoscope.inference.card import Card
from nephoscope.inference.input_check import MESSAGES, lacks_detail, measure, out_of_range, training_ranges
from nephoscope.inference.prediction import view

SIZE = (320, 480)


def field(seed, largest=120):
    """Smooth noise from 0 to 1, bumps of many widths."""
    rng, total = np.random.default_rng(seed), np.zeros(SIZE)
    while largest >= 2:
        small = rng.normal(size=(SIZE[0] // largest + 3, SIZE[1] // largest + 3))
        total += cv2.resize(small, SIZE[::-1], interpolation=cv2.INTER_CUBIC) * largest**0.6
        largest //= 2
    return np.clip(0.5 + total / total.std() / 5, 0, 1)


def between(low, high, share):
    """Pixels between two colours."""
    low, high = np.array(low, float), np.array(high, float)
    return np.round(low + share[..., None] * (high - low)).astype(np.uint8)


def noise():
    return np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)


def ocean():
    return between((14, 30, 56), (18, 36, 62), field(1))


def land():
    return between((44, 62, 30), (176, 142, 100), field(2))


def ice():
    return between((96, 120, 140), (250, 252, 255), np.sqrt(field(3)))


def cat():
    data = pytest.importorskip("skimage.data", reason="no scikit-image with a photograph of a cat")
    return data.chelsea()


def grey():
    return np.repeat(cv2.cvtColor(make_scene(4, SIZE).pixels, cv2.COLOR_RGB2GRAY)[..., None], 3, 2)


def swapped():
    return make_scene(4, SIZE).pixels[..., ::-1].copy()


@pytest.mark.slow
@pytest.mark.parametrize("picture", [noise, ocean, land, ice, cat, grey, swapped])
def test_out_of_distribution_pictures_have_warnings(picture, model):
    (warning,) = nephoscope.segment(picture(), model).warnings
    assert "unlike the pictures that the model default was trained on" in warning


@pytest.mark.slow
@pytest.mark.parametrize("picture", [ocean, land, ice, cat])
def test_no_pattern_where_there_are_no_shallow_clouds(picture, model):
    assert nephoscope.segment(picture(), model).present == []


@pytest.mark.slow
def test_made_up_scenes_are_of_the_kind(model):
    result = [nephoscope.segment(make_scene(seed, SIZE).pixels, model).warnings for seed in (0, 1, 4)]
    assert result == [[], [], []]
    assert nephoscope.segment(sample(), model).warnings == []


@pytest.mark.slow
def test_real_scenes_are_of_the_kind(clouds, model):
    paths = [*sorted((clouds / "train_images").iterdir())[::500], *sorted((clouds / "full_size").iterdir())]
    odd = {path.name: scene_oddities(open_scene(path), model.card) for path in paths}
    assert not any(odd.values()), odd


def scene_oddities(scene, card):
    shrunk = cv2.resize(scene.read().pixels, SIZE[::-1], interpolation=cv2.INTER_AREA)
    valid = cv2.resize(scene.read().valid_mask.view(np.uint8), SIZE[::-1], interpolation=cv2.INTER_NEAREST)
    return out_of_range(measure(shrunk, valid > 0), card.scope)


def test_no_data_is_not_measured():
    picture, valid = make_scene(4, SIZE).pixels, np.ones(SIZE, bool)
    valid[:, 200:] = False
    half = measure(np.where(valid[..., None], picture, 0).astype(np.uint8), valid)
    assert half == pytest.approx(measure(np.ascontiguousarray(picture[:, :198]), valid[:, :198]), rel=0.02)
    assert measure(picture, np.zeros(SIZE, bool)) == {}


def test_training_ranges_hold_nearly_all_pictures():
    values = [{name: float(number) for name in MESSAGES} for number in range(1001)]
    low, high = training_ranges([*values, {}])["darkest"]
    assert -300 < low < 0
    assert 1000 < high < 1300
    assert training_ranges([{}]) == {}


def test_a_warning_of_no_data(model):
    (warning,) = nephoscope.segment(np.zeros((*SIZE, 3), np.uint8), model).warnings
    assert warning.startswith("no data")


def test_a_model_of_unknown_scope_warns_of_nothing(model):
    unknown = replace(model, card=replace(model.card, scope={}))
    assert nephoscope.segment(noise(), unknown).warnings == []


def test_the_command_warns_and_goes_on(tmp_path):
    path = tmp_path / "noise.png"
    path.write_bytes(encoded(noise(), ".png"))
    done = CliRunner().invoke(app, ["segment", str(path), "-o", str(tmp_path / "out"), "--format", "json"])
    assert done.exit_code == 0
    assert "noise.png: unlike the pictures" in done.stderr
    (warning,) = json.loads((tmp_path / "out" / "noise.json").read_text())["warnings"]
    assert "too grainy" in warning


@pytest.mark.parametrize("scope", [{"size": [0, 1]}, {"tint": [2, 1]}, {"tint": 1}, []])
def test_an_invalid_scope_is_refused(card, scope):
    entries = json.loads(card.to_json()) | {"scope": scope}
    with pytest.raises(CardError, match="cannot be read"):
        Card.from_json(json.dumps(entries))


def test_an_enlarged_part_of_a_scene_is_too_smooth_for_its_assumed_extent():
    pixels = make_scene(1, SIZE).pixels
    whole, part = open_scene(pixels), open_scene(pixels[120:200, 150:270])
    assert not any("for the assumed" in each for each in nephoscope.segment(whole).warnings)
    (warning,) = [each for each in nephoscope.segment(part).warnings if "for the assumed" in each]
    assert "21 x 14 degrees" in warning
    stated = nephoscope.segment(part, extent=5.25)
    assert not any("for the assumed" in each for each in stated.warnings)


@pytest.mark.slow
def test_of_quarter_width_crops_of_real_scenes_80_percent_are_warned_of_and_of_whole_ones_5(clouds):
    dataset = read_dataset(clouds)
    dataset = dataset.select(split(dataset.records)[1][::4])
    card, rng = Card.from_json(DEFAULT_CARD.read_text()), np.random.default_rng(0)
    wholes, crops = [], []
    for record in dataset.records:
        pixels, valid_mask = dataset.scene(record.image).read()
        height, width = (side // 4 for side in valid_mask.shape)
        top, left = (int(rng.integers(0, 3 * side)) for side in (height, width))
        crop = pixels[top : top + height, left : left + width]
        for part, warned in ((pixels, wholes), (crop, crops)):
            warned.append(lacks_detail(view(open_scene(part), card.input_size).measures()))
    assert np.mean(crops) >= 0.8
    assert np.mean(wholes) <= 0.05
