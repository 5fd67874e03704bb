"""Fine-tuning and distillation on synthetic scenes; seconds each."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from nephoscope.cli import app
from nephoscope.core.errors import TrainingError
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.datasets.build import write_synthetic_dataset
from nephoscope.imagery.synthetic import make_scene
from nephoscope.training.augmentation import degrade, mix_noise
from nephoscope.training.checkpoint import load_weights, save_weights
from nephoscope.training.config import Recipe, make_recipe
from nephoscope.training.distillation import Teachers, mean_of, read_origin, read_trained
from nephoscope.training.finish import finish
from nephoscope.training.losses import make_loss
from nephoscope.training.module import SegmentationModule
from nephoscope.training.networks import Deployed
from nephoscope.training.run import _moving_average, begin, resume
from nephoscope.training.settings import Settings

pytestmark = pytest.mark.slow

TINY = {
    "arch": "unet",
    "encoder": "tu-test_efficientnet",
    "encoder_weights": "none",
    "size": "64x96",
    "batch": 8,
    "precision": "fp32",
}
STUDENT = {"epochs": 2, "scenes": 16, "batch": 8, "precision": "fp32"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_synthetic_dataset(folder, 40, size=(128, 192))
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def teacher(tmp_path_factory, data, cache):
    """Weights of a briefly trained network, with their card."""
    run = tmp_path_factory.mktemp("runs") / "teacher"
    recipe = make_recipe(**TINY, epochs=1, ema=0.0)
    return begin(Settings(str(data), recipe), run, cache=cache)


def student_of(data, weights, teachers=(), **changes):
    recipe = make_recipe("steadier", **{**STUDENT, **changes})
    names = tuple(map(str, weights))
    return Settings(str(data), recipe, start_from=names, teachers=tuple(map(str, teachers)))


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def log_of(run):
    """The log without times."""
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [
        {key: value for key, value in row.items() if key not in ("seconds", "scenes_per_second")}
        for row in rows
    ]


def predictions(weights):
    """Probabilities of masks and of presence for twelve synthetic scenes."""
    pictures = torch.from_numpy(np.stack([make_scene(seed, (64, 96)).pixels for seed in range(9000, 9012)]))
    with torch.inference_mode():
        return [part.numpy() for part in read_trained(str(weights)).network().eval()(pictures)]


def test_a_student_from_random_weights_approaches_its_teacher(tmp_path, data, cache, teacher):
    """The teacher predicts two patterns everywhere and two nowhere, unlike the labels."""
    weights, card = load_weights(teacher)
    opinion = torch.tensor([3.0, -3.0, 3.0, -3.0])
    biases = [name for name in weights if name.endswith("bias") and weights[name].shape == (len(opinion),)]
    assert len(biases) == 2  # of masks, and of presence
    save_weights(tmp_path / "sure.safetensors", weights | {name: opinion.clone() for name in biases}, card)
    wanted = predictions(tmp_path / "sure.safetensors")
    how = {"epochs": 8, "learning_rate": 1e-2, "ema": 0.0, "loss": "bce"}
    recipe = make_recipe(**TINY, **how, teacher_share=1.0)
    settings = Settings(str(data), recipe, teachers=(str(tmp_path / "sure.safetensors"),))
    begin(settings, tmp_path / "run", cache=cache)
    state = torch.load(tmp_path / "run" / "last.ckpt", weights_only=False)["state_dict"]
    last = {name.removeprefix("network."): value for name, value in state.items()}
    save_weights(tmp_path / "last.safetensors", last, card)
    torch.manual_seed(0)
    untrained = read_origin(dataclasses.replace(settings, teachers=(), recipe=make_recipe(**TINY)))
    save_weights(tmp_path / "first.safetensors", untrained.student(recipe, DEFAULT_NAMES).state_dict(), card)
    for index, (output, ratio) in enumerate({"masks": 0.5, "presence": 0.9}.items()):
        first, after = (
            np.abs(predictions(tmp_path / f"{name}.safetensors")[index] - wanted[index]).mean()
            for name in ("first", "last")
        )
        assert after < ratio * first, (output, first, after)


def test_a_steadier_run_keeps_statistics_and_records_its_origin(tmp_path, data, cache, teacher):
    run = tmp_path / "run"
    weights, card = load_weights(begin(student_of(data, [teacher]), run, cache=cache))
    first, teachers_card = load_weights(teacher)
    statistics = [name for name in weights if name.endswith(("running_mean", "running_var", "tracked"))]
    assert statistics
    assert all(torch.equal(weights[name], first[name]) for name in statistics)
    assert any(not torch.equal(weights[name], first[name]) for name in weights)
    assert card.network == teachers_card.network
    assert card.input_size == (64, 96)
    assert [entry["file"] for entry in card.training["start_from"]] == ["teacher/best.safetensors"]
    assert len(card.training["start_from"][0]["sha256"]) == 64
    assert card.training["recipe"]["encoder"] == "tu-test_efficientnet"
    assert "teachers" not in card.training
    assert torch.load(run / "last.ckpt", weights_only=False)["global_step"] == 2 * (16 // 8)
    kept = torch.load(run / "last.ckpt", weights_only=False)["state_dict"]
    assert not any("teacher" in name for name in kept)
    finish(run)
    assert (run / "model.onnx").exists()


def test_a_resumed_distillation_equals_an_uninterrupted_one(tmp_path, data, cache, teacher):
    """Stopped after its first epoch: the log is the same to the last digit, and so are the weights."""
    settings = student_of(data, [teacher, teacher], [teacher], epochs=3)
    begin(settings, tmp_path / "whole", cache=cache)

    def stop(line):
        if line.startswith("epoch 2/"):
            raise KeyboardInterrupt

    with pytest.raises((KeyboardInterrupt, SystemExit)):
        begin(settings, tmp_path / "twice", cache=cache, log=stop)
    assert Settings.read(tmp_path / "twice").teachers == (str(teacher),)
    assert len([row for row in log_of(tmp_path / "twice") if "val/dice" in row]) < 3
    resume(tmp_path / "twice", cache=cache)
    assert log_of(tmp_path / "twice") == log_of(tmp_path / "whole")
    one, other = (load_weights(tmp_path / run / "best.safetensors")[0] for run in ("whole", "twice"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_resumed_run_needs_its_teachers(tmp_path, data, cache, teacher):
    moved = tmp_path / "teacher.safetensors"
    moved.write_bytes(teacher.read_bytes())
    begin(student_of(data, [teacher], [moved], epochs=1), tmp_path / "run", cache=cache)
    moved.unlink()
    with pytest.raises(TrainingError, match=r"teacher.safetensors: No such file.*--resume"):
        resume(tmp_path / "run", cache=cache)


def test_a_run_begins_with_the_mean_of_several_weights(tmp_path, teacher):
    weights, card = load_weights(teacher)
    for number in (1, 2, 3):
        changed = {
            name: value * number if value.is_floating_point() else value for name, value in weights.items()
        }
        save_weights(tmp_path / f"{number}.safetensors", changed, card)
    mean = mean_of([str(tmp_path / f"{number}.safetensors") for number in (1, 2, 3)])
    assert mean.card == card
    assert mean.weights.keys() == weights.keys()
    for name, value in weights.items():
        expected = value * 2 if value.is_floating_point() else value
        torch.testing.assert_close(mean.weights[name], expected)


def test_predictions_of_teachers_are_mirrored_back():
    """A teacher that repeats its picture: its predictions match it along every axis."""

    class Repeats(torch.nn.Module):
        def forward(self, colours):
            return torch.logit(colours[:, :1].repeat(1, 4, 1, 1), eps=1e-6)

    teachers = Teachers([(Deployed(Repeats(), 0.0, 1.0), (8, 12))])
    colours = torch.rand(2, 3, 8, 12, generator=torch.Generator().manual_seed(1))
    truth = torch.zeros(2, 4, 8, 12)
    truth[:, 0, :2] = 1
    for seed in range(8):
        soft, present = teachers.soften(colours, truth, 0.25, torch.Generator().manual_seed(seed))
        torch.testing.assert_close(soft, 0.75 * truth + 0.25 * colours[:, :1].repeat(1, 4, 1, 1))
        assert torch.equal(present, truth.amax((2, 3)))  # it has no presence head


def test_a_teacher_sees_pictures_of_its_own_size():
    class Left(torch.nn.Module):
        def forward(self, colours):
            assert colours.shape[2:] == (4, 6)
            logits = torch.full((len(colours), 4, 4, 6), -20.0)
            logits[..., :3] = 20.0
            return logits

    teachers = Teachers([(Deployed(Left(), 0.0, 1.0), (4, 6))])
    no_flips = next(seed for seed in range(99) if (torch.rand(2, generator=seeded(seed)) >= 0.5).all())
    colours, truth = torch.zeros(1, 3, 8, 12), torch.zeros(1, 4, 8, 12)
    soft, _ = teachers.soften(colours, truth, 1.0, seeded(no_flips))
    assert soft.shape == truth.shape
    assert soft[..., :4].min() > 0.99
    assert soft[..., 8:].max() < 0.01


def test_noise_replaces_pictures_and_empties_their_targets():
    pictures, truth, present = torch.full((64, 3, 32, 48), 0.5), torch.ones(64, 4, 32, 48), torch.ones(64, 4)
    noisy, masks, presence = mix_noise(pictures, truth, present, 0.25, seeded(0))
    replaced = (noisy != pictures).flatten(1).any(1)
    assert 4 <= replaced.sum() <= 28
    assert 0 <= noisy.min() <= noisy.max() <= 1
    assert not masks[replaced].any()
    assert not presence[replaced].any()
    assert masks[~replaced].all()
    assert presence[~replaced].all()
    assert torch.equal(pictures, torch.full_like(pictures, 0.5))
    assert mix_noise(pictures, truth, present, 0.0, seeded(0))[0] is pictures


def test_some_degraded_pictures_lose_their_colour():
    red = torch.tensor([0.9, 0.2, 0.1]).reshape(1, 3, 1, 1).expand(60, 3, 16, 16)
    changed = degrade(red, 1.0, seeded(1))
    grey = (changed.amax(1) - changed.amin(1) < 0.02).flatten(1).all(1)
    assert 3 <= grey.sum() <= 20


def test_degraded_pictures_stay_in_range():
    pictures = torch.rand(24, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    same = degrade(pictures, 0.0, torch.Generator().manual_seed(1))
    changed = degrade(pictures, 1.0, torch.Generator().manual_seed(1))
    assert torch.equal(changed, degrade(pictures, 1.0, torch.Generator().manual_seed(1)))
    assert changed.shape == pictures.shape
    assert 0 <= changed.min() <= changed.max() <= 1
    assert all(not torch.equal(*pair) for pair in zip(changed, pictures, strict=True))
    alike = [torch.equal(*pair) for pair in zip(same, pictures, strict=True)]
    assert 4 <= sum(alike) <= 20  # brightness of about half of them


def test_soft_targets_weigh_dice_by_presence():
    """A target of 5 % in every pixel of an absent pattern has no Dice loss."""
    loss = make_loss(Recipe(loss="dice", presence_head=False))
    logits, truth = torch.zeros(1, 4, 8, 8), torch.full((1, 4, 8, 8), 0.05)
    absent, present = torch.full((1, 4), 0.1), torch.full((1, 4), 0.9)
    assert loss(logits, truth, None, absent)["dice"].item() == 0
    assert loss(logits, truth, None, present)["dice"].item() > 0.5


def test_the_moving_average_forgets_its_first_steps():
    averages, weights = [torch.zeros(1)], [torch.ones(1)]
    _moving_average(make_recipe(ema=0.98, ema_warm_up=True))(averages, weights, torch.tensor(1))
    assert averages[0].item() == pytest.approx(1 - 2 / 11)
    averages = [torch.zeros(1)]
    _moving_average(make_recipe(ema=0.98))(averages, weights, torch.tensor(1))
    assert averages[0].item() == pytest.approx(0.02)


def test_settings_without_entries_for_teachers_can_be_read(tmp_path):
    settings = Settings("data", make_recipe(**TINY))
    settings.write(tmp_path)
    entries = json.loads((tmp_path / "run.json").read_text())
    for name in ("start_from", "teachers", "card"):
        del entries[name]
    for name in ("degrade", "noise", "teacher_share", "freeze_norm", "scenes", "ema_warm_up"):
        del entries["recipe"][name]
    (tmp_path / "run.json").write_text(json.dumps(entries))
    assert Settings.read(tmp_path) == settings


def test_unfit_teachers_and_weights_are_refused(tmp_path, data, teacher):
    weights, card = load_weights(teacher)
    larger, other, bare = (tmp_path / f"{name}.safetensors" for name in ("larger", "other", "bare"))
    save_weights(larger, weights, dataclasses.replace(card, input_size=(96, 96)))
    save_weights(other, weights, dataclasses.replace(card, network=card.network | {"presence_head": False}))
    bare.write_bytes(b"no weights")
    recipe = make_recipe(**TINY, teacher_share=0.5)
    for settings, message in (
        (Settings(str(data), recipe, teachers=(str(other),)), "other.*do not fit the network of their card"),
        (Settings(str(data), recipe), "needs --teacher"),
        (Settings(str(data), recipe, card="card.json"), "--card has no effect"),
        (Settings(str(data), make_recipe(**TINY), teachers=(str(teacher),)), "no effect with teacher_share"),
        (Settings(str(data), recipe, start_from=(str(teacher), str(larger))), "another network or size"),
    ):
        with pytest.raises(TrainingError, match=message):
            read_origin(settings)
    with pytest.raises(TrainingError, match="not a file of weights"):
        read_origin(Settings(str(data), recipe, teachers=(str(bare),)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"degrade": 1.5}, "degrade must be .* between 0 and 1"),
        ({"teacher_share": -0.1}, "teacher_share must be .* between 0 and 1"),
        ({"scenes": 8, "batch": 16}, "scenes must be 0 or at least batch"),
        ({"scenes": -1}, "scenes must be .* at least 0"),
        ({"teacher_share": 0.5, "loss": "lovasz"}, "lovasz cannot be used with teachers; available: bce"),
    ],
)
def test_invalid_recipes_are_refused(changes, message):
    with pytest.raises(TrainingError, match=message):
        make_recipe(**changes)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--from", "none.safetensors"], "none.safetensors: No such file"),
        (["--from", "TEACHER", "--teacher", "none.safetensors"], "none.safetensors: No such file"),
        (["--from", "NO_CARD"], "no card inside"),
        (["--from", "TEACHER", "--teacher", "NO_CARD"], "no card inside"),
        (
            ["--from", "TEACHER", "--arch", "unet"],
            "--arch: the network comes from the weights of --from",
        ),
        ([], "needs --teacher WEIGHTS, or --from WEIGHTS"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_invalid_distillations_are_refused_in_one_line(tmp_path, data, cache, teacher, words, message):
    from safetensors.torch import save_file

    no_card = tmp_path / "no_card.safetensors"
    save_file(load_weights(teacher)[0], no_card)
    places = {"TEACHER": str(teacher), "NO_CARD": str(no_card)}
    given = [places.get(word, word) for word in words]
    options = ["--preset", "steadier", "-o", str(tmp_path / "run"), "--cache", str(cache)]
    done = CliRunner().invoke(app, ["train", str(data), *given, *options])
    assert done.exit_code == 2
    assert done.stderr.splitlines()[-1].startswith("nephoscope: ")
    assert message in done.stderr.splitlines()[-1]
    assert not (tmp_path / "run" / "run.json").exists()


def test_a_separate_card_is_used_for_all_weights(tmp_path, data, teacher):
    """As in `export`: the first weights of the default model carry no card."""
    from safetensors.torch import save_file

    weights, card = load_weights(teacher)
    save_file(weights, tmp_path / "no_card.safetensors")
    one = {"mean": 0.498, "deviation": 0.502}  # a number for all colours
    beside = dataclasses.replace(card, network=card.network | one)
    (tmp_path / "card.json").write_text(beside.to_json())
    names = (str(tmp_path / "no_card.safetensors"), str(teacher))
    recipe = make_recipe("steadier", **TINY)
    settings = Settings(str(data), recipe, start_from=names, card=str(tmp_path / "card.json"))
    origin = read_origin(settings)
    assert origin.network == beside.network
    SegmentationModule(recipe, origin.student(recipe, DEFAULT_NAMES), origin.network, 4, origin.teachers)(
        torch.zeros(1, 3, 64, 96)
    )
    (tmp_path / "card.json").unlink()
    with pytest.raises(TrainingError, match=r"card.json: No such file"):
        read_origin(settings)


def test_the_command_distils(tmp_path, data, cache, teacher):
    small = ["--scenes", "8", "--batch", "8", "--precision", "fp32", "--device", "cpu"]
    given = ["--from", teacher, "--from", teacher, "--teacher", teacher, "--preset", "steadier", *small]
    given = [data, "-o", tmp_path / "run", "--cache", cache, *given]
    done = CliRunner().invoke(app, ["train", *map(str, given)])
    assert done.exit_code == 0, done.stderr
    assert "mean Dice" in done.stdout
    assert Settings.read(tmp_path / "run").start_from == (str(teacher), str(teacher))
    again = CliRunner().invoke(app, ["train", "--resume", str(tmp_path / "run"), "--from", str(teacher)])
    assert again.exit_code == 2
    assert "keeps its options" in again.stderr
