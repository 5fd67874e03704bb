"""Training on from a model with few corrected scenes; seconds each."""

import json
from datetime import date

import numpy as np
import pytest
import torch
from test_distillation import TINY, log_of
from test_own_classes import write_data
from typer.testing import CliRunner

from nephoscope.cli import app
from nephoscope.core.errors import DatasetError, TrainingError
from nephoscope.datasets.build import write_synthetic_dataset
from nephoscope.datasets.catalogue import Record, format_catalogue
from nephoscope.datasets.dataset import read_dataset
from nephoscope.datasets.splits import Folds, split, split_of_few
from nephoscope.inference.model import Model
from nephoscope.training import batches, replay
from nephoscope.training.batches import SceneBatchSampler
from nephoscope.training.checkpoint import Trained, load_weights
from nephoscope.training.config import make_recipe
from nephoscope.training.finish import finish
from nephoscope.training.kept_rules import PLAIN, KeptRules
from nephoscope.training.run import begin, resume
from nephoscope.training.scores import read_scores
from nephoscope.training.settings import Settings
from nephoscope.training.transfer import changes_in_words, fitted

pytestmark = pytest.mark.slow

FEW = {"epochs": 3, "precision": "fp32"}
SIZE = (64, 96)


def write_scenes(folder, count, *, first=0, days=None, split=""):
    """Synthetic scenes; `days` of January 2020 in turn, or undated, the last quarter `val` with a split."""
    write_synthetic_dataset(folder, count, size=(128, 192), seed=first)
    names = sorted(path.name for path in (folder / "train_images").iterdir())
    records = [
        Record(
            name,
            split=("val" if index >= count * 3 // 4 else "train") if split else "",
            day=date(2020, 1, 1 + index % days) if days else None,
        )
        for index, name in enumerate(names)
    ]
    (folder / "scenes.csv").write_bytes(format_catalogue(records))
    return folder


@pytest.fixture(scope="module")
def older(tmp_path_factory):
    """40 scenes, of which ten are `val`."""
    return write_scenes(tmp_path_factory.mktemp("older") / "older", 40, first=1000, split="own")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def start(tmp_path_factory, older, cache):
    """A briefly trained run with its model file."""
    run = tmp_path_factory.mktemp("runs") / "start"
    begin(Settings(str(older), make_recipe(**TINY, epochs=1, ema=0.0)), run, cache=cache)
    finish(run)
    return run


@pytest.fixture(scope="module")
def ten(tmp_path_factory):
    """Ten scenes of one day."""
    return write_scenes(tmp_path_factory.mktemp("ten") / "ten", 10, first=2000, days=1)


def settings_of(data, start, **changes):
    own = {name: changes.pop(name) for name in ("replay", "own_size") if name in changes}
    recipe = make_recipe("few", **{**FEW, **changes})
    return Settings(str(data), recipe, start_from=(str(start / "model.onnx"),), **own)


def train(*words):
    done = CliRunner().invoke(app, ["train", *map(str, words)])
    assert done.exit_code == 0, done.stderr
    return done


def test_ten_scenes_of_one_day_are_trained_on_with_scores_before_and_after(tmp_path, ten, start, cache):
    run = tmp_path / "run"
    words = [ten, "--from", start / "model.onnx", "--batch", 12, "--epochs", 2, "--precision", "fp32"]
    done = train(*words, "-o", run, "--cache", cache)
    assert "few scenes: fold 0 of 5, single scenes, also of one day is held out" in done.stderr
    assert "a step has 8 scenes in place of 12" in done.stderr
    before = done.stderr.index("before training: mean Dice")
    assert before < done.stderr.index("epoch 1/2")
    assert "new scenes   before" in done.stdout
    assert "new scenes   after" in done.stdout
    assert "older scenes" not in done.stdout
    assert "kept from start: 2 validation scenes are too few" in done.stdout
    settings = Settings.read(run)
    assert (settings.folds, settings.fold_by) == (5, "scene")
    assert settings.recipe.freeze_norm  # of the preset
    scores, card = json.loads((run / "scores.json").read_text()), Model.load(run / "model.onnx").card
    first = Model.load(start / "model.onnx").card
    for time in ("before", "after"):
        assert f"{scores[time]['new']['mean']:.4f}" in done.stdout
        assert scores[time]["new"]["scenes"] == 2
        assert scores[time]["new"]["by_pattern"].keys() == set(first.patterns)
    assert f"the card: mean Dice {card.figures[0]['value']:.4f}" in done.stdout
    assert card.rules == first.rules
    assert card.calibration == first.calibration
    assert card.scope["grain"][0] <= first.scope["grain"][0]
    assert card.scope["grain"][1] >= first.scope["grain"][1]
    validated = card.figures[0]["value"]
    assert validated == pytest.approx(scores["after"]["new"]["mean"], abs=0.05)  # at another resolution


def test_rules_of_a_new_run_still_need_two_days(tmp_path, ten, cache):
    settings = Settings(str(ten), make_recipe(**TINY), folds=5, fold_by="scene")
    with pytest.raises(TrainingError, match="rules need at least two; --from MODEL keeps the rules"):
        begin(settings, tmp_path / "run", cache=cache)


def test_other_patterns_keep_the_rows_of_the_same_names(tmp_path, start, cache):
    folder = write_data(tmp_path / "data", ("Sugar", "Ring", "Fish"))
    lines, run = [], tmp_path / "run"
    begin(settings_of(folder, start, epochs=1), run, cache=cache, log=lines.append)
    assert any(line.endswith("kept: Sugar, Fish; new: Ring; left out: Flower, Gravel") for line in lines)
    finish(run)
    first, card = (Model.load(each / "model.onnx").card for each in (start, run))
    assert card.patterns == ("Sugar", "Ring", "Fish")
    assert card.rules == {"Sugar": first.rules["Sugar"], "Ring": PLAIN, "Fish": first.rules["Fish"]}
    assert card.unbiased_rules == {}
    scores = read_scores(run)
    assert set(scores["before"]["new"].by_pattern) == {"Sugar", "Fish"}
    assert set(scores["after"]["new"].by_pattern) == {"Sugar", "Ring", "Fish"}
    strange = write_data(tmp_path / "strange", ("Ring", "Veil"))
    begin(settings_of(strange, start, epochs=1), tmp_path / "other", cache=cache)
    finish(tmp_path / "other")
    assert read_scores(tmp_path / "other")["before"] == {}


@pytest.mark.parametrize("arch", ["fpn", "coarse-fpn", "vgg19-segnet"])
def test_fitted_networks_predict_kept_patterns_as_before(arch, start):
    from nephoscope.training.networks import build, describe

    _, card = load_weights(start / "best.safetensors")
    network = describe(make_recipe(**{**TINY, "arch": arch}))
    torch.manual_seed(0)
    module = build(network, 4).eval()
    card = card.__class__(**{**card.__dict__, "network": network})
    trained = Trained("weights", module.state_dict(), card)
    other = fitted(trained, ("Sugar", "Ring", "Fish")).eval()
    pictures = torch.rand(1, 3, 64, 96)
    with torch.inference_mode():
        before, after = module(pictures), other(pictures)
    for one, two in zip(before, after, strict=True):
        torch.testing.assert_close(two[:, [0, 2]], one[:, [3, 0]])
        torch.testing.assert_close(two[:, 1], one.mean(1))
    assert changes_in_words(trained, card.patterns[::-1], (64, 96)) == ""


def test_weights_are_trained_on_at_another_size(tmp_path, ten, start, cache):
    run = tmp_path / "run"
    words = ["--size", "96x96", "--epochs", 1, "--precision", "fp32", "-o", run, "--cache", cache]
    done = train(ten, "--from", start, *words)
    assert "size 96x96, before 64x96" in done.stderr
    assert Model.load(run / "model.onnx").card.input_size == (96, 96)
    assert Settings.read(run).own_size
    begin(settings_of(ten, start, epochs=1, size="96x96"), tmp_path / "same", cache=cache)
    assert load_weights(tmp_path / "same" / "best.safetensors")[1].input_size == SIZE


def test_replay_never_reads_older_validation_scenes(tmp_path, ten, older, start, cache, monkeypatch):
    """Every batch that is loaded is recorded: half of each step is older, and none of it `val`."""
    loaded, load = [], batches.SceneDataset.__getitem__

    def recorded(self, indices):
        batch = load(self, indices)
        loaded.append((self, batch))
        return batch

    monkeypatch.setattr(batches.SceneDataset, "__getitem__", recorded)
    run = tmp_path / "run"
    begin(settings_of(ten, start, replay=str(older)), run, cache=cache)
    trained = [(data, batch) for data, batch in loaded if data.replay is not None]
    assert len(trained) == 3 * 2  # eight new scenes, four a step
    used = set()
    for data, batch in trained:
        older_ones = [index - 10 for index in batch.indices.tolist() if index >= 10]
        assert len(older_ones) == 4
        scenes = data.replay.scenes
        assert {scenes.records[index].split for index in older_ones} == {"train"}
        for position, index in enumerate(batch.indices.tolist()):
            source, row = (data.scenes, index) if index < 10 else (scenes, index - 10)
            assert np.array_equal(batch.pictures[position], source.pictures[row])
            assert np.array_equal(batch.masks[position], source.masks[row])
        used |= set(older_ones)
    assert len(used) > 8  # drawn anew each epoch
    finish(run)
    scores = read_scores(run)
    assert scores["before"]["older"].scenes == scores["after"]["older"].scenes == 10
    assert (
        "30 older scenes of older, 4 a step" in load_weights(run / "best.safetensors")[1].training["replay"]
    )


@pytest.mark.parametrize("ema", [0.0, 0.5])
def test_with_replay_the_mean_of_trained_and_first_weights_is_kept(tmp_path, ten, older, start, cache, ema):
    run = tmp_path / "run"
    settings = settings_of(ten, start, replay=str(older), epochs=2, keep="last", ema=ema)
    begin(settings, run, cache=cache)
    trained = torch.load(run / "last.ckpt", "cpu", weights_only=True)["state_dict"]
    (first, _), (kept, card) = (
        load_weights(file) for file in (start / "model.onnx", run / "best.safetensors")
    )
    moved = 0
    for name, value in kept.items():
        after = trained[f"network.{name}"]
        if value.is_floating_point():
            assert torch.allclose(value, (first[name].float() + after) / 2, atol=1e-6), name
            moved += not torch.equal(first[name].float(), after)
    assert moved
    assert "the mean of the trained weights" in card.training["replay"]


@pytest.mark.parametrize(("count", "days"), [(2, None), (3, 1), (6, 3)])
def test_replay_takes_few_older_scenes(tmp_path, ten, start, cache, count, days):
    theirs = write_scenes(tmp_path / "theirs", count, first=7000, days=days)
    if days:  # other days than those of the new scenes
        records = [
            Record(each.image, day=each.day.replace(year=2021)) for each in read_dataset(theirs).records
        ]
        (theirs / "scenes.csv").write_bytes(format_catalogue(records))
    run = tmp_path / "run"
    begin(settings_of(ten, start, replay=str(theirs), epochs=1), run, cache=cache)
    finish(run)
    assert read_scores(run)["after"]["older"].scenes >= 1


def test_replay_of_one_scene_is_refused(tmp_path, ten, start, cache):
    theirs = write_scenes(tmp_path / "theirs", 1, first=8000)
    with pytest.raises(TrainingError, match="at least 2 older scenes, got 1"):
        begin(settings_of(ten, start, replay=str(theirs)), tmp_path / "run", cache=cache)


def test_replay_leaves_out_the_days_that_the_run_holds_out(tmp_path, cache):
    mine = write_scenes(tmp_path / "mine", 10, first=3000, days=5)
    theirs = write_scenes(tmp_path / "theirs", 40, first=4000, days=8, split="own")
    scenes = replay.open_scenes(mine, SIZE, cache=cache)
    held_out = [scenes.records[index] for index in split(scenes.records, Folds(5))[1]]
    opened = replay.open_replay(theirs, scenes, held_out, SIZE, cache=cache)
    records = [opened.scenes.records[index] for index in opened.training]
    assert 0 < len(records) < 30
    assert not {record.group for record in records} & {record.group for record in held_out}
    strange = write_data(tmp_path / "strange", ("Ring", "Veil"))
    with pytest.raises(TrainingError, match="no labels of Fish, Flower, Gravel, Sugar"):
        replay.open_replay(strange, scenes, held_out, SIZE, cache=cache)


def test_bits_of_older_masks_follow_the_names():
    table = replay._bits(("Fish", "Flower", "Gravel"), ("Gravel", "Fish"))
    assert table[0b001] == 0b10
    assert table[0b100] == 0b01
    assert table[0b111] == 0b11
    assert table[0b010] == 0


def test_steps_with_older_scenes_depend_on_seed_and_epoch_only():
    sampler = SceneBatchSampler(range(10), 8, shuffle=True, seed=3, replay=range(10, 13), replayed=5)
    steps = list(sampler)
    assert len(steps) == len(sampler) == 3
    assert all(sum(index >= 10 for index in step) == 5 for step in steps)
    assert len({index for step in steps for index in step if index < 10}) == 9
    assert steps == list(sampler)
    sampler.set_epoch(1)
    assert steps != list(sampler)


def test_a_resumed_run_with_replay_equals_an_uninterrupted_one(tmp_path, ten, older, start, cache):
    settings = settings_of(ten, start, replay=str(older), epochs=3)
    begin(settings, tmp_path / "whole", cache=cache)

    def stop(line):
        if line.startswith("epoch 2/"):
            raise KeyboardInterrupt

    with pytest.raises((KeyboardInterrupt, SystemExit)):
        begin(settings, tmp_path / "twice", cache=cache, log=stop)
    lines = []
    resume(tmp_path / "twice", cache=cache, log=lines.append)
    assert not any("before training" in line for line in lines)
    assert log_of(tmp_path / "twice") == log_of(tmp_path / "whole")
    one, other = (load_weights(tmp_path / run / "best.safetensors") for run in ("whole", "twice"))
    assert all(torch.equal(one[0][name], other[0][name]) for name in one[0])
    assert one[1].rules == other[1].rules
    scores = [json.loads((tmp_path / run / "scores.json").read_text()) for run in ("whole", "twice")]
    assert scores[0] == scores[1]


def test_the_split_of_few_scenes():
    dated = [Record(f"{number}.jpg", day=date(2020, 1, 1 + number % 3)) for number in range(12)]
    assert split_of_few(dated) == Folds(3)
    assert split_of_few([Record(f"{number}.jpg") for number in range(12)]) == Folds(5)
    one_day = [Record(f"{number}.jpg", day=date(2020, 1, 1)) for number in range(3)]
    assert split_of_few(one_day) == Folds(3, by="scene")
    training, held_out = split(one_day, split_of_few(one_day))
    assert (len(training), len(held_out)) == (2, 1)
    with pytest.raises(DatasetError):
        split(one_day[:1], split_of_few(one_day[:1]))


def test_kept_rules_are_applied_to_calibrated_probabilities(start):
    card = Model.load(start / "model.onnx").card
    kept = KeptRules.of(card, card.patterns)
    fields = np.random.default_rng(0).random((4, *SIZE)).astype(np.float32)
    fields[:, :, :10] = 0
    probabilities = kept.calibrated(fields)
    assert not probabilities[:, :, :10].any()
    expected = card.calibration["Fish"].pixels(fields[0, :, 10:])
    np.testing.assert_allclose(probabilities[0, :, 10:], expected)
    truth = np.zeros((4, *SIZE), bool)
    assert kept.dice(np.zeros_like(fields), np.zeros(4, np.float32), truth) == [1.0] * 4


def test_replay_without_weights_is_refused(tmp_path, older):
    done = CliRunner().invoke(app, ["train", str(older), "--replay", str(older), "-o", str(tmp_path / "run")])
    assert done.exit_code == 2
    assert "--replay has no effect without --from" in done.stderr
