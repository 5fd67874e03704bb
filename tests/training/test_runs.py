"""Training runs on synthetic scenes: learning, resuming, several processes; seconds each."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from nephoscope.cli import app
from nephoscope.core.errors import DatasetError, TrainingError
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.datasets.build import write_synthetic_dataset
from nephoscope.datasets.catalogue import Record
from nephoscope.datasets.dataset import read_dataset
from nephoscope.evaluation.metrics import dice
from nephoscope.imagery.synthetic import make_scene
from nephoscope.inference.model import Model
from nephoscope.inference.pipeline import segment
from nephoscope.training import run
from nephoscope.training.checkpoint import load_weights
from nephoscope.training.config import PRESETS, Recipe, make_recipe
from nephoscope.training.finish import finish
from nephoscope.training.module import SegmentationModule
from nephoscope.training.networks import Deployed, build
from nephoscope.training.run import begin, resume
from nephoscope.training.settings import Settings

# Small pictures and a small network: half a minute on one core.
LEARNS = {
    "arch": "unet",
    "encoder": "tu-test_efficientnet",
    "encoder_weights": "none",
    "size": "64x128",
    "epochs": 12,
    "batch": 8,
    "learning_rate": 2e-3,
    "precision": "fp32",
    "ema": 0.9,
    "cutmix": 0.0,
    "rotation": 0.0,
    "zoom": 1.1,
    "shift": 0.05,
}
TINY = {
    "arch": "unet",
    "encoder": "tu-test_efficientnet",
    "encoder_weights": "none",
    "size": "64x96",
    "batch": 8,
    "precision": "fp32",
    "ema": 0.9,
}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_synthetic_dataset(folder, 40, size=(128, 192))
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache")


def settings(data, **changes):
    return Settings(str(data), make_recipe(**{**TINY, "epochs": 3, **changes}), panel_every=2)


def lines(run):
    """The log without times."""
    timed = ("seconds", "scenes_per_second")
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key not in timed} for row in rows]


@pytest.mark.slow
def test_a_network_learns_synthetic_scenes_and_is_exported(tmp_path, cache):
    """The loss falls, Dice of new scenes is above 0.8, and the model file agrees with PyTorch."""
    write_synthetic_dataset(tmp_path / "data", 160, size=(64, 128))
    recipe = make_recipe(**LEARNS)
    begin(Settings(str(tmp_path / "data"), recipe), tmp_path / "run", cache=cache)
    losses = [row["train/mean_loss"] for row in lines(tmp_path / "run") if "train/mean_loss" in row]
    assert len(losses) == recipe.epochs
    assert losses[-1] < losses[0] / 2
    finish(tmp_path / "run")
    model = Model.load(tmp_path / "run" / "model.onnx")
    scenes = [make_scene(seed, (64, 128)) for seed in range(5000, 5030)]
    results = [segment(scene.pixels, model) for scene in scenes]
    scores = [
        dice(result.mask(name, (64, 128)), scene.masks[name])
        for result, scene in zip(results, scenes, strict=True)
        for name in DEFAULT_NAMES
    ]
    assert np.mean(scores) > 0.8, np.mean(scores)
    weights, card = load_weights(tmp_path / "run" / "best.safetensors")
    network = Deployed(build(card.network, 4), card.network["mean"], card.network["deviation"]).eval()
    network.network.load_state_dict(weights)
    pictures = np.stack([scene.pixels for scene in scenes[:6]])
    with torch.inference_mode():
        expected = network(torch.from_numpy(pictures))[0].numpy()
    given = model(pictures).probabilities
    for index, name in enumerate(DEFAULT_NAMES):
        threshold = model.card.rules[name].threshold
        calibrated = model.card.calibration[name].pixels(expected[:, index])
        differs = (given[:, index] > threshold) != (calibrated > threshold)
        assert differs.mean() < 1e-3  # half precision decides only pixels that are at the threshold


@pytest.mark.slow
def test_the_folder_of_a_run(tmp_path, data, cache):
    messages = []
    best = begin(settings(data), tmp_path / "run", cache=cache, log=messages.append)
    assert best == tmp_path / "run" / "best.safetensors"
    kept = {path.name for path in (tmp_path / "run").iterdir()}
    assert kept == {"run.json", "log.jsonl", "log.csv", "panels", "last.ckpt", "best.safetensors"}
    assert [path.name for path in sorted((tmp_path / "run" / "panels").iterdir())] == [
        "epoch_002.png",
        "epoch_003.png",
    ]
    measured = {key for row in lines(tmp_path / "run") for key in row}
    assert {"train/bce", "train/dice", "train/presence", "train/loss", "val/dice", "epoch"} <= measured
    assert {f"val/dice_{name}" for name in DEFAULT_NAMES} <= measured
    assert any(key.startswith("lr-AdamW") for key in measured)
    assert [row["val/scenes"] for row in lines(tmp_path / "run") if "val/scenes" in row] == [4, 4, 4]
    assert sum("scenes/s" in line for line in messages) == 3
    table = (tmp_path / "run" / "log.csv").read_text().splitlines()
    assert len(table) == len(lines(tmp_path / "run")) + 1
    _, card = load_weights(best)
    assert card.network["encoder"] == "tu-test_efficientnet"
    assert card.training["recipe"]["seed"] == 0
    assert card.training["versions"]["torch"] == torch.__version__.split("+")[0]
    assert max(row["val/dice"] for row in lines(tmp_path / "run") if "val/dice" in row) == pytest.approx(
        card.figures[0]["value"], abs=1e-4
    )
    with pytest.raises(TrainingError, match="--resume"):
        begin(settings(data), tmp_path / "run", cache=cache)


def command(*words, **environment):
    return subprocess.Popen(
        [sys.executable, "-m", "nephoscope", "train", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )


def options(cache, epochs):
    words = {**TINY, "epochs": epochs}
    return ["--cache", cache, *(w for key, v in words.items() for w in (f"--{key.replace('_', '-')}", v))]


def epochs_done(run):
    return sum("val/dice" in row for row in lines(run)) if (run / "log.jsonl").exists() else 0


@pytest.mark.slow
def test_killed_twice_and_resumed_equals_uninterrupted(tmp_path, data, cache):
    """Bit for bit, on the CPU: the log, the weights, and all that a next epoch would begin with."""
    whole, broken = tmp_path / "whole", tmp_path / "twice"  # names of one length, for cards
    whole_run = command(data, "-o", whole, *options(cache, 4))
    assert whole_run.wait() == 0, whole_run.stderr.read()
    words = [data, "-o", broken, *options(cache, 4)]
    for epochs in (1, 2):
        process = command(*words)
        while epochs_done(broken) < epochs or not (broken / "last.ckpt").exists():
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        words = ["--resume", broken, "--cache", cache]
    last = command(*words)
    assert last.wait() == 0, last.stderr.read()
    assert epochs_done(broken) == 4
    assert lines(broken) == lines(whole)
    for name in ("best.safetensors", "model.onnx"):
        assert (broken / name).read_bytes().replace(b"twice", b"whole") == (whole / name).read_bytes()
    states = [torch.load(run / "last.ckpt", weights_only=False) for run in (whole, broken)]
    for part in ("state_dict", "current_model_state", "optimizer_states", "lr_schedulers"):
        assert same(states[0][part], states[1][part]), part


def same(one, other):
    """Whether two nests of tensors and numbers are equal to the bit."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(same(*pair) for pair in zip(one, other, strict=True))
    return one == other


@pytest.mark.slow
def test_two_processes_train_one_network(tmp_path, data, cache):
    """With torchrun on gloo: one log, one count of validation scenes, steps of eight over both."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
            *("-m", "nephoscope", "train", data, "-o", tmp_path / "run", "--device", "cpu"),
            *map(str, options(cache, 2)),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert [row["val/scenes"] for row in lines(tmp_path / "run") if "val/scenes" in row] == [4, 4]
    assert sum("train/mean_loss" in row for row in lines(tmp_path / "run")) == 2
    assert Model.load(tmp_path / "run" / "model.onnx").card.network["architecture"] == "unet"
    state = torch.load(tmp_path / "run" / "last.ckpt", weights_only=False)
    assert state["global_step"] == 2 * (36 // 8)  # eight scenes a step over both, not each


@pytest.mark.slow
def test_the_wait_for_other_processes_is_limited(tmp_path, data, cache, monkeypatch):
    """One task of two, as srun starts it; the other never comes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MASTER_PORT", str(free.getsockname()[1]))
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    slurm = {"JOB_NAME": "job.sh", "PROCID": 0, "LOCALID": 0, "NODEID": 0, "NNODES": 1, "STEP_ID": 0}
    for name, value in {**slurm, "NTASKS": 2, "NTASKS_PER_NODE": 2}.items():
        monkeypatch.setenv(f"SLURM_{name}", str(value))
    monkeypatch.setattr(run, "START_LIMIT", timedelta(seconds=1))
    messages = []
    with pytest.raises(TrainingError, match="not all of 2 processes started"):
        begin(settings(data), tmp_path / "run", cache=cache, log=messages.append)
    assert messages[-1] == "waiting for 2 processes to start, for at most 0:00:01"


@pytest.mark.slow
def test_out_of_memory_halves_the_batch_and_says_so(tmp_path, data, cache, monkeypatch):
    forward, messages = SegmentationModule.forward, []

    def small(self, colours):
        if len(colours) > 2 and self.training:
            raise torch.OutOfMemoryError("no room")
        return forward(self, colours)

    monkeypatch.setattr(SegmentationModule, "forward", small)
    begin(settings(data), tmp_path / "run", cache=cache, log=messages.append)
    assert [line for line in messages if "out of memory" in line] == [
        "out of memory: continuing with 4 scenes at a time, 2 times a step; a step still learns from 8",
        "out of memory: continuing with 2 scenes at a time, 4 times a step; a step still learns from 8",
    ]
    assert epochs_done(tmp_path / "run") == 3
    assert torch.load(tmp_path / "run" / "last.ckpt", weights_only=False)["global_step"] == 3 * 4
    monkeypatch.setattr(
        SegmentationModule, "forward", lambda *_: (_ for _ in ()).throw(torch.OutOfMemoryError("none"))
    )
    with pytest.raises(TrainingError, match="--batch or --size must be smaller"):
        begin(settings(data), tmp_path / "other", cache=cache)


@pytest.mark.slow
def test_parts_of_a_step_add_up(tmp_path, data, cache):
    begin(settings(data, accumulate=4, epochs=1), tmp_path / "run", cache=cache)
    assert torch.load(tmp_path / "run" / "last.ckpt", weights_only=False)["global_step"] == 4


@pytest.mark.slow
def test_training_stops_early_without_improvement(tmp_path, data, cache):
    begin(settings(data, epochs=30, patience=2, learning_rate=1e-9), tmp_path / "run", cache=cache)
    dice = [row["val/dice"] for row in lines(tmp_path / "run") if "val/dice" in row]
    assert len(dice) < 30
    assert len(dice) - 1 - int(np.argmax(dice)) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"schedule": "cosine", "ema": 0.0, "precision": "bf16"},
        {"encoder_factor": 0.1, "presence_head": False, "loss": "lovasz"},
        {"arch": "vgg19-segnet", "size": "32x64", "loss": "dice", "dice_squared": True, "dice_empty": 0.2},
    ],
    ids=str,
)
def test_recipes_are_followed(tmp_path, data, cache, changes):
    begin(settings(data, epochs=1, **changes), tmp_path / "run", cache=cache)
    rates = next(row for row in lines(tmp_path / "run") if "lr-AdamW/pg1" in row)
    assert rates["lr-AdamW/pg2"] == pytest.approx(rates["lr-AdamW/pg1"] * changes.get("encoder_factor", 1))
    assert epochs_done(tmp_path / "run") == 1


@pytest.mark.slow
def test_a_run_resumes_only_from_a_sound_checkpoint(tmp_path, data, cache):
    run, moved = tmp_path / "run", tmp_path / "moved"
    write_synthetic_dataset(moved / "old", 20, size=(64, 96))
    begin(settings(moved / "old", epochs=1), run, cache=cache)
    (moved / "old").rename(moved / "new")
    with pytest.raises(DatasetError, match="old: no such folder"):
        resume(run, cache=cache)
    resume(run, moved / "new", cache=cache)
    assert Settings.read(run).data == str(moved / "new")
    refused = CliRunner().invoke(app, ["train", "--resume", str(run), "--epochs", "3"])
    assert refused.exit_code == 2
    assert "keeps its options" in refused.stderr
    for content in (b"", b"garbage", (run / "last.ckpt").read_bytes()[:5000]):
        (run / "last.ckpt").write_bytes(content)
        with pytest.raises(TrainingError, match=r"last.ckpt: damaged"):
            resume(run, cache=cache)
    (run / "last.ckpt").unlink()
    before = lines(run)
    resume(run, cache=cache)  # from the beginning, its log too
    assert lines(run) == before


@pytest.mark.slow
def test_outputs_that_are_not_finite_are_reported(tmp_path, data, cache):
    with pytest.raises(TrainingError, match="a lower --learning-rate"):
        begin(settings(data, learning_rate=1e30, epochs=1), tmp_path / "run", cache=cache)


@pytest.mark.slow
def test_unreadable_scenes_are_left_out_of_calibration(tmp_path, cache):
    write_synthetic_dataset(tmp_path / "data", 20, size=(64, 96))
    (tmp_path / "data" / "train_images" / "synthetic_00003.jpg").write_bytes(b"broken")
    for fold in (0, 1):  # one of them holds the scene out
        recipe = make_recipe(**{**TINY, "epochs": 1})
        begin(Settings(str(tmp_path / "data"), recipe, folds=2, fold=fold), tmp_path / f"{fold}", cache=cache)
    scenes = [
        next(row["val/scenes"] for row in lines(tmp_path / f"{fold}") if "val/scenes" in row)
        for fold in (0, 1)
    ]
    assert sorted(scenes) == [9, 10]
    run = tmp_path / f"{scenes.index(9)}"
    result = finish(run)
    assert (result.scenes, result.unread) == (9, 1)
    _, card = load_weights(run / "best.safetensors")
    assert card.rules == Model.load(run / "model.onnx").card.rules


@pytest.mark.slow
def test_a_fold_is_held_out(tmp_path, data, cache):
    wanted = Settings(str(data), make_recipe(**{**TINY, "epochs": 1}), folds=4, fold=1)
    begin(wanted, tmp_path / "run", cache=cache)
    _, card = load_weights(tmp_path / "run" / "best.safetensors")
    assert card.training["split"].startswith("fold 1 of 4")
    assert "10 validation scenes" in card.figures[0]["on"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": "dise"}, "unknown loss 'dise'; available: bce"),
        ({"size": "100x150"}, "multiples of 32"),
        ({"size": "big"}, "must be HEIGHTxWIDTH"),
        ({"batch": 10, "accumulate": 3}, "equal parts"),
        ({"epochs": 0}, "at least 1"),
        ({"cutmix": 1.5}, "between 0 and 1"),
        ({"ema": 1.0}, "below 1"),
        ({"learning_rate": float("nan")}, "finite"),
        ({"seed": 2**63}, "seed must be"),
        ({"size": "16384x32"}, "at most 8192"),
        ({"preset": "gpu"}, "available: default, cpu"),
    ],
)
def test_invalid_recipes_are_refused(changes, message):
    with pytest.raises(TrainingError, match=message):
        make_recipe(**changes)


def test_every_preset_is_a_valid_recipe():
    assert all(make_recipe(name) for name in PRESETS)
    assert make_recipe() == Recipe()
    assert make_recipe("first").arch == "vgg19-segnet"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none"], "none: no such folder"),
        ([], "name a folder"),
        (["--resume", "none", "--epochs", "3"], "none: no run to resume"),
        (["--resume", "none"], "none: no run to resume"),
        (["DATA", "--arch", "fbn"], "did you mean fpn"),
        (["DATA", "--track", "wanbd"], "did you mean wandb"),
        (["DATA", "--batch", "64"], "36 scenes to train on are fewer than --batch 64"),
        (["DATA", "--precision", "fp16", "--device", "cpu"], "fp16 needs a GPU"),
        (["DATA", "--encoder-weights", "none.pth"], "none.pth: No such file"),
        (["DATA", "--folds", "3", "--fold", "3"], "fold 3 of 3"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_invalid_runs_are_refused_in_one_line(tmp_path, data, cache, words, message):
    words = [data if word == "DATA" else word for word in words]
    small = ["--arch", "unet", "--encoder", "tu-test_efficientnet", "--size", "64x96", "--batch", "8"]
    given = [*small, "--encoder-weights", "none", *words] if words and words[0] == data else words
    given = [*map(str, given), "-o", str(tmp_path / "run"), "--cache", str(cache)]
    done = CliRunner().invoke(app, ["train", *given])
    assert done.exit_code == 2
    error = done.stderr.splitlines()
    assert error[-1].startswith("nephoscope: ")
    assert message in error[-1]
    assert not (tmp_path / "run" / "run.json").exists()  # so that it can be tried again at once


@pytest.mark.slow
def test_real_scenes_are_trained_on(tmp_path, clouds, cache):
    """A few steps on real scenes, through the public command."""
    dataset = read_dataset(clouds)
    few = [i for i, record in enumerate(dataset.records) if record.split == "train"][::100]
    few += [i for i, record in enumerate(dataset.records) if record.split == "val"][::40]
    folder = tmp_path / "few"
    copy_scenes(dataset, few, folder)
    words = ["train", folder, "-o", tmp_path / "run", *options(cache, 1)]
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.stderr
    assert "mean Dice" in done.stdout


def copy_scenes(dataset, indices, folder):
    from nephoscope.datasets.labels import write_labels

    (folder / "train_images").mkdir(parents=True)
    rows = []
    catalogue = ["image,split,satellite,date,west,south,east,north"]
    for index in indices:
        record: Record = dataset.records[index]
        (folder / "train_images" / record.image).symlink_to(dataset.picture(record.image))
        rows += [(record.image, name, dataset.labels.texts[record.image, name]) for name in DEFAULT_NAMES]
        place = ",".join(f"{edge:g}" for edge in record.bounds) if record.bounds else ",,,"
        catalogue.append(f"{record.image},{record.split},{record.satellite},{record.day or ''},{place}")
    write_labels(folder / "train.csv", rows)
    (folder / "scenes.csv").write_text("\n".join(catalogue) + "\n")
