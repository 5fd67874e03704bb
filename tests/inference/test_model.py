"""Model files are loaded with their card, or refused before any picture is read."""

import dataclasses
import json
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

from nephoscope.core.errors import CardError, ModelError
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.imagery.synthetic import make_scene
from nephoscope.inference.card import CARD_VERSION, Card
from nephoscope.inference.model import Model
from nephoscope.inference.model_files import shipped
from nephoscope.inference.pipeline import segment
from nephoscope.inference.postprocess import Rule

RULE = {"threshold": 0.5, "top_k": 10, "presence": 0.5, "least_cover": 0, "minimum_area": 0}


def test_a_card_survives_its_file(card):
    assert Card.from_json(card.to_json()) == card


def test_a_model_is_loaded_with_its_card(tiny_model, card):
    model = Model.load(tiny_model(description="a test's"))
    assert model.card.description == "a test's"
    assert model.card.rules == card.rules
    pictures = np.zeros((3, 320, 480, 3), np.uint8)
    pictures[1] = (51, 102, 255)
    answers = model(pictures).probabilities
    assert answers.shape == (3, len(DEFAULT_NAMES), 320, 480)
    assert answers[1, :, 7, 9] == pytest.approx([0.2, 0.4, 1.0, 0.2])


@pytest.mark.slow
def test_a_batch_answers_as_its_pictures_do(model):
    pictures = np.stack([make_scene(seed, (320, 480)).pixels for seed in range(3)])
    together = model(pictures).probabilities
    for picture, answer in zip(pictures, together, strict=True):
        assert np.abs(model(picture[None]).probabilities[0] - answer).max() < 1e-4


def test_the_default_is_shipped_and_says_what_it_is(model):
    assert "default" in shipped()
    assert model.card.patterns == DEFAULT_NAMES
    assert model.card.licence
    assert model.card.training["data"]
    assert all({"what", "value", "on", "how"} <= figure.keys() for figure in model.card.figures)


@pytest.mark.parametrize(
    ("raw_card", "reason"),
    [
        (None, "no card inside"),
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        ("{}", "has no version"),
        (json.dumps({"card_version": CARD_VERSION + 1}), "install a newer nephoscope"),
        (json.dumps({"card_version": CARD_VERSION}), "lacks description"),
    ],
)
def test_models_without_a_usable_card_are_refused(tiny_model, raw_card, reason):
    path = tiny_model(raw_card=raw_card)
    with pytest.raises(ModelError, match=reason) as caught:
        Model.load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"surprise": 1}, "unknown entries: surprise"),
        ({"patterns": ["Fish", "Fish"]}, "1 to 8 different names"),
        ({"patterns": ["Deep_cells"]}, "letters, digits and -, got 'Deep_cells'"),
        ({"rules": {"Fish": {}}}, "cannot be read"),
        ({"grid": [0, 5]}, "got 0x5"),
        ({"patterns": 5}, "1 to 8 different names, got 5"),
        (
            {"rules": dict.fromkeys(DEFAULT_NAMES, RULE | {"threshold": -1})},
            "threshold must be .*, got -1",
        ),
        (
            {"rules": dict.fromkeys(DEFAULT_NAMES, RULE | {"presence": float("nan")})},
            "presence must be .*, got nan",
        ),
        ({"rules": dict.fromkeys(DEFAULT_NAMES, RULE | {"top_k": 0})}, "top_k must be .*, got 0"),
        (
            {"rules": dict.fromkeys(DEFAULT_NAMES, RULE | {"minimum_area": -1})},
            "minimum_area must be .*, got -1",
        ),
    ],
)
def test_cards_that_do_not_fit_are_refused(card, change, reason):
    with pytest.raises(CardError, match=reason):
        Card.from_json(json.dumps({**dataclasses.asdict(card), **change}))


@pytest.mark.parametrize("rules", ["rules", "unbiased_rules"])
def test_rules_that_need_a_presence_head_are_refused_where_the_network_has_none(tiny_model, rules):
    needing = dict.fromkeys(DEFAULT_NAMES, Rule(**{**RULE, "evidence": "head"}))
    card = dataclasses.replace(Model.load(tiny_model()).card, **{rules: needing})
    with pytest.raises(ModelError, match="its card requires .*presence"):
        Model.load(tiny_model("headless.onnx", raw_card=card.to_json()))


def test_other_outputs_are_refused(tiny_model):
    with pytest.raises(ModelError, match="its inputs and outputs are"):
        Model.load(tiny_model(outputs=3))
    with pytest.raises(ModelError, match="its inputs and outputs are"):
        Model.load(tiny_model("larger.onnx", raw_card=_with_input_size(tiny_model, (640, 960))))


def _with_input_size(tiny_model, size):
    return dataclasses.replace(Model.load(tiny_model("any.onnx")).card, input_size=size).to_json()


def test_values_outside_0_to_1_are_refused(tiny_model):
    for brightest in (2.0, -1.0, float("nan")):
        model = Model.load(tiny_model(brightest=brightest))
        with pytest.raises(ModelError, match=r"outside \[0, 1\]"):
            model(np.full((1, 320, 480, 3), 255, np.uint8))


def test_files_that_are_not_models_are_refused(tmp_path):
    (tmp_path / "text.onnx").write_text("I am no model")
    with pytest.raises(ModelError, match=r"text.onnx: not an ONNX model"):
        Model.load(tmp_path / "text.onnx")
    with pytest.raises(ModelError, match="no such model file"):
        Model.load(tmp_path / "missing.onnx")


def test_names_and_devices_are_checked():
    with pytest.raises(ModelError, match="did you mean default"):
        Model.load("defualt")
    with pytest.raises(ModelError, match="available: default"):
        Model.load("xyz")
    with pytest.raises(ModelError, match="unknown device 'tpu'; available: auto, cpu"):
        Model.load(device="tpu")


def test_a_pickled_model_needs_no_file(tiny_model):
    path = tiny_model()
    model = Model.load(path, threads=1, device="cpu")
    model = dataclasses.replace(model, card=model.card.with_rules({"Fish": {"threshold": 0.4}}))
    path.unlink()
    copy = pickle.loads(pickle.dumps(model))
    assert (copy.card, copy.threads, copy.device) == (model.card, 1, "cpu")
    pictures = np.full((1, 320, 480, 3), 51, np.uint8)
    np.testing.assert_array_equal(copy(pictures).probabilities, model(pictures).probabilities)


def test_a_pickled_shipped_model_is_its_name(model):
    assert len(pickle.dumps(model)) < 20_000


@pytest.mark.slow
def test_a_model_works_in_another_process(model, picture):
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        there = pool.submit(segment, picture, model).result()
    here = segment(picture, model)
    np.testing.assert_array_equal(there.masks, here.masks)
    assert there.regions == here.regions


def test_reprs_fit_on_a_line(model, picture):
    result = segment(picture, model)
    for each in (model, model.card, result, result.scene, result.prediction, *result.regions):
        assert len(repr(each)) < 150, each
    assert repr(model).startswith("<Model default: Fish, Flower, Gravel, Sugar; input ")
    assert repr(model.card) == "<Card of default: Fish, Flower, Gravel, Sugar>"
    assert repr(result.scene) == "<Scene array: 160x240 pixels>"
    assert repr(result.prediction) == "<Prediction of array by default: 350x525 pixels>"
