"""Cross-validation: neither weights nor rules have seen the scenes of a fold."""

import json

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from conftest import encoded
from nephoscope.cli import app
from nephoscope.core.errors import TrainingError
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.core.types import LABEL_GRID
from nephoscope.datasets.labels import write_labels
from nephoscope.datasets.rle import encode
from nephoscope.inference.model import Model
from nephoscope.training.config import make_recipe
from nephoscope.training.cross_validation import cross_validate
from nephoscope.training.settings import Settings

SIZE = (64, 96)
LEVELS = {2014: (150, 90), 2015: (220, 150)}
"""How bright a pattern is in a year, and what is none: rules of one year are wrong in the other."""
WITH_PATTERN = {2014: 3, 2015: 5}  # of 8 scenes a year


@pytest.fixture
def data(tmp_path):
    """Grey scenes with one patch: for the tiny model its brightness is the probability of all patterns."""
    rows, lines = [], ["image,split,satellite,date,west,south,east,north"]
    (tmp_path / "data" / "train_images").mkdir(parents=True)
    for year, (pattern, none) in LEVELS.items():
        for number in range(8):
            has_pattern, name = number < WITH_PATTERN[year], f"{year}-{number}.png"
            pixels = np.full((*SIZE, 3), 10, np.uint8)
            pixels[8:56, 20:60] = pattern if has_pattern else none
            (tmp_path / "data" / "train_images" / name).write_bytes(encoded(pixels, ".png"))
            lines.append(f"{name},,Terra,{year}-06-{number + 1:02d},-61,10,-40,24")
            mask = np.zeros(SIZE, np.uint8)
            mask[8:56, 20:60] = has_pattern
            full = cv2.resize(mask, LABEL_GRID[::-1], interpolation=cv2.INTER_NEAREST)
            rows += [(name, label, encode(full > 0)) for label in DEFAULT_NAMES]
    write_labels(tmp_path / "data" / "train.csv", rows)
    (tmp_path / "data" / "scenes.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "data"


@pytest.fixture
def runs(tmp_path, data, tiny_model):
    """A finished run for each of the two blocks of seasons."""
    folders = []
    for fold in (0, 1):
        run = tmp_path / f"run-{fold}"
        run.mkdir()
        recipe = make_recipe("cpu", size="64x96", keep="last")
        Settings(str(data), recipe, folds=2, fold=fold, fold_by="season").write(run)
        tiny_model(input_size=SIZE).rename(run / "model.onnx")
        folders.append(run)
    return folders


def test_the_rules_of_a_fold_come_from_the_other_folds(runs):
    """Rules of 2015 find no pattern in 2014; rules of 2014 find one in every scene of 2015."""
    result = cross_validate(runs[::-1])
    assert result.scenes == (8, 8)
    for dice in result.dice.values():
        assert dice == pytest.approx((5 / 8, 5 / 8), abs=0.02)
    assert result.mean == pytest.approx(5 / 8, abs=0.02)
    assert result.spread == pytest.approx(np.std(result.by_fold, ddof=1))
    assert result.calibration.rules.keys() == set(DEFAULT_NAMES)


def test_the_command_writes_rules_and_figures_into_a_model(runs, tmp_path):
    model, output = runs[0] / "model.onnx", tmp_path / "judged.onnx"
    words = ["cross-validate", *runs, "--model", model, "-o", output]
    done = CliRunner().invoke(app, [*map(str, words)])
    assert done.exit_code == 0, done.stderr
    assert "on 2 held-out folds, blocks of consecutive seasons" in done.stdout
    card = Model.load(output).card
    figures = {figure["what"]: figure["value"] for figure in card.figures}
    assert figures["mean Dice, held-out folds"] == pytest.approx(cross_validate(runs).mean, abs=1e-4)
    assert card.rules == cross_validate(runs).calibration.rules != Model.load(model).card.rules


def test_evaluate_prints_the_figure_of_the_card(runs, data, tmp_path):
    output = tmp_path / "judged.onnx"
    CliRunner().invoke(
        app, ["cross-validate", *map(str, runs), "--model", f"{runs[0]}/model.onnx", "-o", str(output)]
    )
    words = ["evaluate", output, data, "--split", "all", "-o", tmp_path / "report"]
    done = CliRunner().invoke(app, [*map(str, words)])
    assert done.exit_code == 0, done.stderr
    assert "mean Dice, held-out folds, of the model card: 0.6" in done.stdout
    assert "held-out folds" in (tmp_path / "report" / "evaluation.html").read_text()


def test_weights_chosen_by_the_fold_are_called_optimistic(runs):
    for run in runs:
        entries = json.loads((run / "run.json").read_text())
        entries["recipe"]["keep"] = "best"
        (run / "run.json").write_text(json.dumps(entries))
    done = CliRunner().invoke(app, ["cross-validate", *map(str, runs)])
    assert "optimistic" in done.stdout


def test_runs_that_are_not_one_for_every_fold_are_refused(runs, tmp_path):
    with pytest.raises(TrainingError, match="one run for each of 2 folds"):
        cross_validate(runs[:1])
    with pytest.raises(TrainingError, match="one run for each of 2 folds"):
        cross_validate([*runs, runs[0]])
    Settings(str(tmp_path), make_recipe("cpu"), folds=2, fold=1).write(runs[1])
    with pytest.raises(TrainingError, match="different data, folds"):
        cross_validate(runs)
