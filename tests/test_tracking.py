"""Other people's trackers hold what the run's own log does, offline."""

import json
from pathlib import Path

import pytest

from nephoscope.synthetic import write_dataset
from nephoscope.training import tracking
from nephoscope.training.recipe import make_recipe
from nephoscope.training.run import begin, resume
from nephoscope.training.settings import Settings
from nephoscope.training.tracking import TrackingError, parse_trackers


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A short run that all three trackers followed."""
    folder = tmp_path_factory.mktemp("tracked")
    write_dataset(folder / "data", 20, size=(64, 96))
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
        patch.setenv("WANDB_MODE", "offline")
        patch.setenv("WANDB_SILENT", "true")
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        wanted = Settings(
            str(folder / "data"), recipe, trackers=("wandb", "tensorboard", "mlflow"), panel_every=1
        )
        begin(wanted, folder / "run", cache=folder / "cache")
        resume(
            folder / "run", cache=folder / "cache"
        )  # nothing is left to do, but everything is opened again
        import wandb

        wandb.finish()
    return folder / "run"


def logged(run):
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [row["val/dice"] for row in rows if "val/dice" in row]


def records(run):
    """All that the offline W&B runs hold: configuration, history and pictures."""
    from wandb.proto import wandb_internal_pb2
    from wandb.sdk.internal.datastore import DataStore

    for file in sorted((run / "wandb").glob("offline-run-*/*.wandb")):
        store = DataStore()
        store.open_for_scan(str(file))
        while (content := store.scan_data()) is not None:
            record = wandb_internal_pb2.Record()
            record.ParseFromString(content)
            yield file, record


def test_wandb_offline_holds_configuration_history_and_pictures(run):
    configuration, dice, pictures, ids = {}, [], [], set()
    for _, record in records(run):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            ids.add(record.run.run_id)
        for update in [*record.run.config.update, *record.config.update]:
            configuration[update.key] = json.loads(update.value_json)
        for item in record.history.item:
            name = item.key or "/".join(item.nested_key)
            if name == "val/dice":
                dice.append(json.loads(item.value_json))
            if name == tracking.PANEL:
                pictures.append(json.loads(item.value_json))
    assert configuration["arch"] == "unet"
    assert configuration["seed"] == 0
    assert dice == pytest.approx(logged(run))
    assert len(pictures) == 2
    assert pictures[0]["_type"].startswith("image")
    files = [path for path in (run / "wandb").rglob("*.png") if path.is_file()]
    assert len(files) == 2
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
    (experiment,) = [found for found in client.search_experiments() if found.name == "nephoscope"]
    (tracked,) = client.search_runs([experiment.experiment_id])  # one, though resumed
    history = client.get_metric_history(tracked.info.run_id, "val/dice")
    assert [metric.value for metric in history] == pytest.approx(logged(run))
    assert tracked.data.params["arch"] == "unet"
    assert len(list((run / "mlflow").rglob("validation_scenes_*.png"))) == 2


def test_unknown_and_missing_trackers_are_refused(monkeypatch):
    assert parse_trackers("csv, wandb,wandb") == ("wandb",)
    with pytest.raises(TrackingError, match="did you mean tensorboard"):
        parse_trackers("tensorbord")
    monkeypatch.setattr(tracking, "find_spec", lambda name: None)
    with pytest.raises(TrackingError, match="pip install mlflow-skinny"):
        parse_trackers("mlflow")
