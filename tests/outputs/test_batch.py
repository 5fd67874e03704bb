"""Batches: in order, atomic files, failures that stop no other picture."""

import errno
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from io import BytesIO
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image as PilImage

from asking import elsewhere
from conftest import encoded, hide
from nephoscope.core import io
from nephoscope.core.errors import OutputConflictError
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.datasets.labels import read_labels
from nephoscope.imagery.sources import find_sources
from nephoscope.imagery.synthetic import make_scene
from nephoscope.inference.model import Model
from nephoscope.outputs.batch import Done, Failed, Job, Kept, run
from nephoscope.outputs.origins import INDEX


@pytest.fixture
def pictures(tmp_path):
    """A folder of eight small pictures, the fourth and the sixth of which are none."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(8):
        content = encoded(make_scene(number, (160, 240)).pixels, ".jpg")
        (folder / f"{number}.jpg").write_bytes(content)
    (folder / "3.jpg").write_text("no picture")
    (folder / "5.jpg").write_bytes(encoded(make_scene(5, (160, 240)).pixels, ".jpg")[:999])
    return folder


@pytest.fixture
def job(tmp_path, tiny_model):
    """A job with a quick model and the outputs asked for."""

    def make(*formats, **options):
        return Job(Model.load(tiny_model(), threads=1), tmp_path / "out", formats or ("json",), **options)

    return make


def listed(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != INDEX) if folder.exists() else []


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2, 5])
def test_failures_come_in_order_and_do_not_stop_the_rest(pictures, job, workers):
    results = list(run(find_sources([str(pictures)]), job("json"), workers))
    assert [result.name for result in results] == [f"{number}.jpg" for number in range(8)]
    assert [type(result) is Failed for result in results] == [number in (3, 5) for number in range(8)]
    assert all(result.reason.startswith(result.name) for result in results if isinstance(result, Failed))
    assert listed(job().folder) == [f"{number}.json" for number in range(8) if number not in (3, 5)]


@pytest.mark.slow
def test_outputs_do_not_depend_on_what_else_is_asked_for_or_on_workers(pictures, job, tmp_path):
    many = list(run(find_sources([str(pictures)]), job("csv", "overlay", "mask", "json"), 3))
    one = list(run(find_sources([str(pictures)]), Job(job().model, tmp_path / "alone", ("csv",)), 1))
    assert [result.parts for result in many if isinstance(result, Done)] == [
        result.parts for result in one if isinstance(result, Done)
    ]


def test_the_contests_csv_holds_all_that_was_done(pictures, job):
    list(run(find_sources([str(pictures)]), job("csv"), 2))
    labels = read_labels(job().folder / "submission.csv")
    assert labels.images == [f"{number}.jpg" for number in range(8) if number not in (3, 5)]
    assert len(labels.texts) == 6 * len(DEFAULT_NAMES)
    assert listed(job().folder) == ["submission.csv"]


@pytest.mark.slow
def test_existing_outputs_are_kept_unless_overwritten(pictures, job):
    sources = find_sources([str(pictures / "0.jpg"), str(pictures / "1.jpg")])
    folder = job().folder
    list(run(sources, job("json")))
    (folder / "0.json").write_text("mine")
    assert [type(result) for result in run(sources, job("json"))] == [Kept, Kept]
    # One of two outputs is there: it is kept, the other is made.
    first = next(iter(run(sources, job("json", "panel"))))
    assert [path.name for path in first.files] == ["0_panel.png"]
    assert [path.name for path in first.kept] == ["0.json"]
    assert (folder / "0.json").read_text() == "mine"
    list(run(sources, job("json", overwrite=True)))
    assert (folder / "0.json").read_text() != "mine"


@pytest.fixture
def days(tmp_path):
    """Two pictures of one name and one size, in two folders."""
    for number, day in enumerate(("monday", "tuesday")):
        (tmp_path / day).mkdir()
        content = encoded(make_scene(number, (64, 96)).pixels, ".png")
        (tmp_path / day / "scene.png").write_bytes(content.ljust(30_000, b"\0"))
    return [tmp_path / "monday" / "scene.png", tmp_path / "tuesday" / "scene.png"]


def results(job, *words, **options):
    done = run(find_sources([str(word) for word in words]), job("json", **options))
    return [(type(each), each.name) for each in done]


def test_outputs_of_another_picture_are_not_taken_for_those_of_this_one(days, job):
    monday, tuesday = days
    assert results(job, monday) == [(Done, "scene.png")]
    assert results(job, tuesday) == [(Done, "scene-2.png")]
    first, second = (json.loads((job().folder / name).read_text()) for name in ("scene.json", "scene-2.json"))
    assert (first["scene"], second["scene"]) == ("scene.png", "scene-2.png")
    assert first["patterns"] != second["patterns"]
    # Again, in any order, each has its own.
    assert results(job, tuesday, monday) == [(Kept, "scene-2.png"), (Kept, "scene.png")]
    assert results(job, tuesday) == [(Kept, "scene-2.png")]
    assert results(job, tuesday, overwrite=True) == [(Done, "scene-2.png")]
    assert json.loads((job().folder / "scene.json").read_text()) == first


def test_a_picture_that_has_changed_is_another(days, job):
    monday, tuesday = days
    results(job, monday)
    monday.write_bytes(tuesday.read_bytes())
    assert results(job, monday) == [(Done, "scene-2.png")]
    assert results(job, monday, overwrite=True) == [(Done, "scene-2.png")]


def test_a_picture_that_was_moved_is_the_same(days, job, tmp_path):
    results(job, *days)
    for day in ("monday", "tuesday"):
        shutil.copytree(tmp_path / day, tmp_path / "moved" / day)  # with other times, too
    moved = [tmp_path / "moved" / "monday" / "scene.png", tmp_path / "moved" / "tuesday" / "scene.png"]
    assert results(job, *moved) == [(Kept, "scene.png"), (Kept, "scene-2.png")]


def test_what_is_overwritten_belongs_to_the_last_picture(days, job):
    monday, tuesday = days
    results(job, monday)
    assert results(job, tuesday, overwrite=True) == [(Done, "scene.png")]
    assert results(job, tuesday, monday) == [(Kept, "scene.png"), (Done, "scene-2.png")]


def test_what_an_overwritten_picture_left_is_not_kept(days, job):
    monday, tuesday = days
    list(run(find_sources([str(monday)]), job("json", "panel")))
    of_monday = (job().folder / "scene_panel.png").read_bytes()
    results(job, tuesday, overwrite=True)
    (done,) = run(find_sources([str(tuesday)]), job("json", "panel"))
    assert ([path.name for path in done.files], [path.name for path in done.kept]) == (
        ["scene_panel.png"],
        ["scene.json"],
    )
    assert (job().folder / "scene_panel.png").read_bytes() != of_monday


def test_outputs_that_were_removed_free_their_name(days, job):
    monday, tuesday = days
    results(job, monday)
    (job().folder / "scene.json").unlink()
    assert results(job, tuesday) == [(Done, "scene.png")]


def test_outputs_of_unknown_origin_are_kept(days, job):
    results(job, days[0])
    index = job().folder / INDEX
    index.write_bytes(b'{"name": "scene.png"}\n[]\nno JSON\n' + index.read_bytes()[:-20])
    assert results(job, days[1]) == [(Kept, "scene.png")]


def test_addresses_that_differ_in_their_query_alone(job, days):
    monday = days[0].read_bytes()
    with elsewhere(200, {}, monday) as server:
        addresses = [f"{server.address}/scene.png?day={day}&token=secret" for day in (1, 2)]
        assert results(job, addresses[0]) == [(Done, "scene.png")]
        assert results(job, addresses[1]) == [(Done, "scene-2.png")]
        assert results(job, *addresses) == [(Kept, "scene.png"), (Kept, "scene-2.png")]
        assert len(server.asked) == 2
    assert "secret" not in (job().folder / INDEX).read_text()


def test_what_comes_from_standard_input_is_told_apart_by_its_content(job, days, monkeypatch):
    monday, tuesday = days
    for path, expected in (
        (monday, (Done, "stdin")),
        (tuesday, (Done, "stdin-2")),
        (monday, (Kept, "stdin")),
    ):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=BytesIO(path.read_bytes())))
        assert results(job, "-") == [tuple(expected)]


def test_a_pipe_never_counts_as_done(job, days, tmp_path):
    (job().folder).mkdir()
    (job().folder / "pipe.json").write_text("of an earlier pipe")
    os.mkfifo(tmp_path / "pipe")
    (failed,) = run(find_sources([str(tmp_path / "pipe")]), job("json"))
    assert "cannot be compared with a pipe; --overwrite" in failed.reason


def test_another_run_that_was_quicker_is_not_overwritten(days, job, monkeypatch):
    from nephoscope.outputs import batch

    real = batch.apply_rules

    def slow(*args, **options):
        monkeypatch.setattr(batch, "apply_rules", real)
        assert results(job, days[1]) == [(Done, "scene.png")]  # meanwhile, elsewhere
        return real(*args, **options)

    monkeypatch.setattr(batch, "apply_rules", slow)
    (failed,) = run(find_sources([str(days[0])]), job("json"))
    assert "another run has just written outputs of this name" in failed.reason


def test_kept_outputs_of_another_model_say_so(days, job, model):
    results(job, days[0])
    (kept,) = run(find_sources([str(days[0])]), replace(job(), model=model))
    assert (type(kept), kept.model) == (Kept, "tiny")
    (kept,) = run(find_sources([str(days[0])]), job())
    assert kept.model == ""


def test_pictures_are_never_overwritten(pictures, job, tmp_path):
    (pictures / "0_Fish.png").write_bytes(encoded(make_scene(0, (160, 240)).pixels, ".png"))
    before = (pictures / "0_Fish.png").read_bytes()
    sources = find_sources([str(pictures / "0.jpg"), str(pictures / "0_Fish.png")])
    protected = frozenset(source.path for source in sources)
    own = Job(job().model, pictures, ("mask",), overwrite=True, protected=protected)
    first, second = run(sources, own)
    assert "is an input picture; -o DIR" in first.reason
    assert isinstance(second, Done)
    assert (pictures / "0_Fish.png").read_bytes() == before


def test_an_existing_csv_of_a_run_is_an_error(pictures, job):
    list(run(find_sources([str(pictures / "0.jpg")]), job("csv")))
    with pytest.raises(OutputConflictError, match=r"submission.csv: exists already; --overwrite"):
        job("csv")
    job("csv", overwrite=True)


def test_a_full_disk_fails_only_what_did_not_fit(pictures, job, monkeypatch):
    def full(path, target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))

    whole = io.Path.replace
    monkeypatch.setattr(
        io.Path, "replace", lambda path, target: (full if "1.json" in str(target) else whole)(path, target)
    )
    results = list(run(find_sources([str(pictures)]), job("json"), 2))
    assert "1.json: No space left on device" in results[1].reason
    assert "0.json" in listed(job().folder)
    assert "7.json" in listed(job().folder)
    assert not [name for name in listed(job().folder) if "part" in name or name == "1.json"]


@pytest.mark.slow
def test_a_disk_that_fills_while_writing_leaves_nothing_half_written(pictures, tmp_path):
    """The real thing: the operating system refuses to let files grow past 200,000 bytes."""

    def limited():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    out = tmp_path / "out"
    command = [sys.executable, "-m", "nephoscope", "segment", pictures / "0.jpg", pictures / "1.jpg"]
    done = subprocess.run(
        [*command, "-o", out, "--format", "json,panel"], preexec_fn=limited, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.count("File too large") == 2
    assert "Traceback" not in done.stderr
    assert listed(out) == ["0.json", "1.json"]


def test_a_bug_is_one_failure(pictures, job, monkeypatch):
    from nephoscope.outputs import batch

    real = batch.apply_rules

    def broken(prediction, *args, **options):
        if prediction.scene.name == "2.jpg":
            raise ZeroDivisionError("by zero")
        return real(prediction, *args, **options)

    monkeypatch.setattr(batch, "apply_rules", broken)
    results = list(run(find_sources([str(pictures)]), job("json"), 2))
    assert results[2].reason == "2.jpg: internal error: ZeroDivisionError: by zero"
    assert isinstance(results[7], Done)


def test_no_more_pictures_are_held_than_two_a_worker(job):
    from nephoscope.imagery.reading import open_scene
    from nephoscope.imagery.sources import Source

    given = 0

    def endless():
        nonlocal given
        while True:
            given += 1
            yield Source(f"{given}.jpg", lambda: open_scene(np.full((64, 96, 3), 99, np.uint8)))

    results = run(endless(), job("json"), 2)
    for taken in range(1, 12):
        next(results)
        assert given <= taken + 4
    results.close()


@pytest.mark.slow
def test_an_interrupt_leaves_whole_files_only(tmp_path):
    folder, out = tmp_path / "pictures", tmp_path / "out"
    folder.mkdir()
    content = encoded(make_scene(1, (700, 1050)).pixels, ".jpg")
    for number in range(200):
        (folder / f"{number:03}.jpg").write_bytes(content)
    process = subprocess.Popen(
        [sys.executable, "-m", "nephoscope", "segment", folder, "-o", out, "--format", "overlay,json,csv"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Whoever runs the tests in the background made them deaf to interrupts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while len(listed(out)) < 6 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in errors
    assert "Traceback" not in errors
    written = listed(out)
    assert 6 <= len(written) < 400
    assert not [name for name in written if name.startswith(".") or name.endswith(".csv")]
    for name in written:
        path = out / name
        assert path.read_bytes().endswith(b"\xff\xd9" if name.endswith(".jpg") else b"}\n")


def test_a_cut_last_line_of_the_record_does_not_swallow_the_next(days, job):
    folder = job().folder
    folder.mkdir()
    (folder / INDEX).write_bytes(b'{"name": "old.png", "iden')
    assert results(job, days[0]) == [(Done, "scene.png")]
    assert results(job, days[1]) == [(Done, "scene-2.png")]


def test_a_missing_library_names_the_picture_once(tmp_path, job, monkeypatch):
    PilImage.fromarray(np.ones((40, 60), np.float32)).save(tmp_path / "float.tif")
    hide(monkeypatch, "rasterio")
    (failed,) = run(find_sources([str(tmp_path / "float.tif")]), job())
    assert failed.reason.startswith("float.tif: a TIFF of 32-bit floats: rasterio missing")
