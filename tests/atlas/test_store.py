"""What a store keeps of a scene beside its flags, tables of it, and how damage is noticed."""

import csv
import io
import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import zarr
from typer.testing import CliRunner

from filling import client, fill
from nephoscope.atlas import breaker
from nephoscope.atlas.cluster import local_cluster
from nephoscope.atlas.manifest import read_status
from nephoscope.atlas.plan import Plan
from nephoscope.atlas.run import prepare, run
from nephoscope.atlas.series import series
from nephoscope.atlas.store import Store, open_atlas
from nephoscope.atlas.tables import write_tables
from nephoscope.cli import app
from nephoscope.core.geo import parse_bounds, worldview_name
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.imagery.reading import open_scene
from nephoscope.imagery.worldview import WorldviewClient
from nephoscope.inference.model import Model
from nephoscope.inference.pipeline import segment
from nephoscope.inference.probability import PatternCalibration, Platt
from nephoscope.inference.segmentation import Segmentation
from nephoscope.outputs import FORMATS
from nephoscope.outputs.organisation_metrics import METRICS
from nephoscope.testing.worldview_server import WorldviewServer

pytestmark = pytest.mark.slow

REGION = parse_bounds("barbados")
PLAN = Plan(date(2020, 1, 20), date(2020, 1, 21), ("Terra", "Aqua"), REGION)
CALIBRATION = PatternCalibration(Platt(), Platt(2.0, -1.0), "top_k", 50)


@pytest.fixture
def rich_model(tiny_model, card) -> Callable[..., Path]:
    """A tiny model that is calibrated and has unbiased rules, on any grid."""

    def make(grid=(70, 105), **changes: object) -> Path:
        rules = {
            name: replace(rule, threshold=0.4, top_k=50, presence=0.2, minimum_area=5, least_cover=5)
            for name, rule in card.rules.items()
        }
        return tiny_model(
            "rich.onnx",
            input_size=(70, 105),
            grid=grid,
            rules=rules,
            unbiased_rules={name: replace(rule, threshold=0.3) for name, rule in rules.items()},
            calibration=dict.fromkeys(card.patterns, CALIBRATION),
            **changes,
        )

    return make


def alone(archive: WorldviewClient, model: Model, overpass, rules=None) -> Segmentation:
    content = archive.picture(overpass).content
    return segment(open_scene(content, name=worldview_name(overpass)), model, rules=rules)


def means(fields: np.ndarray, valid: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Means over the data of cells that may cut pixels, by the length that each shares with each pixel."""
    rows, columns = (overlaps(*counts) for counts in zip(shape, valid.shape, strict=True))
    with np.errstate(invalid="ignore"):
        return (rows @ (fields * valid) @ columns.T) / (rows @ valid @ columns.T)


def overlaps(cells: int, pixels: int) -> np.ndarray:
    ends = [np.arange(1, count + 1)[:, None] / count for count in (cells, pixels)]
    starts = [end - end[0] for end in ends]
    return np.clip(np.minimum(ends[0], ends[1].T) - np.maximum(starts[0], starts[1].T), 0, None)


@pytest.mark.parametrize(
    ("margin", "grid", "coarse"),
    [
        (0.0, (70, 105), (56, 84)),  # pixels of 0.2 degrees, cells of 0.25
        (2.0, (70, 105), (40, 68)),
        (0.2, (70, 105), (55, 83)),  # 13.6 x 20.6 degrees are no multiples: slightly smaller cells
        (0.0, (35, 52), (35, 52)),  # cells as large as the model's own
    ],
)
def test_probabilities_are_kept_as_means_over_the_data_of_coarse_cells(
    tmp_path, rich_model, margin, grid, coarse
):
    plan = Plan(date(2020, 1, 20), date(2020, 1, 20), ("Aqua",), REGION, margin=margin)
    path = rich_model(grid)
    with WorldviewServer() as server:
        store = fill(tmp_path / "atlas", plan, path, client(server))
        model = Model.load(path)
        expected = {scene: alone(client(server), model, scene.overpass) for scene in store.layout}
    atlas = open_atlas(tmp_path / "atlas")
    assert atlas["pattern_probability"].dims == ("time", "satellite", "pattern", "lat_coarse", "lon_coarse")
    assert atlas["pattern_probability"].data.chunksize == (1, 1, 4, *coarse)
    assert list(atlas["pattern"].values) == list(DEFAULT_NAMES)
    rows, columns = plan.shape
    assert (atlas.sizes["lat_coarse"], atlas.sizes["lon_coarse"]) == (rows * coarse[0], columns * coarse[1])
    step = plan.step[0] / coarse[0]
    assert float(atlas["lat_coarse"][0]) == pytest.approx(plan.covered.north - step / 2)
    top, left = (round(margin * cells / degrees) for cells, degrees in zip(grid, (14, 21), strict=True))
    inner = np.s_[..., top : grid[0] - top, left : grid[1] - left]
    for scene, whole in expected.items():
        cells = {
            "lat_coarse": slice(scene.row * coarse[0], (scene.row + 1) * coarse[0]),
            "lon_coarse": slice(scene.column * coarse[1], (scene.column + 1) * coarse[1]),
        }
        part = atlas.isel(time=scene.time, satellite=scene.satellite, **cells)
        valid = whole.valid_mask[inner]
        share = means(valid, np.ones_like(valid), coarse)
        np.testing.assert_allclose(part["data_share"], share, atol=0.0021)
        known = np.asarray(part["data_share"]) > 0.01
        assert known.mean() > 0
        wanted = means(whole.probabilities[inner], valid, coarse)
        np.testing.assert_allclose(part["pattern_probability"].values[:, known], wanted[:, known], atol=0.003)
        assert np.isnan(part["pattern_probability"].values[:, np.asarray(part["data_share"]) == 0]).all()


def test_tables_hold_every_scene_and_region(tmp_path, rich_model):
    path, plan = rich_model(), replace(PLAN, margin=2.0)
    gap = plan.scene(1).overpass
    with WorldviewServer(lambda asked, _: "no coverage" if asked == gap else None) as server:
        archive = client(server)
        store = fill(tmp_path / "atlas", plan, path, archive)
        model = Model.load(path)
        expected = [alone(archive, model, scene.overpass) for scene in plan]
        unbiased = [alone(archive, model, scene.overpass, "unbiased") for scene in plan]
    words = ["atlas", "tables", store.address, "-o", str(tmp_path / "tables")]
    assert CliRunner().invoke(app, words).exit_code == 0
    again = CliRunner().invoke(app, words)
    assert again.exit_code == 2
    assert "--overwrite" in again.stderr

    scenes = pd.read_csv(tmp_path / "tables" / "scenes.csv", index_col="index", parse_dates=["date"])
    assert list(scenes.index) == list(range(len(plan))) == list(range(16))
    assert set(scenes["status"]) == {"done"}
    for scene, whole, other in zip(plan, expected, unbiased, strict=True):
        row = scenes.loc[scene.number]
        assert (row["satellite"], row["date"].date()) == (scene.overpass.satellite, scene.overpass.day)
        assert tuple(row[["west", "south", "east", "north"]]) == scene.overpass.bounds
        assert row["regions"] == len(whole.regions)
        for name in DEFAULT_NAMES:
            assert row[f"cover_{name}"] == pytest.approx(whole.area_fractions[name], abs=1e-4)
            assert row[f"cover_unbiased_{name}"] == pytest.approx(other.area_fractions[name], abs=1e-4)
            assert row[f"score_{name}"] == pytest.approx(whole.scores[name], abs=1e-4)
            if scene.number != 1:
                wanted = whole.presence_probabilities[name]
                assert row[f"presence_{name}"] == pytest.approx(wanted, abs=1e-4)
        assert row["warnings"] == "; ".join(whole.warnings) or not whole.warnings
    assert scenes.loc[1, [f"presence_{name}" for name in DEFAULT_NAMES]].isna().all()
    assert scenes.loc[1, "warnings"].startswith("no data")
    assert any(
        other.area_fractions != whole.area_fractions for whole, other in zip(expected, unbiased, strict=True)
    )

    regions = pd.read_csv(tmp_path / "tables" / "regions.csv")
    listed = [(number, region) for number, whole in enumerate(expected) for region in whole.regions]
    assert len(regions) == len(listed) > 20
    for row, (number, region) in zip(regions.itertuples(), listed, strict=True):
        assert (row.index, row.pattern) == (number, region.pattern)
        assert row.area_km2 == pytest.approx(region.area_km2, abs=0.1)
        assert row.area_fraction == pytest.approx(region.area_fraction, abs=1e-4)
        assert (row.longitude, row.latitude) == pytest.approx((region.longitude, region.latitude), abs=1e-3)
        assert (row.west, row.south, row.east, row.north) == pytest.approx(region.bounds, abs=1e-3)
        assert row.mean_probability == pytest.approx(region.mean_probability, abs=1e-4)
    # A box of 14 x 21 degrees keeps 10 x 17: what lies there of all regions is what the flags have.
    kept = (regions["area_fraction"] * regions["kept"]).where(regions["index"] == 0).sum()
    pixels = np.concatenate([mask[10:60, 10:95] for mask in expected[0].masks]).sum()
    assert kept == pytest.approx(pixels / expected[0].valid_mask.sum(), abs=2e-3)
    assert 0 < regions["kept"].mean() < 1


def test_the_organisation_of_regions_is_measured_where_asked(tmp_path, rich_model):
    path, plan = rich_model(), replace(PLAN, last=PLAN.first)
    with WorldviewServer() as server:
        archive = client(server)
        store, content = prepare(str(tmp_path / "atlas"), plan, str(path))
        with local_cluster(1) as dask:
            list(run(store, content, list(range(store.manifest.batches)), archive, dask, organisation=True))
        expected = [alone(archive, Model.load(path), scene.overpass) for scene in plan]
    write_tables(store, tmp_path / "tables")
    regions = pd.read_csv(tmp_path / "tables" / "regions.csv")
    rows = [
        row
        for whole in expected
        for row in csv.DictReader(io.StringIO(FORMATS["organisation"].render(whole)[0].decode()))
        if row["scope"] == "region"
    ]
    assert len(rows) == len(regions) > 0
    for name in METRICS:
        wanted = [float(row[name] or "nan") for row in rows]
        np.testing.assert_allclose(regions[name], wanted, atol=1e-4)


def test_flags_by_the_unbiased_rules_are_kept_beside_the_others(tmp_path, rich_model):
    path = rich_model()
    with WorldviewServer() as server:
        store = fill(tmp_path / "atlas", PLAN, path, client(server))
        model = Model.load(path)
        whole = alone(client(server), model, PLAN.scene(2).overpass, "unbiased")
    atlas = xr.open_zarr(store.address, consolidated=False, mask_and_scale=False)
    bits = atlas["pattern_flags_unbiased"].isel(time=1, satellite=0).values
    assert atlas["pattern_flags_unbiased"].attrs["flag_meanings"] == "Fish Flower Gravel Sugar no_data"
    assert not np.array_equal(bits, atlas["pattern_flags"].isel(time=1, satellite=0).values)
    for bit, mask in enumerate(whole.masks):
        np.testing.assert_array_equal((bits >> bit & 1 == 1) & (bits < 16), mask)


def test_xarray_alone_reads_probabilities(tmp_path, rich_model):
    with WorldviewServer() as server:
        store = fill(tmp_path / "atlas", PLAN, rich_model(), client(server))
    plain = xr.open_zarr(store.address, consolidated=False)
    values = plain["pattern_probability"].values
    assert 0.5 < np.nanmax(values) <= 1
    assert plain["pattern_probability"].attrs["calibrated"] == 1
    assert plain["pattern"].attrs["flag_meanings"] == "Fish Flower Gravel Sugar"
    np.testing.assert_array_equal(values, open_atlas(store.address)["pattern_probability"].values)


def chunk(store: Store, name: str, *indices: int) -> Path:
    return Path(store.address, name, "c", *map(str, indices))


def test_damaged_and_lost_chunks_are_noticed_and_done_again(tmp_path, rich_model):
    with WorldviewServer() as server:
        store = fill(tmp_path / "atlas", PLAN, rich_model(), client(server))
        before = open_atlas(store.address).compute()
        status = ["atlas", "status", store.address, "--verify"]
        assert CliRunner().invoke(app, status).exit_code == 0
        chunk(store, "pattern_flags", 0, 0, 0, 0).unlink()
        chunk(store, "pattern_probability", 0, 1, 0, 0, 0).write_bytes(b"garbage")
        other = chunk(store, "data_share", 1, 1, 0, 0)
        zarr.open_array(store.address, path="data_share").blocks[1, 1, 0, 0] = 7
        assert other.exists()
        found = CliRunner().invoke(app, status)
        assert found.exit_code == 1
        assert "3 scenes were damaged or lost" in found.stderr
        assert ["damaged", "chunk", "3"] in [line.split() for line in found.stdout.splitlines()]
        listed = CliRunner().invoke(app, ["atlas", "status", store.address, "--failures"]).stdout
        assert [line.split(": ")[1] for line in listed.splitlines()] == [
            "pattern_flags is lost",
            "pattern_probability cannot be decoded",
            "data_share is not what was written",
        ]
        asked = server.total
        fill(tmp_path / "atlas", PLAN, rich_model(), client(server))
        assert server.total - asked == 3
    assert CliRunner().invoke(app, status).exit_code == 0
    xr.testing.assert_identical(open_atlas(store.address).compute(), before)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc names the open files")
def test_chunks_are_on_the_disk_before_their_record(tmp_path, rich_model, monkeypatch):
    synced, fsync = [], os.fsync

    def note(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        fsync(descriptor)

    with WorldviewServer() as server:
        path = rich_model()
        prepare(str(tmp_path / "atlas"), PLAN, str(path))
        monkeypatch.setattr(os, "fsync", note)
        store = fill(tmp_path / "atlas", PLAN, path, client(server))
    [record] = [number for number, path in enumerate(synced) if ".jsonl" in path.name]
    needed = {path for name in store.array_names for path in Path(store.address, name, "c").glob("**/*")}
    assert len([path for path in needed if path.is_file()]) == 4 * len(PLAN)
    assert needed <= set(synced[:record])


def test_an_archive_that_keeps_requests_waiting_gets_few_of_them(tmp_path, rich_model, monkeypatch):
    monkeypatch.setattr(breaker, "PATIENCE", 0.2)
    plan = replace(PLAN, last=date(2020, 1, 25))
    with WorldviewServer(lambda *_: "drip") as server:
        slow = replace(client(server), tries=50, pause=0.01, patience=0.15)
        store = fill(tmp_path / "atlas", plan, rich_model(), slow)
        assert server.total < 15
    assert read_status(store.manifest).causes["too slow"] >= 5
    assert read_status(store.manifest).causes["not tried"] > 0


def strip(folder: Path) -> None:
    """Make a store as version 0.1.0 made it."""
    for name in ("pattern_flags_unbiased", "pattern_probability", "data_share", "pattern"):
        shutil.rmtree(folder / name)
    for path in folder.glob("pattern_flags/manifest/*.jsonl"):
        records = [json.loads(line) for line in path.read_text().splitlines()]
        kept = ("index", "satellite", "date", "box", "status", "valid", "cover", "score")
        path.write_text("".join(json.dumps({key: record[key] for key in kept}) + "\n" for record in records))


def test_a_store_of_flags_alone_is_read_checked_and_resumed(tmp_path, rich_model):
    path = rich_model()
    longer = replace(PLAN, last=date(2020, 1, 22))
    with WorldviewServer() as server:
        whole = fill(tmp_path / "whole", longer, path, client(server))
        store = fill(tmp_path / "atlas", PLAN, path, client(server))
        strip(tmp_path / "atlas")
        chunk(store, "pattern_flags", 1, 0, 0, 0).unlink()
        assert CliRunner().invoke(app, ["atlas", "status", store.address, "--verify"]).exit_code == 1
        old = fill(tmp_path / "atlas", longer, path, client(server))
    assert old.array_names == ("pattern_flags",)
    assert read_status(old.manifest).done == len(longer)
    np.testing.assert_array_equal(
        open_atlas(old.address)["pattern_flags"].values, open_atlas(whole.address)["pattern_flags"].values
    )
    assert series(open_atlas(old.address), REGION) == series(open_atlas(whole.address), REGION)
    CliRunner().invoke(app, ["atlas", "tables", old.address, "-o", str(tmp_path / "tables")])
    scenes = pd.read_csv(tmp_path / "tables" / "scenes.csv")
    assert scenes["regions"].isna().tolist() == [True, True, False, True, False, False]
