"""Data sets of two and of six made-up classes go through training, calibration and export."""

import json

import cv2
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from conftest import encoded
from nephoscope.cli import app
from nephoscope.core.errors import DatasetError, TrainingError
from nephoscope.core.patterns import styled_patterns
from nephoscope.core.types import LABEL_GRID
from nephoscope.datasets.dataset import read_dataset
from nephoscope.datasets.labels import write_labels
from nephoscope.datasets.rle import encode
from nephoscope.inference.model import Model
from nephoscope.inference.pipeline import segment
from nephoscope.inference.postprocess import Rule
from nephoscope.training import panels
from nephoscope.training.cache import open_scenes
from nephoscope.training.calibration import calibrate
from nephoscope.training.checkpoint import load_weights
from nephoscope.training.config import Recipe, make_recipe
from nephoscope.training.distillation import Origin
from nephoscope.training.module import SegmentationModule
from nephoscope.training.networks import build, describe
from nephoscope.training.run import begin
from nephoscope.training.settings import Settings

CLASSES = {2: ("Ring", "open-cell"), 6: ("Ring", "Street", "Comb", "Veil", "Wave-train", "open-cell")}
SIZE = (64, 96)
STYLES = {"Ring": {"colour": [10, 20, 30], "meaning": "a closed band of cloud"}}
TINY = {
    "arch": "unet",
    "encoder": "tu-test_efficientnet",
    "encoder_weights": "none",
    "size": "64x96",
    "epochs": 1,
    "batch": 8,
    "precision": "fp32",
}


def write_data(folder, patterns, scenes=16):
    """Scenes with a bright box for each pattern that is present, at a place of its own."""
    rng, rows = np.random.default_rng(0), []
    (folder / "train_images").mkdir(parents=True)
    for number in range(scenes):
        pixels = rng.integers(20, 60, (*SIZE, 3), dtype=np.uint8)
        for index, name in enumerate(patterns):
            mask = np.zeros(SIZE, np.uint8)
            if rng.random() < 0.6:
                left = 4 + 15 * index
                mask[8:56, left : left + 12] = 1
                pixels[mask > 0] = 120 + 20 * index
            full = cv2.resize(mask, LABEL_GRID[::-1], interpolation=cv2.INTER_NEAREST)
            rows.append((f"{number}.png", name, encode(full > 0)))
        (folder / "train_images" / f"{number}.png").write_bytes(encoded(pixels, ".png"))
    write_labels(folder / "train.csv", rows)
    (folder / "patterns.json").write_text(json.dumps(STYLES))
    return folder


@pytest.fixture(scope="module", params=[2, 6])
def data(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "data"
    return write_data(folder, CLASSES[request.param]), CLASSES[request.param]


def run(*words):
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_own_classes_are_trained_calibrated_and_exported(tmp_path, data):
    folder, patterns = data
    trained, cache = tmp_path / "run", ("--cache", tmp_path / "cache")
    options = [word for name, value in TINY.items() for word in (f"--{name.replace('_', '-')}", value)]
    run("train", folder, "-o", trained, *cache, "--folds", 4, *options)
    run("calibrate", trained / "model.onnx", folder, "--folds", 4, "-o", tmp_path / "calibrated.onnx")
    run("export", trained / "best.safetensors", "-o", tmp_path / "exported.onnx")
    _, weights_card = load_weights(trained / "best.safetensors")
    cards = [Model.load(path).card for path in (*tmp_path.glob("*.onnx"), trained / "model.onnx")]
    assert len(cards) == 3
    for card in [weights_card, *cards]:
        assert card.patterns == patterns
        assert tuple(card.rules) == patterns
        assert card.styles == STYLES
        assert [figure["what"] for figure in card.figures[1 : 1 + len(patterns)]] == [
            f"Dice of {name}" for name in patterns
        ]
    assert cards[0].styled_patterns[0].colour == (10, 20, 30)
    pixels = cv2.imread(str(folder / "train_images" / "0.png"))[..., ::-1].copy()
    assert tuple(segment(pixels, Model.load(trained / "model.onnx")).scores) == patterns
    logged = (trained / "log.jsonl").read_text()
    assert all(f"val/dice_{name}" in logged for name in patterns)
    assert (trained / "panels" / "epoch_001.png").exists()
    other = write_data(tmp_path / "other", ("Ring", "other"))
    recipe = make_recipe("steadier", batch=8, scenes=8)
    settings = Settings(str(other), recipe, folds=4, start_from=(str(trained / "best.safetensors"),))
    with pytest.raises(TrainingError, match="the labels have Ring, other"):
        begin(settings, tmp_path / "refused", cache=tmp_path / "cache")


def test_cached_scenes_know_patterns_and_styles(tmp_path):
    folder = write_data(tmp_path / "data", CLASSES[6], 4)
    scenes = open_scenes(folder, SIZE, cache=tmp_path / "cache")
    assert scenes.patterns == CLASSES[6]
    assert scenes.styles == STYLES
    assert np.bitwise_or.reduce(scenes.masks, axis=None) > 31
    changed = {"Ring": {"colour": [200, 0, 0]}, "Veil": {"meaning": "a thin sheet"}}
    (folder / "patterns.json").write_text(json.dumps(changed))
    assert open_scenes(folder, SIZE, cache=tmp_path / "cache").styles == changed


@pytest.mark.parametrize("count", CLASSES)
def test_masks_are_unpacked_by_the_bits_of_their_patterns(count):
    recipe = Recipe(**TINY)
    network = describe(recipe)
    module = SegmentationModule(recipe, build(network, count), network, count)
    bits = torch.arange(2**count, dtype=torch.uint8).reshape(1, 1, 1, -1)
    unpacked = module._unpack(bits)
    assert unpacked.shape == (1, count, 1, 2**count)
    for index in range(count):
        assert torch.equal(unpacked[0, index, 0], (bits[0, 0, 0] >> index & 1).float())
    masks, presence = module(torch.zeros(2, 3, *SIZE))
    assert masks.shape == (2, count, *SIZE)
    assert presence.shape == (2, count)


@pytest.mark.parametrize("count", CLASSES)
def test_panels_show_the_colours_of_the_patterns(count):
    patterns = styled_patterns(CLASSES[count], STYLES)
    rules = {pattern.name: Rule(0.5, 1, 0.5, 0, 0) for pattern in patterns}
    bits = np.zeros(SIZE, np.uint8)
    scene = panels.Scene(
        "scene.png", np.full((*SIZE, 3), 90, np.uint8), bits, np.zeros((count, *SIZE), np.float32), None
    )
    page = panels.draw([scene], patterns, rules, "title")
    assert all((page == pattern.colour).all(axis=2).sum() > 50 for pattern in patterns)
    predicted = scene._replace(probabilities=np.ones((count, *SIZE), np.float32))
    assert not np.array_equal(panels.draw([predicted], patterns, rules, "title"), page)


def test_patterns_in_another_order_are_refused():
    origin = Origin({}, None, None, ("Ring", "Veil"), {})
    origin.check_patterns(("Ring", "Veil"))
    with pytest.raises(TrainingError, match="predict Ring, Veil; the labels have Veil, Ring"):
        origin.check_patterns(("Veil", "Ring"))


def test_labels_without_a_pattern_of_the_model_are_refused(tmp_path, tiny_model):
    folder = write_data(tmp_path / "data", CLASSES[2], 4)
    with pytest.raises(DatasetError, match=r"no labels of Fish, .*available: Ring, open-cell"):
        calibrate(Model.load(tiny_model(input_size=SIZE)), read_dataset(folder))
