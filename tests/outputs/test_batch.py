"""Batches: in order, atomic files, failures that stop no other picture."""

import errno
import os
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from conftest import encoded
from nephoscope.core import io
from nephoscope.core.errors import OutputConflictError
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.datasets.labels import read_labels
from nephoscope.imagery.sources import find_sources
from nephoscope.imagery.synthetic import make_scene
from nephoscope.inference.model import Model
from nephoscope.outputs.batch import Done, Failed, Job, Kept, run


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
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


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

    real = batch.segment

    def broken(scene, *args, **options):
        if scene.name == "2.jpg":
            raise ZeroDivisionError("by zero")
        return real(scene, *args, **options)

    monkeypatch.setattr(batch, "segment", broken)
    results = list(run(find_sources([str(pictures)]), job("json"), 2))
    assert results[2].reason == "2.jpg: internal error: ZeroDivisionError: by zero"
    assert isinstance(results[7], Done)


def test_no_more_pictures_are_held_than_two_a_worker(job):
    from nephoscope.imagery.scene import open_scene
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
