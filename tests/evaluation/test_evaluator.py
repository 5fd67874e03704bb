"""A model against labels: analytic cases, and the report on made-up scenes."""

import json
import lzma
import re

import cv2
import numpy as np
import pytest

from nephoscope.core.errors import DatasetError
from nephoscope.core.io import atomic_write
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.core.types import LABEL_GRID, SCORE_GRID
from nephoscope.datasets.annotations import Annotation, format_annotations
from nephoscope.datasets.build import write_synthetic_dataset
from nephoscope.datasets.dataset import read_dataset
from nephoscope.datasets.labels import write_labels
from nephoscope.datasets.rectangles import FOLDER, PRACTICE_BOXES, PRACTICE_CLASSIFICATIONS
from nephoscope.datasets.rle import encode
from nephoscope.evaluation.baselines import mean_mask
from nephoscope.evaluation.evaluator import BINS, evaluate_model
from nephoscope.evaluation.groups import group_scenes
from nephoscope.evaluation.people import MIN_ANNOTATORS
from nephoscope.evaluation.report.evaluation import Options, write_report
from nephoscope.evaluation.report.exploration import write_report as write_exploration
from nephoscope.evaluation.statistics import auc, bootstrap, reliability
from nephoscope.evaluation.submission import evaluate_csv
from nephoscope.inference.model import Model
from nephoscope.inference.pipeline import segment
from nephoscope.inference.postprocess import Rule
from nephoscope.outputs.csv import FILE_NAME, rows

SIZE = (320, 480)
RULES = {name: Rule(0.5, 100, 0, 0, 0) for name in DEFAULT_NAMES}


def block(left, right):
    mask = np.zeros(LABEL_GRID, bool)
    mask[:, round(left * LABEL_GRID[1]) : round(right * LABEL_GRID[1])] = True
    return encode(mask)


@pytest.fixture
def coloured(tmp_path):
    """Four scenes that `tiny_model` segments perfectly: the left half green, which it calls Flower."""
    picture = np.full((*SIZE, 3), 20, np.uint8)
    picture[:, : SIZE[1] // 2, 1] = 255
    content = bytes(cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1])
    labels = []
    for number in range(4):
        image = f"{number}.png"
        atomic_write(tmp_path / "data" / "train_images" / image, content)
        truth = {"Flower": block(0, 0.5)}
        labels += [(image, name, truth.get(name, "")) for name in DEFAULT_NAMES]
    write_labels(tmp_path / "data" / "train.csv", labels)
    lines = ["image,split,satellite,date,west,south,east,north"]
    lines += [f"{i}.png,{('train', 'val')[i > 1]},Aqua,2016-0{i + 1}-01,-61,10,-40,24" for i in range(4)]
    (tmp_path / "data" / "scenes.csv").write_text("\n".join(lines))
    return tmp_path / "data"


def test_a_perfect_model_has_dice_1(coloured, tiny_model):
    model = Model.load(tiny_model(rules=RULES), threads=1)
    result = evaluate_model(model, read_dataset(coloured), workers=2)
    assert result.dice == pytest.approx(np.ones((4, len(DEFAULT_NAMES))), abs=0.01)  # a column between grids
    assert result.confusion[1] == pytest.approx([0, 1, 0, 0, 0], abs=0.01)
    assert np.isnan(result.confusion[0]).all()
    flower = result.presence["Flower"]
    assert (flower.precision, flower.recall, flower.labelled) == (1, 1, 1)
    assert np.isnan(flower.auc)  # no scene without it
    assert list(group_scenes(result.records, "season")) == ["DJF", "MAM"]
    assert result.baselines["all empty"].mean() == 0.75
    assert result.baselines["everything present"].mean(axis=0) == pytest.approx([0, 2 / 3, 0, 0], abs=0.01)
    assert "mean mask" not in result.baselines


def test_the_mean_mask_is_where_the_pattern_often_is(coloured):
    mask = mean_mask(read_dataset(coloured))
    assert mask.shape == (len(DEFAULT_NAMES), *SCORE_GRID)
    assert mask[1, :, :260].all()
    assert not mask[1, :, 270:].any()


@pytest.mark.slow
def test_the_score_equals_that_of_the_csv(tmp_path, tiny_model):
    write_synthetic_dataset(tmp_path, 5, size=SIZE)
    dataset, model = read_dataset(tmp_path), Model.load(tiny_model(rules=RULES), threads=1)
    answers = [
        row for record in dataset.records for row in rows(segment(dataset.picture(record.image), model))
    ]
    write_labels(tmp_path / FILE_NAME, answers)
    by_csv = evaluate_csv(tmp_path / FILE_NAME, dataset.labels)
    result = evaluate_model(model, dataset)
    assert result.means(result.dice)[0].mean == pytest.approx(by_csv.mean, abs=1e-12)
    assert dict(zip(DEFAULT_NAMES, result.dice.mean(axis=0), strict=True)) == pytest.approx(by_csv.by_pattern)
    empty = [
        not dataset.labels.texts[record.image, name] for record in dataset.records for name in DEFAULT_NAMES
    ]
    assert result.baselines["all empty"].mean() == np.mean(empty)


def test_unreadable_pictures_are_named(coloured, tiny_model):
    model, dataset = Model.load(tiny_model(rules=RULES), threads=1), read_dataset(coloured)
    (coloured / "train_images" / "0.png").write_bytes(b"no picture")
    result = evaluate_model(model, dataset)
    assert len(result.records) == 3
    assert "0.png" in result.problems[0].where
    with pytest.raises(DatasetError, match="none of the 1 scenes"):
        evaluate_model(model, dataset.select([0]))


def test_the_interval_holds_the_mean_and_is_wider_where_days_repeat():
    rng = np.random.default_rng(0)
    days = np.repeat(rng.random(30), 4)[:, None]
    grouped = bootstrap(days, np.repeat(np.arange(30), 4).tolist())[0]
    alone = bootstrap(days, range(120))[0]
    assert grouped.low < grouped.mean < grouped.high
    assert grouped.mean == pytest.approx(days.mean())
    assert grouped.high - grouped.low > 1.5 * (alone.high - alone.low)
    assert grouped.high - grouped.low == pytest.approx(2 * 1.96 * days.std() / 30**0.5, rel=0.1)
    assert bootstrap(days, range(120)) == bootstrap(days, range(120))


def test_the_interval_of_equal_values_is_their_value():
    assert bootstrap(np.full((7, 2), 0.25), range(7)) == [(0.25, 0.25, 0.25)] * 2


def test_auc():
    present = [False, False, True, True]
    assert auc([0.1, 0.2, 0.3, 0.4], present) == 1
    assert auc([0.4, 0.3, 0.2, 0.1], present) == 0
    assert auc([0.5] * 4, present) == 0.5
    assert auc([0.1, 0.3, 0.2, 0.4], present) == 0.75
    assert np.isnan(auc([0.1, 0.2], [True, True]))


def test_calibrated_probabilities_lie_on_the_diagonal():
    rng = np.random.default_rng(1)
    probability = rng.random(400_000)
    carried = rng.random(400_000) < probability
    place = (probability * BINS).astype(int)
    curve = reliability(
        np.bincount(place), np.bincount(place, carried), np.bincount(place, probability, BINS)
    )
    assert curve.observed == pytest.approx(curve.predicted, abs=0.015)
    assert curve.share.sum() == pytest.approx(1)
    assert curve.error < 0.005
    assert reliability([4, 0], [4, 0], [1.0, 0]).error == 0.75


@pytest.mark.slow
def test_the_report_without_people(coloured, tiny_model, tmp_path):
    steps: list[tuple[int, int]] = []
    model = Model.load(tiny_model(rules=RULES, description="<script>"), threads=1)
    page, numbers = write_report(
        model,
        read_dataset(coloured),
        tmp_path / "out",
        Options(),
        progress=lambda *step: steps.append(step),
    )
    assert steps[-1] == (2, 2)
    text = page.read_text()
    assert "no comparison with people can be made" in text
    assert "&lt;script&gt;" in text  # every value is escaped
    assert not re.search(r"<script|<link|(src|href)=\"(?!data:|#)", text)
    assert "the mean mask" in text
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text()) == numbers
    assert numbers["people"] is None
    assert numbers["dice"]["model"]["mean"] == pytest.approx(1, abs=0.01)
    assert numbers["dice"]["mean mask"]["mean"] == pytest.approx(0.25, abs=0.01)  # wrong but for Flower
    assert {each["image"] for each in numbers["best"] + numbers["worst"]} == {"2.png", "3.png"}
    pictures = sorted(path.name for path in (tmp_path / "out").glob("*.png"))
    assert {"evaluation_dice.png", "evaluation_reliability.png", "evaluation_confusion.png"} < set(pictures)


@pytest.mark.slow
def test_the_report_with_people(coloured, tiny_model, tmp_path):
    classifications = ["classification,annotator,image,satellite,date,region"]
    boxes = ["classification,x,y,width,height,pattern"]
    for number in range(MIN_ANNOTATORS):
        classifications.append(f"{number},u{number},3.png,Aqua,20160401,1")
        boxes.append(f"{number},0,0,1050,1400,Flower")
    for name, lines in ((PRACTICE_CLASSIFICATIONS, classifications), (PRACTICE_BOXES, boxes)):
        atomic_write(coloured / FOLDER / name, lzma.compress("\n".join(lines).encode()))
    model = Model.load(tiny_model(rules=RULES), threads=1)
    page, numbers = write_report(model, read_dataset(coloured), tmp_path / "out", Options(part="all"))
    people = numbers["people"]
    assert (people["scenes"], people["scenes_judged"], people["people"]) == (1, 1, MIN_ANNOTATORS)
    assert people["two_people"]["contest"]["mean"] == 1
    assert people["candidates"]["model"]["drawn"]["mean"] == pytest.approx(1, abs=0.01)
    assert people["candidates"]["all empty"]["drawn"]["mean"] == 0
    assert "two people" in page.read_text()
    assert "mean mask" not in numbers["dice"]  # no scenes are left to make it from


@pytest.mark.slow
def test_the_reports_with_two_people_of_ones_own(coloured, tiny_model, tmp_path):
    full = encode(np.ones(LABEL_GRID, np.bool_))
    left = np.zeros(LABEL_GRID, np.bool_)
    left[:, :1050] = True
    drawn = [
        Annotation("3.png", "Ada", {"Flower": full}),
        Annotation("3.png", "Bo", {"Flower": encode(left)}),
    ]
    nothing = [("2.png", "Ada"), ("2.png", "Bo"), ("1.png", "Ada")]
    drawn += [Annotation(image, name, {}) for image, name in nothing]
    (coloured / "annotations.csv").write_bytes(format_annotations(drawn))
    model = Model.load(tiny_model(rules=RULES), threads=1)
    dataset = read_dataset(coloured)
    page, numbers = write_report(model, dataset, tmp_path / "out", Options(part="all"))
    people = numbers["people"]
    assert (people["from"], people["scenes"], people["people"]) == ("annotations.csv", 2, 2)
    assert people["two_people"]["contest"]["patterns"]["Flower"] == pytest.approx((1 + 2 / 3) / 2, abs=0.01)
    assert people["two_people"]["drawn"]["mean"] == pytest.approx(2 / 3, abs=0.01)
    assert people["two_people"]["threes"] is None
    assert "2 people annotated 2 scenes" in page.read_text()
    page, numbers = write_exploration(dataset, tmp_path / "explore")
    assert numbers["people"]["two_people"] == people["two_people"]
    assert "Agreement between people" in page.read_text()


@pytest.mark.slow
def test_scenes_without_a_catalogue(tmp_path, tiny_model):
    write_synthetic_dataset(tmp_path, 3, size=SIZE)
    model = Model.load(tiny_model(rules=RULES), threads=1)
    dataset = read_dataset(tmp_path)
    page, numbers = write_report(model, dataset, tmp_path / "out", Options(part="all"))
    assert numbers["by"]["region"] == {}
    assert "scenes.csv does not state them" in page.read_text()


def test_one_scene_alone_is_best_and_worst(coloured, tiny_model):
    result = evaluate_model(
        Model.load(tiny_model(rules=RULES), threads=1), read_dataset(coloured).select([1])
    )
    assert result.extremes() == ([0], [])
