"""Reports on data sets and models of two and of six patterns that are not the default ones."""

import lzma

import cv2
import numpy as np
import pytest

from nephoscope.core.errors import DatasetError
from nephoscope.core.io import atomic_write
from nephoscope.core.types import LABEL_GRID
from nephoscope.datasets.dataset import read_dataset
from nephoscope.datasets.labels import write_labels
from nephoscope.datasets.rectangles import FOLDER, PRACTICE_BOXES, PRACTICE_CLASSIFICATIONS
from nephoscope.datasets.rle import encode
from nephoscope.evaluation.evaluator import evaluate_model
from nephoscope.evaluation.exploration import explore
from nephoscope.evaluation.people import MIN_ANNOTATORS
from nephoscope.evaluation.report import evaluation, exploration
from nephoscope.inference.model import Model
from nephoscope.inference.postprocess import Rule

NAMES = ("Cell", "Roll", "Street", "Arc", "Ring", "Deck")


@pytest.fixture(params=[2, 6])
def names(request):
    return NAMES[: request.param]


@pytest.fixture
def dataset(tmp_path, names):
    """Four scenes, the left half red or green; `tiny_model` segments every third pattern by one colour."""
    folder = tmp_path / "data"
    half = np.zeros(LABEL_GRID, bool)
    half[:, : LABEL_GRID[1] // 2] = True
    rows = []
    for number in range(4):
        colour = number % 2
        pixels = np.full((320, 480, 3), 20, np.uint8)
        pixels[:, :240, colour] = 255
        content = bytes(cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1])
        atomic_write(folder / "train_images" / f"{number}.png", content)
        for index, name in enumerate(names):
            rows.append((f"{number}.png", name, encode(half) if index % 3 == colour else ""))
    write_labels(folder / "train.csv", rows)
    answers = ["classification,annotator,image,satellite,date,region"]
    boxes = ["classification,x,y,width,height,pattern"]
    for number in range(MIN_ANNOTATORS):
        answers.append(f"{number},u{number},0.png,Aqua,20160401,1")
        boxes.append(f"{number},0,0,1050,1400,Cell")
    for name, lines in ((PRACTICE_CLASSIFICATIONS, answers), (PRACTICE_BOXES, boxes)):
        atomic_write(folder / FOLDER / name, lzma.compress("\n".join(lines).encode()))
    return read_dataset(folder, strict=True)


def load(tiny_model, names):
    rules = {name: Rule(0.5, 100, 0, 0, 0) for name in names}
    return Model.load(tiny_model(patterns=names, rules=rules, outputs=len(names)), threads=1)


def test_a_perfect_model_has_dice_1(dataset, names, tiny_model):
    result = evaluate_model(load(tiny_model, names), dataset)
    assert result.patterns == names
    assert result.dice == pytest.approx(np.ones((4, len(names))), abs=0.01)
    assert result.confusion[0, :2] == pytest.approx([1, 0], abs=0.01)


@pytest.mark.slow
def test_the_order_of_the_models_patterns_may_differ(dataset, names, tiny_model):
    forwards = evaluate_model(load(tiny_model, names), dataset)
    order = [*names[3:], *names[:3]] if len(names) == 6 else list(names)  # the same colours
    backwards = evaluate_model(load(tiny_model, tuple(order)), dataset)
    assert np.array_equal(forwards.dice, backwards.dice)
    assert np.array_equal(forwards.calibration, backwards.calibration)


def test_a_model_of_other_patterns_is_refused(dataset, names, tiny_model, tmp_path):
    model = load(tiny_model, ("Cell", "Wave"))
    message = f"labels of {', '.join(names)} cannot evaluate the model tiny, which has Cell, Wave"
    with pytest.raises(DatasetError, match=message):
        evaluate_model(model, dataset)
    with pytest.raises(DatasetError, match=message):
        evaluation.write_report(model, dataset, tmp_path / "out", evaluation.Options())


def test_combinations_of_patterns_are_counted(dataset, names):
    result = explore(dataset)
    assert result.combinations.shape == (4, 2 ** len(names))
    assert result.area_fractions[0] == pytest.approx(
        [0.5 * (i % 3 == 0) for i in range(len(names))], abs=0.01
    )
    assert result.cooccurrence.diagonal().tolist() == [2 * (i % 3 < 2) for i in range(len(names))]


@pytest.mark.slow
def test_reports(dataset, names, tiny_model, tmp_path):
    path, numbers = evaluation.write_report(
        load(tiny_model, names), dataset, tmp_path / "out", evaluation.Options(part="all")
    )
    assert tuple(numbers["dice"]["model"]["patterns"]) == names
    assert tuple(numbers["people"]["two_people"]["contest"]["patterns"]) == names
    assert all(f">{name}<" in path.read_text() for name in names)
    path, numbers = exploration.write_report(dataset, tmp_path / "out")
    assert tuple(numbers["patterns"]) == names
    assert list(numbers["patterns_per_scene"]) == [str(count) for count in range(len(names) + 1)]
    assert all(f">{name}<" in path.read_text() for name in names)
