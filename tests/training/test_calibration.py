"""Calibration finds known rules, estimates their Dice on other days, and writes them into the card."""

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from conftest import encoded
from nephoscope.cli import app
from nephoscope.core.errors import TrainingError
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.core.types import LABEL_GRID
from nephoscope.datasets.dataset import read_dataset
from nephoscope.datasets.labels import write_labels
from nephoscope.datasets.rle import encode
from nephoscope.inference.model import Model
from nephoscope.inference.pipeline import segment
from nephoscope.training.calibration import calibrate, calibrated, write_card
from nephoscope.training.quantization import quantise

pytestmark = pytest.mark.slow

SIZE = (64, 96)
LEVEL, FALSE_ALARM = 150, 90  # of 255: how bright a pattern is, and what is none


@pytest.fixture
def data(tmp_path):
    """Scenes whose colours are the patterns of the tiny model.

    Red is Fish and Sugar, green Flower, blue Gravel. Half of the scenes hold a pattern, 20 columns wide and
    bright; the others a dim patch that is none.
    """
    rng = np.random.default_rng(0)
    rows, lines = [], ["image,split,satellite,date,west,south,east,north"]
    for number in range(16):
        colours, masks = np.full((*SIZE, 3), 40, np.uint8), np.zeros((4, *SIZE), bool)
        for channel in range(3):
            left, there = int(rng.integers(4, 70)), rng.random() < 0.5
            colours[8:56, left : left + 20, channel] = LEVEL if there else FALSE_ALARM
            if there:
                for pattern in ((0, 3), (1,), (2,))[channel]:
                    masks[pattern, 8:56, left : left + 20] = True
        path = tmp_path / "data" / "train_images" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(colours, ".png"))
        lines.append(f"{number}.png,val,Terra,2016-01-{number // 2 + 1:02d},-61,10,-40,24")
        for name, mask in zip(DEFAULT_NAMES, masks, strict=True):
            full = cv2.resize(mask.view(np.uint8), LABEL_GRID[::-1], interpolation=cv2.INTER_NEAREST)
            rows.append((f"{number}.png", name, encode(full > 0)))
    write_labels(tmp_path / "data" / "train.csv", rows)
    (tmp_path / "data" / "scenes.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "data"


@pytest.fixture
def tiny(tiny_model):
    return Model.load(tiny_model(input_size=SIZE))


def test_known_rules_are_found(data, tiny):
    steps = []
    result = calibrate(tiny, read_dataset(data), lambda name: lambda *step: steps.append((name, *step)))
    assert {step[1:] for step in steps if step[1] == 16} == {(16, 16)}
    assert len({name for name, *_ in steps}) == 2
    assert (result.scenes, result.days) == (16, 8)
    for name in DEFAULT_NAMES:
        rule = result.rules[name]
        assert result.dice[name] > 0.97
        assert result.dice[name] <= result.in_sample_dice[name] + 1e-9
        # Either the threshold or the presence score tells a pattern from a false alarm.
        dim, bright = result.probabilities[name].pixels([FALSE_ALARM / 255, LEVEL / 255])
        assert rule.threshold >= dim or dim < rule.presence <= bright
    assert result.before["Fish"] < 0.9  # the default model's rules are for another network


def test_segmentation_reaches_the_calibrated_dice(data, tiny, tmp_path):
    result = calibrate(tiny, read_dataset(data))
    path = tmp_path / "calibrated.onnx"
    write_card(str(tmp_path / "tiny.onnx"), calibrated(tiny.card, result, "16 scenes"), path)
    model = Model.load(path)
    assert model.card.rules == result.rules
    assert model.card.figures[0]["value"] == pytest.approx(result.mean, abs=1e-4)
    assert "16 scenes" in model.card.training["rules"]
    again = calibrate(model, read_dataset(data))
    assert again.before == pytest.approx(result.in_sample_dice, abs=1e-6)
    assert model.card.calibration == result.probabilities
    bright = np.full((*SIZE, 3), 40, np.uint8)
    bright[8:56, 30:50, 1] = LEVEL
    assert segment(bright, model).present == ["Flower"]


def test_a_minimum_area_is_used_where_it_raises_dice(data, tiny):
    """With a bright speck in every scene, only a minimum area separates pattern and background."""
    for path in (data / "train_images").iterdir():
        pixels = cv2.imread(str(path))
        pixels[58:64, 0:9] = LEVEL  # about 1,700 of 350x525
        path.write_bytes(bytes(cv2.imencode(".png", pixels)[1]))
    result = calibrate(tiny, read_dataset(data))
    assert result.rules["Flower"].minimum_area >= 2000
    assert result.dice["Flower"] > 0.97


def test_the_command_calibrates_in_place_and_leaves_shipped_models_alone(data, tmp_path, tiny_model):
    path = tiny_model(input_size=SIZE)
    before = path.read_bytes()
    done = CliRunner().invoke(app, ["calibrate", str(path), str(data), "--folds", "2"])
    assert done.exit_code == 0, done.stderr
    assert "on days that were not used to choose the rules" in done.stdout
    assert "8 scenes of 4 days" in done.stdout
    assert path.read_bytes() != before
    for words, reason in (
        (["default", data], "-o FILE names the model file"),
        ([path, data / "none"], "no such folder"),
        ([tmp_path / "none.onnx", data], "no such model file"),
    ):
        refused = CliRunner().invoke(app, ["calibrate", *map(str, words)])
        assert refused.exit_code == 2
        assert reason in refused.stderr
        assert refused.stderr.count("\n") == 1


def test_8_bit_models_are_written_only_if_dice_allows_it(data, tiny_model, tmp_path):
    path, dataset = tiny_model(input_size=SIZE), read_dataset(data)
    before, after = quantise(str(path), dataset, dataset, tmp_path / "int8.onnx", tolerance=1.0)
    assert Model.load(tmp_path / "int8.onnx").card.weights.startswith("int8")
    assert 0 <= after <= 1
    assert 0 <= before <= 1
    with pytest.raises(TrainingError, match=r"mean Dice falls from .* by more than -2 "):
        quantise(str(path), dataset, dataset, tmp_path / "worse.onnx", tolerance=-2.0)
    assert not (tmp_path / "worse.onnx").exists()


def test_a_real_model_is_calibrated_on_real_scenes(clouds, model):
    """On a few days the honest estimate is below the optimistic one, and close to scores of people."""
    dataset = read_dataset(clouds)
    chosen = [i for i, record in enumerate(dataset.records) if record.split == "val"][:40]
    result = calibrate(model, dataset.select(chosen))
    honest, optimistic = result.mean, np.mean(list(result.in_sample_dice.values()))
    assert honest < optimistic
    assert 0.5 < honest < 0.75
