"""Atlases made on a cluster: their stores, and the cost of kills, faults and full disks."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from threading import Event

import numpy as np
import pytest
import rasterio
from typer.testing import CliRunner

from nephoscope.atlas import cluster
from nephoscope.atlas.flags import NOT_SEGMENTED, encode
from nephoscope.atlas.manifest import read_failures, read_status
from nephoscope.atlas.plan import Plan
from nephoscope.atlas.run import prepare, run
from nephoscope.atlas.store import open_atlas, open_store
from nephoscope.cli import app
from nephoscope.core.errors import AtlasError
from nephoscope.core.geo import Bounds, Overpass, parse_bounds, worldview_name
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.imagery.reading import open_scene
from nephoscope.imagery.sidecar import sha256, write_with_sidecar
from nephoscope.imagery.worldview import WorldviewClient
from nephoscope.inference.model import Model
from nephoscope.inference.pipeline import segment
from nephoscope.testing.worldview_server import WorldviewServer

DEGREES = 0.4  # pictures of 52 x 35 px
REGION = parse_bounds("170,-10,190,4")  # two boxes, on either side of the antimeridian


@pytest.fixture(scope="module")
def client() -> Iterator:
    with cluster.local_cluster(2) as client:
        yield client


@pytest.fixture
def small_rules(card):
    return {
        name: replace(rule, threshold=0.3, top_k=50, presence=0.2, minimum_area=5, least_cover=5)
        for name, rule in card.rules.items()
    }


@pytest.fixture
def small_model(tiny_model, small_rules) -> Path:
    """A tiny model whose grid is coarse, so that it takes a millisecond."""
    return tiny_model("small.onnx", input_size=(28, 42), grid=(35, 52), rules=small_rules)


def make_plan(days=10, region=REGION, satellites=("Terra", "Aqua")):
    return Plan(date(2010, 3, 1), date(2010, 3, days), satellites, region)


def archive_at(server, **changes):
    return WorldviewClient(server.address, None, **{"degrees": DEGREES, "tries": 2, "pause": 0.01, **changes})


def do(client, folder, plan, model, archive):
    """Run what is missing; the results, and the status afterwards."""
    store, content = prepare(str(folder), plan, str(model))
    results = list(run(store, content, read_status(store.manifest).unfinished, archive, client))
    return results, read_status(store.manifest)


def records(folder):
    return [record for _, batch in open_store(str(folder)).manifest.read_all() for record in batch]


def flags(folder):
    return open_atlas(folder)["pattern_flags"].values


@pytest.mark.slow
def test_an_atlas_holds_what_one_picture_after_the_other_gives(client, tmp_path, small_model):
    plan, gap = make_plan(20), Overpass("Aqua", date(2010, 3, 7), Bounds(159, -10, 180, 4))
    with WorldviewServer(lambda asked, _: "no coverage" if asked == gap else None) as server:
        archive = archive_at(server)
        results, status = do(client, tmp_path / "atlas", plan, small_model, archive)
        assert (status.scenes, status.done, status.failed, status.missing) == (80, 80, 0, 0)
        assert sum(result.scenes for result in results) == server.total == 80

        model = Model.load(small_model)
        expected = np.full((20, 2, 35, 104), NOT_SEGMENTED, np.uint8)
        by_number = {record["index"]: record for record in records(tmp_path / "atlas")}
        for scene in plan:
            picture = archive.picture(scene.overpass)
            name = worldview_name(scene.overpass)
            alone = segment(open_scene(picture.content, name=name), model)
            place = (
                scene.time,
                scene.satellite,
                slice(None),
                slice(52 * scene.column, 52 * scene.column + 52),
            )
            expected[place] = encode(alone.masks, alone.valid_mask)
            record = by_number[scene.number]
            assert record["cover"] == pytest.approx(alone.area_fractions, abs=1e-4)
            assert record["score"] == pytest.approx(alone.scores, abs=1e-4)
            assert record["valid"] == pytest.approx(alone.valid_mask.mean(), abs=1e-4)
            assert (record["sha256"], record["url"], record["bytes"]) == (
                picture.sha256,
                picture.url,
                len(picture.content),
            )
            assert (record["satellite"], record["date"]) == (
                scene.overpass.satellite,
                str(scene.overpass.day),
            )
            assert Bounds(*record["box"]) == scene.overpass.bounds
    np.testing.assert_array_equal(flags(tmp_path / "atlas"), expected)
    assert set(DEFAULT_NAMES) == {
        name for record in by_number.values() for name in DEFAULT_NAMES if record["cover"][name] > 0
    }
    [of_gap] = [scene.number for scene in plan if scene.overpass == gap]
    assert by_number[of_gap]["valid"] == 0
    assert status.covered == 79
    day = open_atlas(tmp_path / "atlas")["pattern_flags"].sel(time="2010-03-07", satellite="Aqua")
    assert (day.sel(lon=slice(159, 180)) == 16).all()


@pytest.mark.slow
def test_only_the_middle_of_a_box_with_a_margin_is_kept(client, tmp_path, tiny_model, small_rules):
    model_file = tiny_model(
        "half.onnx", input_size=(28, 42), grid=(28, 42), rules=small_rules
    )  # cells of 0.5°
    plan = Plan(date(2010, 3, 1), date(2010, 3, 2), ("Aqua",), Bounds(100, 0, 130, 9), margin=2.0)
    with WorldviewServer() as server:
        archive = archive_at(server)
        do(client, tmp_path / "atlas", plan, model_file, archive)
        model = Model.load(model_file)
        stored = flags(tmp_path / "atlas")
        for scene in plan:
            content = archive.picture(scene.overpass).content
            alone = segment(
                open_scene(content, name=worldview_name(scene.overpass)),
                model,
            )
            whole = encode(alone.masks, alone.valid_mask)
            place = (
                scene.time,
                scene.satellite,
                slice(None),
                slice(34 * scene.column, 34 * scene.column + 34),
            )
            np.testing.assert_array_equal(stored[place], whole[4:-4, 4:-4])
    atlas = open_atlas(tmp_path / "atlas")
    assert (atlas.sizes["lat"], atlas.sizes["lon"]) == (20, 68)
    assert np.unique(stored).size > 2
    np.testing.assert_allclose(atlas.lon, np.arange(100.25, 134, 0.5))
    np.testing.assert_allclose(atlas.lat, np.arange(9.75, 0, -0.5))


def test_a_margin_of_parts_of_cells_is_refused(tmp_path, small_model):
    with pytest.raises(AtlasError, match="must be a multiple"):
        prepare(str(tmp_path / "atlas"), replace(make_plan(), margin=2.0), str(small_model))


@pytest.mark.slow
def test_the_store_follows_cf_and_records_its_origin(tmp_path, tiny_model):
    plan = make_plan(3, parse_bounds("-61,10,-30,24"))
    prepare(str(tmp_path / "atlas"), plan, str(tiny_model()))
    atlas = open_atlas(tmp_path / "atlas")
    assert atlas["pattern_flags"].dims == ("time", "satellite", "lat", "lon")
    assert atlas["pattern_flags"].dtype == np.uint8
    assert atlas["pattern_flags"].data.chunksize == (1, 1, 350, 525)
    assert (atlas["pattern_flags"] == NOT_SEGMENTED).all()
    assert list(atlas["satellite"].values) == ["Terra", "Aqua"]
    np.testing.assert_array_equal(
        atlas["time"], np.array(["2010-03-01", "2010-03-02", "2010-03-03"], "M8[D]")
    )
    np.testing.assert_allclose(atlas["lat"], 24 - 0.02 - 0.04 * np.arange(350))
    np.testing.assert_allclose(atlas["lon"], -61 + 0.02 + 0.04 * np.arange(1050))
    attributes = atlas["pattern_flags"].attrs
    assert attributes["flag_masks"] == [1, 2, 4, 8, 16]
    assert attributes["flag_meanings"] == "Fish Flower Gravel Sugar no_data"
    assert rasterio.crs.CRS.from_wkt(atlas[attributes["grid_mapping"]].attrs["crs_wkt"]).to_epsg() == 4326
    assert [atlas[name].attrs["standard_name"] for name in ("time", "lat", "lon")] == [
        "time",
        "latitude",
        "longitude",
    ]
    assert atlas.attrs["Conventions"] == "CF-1.11"
    assert atlas.attrs["model"] == "tiny"
    assert Plan.from_json(atlas.attrs["plan"]) == plan


def test_a_store_is_for_one_plan_and_one_model(tmp_path, small_model, tiny_model):
    folder = str(tmp_path / "atlas")
    prepare(folder, make_plan(3), str(small_model))
    with pytest.raises(AtlasError, match="another plan"):
        prepare(folder, make_plan(3, parse_bounds("barbados")), str(small_model))
    with pytest.raises(AtlasError, match="another plan: .* lacks 4 of its 12 scenes, .* Terra on 2010-03-03"):
        prepare(folder, make_plan(2), str(small_model))
    with pytest.raises(AtlasError, match="another model, tiny"):
        prepare(folder, make_plan(3), str(tiny_model()))
    with pytest.raises(AtlasError, match="is not an atlas"):
        prepare(str(tmp_path), make_plan(3), str(small_model))  # somebody's folder with files in it
    assert prepare(folder, make_plan(3), str(small_model))[0].plan == make_plan(3)


@pytest.mark.slow
def test_a_store_with_scenes_is_never_made_anew_and_a_folder_stays_itself(client, tmp_path, small_model):
    folder = tmp_path / "atlas"
    folder.mkdir()
    inode = folder.stat().st_ino
    with WorldviewServer() as server:
        do(client, folder, make_plan(2), small_model, archive_at(server))
    assert folder.stat().st_ino == inode
    before = flags(folder)
    described = json.loads((folder / "zarr.json").read_text())
    lost = {**described, "attributes": {**described["attributes"]}}
    del lost["attributes"]["plan"]
    (folder / "zarr.json").write_text(json.dumps(lost))
    with pytest.raises(AtlasError, match="lost its plan"):
        prepare(str(folder), make_plan(2), str(small_model))
    (folder / "zarr.json").write_text(json.dumps(described))
    (folder / "lon" / "c" / "0").write_bytes(b"garbage")  # it follows from the plan
    np.testing.assert_array_equal(flags(folder), before)
    assert float(open_atlas(folder).lon[0]) == pytest.approx(make_plan(2).corner[1] + 21 / 52 / 2)


@pytest.mark.slow
def test_failed_scenes_have_their_cause_and_are_done_again(client, tmp_path, small_model):
    plan = make_plan(20)
    faults = {3: "404", 40: "html", 41: "cut short", 79: "500"}
    wrong = {plan.scene(number).overpass: fault for number, fault in faults.items()}
    with WorldviewServer(lambda asked, _: wrong.get(asked)) as server:
        _, status = do(client, tmp_path / "atlas", plan, small_model, archive_at(server))
        assert (status.done, status.failed, status.missing) == (76, 4, 0)
        failed = {
            record["index"]: record for record in read_failures(open_store(str(tmp_path / "atlas")).manifest)
        }
        assert {number: record["cause"] for number, record in failed.items()} == {
            3: "refused",
            40: "error page",
            41: "cut short",
            79: "server error",
        }
        assert "404" in failed[3]["reason"]
        assert (flags(tmp_path / "atlas")[0, 1, :, 52:] == NOT_SEGMENTED).all()
        wrong.clear()
        before = server.total
        results, status = do(client, tmp_path / "atlas", plan, small_model, archive_at(server))
        assert server.total - before == 4
        assert all(server.count(plan.scene(number).overpass) > 1 for number in faults)
        assert (status.done, status.failed) == (80, 0)
        assert len(results) == 3  # the batches of 32 that the four were in
        assert do(client, tmp_path / "atlas", plan, small_model, archive_at(server))[0] == []
        assert server.total - before == 4
    assert (flags(tmp_path / "atlas") != NOT_SEGMENTED).all()


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["503", "reset", "html", "404"])
def test_an_archive_that_is_down_stops_the_run_soon_and_loses_nothing(client, tmp_path, small_model, fault):
    plan, down = make_plan(31), Event()

    def fails(asked, _):
        if asked.day.day >= 20:
            down.set()
        return fault if down.is_set() else None

    with WorldviewServer(fails) as server:
        archive = archive_at(server, cache=tmp_path / "cache")
        with pytest.raises(AtlasError, match="the archive is down: 5 scenes in a row failed") as caught:
            do(client, tmp_path / "atlas", plan, small_model, archive)
        assert "\n" not in str(caught.value)
        there = read_status(open_store(str(tmp_path / "atlas")).manifest)
        done = {record["index"] for record in records(tmp_path / "atlas") if record["status"] == "done"}
        assert len(done) == there.done > 0
        assert server.total - there.done < 50  # of 48 scenes that are left, with two tries
        assert 5 <= there.failed - there.causes["not tried"] < 25
        asked = server.total
        with pytest.raises(AtlasError, match="the archive is down"):
            do(client, tmp_path / "atlas", plan, small_model, archive)
        assert server.total - asked < 30
    with WorldviewServer() as server:
        _, status = do(client, tmp_path / "atlas", plan, small_model, archive_at(server))
        assert (status.done, status.failed) == (len(plan), 0)
        assert server.total == len(plan) - there.done


@pytest.mark.slow
def test_a_day_that_the_archive_lacks_does_not_stop_the_run(client, tmp_path, small_model):
    plan = make_plan(12, parse_bounds("-61,-30,44,12"))  # 15 boxes, 30 scenes a day
    with WorldviewServer(lambda asked, _: "500" if asked.day.day in (3, 4) else None) as server:
        _, status = do(client, tmp_path / "atlas", plan, small_model, archive_at(server))
    assert (status.done, status.failed, status.missing) == (300, 60, 0)
    assert dict(status.causes) == {"server error": 60}


@pytest.mark.slow
def test_where_nothing_answers_the_command_ends_with_one_line(tmp_path, small_model):
    make_plan(31).write(tmp_path / "atlas.json")
    words = ["run", tmp_path / "atlas.json", tmp_path / "atlas", "--model", small_model, "--workers", 1]
    done = atlas(
        *words, "--archive", "http://127.0.0.1:9/api/v1/snapshot", "--degrees", DEGREES, "--retries", 0
    )
    assert done.returncode == 1
    assert done.stderr.startswith("nephoscope: the archive is down: 5 scenes in a row failed, the last with")
    assert done.stderr.endswith("; run the same command again to resume\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_a_picture_that_cannot_be_decoded_costs_only_itself(client, tmp_path, small_model):
    plan = make_plan(3)
    with WorldviewServer() as server:
        archive = archive_at(server, cache=tmp_path / "cache")
        # What lies in the cache is believed if its hash is right, whatever it is.
        archive.picture(plan.scene(5).overpass)
        [kept] = (tmp_path / "cache").glob("*/*.jpeg")
        content = kept.read_bytes()[:400] + bytes(50)
        write_with_sidecar(kept, content, {"sha256": sha256(content), "urls": [server.address]})
        _, status = do(client, tmp_path / "atlas", plan, small_model, archive)
    assert (status.done, dict(status.causes)) == (11, {"damaged": 1})


@pytest.mark.slow
def test_connections_are_shared_by_the_cluster(client, tmp_path, small_model):
    with WorldviewServer(delay=0.01) as server:
        do(client, tmp_path / "one", make_plan(25), small_model, archive_at(server, connections=1))
        # The server notes the end of a request when the next one may have begun.
        assert server.most_at_once <= 2
    with WorldviewServer(delay=0.05) as server:
        do(client, tmp_path / "six", make_plan(25), small_model, archive_at(server, connections=6))
        assert 3 <= server.most_at_once <= 7


@pytest.mark.slow
def test_a_killed_worker_costs_only_work(client, tmp_path, small_model):
    plan = make_plan(31)
    with WorldviewServer() as server:
        _, undisturbed = do(client, tmp_path / "calm", plan, small_model, archive_at(server))
    with holding_archive() as (server, let_go):
        store, content = prepare(str(tmp_path / "atlas"), plan, str(small_model))
        running = run(store, content, read_status(store.manifest).unfinished, archive_at(server), client)
        results = [next(running)]
        wait_for(lambda: requests_have_ended(server))
        os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)
        let_go()
        results += running
        assert server.total > len(plan)  # some of it was done twice
    assert sum(result.scenes for result in results) == len(plan)
    assert_same(tmp_path / "atlas", tmp_path / "calm", plan)
    assert undisturbed.done == len(plan)


@pytest.mark.slow
def test_a_killed_run_goes_on(client, tmp_path, small_model):
    plan = make_plan(31)
    plan.write(tmp_path / "atlas.json")
    with holding_archive() as (server, let_go):
        words = ["run", tmp_path / "atlas.json", tmp_path / "atlas", "--model", small_model, "--workers", 2]
        words += ["--archive", server.address, "--degrees", DEGREES]
        with started(*words) as process:
            wait_for(lambda: len(list((tmp_path / "atlas").glob("**/*.jsonl"))) > 0, process)
            process.kill()  # scheduler and client are one process here
        wait_for(lambda: requests_have_ended(server))  # its workers, which end by themselves, ask no more
        let_go()
        wait_for(lambda: requests_have_ended(server))
        there = read_status(open_store(str(tmp_path / "atlas")).manifest)
        assert 0 < there.done < len(plan)
        before = server.total
        again = atlas(*words)
        assert again.returncode == 0, again.stderr
        assert again.stderr == ""
        assert ["done", "124"] in [line.split() for line in again.stdout.splitlines()]
        assert server.total - before == len(plan) - there.done
        do(client, tmp_path / "calm", plan, small_model, archive_at(server))
    assert_same(tmp_path / "atlas", tmp_path / "calm", plan)


@pytest.mark.slow
def test_an_interrupted_run_prints_one_line(tmp_path, small_model):
    make_plan(31).write(tmp_path / "atlas.json")
    with holding_archive() as (server, _):
        words = ["run", tmp_path / "atlas.json", tmp_path / "atlas", "--model", small_model, "--workers", 2]
        words += ["--archive", server.address, "--degrees", DEGREES]
        with started(*words) as process:
            wait_for(lambda: len(list((tmp_path / "atlas").glob("**/*.jsonl"))) > 0, process)
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all processes
            _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stderr == "nephoscope: interrupted; the files written so far are complete\n"


@pytest.mark.slow
def test_a_run_goes_on_elsewhere_after_its_scheduler_is_lost(client, tmp_path, small_model, monkeypatch):
    monkeypatch.setattr(cluster, "_SCHEDULER_TIMEOUT", 2)
    plan = make_plan(31)
    with holding_archive() as (server, let_go), remote_workers(tmp_path) as (scheduler, address):
        store, content = prepare(str(tmp_path / "atlas"), plan, str(small_model))
        with cluster.remote_cluster(address) as remote:
            running = run(store, content, read_status(store.manifest).unfinished, archive_at(server), remote)
            next(running)
            scheduler.kill()
            with pytest.raises(cluster.AtlasError, match="scheduler is lost"):
                list(running)
        let_go()
        _, status = do(client, tmp_path / "atlas", plan, small_model, archive_at(server))
    assert (status.done, status.missing) == (len(plan), 0)


@pytest.mark.slow
def test_where_no_scheduler_answers_nothing_is_begun(monkeypatch):
    monkeypatch.setattr(cluster, "_SCHEDULER_TIMEOUT", 1)
    refused = pytest.raises(cluster.AtlasError, match="127.0.0.1:1: no scheduler answers")
    with refused, cluster.remote_cluster("tcp://127.0.0.1:1"):
        pass


@pytest.mark.slow
@pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() != 0, reason="only root may mount a file system")
def test_a_full_disk_stops_the_run_and_loses_nothing(client, tmp_path, tiny_model):
    plan, disk = make_plan(31), tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode()}")
    try:
        with WorldviewServer() as server:
            with pytest.raises(AtlasError, match="No space left on device"):
                do(client, disk / "atlas", plan, tiny_model(), archive_at(server))
            there = read_status(open_store(str(disk / "atlas")).manifest)
            assert there.failed == 0
            assert there.done < len(plan)
            subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
            before = server.total
            _, status = do(client, disk / "atlas", plan, tiny_model(), archive_at(server))
            assert (status.done, status.failed) == (len(plan), 0)
            assert server.total - before == len(plan) - there.done
        assert (flags(disk / "atlas") != NOT_SEGMENTED).all()
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.mark.slow
def test_the_command_prints_what_failed_and_exits_with_1(tmp_path, small_model):
    plan = make_plan(3)
    plan.write(tmp_path / "atlas.json")
    wrong = plan.scene(2).overpass
    with WorldviewServer(lambda asked, _: "404" if asked == wrong else None) as server:
        words = [tmp_path / "atlas.json", tmp_path / "atlas", "--model", small_model, "--workers", 1]
        done = atlas("run", *words, "--archive", server.address, "--degrees", DEGREES, "--retries", 0)
    assert done.returncode == 1
    assert [line.split() for line in done.stdout.splitlines()][-3:] == [
        ["failed", "1"],
        ["refused", "1"],
        ["missing", "0"],
    ]
    listed = CliRunner().invoke(app, ["atlas", "status", str(tmp_path / "atlas"), "--failures"])
    assert listed.exit_code == 0
    assert listed.stdout.startswith("Aqua/2010-03-01/159,-10,180,4  refused: ")
    assert listed.stdout.count("\n") == 1
    assert max(map(len, done.stdout.splitlines())) <= 60


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["run", "PLAN", "."], "exists and is not an atlas"),
        (["run", "nothing.json", "store"], "nothing.json: No such file"),
        (["run", "PLAN", "store", "--model", "nothing.onnx"], "no such model file"),
        (["run", "PLAN", "store", "--archive", "ftp://x"], "not a server's address"),
        (["run", "PLAN", "store", "--scheduler", "x", "--workers", "2"], "a scheduler has its own"),
        (["run", "PLAN", "store", "--scheduler", "x"], "is not the address of a scheduler"),
        (["run", "PLAN", "nothing://x"], "Protocol not known"),
        (["status", "store"], "no atlas"),
    ],
)
def test_wrong_usage_is_one_line_of_error(tmp_path, small_model, monkeypatch, words, reason):
    make_plan(3).write(tmp_path / "atlas.json")
    words = [str(tmp_path / "atlas.json") if word == "PLAN" else word for word in words]
    if words[0] == "run" and "--model" not in words:
        words += ["--model", str(small_model)]
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["atlas", *words])
    assert done.exit_code == 2, done.stderr
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1


def assert_same(folder, calm, plan):
    """Every scene is recorded once, and flags are those of a run that nothing disturbed."""
    assert Counter(record["index"] for record in records(folder)) == Counter(range(len(plan)))
    assert {record["status"] for record in records(folder)} == {"done"}
    np.testing.assert_array_equal(flags(folder), flags(calm))


def command(*words):
    return [sys.executable, "-m", "nephoscope", "atlas", *map(str, words)]


def atlas(*words):
    return subprocess.run(command(*words), capture_output=True, text=True, timeout=120)


def started(*words):
    """The command in a process group of its own, that can be interrupted even where the tests cannot."""
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command(*words),
        stdout=pipe,
        stderr=pipe,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def wait_for(condition, process=None):
    end = time.monotonic() + 180  # a busy machine takes a minute to start a cluster
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        assert process is None or process.poll() is None, process.stderr.read()
        time.sleep(0.01)


@contextmanager
def holding_archive():
    """An archive that answers for the last scenes of all batches but the first once it is let go on.

    So a run of 31 days has done something, and cannot be done, whenever it is disturbed.
    """
    going_on = Event()

    def hold(asked, _):
        if asked.day.day in (16, 24, 31):  # batches are of 32 scenes, four a day
            going_on.wait(60)

    with WorldviewServer(hold) as server:
        try:
            yield server, going_on.set
        finally:
            going_on.set()


def requests_have_ended(server):
    """Whether nothing more is asked for."""
    before = server.total
    time.sleep(0.5)
    return server.total == before


class remote_workers:  # noqa: N801 (a context manager)
    """A scheduler and two workers, each a process, as somebody else would start them."""

    def __init__(self, folder: Path):
        self._file = folder / "scheduler.json"

    def __enter__(self):
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        python = [sys.executable, "-m"]
        where = ["--scheduler-file", str(self._file), "--no-dashboard"]
        self._scheduler = subprocess.Popen(
            [*python, "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", *where], **quiet
        )
        self._workers = subprocess.Popen(
            [*python, "distributed.cli.dask_worker", "--nworkers", "2", "--nthreads", "2", *where], **quiet
        )
        wait_for(self._file.exists)
        return self._scheduler, json.loads(self._file.read_text())["address"]

    def __exit__(self, *_):
        for process in (self._scheduler, self._workers):
            process.terminate()
            process.wait(timeout=30)
