"""Files that version 0.1.0 wrote before the move into packages open today with the same content.

`tests/data/version_0_1_0.zip` has a model, a plan, a store, its summary and records of a training run, all of
synthetic scenes.
"""

import json
import zipfile
from datetime import date
from pathlib import Path

import numpy as np
import pytest

import nephoscope
from nephoscope.atlas.frequency import Domain
from nephoscope.atlas.manifest import read_status
from nephoscope.atlas.plan import Plan
from nephoscope.atlas.store import open_atlas, open_store
from nephoscope.atlas.summary import summarise
from nephoscope.atlas.summary_file import read_summary
from nephoscope.inference.model import Model
from nephoscope.training import run_log
from nephoscope.training.settings import Settings


@pytest.fixture(scope="module")
def old(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("old")
    with zipfile.ZipFile(Path(__file__).parents[1] / "data" / "version_0_1_0.zip") as archive:
        archive.extractall(folder)
    return folder


def test_a_model_keeps_its_card_and_its_masks(old, picture):
    model = Model.load(old / "model.onnx")
    assert json.loads(model.card.to_json())["patterns"] == ["Fish", "Flower", "Gravel", "Sugar"]
    result = nephoscope.segment(picture, model)
    assert result.masks.shape == (4, *model.card.grid)
    assert result.present == ["Fish", "Flower", "Gravel", "Sugar"]


def test_a_plan_and_its_store_open(old):
    plan = Plan.read(old / "plan.json")
    assert (plan.first, plan.last, len(plan)) == (date(2010, 3, 1), date(2010, 3, 2), 2)
    store = open_store(str(old / "store.zarr"))
    status = read_status(store.manifest)
    assert (status.scenes, status.done, status.failed, status.missing) == (2, 2, 0, 0)
    records = [record for _, batch in store.manifest.read_all() for record in batch]
    assert records[0]["cover"] == {"Fish": 0.0929, "Flower": 0.0988, "Gravel": 0.1473, "Sugar": 0.0929}


@pytest.mark.slow
def test_a_summary_opens_and_is_made_again_from_the_store(old, tmp_path):
    before = read_summary(old / "summary.nc")
    summarise(open_atlas(old / "store.zarr"), tmp_path / "summary.nc", 7.0, domain=Domain("include"))
    again = read_summary(tmp_path / "summary.nc")
    assert before.sizes.items() <= again.sizes.items()
    for name in before.data_vars:
        np.testing.assert_array_equal(np.asarray(before[name]), np.asarray(again[name]), err_msg=name)


def test_the_records_of_a_run_can_be_read(old):
    settings = Settings.read(old / "run")
    assert (settings.recipe.encoder, settings.recipe.size, settings.folds) == ("mobilenet_v2", "64x96", 3)
    assert (settings.start_from, settings.teachers) == ((), ())
    assert "val/dice" in run_log.read(old / "run")[-2]
