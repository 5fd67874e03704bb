"""Atlases of models with other patterns than the default ones, and stores of earlier versions."""

import csv
import json
import logging
import signal
from dataclasses import replace
from datetime import date
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import zarr
from typer.testing import CliRunner

from nephoscope.atlas import cluster, worker
from nephoscope.atlas.figure_parts import classes_of
from nephoscope.atlas.flags import (
    NOT_SEGMENTED,
    UNCLASSIFIED,
    check_patterns,
    decode,
    encode,
    patterns_of,
)
from nephoscope.atlas.plan import Plan
from nephoscope.atlas.run import prepare
from nephoscope.atlas.store import create, open_atlas, open_store
from nephoscope.atlas.summary_file import read_summary
from nephoscope.atlas.worker import Job, Segmenter
from nephoscope.cli import app
from nephoscope.core.errors import AtlasError
from nephoscope.core.geo import parse_bounds
from nephoscope.core.patterns import DEFAULT_NAMES, DEFAULT_PATTERNS
from nephoscope.imagery.worldview import WorldviewClient
from nephoscope.inference.postprocess import Rule
from nephoscope.testing.worldview_server import WorldviewServer

PLAN = Plan(date(2020, 1, 20), date(2020, 1, 21), ("Terra", "Aqua"), parse_bounds("barbados"))
TWO = ("Open", "Closed")
SIX = ("Fish", "Open-cells", "Closed-cells", "Streets", "Ripples", "Other")
ROSE = [200, 10, 60]


def model_of(tiny_model, patterns) -> Path:
    """A tiny model of these patterns, the second of which has a colour of its own."""
    rule = Rule(threshold=0.3, top_k=50, presence=0.2, least_cover=5, minimum_area=5)
    return tiny_model(
        f"{len(patterns)}.onnx",
        outputs=len(patterns),
        patterns=patterns,
        rules=dict.fromkeys(patterns, rule),
        styles={patterns[1]: {"colour": ROSE, "meaning": "made up"}},
        input_size=(28, 42),
        grid=(35, 52),
    )


@pytest.mark.slow
@pytest.mark.parametrize("patterns", [TWO, SIX])
def test_an_atlas_of_other_patterns_goes_all_the_way(tmp_path, tiny_model, patterns):
    store, plan = tmp_path / "atlas.zarr", tmp_path / "atlas.json"
    PLAN.write(plan)

    def atlas(*words: object) -> str:
        done = CliRunner().invoke(app, ["atlas", *map(str, words)])
        assert done.exit_code == 0, done.output
        return done.stdout

    with WorldviewServer() as server:
        words = ["--model", model_of(tiny_model, patterns), "--archive", server.address]
        printed = atlas("run", plan, store, *words, "--degrees", 0.4, "--workers", 1)
    assert ["done", "4"] in [line.split() for line in printed.splitlines()]
    assert atlas("status", store) == printed

    opened = open_atlas(store)
    flags = opened["pattern_flags"]
    assert flags.dtype == np.uint8
    assert patterns_of(flags) == patterns
    assert flags.attrs["flag_masks"] == [1 << bit for bit in range(len(patterns) + 1)]
    values = flags.values
    assert np.unique(values).size > 2
    assert values.max() <= 1 << len(patterns)
    record = next(open_store(str(store)).manifest.read_all())[1][0]
    assert list(record["cover"]) == list(patterns)

    atlas("summarise", store, "-o", tmp_path / "s.nc")
    with read_summary(tmp_path / "s.nc") as summary:
        classes = [*patterns, UNCLASSIFIED]
        assert summary["pattern"].values.tolist() == classes
        listed = f"{', '.join(patterns[:-1])} and {patterns[-1]}"
        assert summary.attrs["title"] == f"Frequency of {listed} on 1 degrees"
        valid = values & 1 << len(patterns) == 0
        share = summary["freq"] * summary["coverage"]
        for bit, name in enumerate(patterns):
            expected = (valid & (values >> bit & 1 == 1)).mean()
            assert float(share.sel(pattern=name).mean()) == pytest.approx(expected, abs=0.02)

    atlas("series", store, "--region", "barbados", "-o", tmp_path / "series.csv")
    rows = list(csv.DictReader((tmp_path / "series.csv").open()))
    assert list(rows[0])[: len(classes) + 2] == ["date", *classes, "coverage"]

    (tmp_path / "track.csv").write_text("time,lon,lat\n2020-01-20T14:00,-50,13\n")
    atlas("track", store, tmp_path / "track.csv", "-o", tmp_path / "sampled.csv")
    [row] = csv.DictReader((tmp_path / "sampled.csv").open())
    assert list(row) == ["time", "lon", "lat", "satellite", "hours", *classes, "reason"]
    assert {row[name] for name in classes} <= {"0", "1"}

    done = CliRunner().invoke(app, ["atlas", "plot", str(tmp_path / "s.nc"), "-o", str(tmp_path / "figures")])
    assert done.exit_code == 0, done.output
    assert [path.stem for path in (tmp_path / "figures").iterdir()] == ["frequency"]
    assert all(f"seasons_{name}" in done.stderr for name in classes)  # of two days they are left out


@pytest.mark.parametrize("patterns", [TWO, SIX])
def test_figures_have_the_colours_of_the_models_card(tmp_path, tiny_model, patterns):
    store, _ = prepare(str(tmp_path / "atlas"), PLAN, str(model_of(tiny_model, patterns)))
    summary = open_atlas(store.address)[["pattern_flags"]].assign_coords(pattern=[*patterns, UNCLASSIFIED])
    colours = classes_of(summary)
    assert list(colours) == [*patterns, UNCLASSIFIED]
    assert colours[patterns[1]] == "#c80a3c"
    assert colours[UNCLASSIFIED] is None
    assert len(set(colours.values())) == len(colours)
    assert colours.get("Fish", DEFAULT_PATTERNS[0].hex_colour) == DEFAULT_PATTERNS[0].hex_colour


@pytest.mark.parametrize("count", range(1, 8))
def test_flags_come_back_as_they_were(count):
    rng = np.random.default_rng(count)
    valid = rng.random((20, 30)) < 0.8
    masks = (rng.random((count, 20, 30)) < 0.5) & valid
    masks[:, 0], valid[0] = True, True
    decoded = decode(encode(masks, valid), count)
    np.testing.assert_array_equal(decoded.valid, valid)
    np.testing.assert_array_equal(np.stack(decoded.present), masks)
    np.testing.assert_array_equal(decoded.unclassified, valid & ~masks.any(axis=0))
    assert not decoded.not_segmented.any()
    empty = decode(np.full((2, 2), NOT_SEGMENTED, np.uint8), count)
    assert empty.not_segmented.all()
    assert not empty.valid.any()
    assert not any(mask.any() for mask in (*empty.present, empty.unclassified))


@pytest.mark.parametrize(
    ("patterns", "words"),
    [
        (tuple("ABCDEFGH"), "8 patterns; a store holds at most 7"),
        (("Fish", "no_data"), "'no_data' is reserved"),
        (("Unclassified",), "'Unclassified' is reserved"),
    ],
)
def test_patterns_that_a_store_cannot_hold_are_refused(tmp_path, card, patterns, words):
    rules = dict.fromkeys(patterns, card.rules["Fish"])
    with pytest.raises(AtlasError, match=words):
        create(str(tmp_path / "atlas"), PLAN, replace(card, patterns=patterns, rules=rules), "0" * 64)
    assert not (tmp_path / "atlas").exists()
    check_patterns(patterns[:1] if len(patterns) > 1 else ("Fish",))


def test_an_array_without_pattern_names_is_refused(tmp_path, card):
    store = create(str(tmp_path / "atlas"), PLAN, card, "0" * 64)
    for meanings in ("", "Fish Flower"):
        zarr.open_group(store.address)["pattern_flags"].attrs["flag_meanings"] = meanings
        with pytest.raises(AtlasError, match="flag_meanings"):
            patterns_of(open_atlas(store.address)["pattern_flags"])


def test_a_store_of_version_0_1_opens(tmp_path, card):
    """Every attribute and key is written by hand, as version 0.1.0 wrote them."""
    old = card.as_dict()
    old.pop("styles", None)
    group = zarr.open_group(tmp_path / "old", mode="w", zarr_format=3)
    array = group.create_array(
        "pattern_flags",
        shape=(2, 2, 350, 525),
        chunks=(1, 1, 350, 525),
        dtype="uint8",
        fill_value=255,
        dimension_names=("time", "satellite", "lat", "lon"),
        attributes={
            "long_name": "patterns of mesoscale cloud organisation",
            "flag_masks": [1, 2, 4, 8, 16],
            "flag_meanings": "Fish Flower Gravel Sugar no_data",
            "comment": "patterns may overlap, so bits add up; 255 has not been segmented yet",
            "_FillValue": 255,
        },
    )
    array.blocks[0, 1, 0, 0] = np.full((1, 1, 350, 525), 9, np.uint8)
    for name, size in (("time", 2), ("satellite", 2), ("lat", 350), ("lon", 525)):
        group.create_array(name, data=np.zeros(size), dimension_names=(name,))
    group.update_attributes(
        {
            "Conventions": "CF-1.11",
            "nephoscope": "0.1.0",
            "model": "default",
            "model_sha256": "0" * 64,
            "model_card": json.dumps(old, ensure_ascii=False),
            "batch": 32,
            "plan": '{"plan_version": 1, "first": "2020-01-20", "last": "2020-01-21", '
            '"months": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], "margin": 0.0, '
            '"satellites": ["Terra", "Aqua"], "region": [-62, 6, -41, 20], '
            '"boxes": [[-62.0, 6.0, -41.0, 20.0]], "scenes": 4}\n',
        }
    )
    records = [
        {
            "index": scene.number,
            "satellite": scene.overpass.satellite,
            "date": str(scene.overpass.day),
            "box": list(scene.overpass.bounds),
            "status": "done",
            "valid": 1.0,
            "cover": dict.fromkeys(DEFAULT_NAMES, 0.5),
            "score": dict.fromkeys(DEFAULT_NAMES, 0.5),
        }
        for scene in PLAN
    ]
    manifest = tmp_path / "old" / "pattern_flags" / "manifest"
    manifest.mkdir()
    (manifest / "00000000.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))

    store = create(str(tmp_path / "old"), PLAN, card, "0" * 64)  # as a run that goes on does
    assert store.plan == PLAN
    assert store.manifest.read(0) == records
    opened = open_atlas(tmp_path / "old")
    assert patterns_of(opened["pattern_flags"]) == DEFAULT_NAMES
    day = decode(opened["pattern_flags"][0].values, 4)
    assert day.not_segmented.mean() == 0.5
    assert [mask.mean() for mask in day.present] == [0.5, 0, 0, 0.5]


def segmenter(store, model: bytes, archive: WorldviewClient) -> Segmenter:
    prepared = Segmenter(Job("job", store.address, archive, model))
    prepared.setup(None)
    return prepared


@pytest.mark.slow
def test_an_unexpected_error_is_recorded_and_logged_with_its_traceback(
    tmp_path, tiny_model, monkeypatch, caplog
):
    def fail(*_, **__):
        raise RuntimeError("a bug")

    store, content = prepare(str(tmp_path / "atlas"), PLAN, str(model_of(tiny_model, TWO)))
    with WorldviewServer() as server:
        prepared = segmenter(store, content, WorldviewClient(server.address, None, degrees=0.4, tries=1))
        monkeypatch.setattr(worker, "apply_rules", fail)
        with caplog.at_level(logging.ERROR, "nephoscope"):
            assert prepared.process(0, 2) == (0, 4, "")
    assert {(each["cause"], each["reason"]) for each in store.manifest.read(0)} == {
        ("unexpected", "RuntimeError: a bug")
    }
    assert len(caplog.records) == 4
    assert "in fail" in caplog.text  # of the traceback


def test_a_bug_of_ours_is_not_reported_as_a_store_that_cannot_be_written(tmp_path, card):
    store = create(str(tmp_path / "atlas"), PLAN, card, "0" * 64)
    with pytest.raises(ValueError, match="flags of shape") as caught:
        store.write(PLAN.scene(0), np.zeros((3, 4), np.uint8))
    assert not isinstance(caught.value, AtlasError)
    with pytest.raises(TypeError):
        store.manifest.write(0, [{"index": object()}])


def test_a_cluster_starts_where_signals_cannot_be_blocked(monkeypatch):
    monkeypatch.delattr(signal, "pthread_sigmask")
    with cluster._interrupts_blocked():
        thread = Thread(target=lambda: None)
        thread.start()
    thread.join()
