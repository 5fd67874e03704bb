"""Stores that grow to larger plans, and stores that are merged: as one that was made at once."""

import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr
from typer.testing import CliRunner

from filling import client, fill
from nephoscope.atlas.layout import Layout
from nephoscope.atlas.manifest import read_status
from nephoscope.atlas.plan import Plan
from nephoscope.atlas.run import prepare
from nephoscope.atlas.series import series
from nephoscope.atlas.store import Store, open_atlas, open_store
from nephoscope.atlas.worker import Job, Segmenter
from nephoscope.cli import app
from nephoscope.core.errors import AtlasError
from nephoscope.core.geo import parse_bounds
from nephoscope.testing.worldview_server import WorldviewServer

REGION = parse_bounds("-62,6,-25,20")  # two boxes
PLAN = Plan(date(2020, 1, 28), date(2020, 2, 3), ("Terra",), REGION, (1,))
LATER = replace(PLAN, months=(1, 2))
EARLIER = replace(LATER, first=date(2020, 1, 27), satellites=("Aqua", "Terra", "SNPP"))


@pytest.fixture
def path(tiny_model, card) -> Path:
    rules = {name: replace(rule, threshold=0.4, minimum_area=5) for name, rule in card.rules.items()}
    return tiny_model("small.onnx", input_size=(28, 42), grid=(35, 52), rules=rules)


def done(store: Store) -> dict[tuple, dict]:
    """What is recorded of every scene, but for its number, its address and how long it took."""
    changing = ("index", "url", "fetch_seconds", "segment_seconds")
    records = [record for _, batch in store.manifest.read_all() for record in batch]
    assert [record["index"] for record in records] == list(range(len(store.layout)))
    return {
        (each["date"], each["satellite"], *each["box"]): {
            key: value for key, value in each.items() if key not in changing
        }
        for each in records
    }


def assert_as_one(store: Store, whole: Store) -> None:
    """A store has what one that was made at once has, but for the order of its satellites."""
    assert done(store) == done(whole)
    grown, expected = open_atlas(store.address).compute(), open_atlas(whole.address).compute()
    xr.testing.assert_equal(grown.sel(satellite=expected["satellite"]), expected)
    plain = xr.open_zarr(store.address, consolidated=False).sortby("time")  # as others read it
    np.testing.assert_array_equal(plain["time"], grown["time"])
    np.testing.assert_array_equal(plain["pattern_probability"], grown["pattern_probability"])


@pytest.mark.slow
def test_a_store_that_grew_is_as_one_made_at_once(tmp_path, path):
    """Days after and before, months between and satellites: scenes that are done are not done again."""
    steps = (PLAN, LATER, EARLIER)
    with WorldviewServer() as server:
        whole = fill(tmp_path / "whole", EARLIER, path, client(server))
        asked = server.total
        for plan in steps:
            store = fill(tmp_path / "atlas", plan, path, client(server))
        assert server.total - asked == len(EARLIER)
    assert store.layout.plans == steps
    assert_as_one(store, whole)
    assert (
        series(open_atlas(store.address), REGION).splitlines()[1:]
        == (series(open_atlas(whole.address), REGION).splitlines()[1:])
        or len(steps[-1].satellites) > 1
    )


def test_numbers_and_places_stay_when_a_store_grows():
    before, after = Layout((PLAN,)), Layout((PLAN, LATER, EARLIER))
    assert [after.scene(number) for number in range(len(before))] == list(before) == list(PLAN)
    assert after.batches[: len(before.batches)] == before.batches
    assert [number for batch in after.batches for number in batch] == list(range(len(EARLIER)))
    assert len(after) == len(EARLIER) == len({scene.overpass for scene in after})
    assert {scene.overpass for scene in after} == {scene.overpass for scene in EARLIER}
    places = {scene[1:5] for scene in after}
    assert len(places) == len(after)
    assert all(after.number_of(scene) == scene.number for scene in after)
    assert all(scene.number in after.batches[after.batch_of(scene.number)] for scene in after)
    assert before.number_of(after.scene(len(after) - 1)) is None


@pytest.mark.slow
def test_a_growth_that_was_interrupted_changes_nothing_and_is_repeated(tmp_path, path, monkeypatch):
    with WorldviewServer() as server:
        store = fill(tmp_path / "atlas", PLAN, path, client(server))
        before = open_atlas(store.address).compute()
        with monkeypatch.context() as patch:
            patch.setattr(zarr.Group, "update_attributes", lambda *_: 1 / 0)
            with pytest.raises(AtlasError, match="division by zero"):
                prepare(store.address, EARLIER, str(path))
        assert open_store(store.address).plan == PLAN
        xr.testing.assert_identical(open_atlas(store.address).compute(), before)
        store = fill(tmp_path / "atlas", LATER, path, client(server))
        assert_as_one(store, fill(tmp_path / "whole", LATER, path, client(server)))


@pytest.mark.slow
def test_a_worker_goes_on_while_its_store_grows(tmp_path, path):
    with WorldviewServer() as server:
        store, content = prepare(str(tmp_path / "atlas"), PLAN, str(path))
        worker = Segmenter(Job("job", store.address, client(server), content))
        worker.setup(None)
        fill(tmp_path / "atlas", EARLIER, path, client(server))
        worker.process(0, 2)
        store.manifest.write(0, [])  # so that it does the batch by what it knows
        worker.process(0, 2)
        assert_as_one(open_store(store.address), fill(tmp_path / "whole", EARLIER, path, client(server)))


@pytest.mark.slow
def test_the_command_lets_a_store_grow_and_says_so(tmp_path, path):
    with WorldviewServer() as server:
        store = fill(tmp_path / "atlas", PLAN, path, client(server))
        LATER.write(tmp_path / "later.json")
        words = ["atlas", "run", str(tmp_path / "later.json"), store.address, "--model", str(path)]
        words += ["--archive", server.address, "--degrees", "0.4", "--workers", "1"]
        grown = CliRunner().invoke(app, words)
    assert grown.exit_code == 0, grown.output
    assert f"extended by {len(LATER) - len(PLAN)} scenes to {len(LATER)}" in grown.stderr
    assert ["done", str(len(LATER))] in [line.split() for line in grown.stdout.splitlines()]
    PLAN.write(tmp_path / "plan.json")
    words[2] = str(tmp_path / "plan.json")
    refused = CliRunner().invoke(app, words)
    assert refused.exit_code == 2
    assert "a store only grows" in refused.stderr
    assert refused.stderr.count("\n") == 1


def merge(output: Path, *stores: object):
    return CliRunner().invoke(app, ["atlas", "merge", *map(str, stores), "-o", str(output)])


@pytest.mark.slow
def test_merged_stores_are_as_one_made_at_once(tmp_path, path):
    """Of two satellites, one of which failed for a scene and is not complete, and of later days."""
    both = replace(PLAN, satellites=("Terra", "Aqua"))
    february = replace(both, first=date(2020, 2, 1), last=date(2020, 2, 2), months=(2,))
    wrong = both.scene(7).overpass
    with WorldviewServer(lambda asked, _: "404" if asked == wrong else None) as server:
        fill(tmp_path / "terra", PLAN, path, client(server))
        fill(tmp_path / "aqua", replace(PLAN, satellites=("Aqua",)), path, client(server))
        prepare(str(tmp_path / "days"), february, str(path))  # nothing is done yet
        Path(tmp_path, "terra", "pattern_flags", "c", "1", "0", "0", "1").unlink()
    merged = merge(tmp_path / "merged", *(tmp_path / name for name in ("terra", "aqua", "days")))
    assert merged.exit_code == 0, merged.output
    assert ["done", "14"] in [line.split() for line in merged.stdout.splitlines()]
    made = open_store(str(tmp_path / "merged"))
    assert made.plan == replace(both, last=date(2020, 2, 2), months=(1, 2))
    causes = {"refused": 1, "damaged chunk": 1, "not tried": 8}
    assert read_status(made.manifest).causes == causes
    with WorldviewServer() as server:
        fill(tmp_path / "merged", made.plan, path, client(server))
        assert server.total == 10
        assert_as_one(made, fill(tmp_path / "whole", made.plan, path, client(server)))


@pytest.mark.slow
def test_a_merge_that_was_killed_goes_on(tmp_path, path):
    with WorldviewServer() as server:
        terra = fill(tmp_path / "terra", PLAN, path, client(server))
        fill(tmp_path / "aqua", replace(PLAN, satellites=("Aqua",)), path, client(server))
    assert merge(tmp_path / "merged", terra.address, tmp_path / "aqua").exit_code == 0
    expected = open_atlas(tmp_path / "merged").compute()
    [records] = (tmp_path / "merged").glob("pattern_flags/manifest/*.jsonl")
    written = records.read_text()
    records.unlink()
    Path(tmp_path, "merged", "pattern_flags", "c", "0", "0", "0", "1").unlink()
    assert merge(tmp_path / "merged", terra.address, tmp_path / "aqua").exit_code == 0
    assert records.read_text() == written
    xr.testing.assert_identical(open_atlas(tmp_path / "merged").compute(), expected)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, "overlaps: another store also plans Terra on 2020-01-28"),
        ({"region": parse_bounds("barbados"), "satellites": ("Aqua",)}, "has other boxes than"),
        ({"margin": 2.0, "satellites": ("Aqua",)}, "has other boxes than"),
        ({"first": date(2021, 1, 2), "last": date(2021, 1, 3)}, "no store plans 2 scenes .* on 2021-01-01"),
        ({"satellites": ("Aqua",), "first": date(2020, 1, 29)}, "the first of Aqua on 2020-01-28"),
    ],
)
def test_stores_that_do_not_fit_are_not_merged(tmp_path, tiny_model, change, reason):
    model = str(tiny_model("half.onnx", input_size=(28, 42), grid=(28, 42)))
    prepare(str(tmp_path / "a"), PLAN, model)
    prepare(str(tmp_path / "b"), replace(PLAN, **change), model)
    refused = merge(tmp_path / "c", tmp_path / "a", tmp_path / "b")
    assert refused.exit_code == 2
    assert re.search(reason, refused.stderr)
    assert refused.stderr.count("\n") == 1
    assert not (tmp_path / "c").exists()


def test_stores_of_two_models_are_not_merged_nor_one_alone_nor_into_another(tmp_path, path, tiny_model):
    prepare(str(tmp_path / "a"), PLAN, str(path))
    prepare(str(tmp_path / "b"), replace(PLAN, satellites=("Aqua",)), str(tiny_model("other.onnx")))
    prepare(str(tmp_path / "c"), replace(PLAN, satellites=("Aqua",)), str(path))
    for words, reason in (
        (("a", "b"), "made by another model, tiny"),
        (("a",), "at least two stores"),
        (("a", "c", "a"), "belongs to another plan"),
    ):
        *stores, output = [tmp_path / word for word in (*words, "d")[: 3 if len(words) > 2 else None]]
        refused = merge(output, *stores)
        assert refused.exit_code == 2
        assert reason in refused.stderr
        assert refused.stderr.count("\n") == 1
