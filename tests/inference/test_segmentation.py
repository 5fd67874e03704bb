"""Segmentation of scenes: masks, regions, area fractions."""

import json
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import nephoscope
from conftest import encoded
from nephoscope.core.errors import InputWarning, ModelError, NephoscopeError, SceneError
from nephoscope.core.geo import Bounds
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.evaluation.metrics import dice
from nephoscope.imagery.reading import open_scene
from nephoscope.imagery.synthetic import make_scene
from nephoscope.inference.model import Model
from nephoscope.inference.pipeline import segment, segment_many
from nephoscope.inference.postprocess import Rule
from nephoscope.inference.segmentation import Segmentation, apply_rules
from nephoscope.outputs.json import everything

GUARD = Path(__file__).parents[1] / "default_model.npz"
RULE = Rule(threshold=0.5, top_k=100, presence=0.6, least_cover=0, minimum_area=50)


@pytest.fixture
def bright(tiny_model):
    """A model for which a pattern is where its colour is bright."""
    return Model.load(tiny_model(rules=dict.fromkeys(DEFAULT_NAMES, RULE)))


def painted(height, width, **boxes):
    """A dim picture with boxes of one colour, named `red_y0_y1_x0_x1` in shares of ten."""
    pixels = np.full((height, width, 3), 60, np.uint8)
    for name, value in boxes.items():
        colour, *edges = name.split("_")
        top, bottom, left, right = (int(edge) / 10 for edge in edges)
        rows = slice(round(top * height), round(bottom * height))
        columns = slice(round(left * width), round(right * width))
        pixels[rows, columns, ("red", "green", "blue").index(colour)] = value
    return pixels


@pytest.mark.slow
@pytest.mark.parametrize("size", [(350, 525), (700, 1050), (320, 480), (200, 200), (90, 900), (900, 100)])
def test_a_pattern_is_where_it_was_painted_at_any_size(bright, size):
    pixels = painted(*size, green_2_6_3_8=240)
    result = segment(pixels, bright)
    assert result.present == ["Flower"]
    (region,) = result.regions
    height, width = size
    slack = 2 + max(size) / 80
    assert region.box == pytest.approx((0.3 * width, 0.2 * height, 0.8 * width, 0.6 * height), abs=slack)
    assert result.area_fractions["Flower"] == pytest.approx(0.2, rel=0.1)
    assert dice(result.mask("Flower", size), pixels[:, :, 1] == 240) > 0.93


def test_patterns_may_overlap(bright):
    result = segment(painted(350, 525, red_2_8_2_6=240, blue_4_9_4_9=240), bright)
    assert result.present == ["Fish", "Gravel", "Sugar"]
    assert (result.mask("Fish") & result.mask("Gravel")).any()
    assert np.array_equal(result.mask("Fish"), result.mask("Sugar"))


@pytest.mark.slow
@pytest.mark.parametrize("size", [(350, 525), (1400, 2100), (333, 777)])
def test_no_data_is_never_part_of_a_pattern(bright, size):
    pixels = np.full((*size, 3), 250, np.uint8)
    pixels[:, size[1] // 3 : size[1] // 2] = 0
    result = segment(pixels, bright)
    assert result.present == list(DEFAULT_NAMES)
    for name in DEFAULT_NAMES:
        assert not result.mask(name)[~result.valid_mask].any()
        assert not result.mask(name, size)[(pixels == 0).all(axis=2)].any()
    assert result.area_fractions["Fish"] == pytest.approx(1, abs=0.02)


def test_a_black_picture_has_no_patterns_and_no_data(model):
    result = segment(np.zeros((350, 525, 3), np.uint8), model)
    assert not result.valid_mask.any()
    assert not result.masks.any()
    assert result.regions == []
    assert set(result.area_fractions.values()) == {0}


def test_near_components_join_on_request(bright):
    pixels = painted(350, 525, green_2_6_2_4=240)
    pixels[70:210, 215:300, 1] = 240  # 5 px further right on the grid of 350x525
    scene = open_scene(pixels)
    assert len(segment(scene, bright).regions) == 2
    joined = segment(scene, bright, join=8)
    assert len(joined.regions) == 1
    assert np.array_equal(joined.masks, segment(scene, bright).masks)


@pytest.mark.slow
def test_mirror_images_are_undone(bright, model):
    pixels = painted(350, 525, green_1_4_1_5=240, blue_5_9_6_9=220)
    once, four = segment(pixels, bright), segment(pixels, bright, tta=True)
    assert np.abs(once.probabilities - four.probabilities).max() < 1e-5  # a 1x1 network sees no direction
    picture = make_scene(4, (350, 525)).pixels
    mirrored = segment(np.ascontiguousarray(picture[:, ::-1]), model, tta=True)
    straight = segment(picture, model, tta=True)
    assert np.abs(mirrored.probabilities[:, :, ::-1] - straight.probabilities).max() < 1e-3


def test_masks_at_full_size_have_the_exact_nodata(bright, tmp_path):
    pixels = np.full((1400, 2100, 3), 250, np.uint8)
    pixels[:, 701:806] = 0
    path = tmp_path / "large.jpg"
    path.write_bytes(encoded(pixels, ".jpg"))
    result = segment(path, bright)
    assert result.prediction.raster.pixels.shape[0] < 1400  # decoded no finer than the network needs
    mask = result.mask("Fish", (1400, 2100))
    assert not mask[~open_scene(path).read().valid_mask].any()
    assert mask[:, 815:].all()


@pytest.mark.slow
def test_the_public_face(jpeg):
    result = nephoscope.segment(jpeg)
    assert isinstance(result, nephoscope.Segmentation)
    assert result.masks.shape == result.probabilities.shape == result.components.shape
    assert result.masks.dtype == bool
    assert result.scene.name == "scene.jpg"
    assert set(result.scores) == set(DEFAULT_NAMES)
    assert set(nephoscope.__all__) <= set(dir(nephoscope))
    assert repr(result).startswith("<Segmentation of scene.jpg: ")
    with pytest.raises(ValueError, match="unknown pattern 'fish'; available: Fish"):
        result.mask("fish")
    with pytest.raises(AttributeError, match="no attribute 'sgment'"):
        _ = nephoscope.sgment


def test_the_default_model_answers_as_it_was_shipped(model):
    """A stored picture, its probabilities and its masks guard the shipped file and all that is behind it."""
    stored = np.load(GUARD)
    result = segment(stored["picture"], model)
    assert np.abs(result.probabilities[:, ::10, ::10] - stored["probabilities"]).max() < 0.01
    masks = np.unpackbits(stored["masks"], count=result.masks.size).reshape(result.masks.shape).astype(bool)
    for index, name in enumerate(DEFAULT_NAMES):
        assert dice(result.masks[index], masks[index]) > 0.999, name


def test_a_picture_of_unknown_place_is_taken_to_show_21_x_14_degrees(bright):
    assert segment(painted(350, 525), bright).assumed_extent == pytest.approx((21, 14))
    assert segment(painted(300, 300), bright).assumed_extent == pytest.approx((14, 14))
    assert segment(painted(100, 600), bright).assumed_extent == pytest.approx((84, 14))
    assert segment(painted(350, 525), bright, bounds=Bounds(-61, 10, -40, 24)).assumed_extent is None
    assert segment(painted(350, 525), bright, extent=10).assumed_extent is None


def test_a_stated_extent_is_the_scale_of_the_same_bounds(bright):
    pixels = painted(400, 600, red_2_8_2_6=240)
    stated = segment(pixels, bright, extent=42)
    known = segment(pixels, bright, bounds=Bounds(-61, 0, -19, 28))
    assert np.array_equal(stated.masks, known.masks)
    assert stated.masks.shape == (4, 700, 1050)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"extent": 0}, "extent must be more than 0 and at most 360 degrees, got 0"),
        ({"extent": 400}, "got 400"),
        ({"extent": 20, "bounds": Bounds(-61, 10, -40, 24)}, "its bounds are known: leave the extent out"),
    ],
)
def test_an_extent_that_cannot_be_is_refused(bright, options, reason):
    with pytest.raises(SceneError, match=reason):
        segment(painted(350, 525), bright, **options)


def test_words_of_the_command_are_pictures_too(bright, tmp_path, monkeypatch):
    assert segment("sample", bright).scene.name == "synthetic_sample.jpg"
    for name in ("a", "b"):
        (tmp_path / f"{name}.png").write_bytes(encoded(painted(350, 525), ".png"))
    with pytest.raises(SceneError, match="2 pictures: nephoscope.segment_many takes them all"):
        segment(str(tmp_path), bright)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SceneError, match="^missing.jpg: no such file$"):
        segment("missing.jpg", bright)


class TestMany:
    """Many pictures, in order, each independent of the others."""

    def test_results_come_in_order_and_errors_in_their_places(self, bright, tmp_path):
        pixels = painted(350, 525, red_2_8_2_6=240)
        (tmp_path / "one.png").write_bytes(encoded(pixels, ".png"))
        pictures = [pixels, tmp_path / "one.png", "missing.jpg", None, open_scene(pixels, name="last")]
        results = list(segment_many(iter(pictures), bright))
        kinds = [type(result) for result in results]
        assert kinds == [Segmentation, Segmentation, SceneError, SceneError, Segmentation]
        assert np.array_equal(results[0].masks, results[1].masks)
        assert [results[1].scene.name, results[4].scene.name] == ["one.png", "last"]
        with pytest.raises(SceneError, match="missing.jpg"):
            list(segment_many(pictures, bright, errors="raise"))

    def test_folders_and_globs_stand_for_all_their_pictures(self, bright, tmp_path):
        for name in ("b.png", "a.png", "c.jpg"):
            (tmp_path / name).write_bytes(encoded(painted(90, 120), Path(name).suffix))
        for pictures, names in (
            (tmp_path, ["a.png", "b.png", "c.jpg"]),
            (str(tmp_path / "*.png"), ["a.png", "b.png"]),
            ([tmp_path / "c.jpg", str(tmp_path / "*.png")], ["c.jpg", "a.png", "b.png"]),
        ):
            assert [result.scene.name for result in segment_many(pictures, bright)] == names

    @pytest.mark.parametrize(
        ("options", "reason"),
        [
            ({"errors": "ignore"}, "errors must be 'return' or 'raise', got 'ignore'"),
            ({"workers": 0}, "workers must be at least 1, got 0"),
            ({"threshold": 7}, "threshold must be between 0 and 1"),
        ],
    )
    def test_wrong_options_are_refused_at_the_call(self, bright, options, reason):
        with pytest.raises(NephoscopeError, match=reason):
            segment_many([], bright, **options)

    def test_one_array_is_one_picture_and_few_are_held_at_a_time(self, bright):
        assert len(list(segment_many(painted(350, 525), bright))) == 1
        taken = []

        def endless():
            while True:
                taken.append(len(taken))
                yield painted(90, 120)

        results = segment_many(endless(), bright, workers=2)
        for _ in range(3):
            next(results)
        results.close()
        assert len(taken) <= 3 + 2 * 2


class TestChangedRules:
    """Rules and thresholds of one call, in place of those of the model card."""

    def test_a_threshold_for_all_and_one_by_pattern(self, bright):
        pixels = painted(350, 525, red_1_4_1_4=140, green_5_9_5_9=140)
        assert segment(pixels, bright).present == []
        easy = {name: {"presence": 0.5} for name in DEFAULT_NAMES}
        changed = segment(pixels, bright, rules=easy, threshold=0.4)
        assert changed.present == ["Fish", "Flower", "Sugar"]
        only = segment(pixels, bright, threshold={"Fish": 0.4}, rules={"Fish": {"presence": 0.5}})
        assert only.present == ["Fish"]
        assert only.card.rules == {**bright.card.rules, "Fish": replace(RULE, threshold=0.4, presence=0.5)}

    def test_a_rule_takes_the_place_of_the_cards(self, bright):
        other = replace(RULE, minimum_area=20_000)
        pixels = painted(350, 525, green_1_4_1_4=240)
        assert segment(pixels, bright).present == ["Flower"]
        assert segment(pixels, bright, rules={"Flower": other}).present == []
        prediction = bright.predict(open_scene(pixels))
        assert apply_rules(prediction, {"Flower": other}).present == []

    def test_outputs_state_them(self, bright, picture):
        result = segment(picture, bright, threshold=np.float32(0.25))
        rules = json.loads(json.dumps(everything(result)))["rules"]
        assert rules["chosen"] == "stated by the user"
        assert {rules[name]["threshold"] for name in DEFAULT_NAMES} == {0.25}

    @pytest.mark.parametrize(
        ("options", "reason"),
        [
            ({"threshold": 1.5}, "Fish: threshold must be between 0 and 1, got 1.5"),
            ({"threshold": "high"}, "Fish: threshold must be between 0 and 1, got 'high'"),
            (
                {"threshold": {"Fisch": 0.4}},
                "unknown pattern 'Fisch'; available: Fish, Flower",
            ),
            ({"rules": {"Fisch": RULE}}, "unknown pattern 'Fisch'; available: Fish, Flower"),
            ({"rules": {"Fish": {"area": 3}}}, "Fish: a rule has no 'area'; available: threshold, top_k, "),
            ({"rules": {"Fish": 0.4}}, "Fish: expected a Rule or a mapping of threshold, top_k"),
            ({"rules": {"Fish": {"minimum_area": 0.5}}}, "Fish: minimum_area must be a whole number"),
        ],
    )
    def test_wrong_ones_fail_before_the_picture_is_read(self, bright, options, reason):
        with pytest.raises(ModelError, match=f"^{reason}"):
            segment("missing.jpg", bright, **options)


class TestWarnings:
    """Python's warnings, which only the public function issues."""

    def test_a_picture_without_data(self, bright):
        black = np.zeros((350, 525, 3), np.uint8)
        with pytest.warns(InputWarning, match="^array: no data: all pixels are black or missing") as caught:
            nephoscope.segment(black, bright)
        assert caught[0].filename == __file__

    def test_the_two_halves_issue_none(self, bright):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            result = apply_rules(bright.predict(open_scene(np.zeros((350, 525, 3), np.uint8))))
        assert len(result.warnings) == 1
