"""Trackers hold the values of the run's own log, offline."""

import json
import re
import struct
import time
from pathlib import Path

import pytest

from nephoscope.core.errors import MissingExtraError, TrainingError
from nephoscope.core.extras import install_command
from nephoscope.datasets.build import write_synthetic_dataset
from nephoscope.training import tracking
from nephoscope.training.config import make_recipe
from nephoscope.training.run import begin, resume
from nephoscope.training.settings import Settings
from nephoscope.training.tracking import parse_trackers

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A short run with all three trackers."""
    folder = tmp_path_factory.mktemp("tracked")
    write_synthetic_dataset(folder / "data", 20, size=(64, 96))
    recipe = make_recipe(
        arch="unet",
        encoder="tu-test_efficientnet",
        encoder_weights="none",
        size="64x96",
        batch=8,
        epochs=2,
        precision="fp32",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("WANDB_MODE", raising=False)
        patch.setattr("wandb.login", lambda **_: False)  # nobody is logged in, whoever runs this
        patch.setenv("WANDB_SILENT", "true")
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        wanted = Settings(
            str(folder / "data"), recipe, trackers=("wandb", "tensorboard", "mlflow"), panel_every=1
        )
        import wandb

        begin(wanted, folder / "run", cache=folder / "cache")
        wandb.finish()  # as the end of the process does
        time.sleep(1.1)  # W&B names folders by the second
        resume(folder / "run", cache=folder / "cache")  # nothing is left to do, but all is opened again
        wandb.finish()
    return folder / "run"


def logged(run):
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [row["val/dice"] for row in rows if "val/dice" in row]


def records(run):
    """All that the offline W&B runs hold: configuration, history and pictures."""
    from wandb.proto import wandb_internal_pb2

    for file in sorted((run / "wandb").glob("offline-run-*/*.wandb")):
        for content in pieces(file.read_bytes()):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(content)
            yield record


def pieces(content):
    """Records of a log in LevelDB's form: blocks of 32 KiB, the first after a header of 7 bytes.

    Each piece of a record has a check sum (4 bytes), a length (2) and a kind: 1 whole, 2 to 4 first to last.
    """
    place, record = 7, b""
    while place + 7 <= len(content):
        if 32768 - place % 32768 < 7:
            place += 32768 - place % 32768
            continue
        length, kind = struct.unpack_from("<HB", content, place + 4)
        if kind == 0:
            return
        record += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):
            yield record
            record = b""


def test_wandb_offline_holds_configuration_history_and_pictures(run):
    configuration, dice, pictures, ids = {}, [], [], set()
    for record in records(run):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            ids.add(record.run.run_id)
        for update in [*record.run.config.update, *record.config.update]:
            configuration[update.key] = json.loads(update.value_json)
        for item in record.history.item:
            name = item.key or "/".join(item.nested_key)
            if name == "val/dice":
                dice.append(json.loads(item.value_json))
            if name == f"{tracking.PANEL}/filenames":
                pictures += json.loads(item.value_json)
    assert configuration["arch"] == "unet"
    assert configuration["seed"] == 0
    assert dice == pytest.approx(logged(run))
    assert len(pictures) == 2
    files = [str(path) for path in (run / "wandb").rglob("*.png") if path.is_file()]
    assert all(any(file.endswith(picture) for file in files) for picture in pictures)
    assert len(list((run / "wandb").glob("offline-run-*"))) == 2
    assert ids == {Settings.read(run).run_id}  # resumed under the same id


def test_tensorboard_holds_the_same(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    assert [event.value for event in events.Scalars("val/dice")] == pytest.approx(logged(run), abs=1e-6)
    assert len(events.Images(tracking.PANEL)) == 2


def test_mlflow_holds_the_same(run):
    from mlflow.tracking import MlflowClient

    client = MlflowClient((run / "mlflow").as_uri())
    (experiment,) = [each for each in client.search_experiments() if each.name == "nephoscope"]
    (tracked,) = client.search_runs([experiment.experiment_id])  # one, though resumed
    history = client.get_metric_history(tracked.info.run_id, "val/dice")
    assert [metric.value for metric in history] == pytest.approx(logged(run))
    assert tracked.data.params["arch"] == "unet"
    assert len(list((run / "mlflow").rglob("validation_scenes_*.png"))) == 2


def test_unknown_and_missing_trackers_are_refused(monkeypatch):
    assert parse_trackers("csv, wandb,wandb") == ("wandb",)
    with pytest.raises(TrainingError, match="did you mean tensorboard"):
        parse_trackers("tensorbord")
    monkeypatch.setattr("nephoscope.core.extras.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=re.escape(install_command("mlflow"))):
        parse_trackers("mlflow")
