"""Calibrated probabilities: fitted to known frequencies, built into the model file, and undone again."""

import dataclasses
import json

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nephoscope.core.errors import CardError, InvalidRequestError
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.evaluation.statistics import grouped_error
from nephoscope.inference.card import Card
from nephoscope.inference.model import Model
from nephoscope.inference.pipeline import segment
from nephoscope.inference.postprocess import Rule
from nephoscope.inference.probability import AreaRatio, PatternCalibration, Platt
from nephoscope.training.calibration import with_calibration
from nephoscope.training.frequency_error import area_ratio
from nephoscope.training.platt_fit import fit_platt, held_out_pixels, held_out_presence
from nephoscope.training.scored_scenes import LEVELS
from nephoscope.training.unbiased_rules import PatternScenes, held_out_areas, match

SIZE = (64, 96)
slopes, intercepts = st.floats(0.1, 5), st.floats(-4, 4)


@given(slopes, intercepts, st.floats(0.01, 0.99))
def test_a_scaling_and_its_inverse_cancel(slope, intercept, score):
    scaling = Platt(slope, intercept)
    assert scaling.inverse.after(scaling)(score) == pytest.approx(score, abs=1e-4)


@given(slopes, intercepts, st.lists(st.floats(0, 1), min_size=2, max_size=20))
def test_a_scaling_keeps_the_order_of_scores(slope, intercept, scores):
    assert (np.diff(Platt(slope, intercept)(np.sort(scores))) >= 0).all()


@pytest.mark.parametrize("values", [(0, 0), (-1, 0), (float("nan"), 0), (1, float("inf"))])
def test_impossible_scalings_are_refused(values):
    with pytest.raises(InvalidRequestError, match="slope must be above 0 and intercept finite"):
        Platt(*values)


@given(st.floats(0.3, 3), st.floats(-2, 2))
def test_a_known_scaling_is_recovered(slope, intercept):
    scores = (np.arange(100) + 0.5) / 100
    counts = np.full(100, 1e6)
    fitted = fit_platt(scores, counts, counts * Platt(slope, intercept)(scores))
    assert (fitted.slope, fitted.intercept) == pytest.approx((slope, intercept), abs=0.01)


@pytest.mark.parametrize("frequency", [0.0, 1.0])
def test_a_label_that_holds_always_or_never_has_a_finite_fit(frequency):
    scores = np.linspace(0.1, 0.9, 50)
    fitted = fit_platt(scores, np.full(50, 10.0), np.full(50, 10.0 * frequency))
    assert fitted([0.5])[0] == pytest.approx(frequency, abs=0.02)


def test_scores_that_rank_labels_wrongly_give_their_overall_frequency():
    scores = np.linspace(0.05, 0.95, 50)
    fitted = fit_platt(scores, np.full(50, 100.0), 100 * (1 - scores) * 0.5)
    assert fitted(scores) == pytest.approx(np.full(50, 0.25), abs=0.02)


def overconfident(rng, scenes):
    """Counts of pixels whose label holds half as often as their probability says."""
    centres = (np.arange(LEVELS) + 0.5) / LEVELS
    counts = rng.integers(50, 200, (LEVELS, scenes))
    return np.stack([counts, rng.binomial(counts, 0.5 * centres[:, None])], 1).astype(float)


def test_calibration_lowers_the_error_on_other_folds():
    pixels = overconfident(np.random.default_rng(0), 40)
    held_out = held_out_pixels(pixels, [scene % 4 for scene in range(40)])
    centres = (np.arange(LEVELS) + 0.5) / LEVELS
    before = np.abs(centres - 0.5 * centres).mean()
    assert held_out.error < 0.3 * before
    assert held_out.expected.mean() == pytest.approx(0.25, abs=0.01)


def test_probabilities_of_presence_are_measured_on_other_folds():
    rng = np.random.default_rng(1)
    scores = rng.random(4000)
    present = (rng.random(4000) < scores**2).astype(float)
    held_out = held_out_presence(scores, present, [scene % 5 for scene in range(4000)])
    assert grouped_error(scores, present) > 0.12
    assert held_out.error < 0.04
    assert held_out.expected.mean() == pytest.approx(present.mean(), abs=0.01)


def planted(rng, scenes):
    """Scenes of one pattern whose probability is too high where it is present, and too low in number."""
    present = (rng.random(scenes) < 0.6).astype(float)
    scores = np.clip(0.3 * present + 0.5 * rng.random(scenes), 0, 1)
    pixels = np.zeros((LEVELS, 2, scenes))
    pixels[10, 0] = 700
    pixels[60, 0] = 100  # of which none is labelled
    pixels[120, 0] = 200
    pixels[120, 1] = 200 * present
    return PatternScenes(scores, pixels, present)


def test_unbiased_rules_match_area_and_number_of_scenes():
    scenes = planted(np.random.default_rng(2), 500)
    rule = match(scenes)
    assert (scenes.scores >= rule.cut).sum() == scenes.present.sum()
    assert 60 / LEVELS < rule.threshold <= 120 / LEVELS
    held_out = held_out_areas(scenes, [scene % 10 for scene in range(500)])
    assert held_out.present.mean() == pytest.approx(scenes.present.mean(), abs=0.02)
    assert held_out.areas.mean() == pytest.approx(scenes.labelled.mean(), abs=0.005)


def test_a_pattern_without_labels_is_never_present():
    scenes = planted(np.random.default_rng(3), 20)
    assert match(scenes._replace(present=np.zeros(20))).cut == 1.0


def test_the_ratio_of_areas_and_its_error_are_found():
    rng = np.random.default_rng(4)
    predicted = rng.uniform(0, 0.4, 2000)
    labelled = 0.8 * predicted * rng.lognormal(-0.08, 0.4, 2000)
    ratio = area_ratio(labelled, predicted, range(2000))
    assert ratio.ratio == pytest.approx(0.8, abs=0.03)
    of_days = area_ratio(labelled, predicted, [scene // 2 for scene in range(2000)])
    assert of_days.error == pytest.approx(ratio.error, rel=0.15)  # scenes are independent here
    twice = area_ratio(np.repeat(labelled, 2), np.repeat(predicted, 2), np.repeat(range(2000), 2).tolist())
    assert twice.error == pytest.approx(ratio.error, rel=0.01)  # copies of a day's scenes add nothing


@pytest.mark.parametrize("values", [(0, 0.1), (-1, 0.1), (1, -0.1), (float("inf"), 0)])
def test_impossible_ratios_are_refused(values):
    with pytest.raises(InvalidRequestError, match="an area ratio must be above 0"):
        AreaRatio(*values)


CALIBRATION = {
    name: PatternCalibration(Platt(0.5 + index, index - 1), Platt(2, -1), "top_k", 500)
    for index, name in enumerate(DEFAULT_NAMES)
}


@pytest.fixture
def tiny(tiny_model):
    return Model.load(tiny_model(input_size=SIZE))


def picture(seed=0):
    return np.random.default_rng(seed).integers(20, 235, (*SIZE, 3)).astype(np.uint8)


def test_a_calibrated_model_returns_scaled_probabilities(tiny):
    """Also after it is calibrated once more, or no longer."""
    calibrated = with_calibration(tiny, CALIBRATION)
    doubled = with_calibration(calibrated, dict.fromkeys(DEFAULT_NAMES, CALIBRATION["Gravel"]))
    raw = tiny(picture()[None]).probabilities[0]
    for index, name in enumerate(DEFAULT_NAMES):
        expected = CALIBRATION[name].pixels(raw[index])
        assert calibrated(picture()[None]).probabilities[0, index] == pytest.approx(expected, abs=1e-5)
        expected = CALIBRATION["Gravel"].pixels(raw[index])
        assert doubled(picture()[None]).probabilities[0, index] == pytest.approx(expected, abs=1e-5)
    assert with_calibration(doubled, {})(picture()[None]).probabilities[0] == pytest.approx(raw, abs=1e-5)


def test_a_calibrated_model_is_a_valid_graph(tiny):
    onnx.checker.check_model(
        onnx.load_from_string(with_calibration(tiny, CALIBRATION).content), full_check=True
    )


def test_the_networks_own_output_stays_available(tiny):
    smooth = np.broadcast_to(np.linspace(30, 220, SIZE[1])[:, None], (*SIZE, 3)).astype(np.uint8)
    before = segment(smooth, tiny)
    after = segment(smooth, with_calibration(tiny, CALIBRATION))
    assert np.abs(after.probabilities - before.probabilities).max() > 0.1
    assert np.abs(after.prediction.uncalibrated - before.probabilities).max() < 0.005
    assert before.prediction.uncalibrated is before.prediction.probabilities


def test_presence_has_a_probability_where_the_model_is_calibrated(tiny):
    assert segment(picture(), tiny).presence_probabilities == {}
    result = segment(picture(), with_calibration(tiny, CALIBRATION))
    for index, name in enumerate(DEFAULT_NAMES):
        highest = np.sort(result.probabilities[index], axis=None)[-500:].mean()
        assert result.presence_probabilities[name] == pytest.approx(float(Platt(2, -1)(highest)), abs=1e-5)


def test_a_card_keeps_calibration_and_both_sets_of_rules(card):
    unbiased = dict.fromkeys(card.patterns, Rule(0.3, 500, 0.4, 0, 0))
    ratios = {name: {"contest": AreaRatio(0.9, 0.1)} for name in card.patterns}
    changes = {"calibration": CALIBRATION, "unbiased_rules": unbiased, "area_ratios": ratios}
    full = dataclasses.replace(card, **changes)
    again = Card.from_json(full.to_json())
    assert again == full
    assert again.with_rules("unbiased").rules == unbiased
    assert again.with_rules("contest") is again
    assert again.with_rules("unbiased", 0.5).rules["Fish"].threshold == 0.5
    plain = dataclasses.replace(card, **{name: {} for name in changes})
    assert not changes.keys() & plain.as_dict().keys()


def test_rules_that_a_card_does_not_have_are_refused(card):
    bare = dataclasses.replace(card, unbiased_rules={})
    with pytest.raises(CardError, match="has no unbiased rules; nephoscope calibrate"):
        bare.with_rules("unbiased")
    with pytest.raises(CardError, match="unknown rules 'best'; available: contest, unbiased"):
        bare.with_rules("best")


@pytest.mark.parametrize(
    "entry",
    [
        {"Fish": {"slope": 1}},
        {"Fish": {"pixels": {"slope": -1, "intercept": 0}}},
        {name: {"pixels": {}, "presence": {}, "evidence": "guess", "top_k": 1} for name in DEFAULT_NAMES},
    ],
)
def test_a_damaged_calibration_is_refused(card, entry):
    text = dataclasses.replace(card, calibration=CALIBRATION).as_dict() | {"calibration": entry}
    with pytest.raises(CardError, match="its card cannot be read"):
        Card.from_json(json.dumps(text))
