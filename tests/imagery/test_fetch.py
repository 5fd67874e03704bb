"""Scenes fetched from an archive into a folder, by the command."""

import signal
import subprocess
import sys
import time
from datetime import date, timedelta

import pytest
from typer.testing import CliRunner

from nephoscope.cli import app
from nephoscope.imagery.reading import open_scene
from nephoscope.imagery.sidecar import read_with_sidecar
from nephoscope.testing.worldview_server import WorldviewServer

FIRST = date(2020, 1, 20)
TERRA, AQUA = (
    f"{satellite}_CorrectedReflectance20200120_-62--41_6-20.jpeg" for satellite in ("Terra", "Aqua")
)


def nephoscope(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def fetch(server, folder, *words, days=1):
    """Small scenes upwind of Barbados, as `nephoscope fetch scenes` gets them."""
    last = FIRST + timedelta(days - 1)
    where = ("--archive", server.address, "-o", folder, "--from", FIRST, "--to", last)
    return nephoscope("fetch", "scenes", "barbados", *where, "--degrees", 0.25, *words)


@pytest.fixture
def server():
    with WorldviewServer() as server:
        yield server


class TestScenes:
    def test_satellites_and_days_into_a_folder(self, server, tmp_path):
        done = fetch(server, tmp_path, days=3)
        assert done.exit_code == 0
        names = [
            f"{satellite}_CorrectedReflectance202001{day}_-62--41_6-20.jpeg"
            for day in (20, 21, 22)
            for satellite in ("Terra", "Aqua")
        ]
        assert done.stdout.splitlines() == [f"{name}  fetched" for name in names]
        assert f"6 fetched: {tmp_path}" in done.stderr
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
            [*names, *(f"{name}.json" for name in names)]
        )
        for name in names:
            content, about = read_with_sidecar(tmp_path / name)
            assert (about["satellite"], about["bytes"]) == (name.split("_")[0], len(content))
            assert open_scene(tmp_path / name).size == (56, 84)

    def test_negative_bounds_are_not_options(self, server, tmp_path):
        words = ("--satellites", "SNPP", "--from", FIRST, "--degrees", 0.1, "--format", "png", "-o", tmp_path)
        done = nephoscope(
            "fetch", "scenes", "-61,10,-55,14", "170,-4,-176,4", *words, "--archive", server.address
        )
        assert done.stdout.splitlines() == [
            "SNPP_CorrectedReflectance20200120_-61--55_10-14.png  fetched",
            "SNPP_CorrectedReflectance20200120_170--176_-4-4.png  fetched",
        ]

    def test_existing_scenes_are_kept(self, server, tmp_path):
        fetch(server, tmp_path)
        done = fetch(server, tmp_path, days=2)
        assert [line.split("  ")[1] for line in done.stdout.splitlines()] == ["kept"] * 2 + ["fetched"] * 2
        assert server.total == 4

    def test_a_damaged_one_is_fetched_again(self, server, tmp_path):
        fetch(server, tmp_path)
        whole = (tmp_path / AQUA).read_bytes()
        (tmp_path / AQUA).write_bytes(whole[:500])
        assert f"{AQUA}  fetched" in fetch(server, tmp_path).stdout
        assert (tmp_path / AQUA).read_bytes() == whole

    def test_one_without_a_sidecar_is_completed(self, server, tmp_path):
        fetch(server, tmp_path)
        (tmp_path / f"{AQUA}.json").unlink()
        assert f"{AQUA}  fetched" in fetch(server, tmp_path).stdout
        assert read_with_sidecar(tmp_path / AQUA)

    def test_another_request_under_the_same_name_is_left_alone(self, server, tmp_path):
        fetch(server, tmp_path)
        before = (tmp_path / AQUA).read_bytes()
        done = fetch(server, tmp_path, "--degrees", 0.2)
        assert done.exit_code == 1
        assert (
            f"{tmp_path / AQUA}: exists and is from another request; replace it by --overwrite" in done.stderr
        )
        assert (tmp_path / AQUA).read_bytes() == before
        assert fetch(server, tmp_path, "--degrees", 0.2, "--overwrite").exit_code == 0
        assert open_scene(tmp_path / AQUA).size == (70, 105)

    @pytest.mark.parametrize("sidecar", [None, "[1]", '{"patterns": {}}'])
    def test_a_foreign_file_is_left_alone(self, server, tmp_path, sidecar):
        (tmp_path / AQUA).write_text("mine")
        if sidecar:
            (tmp_path / f"{AQUA}.json").write_text(sidecar)
        done = fetch(server, tmp_path)
        assert done.exit_code == 1
        assert f"{TERRA}  fetched" in done.stdout
        assert "1 fetched, 1 failed" in done.stderr
        assert (tmp_path / AQUA).read_text() == "mine"
        assert sidecar is None or (tmp_path / f"{AQUA}.json").read_text() == sidecar

    def test_a_failure_does_not_stop_the_others(self, tmp_path):
        with WorldviewServer(lambda overpass, _: "404" if overpass.day.day == 21 else None) as server:
            done = fetch(server, tmp_path, days=3)
        assert done.exit_code == 1
        assert len(done.stdout.splitlines()) == 4
        assert done.stderr.count("the server answered 404: Not Found") == 2
        assert len(list(tmp_path.glob("*.jpeg"))) == 4

    def test_no_coverage_is_printed(self, tmp_path):
        with WorldviewServer(
            lambda overpass, _: "no coverage" if overpass.satellite == "Aqua" else None
        ) as server:
            for state in ("fetched", "kept"):
                done = fetch(server, tmp_path)
                assert done.exit_code == 0
                assert done.stdout.splitlines() == [f"{TERRA}  {state}", f"{AQUA}  {state}  no coverage"]

    def test_connections_are_limited(self, tmp_path):
        with WorldviewServer(delay=0.02) as server:
            fetch(server, tmp_path, "--connections", 2, days=4)
        assert server.total == 8
        assert server.most_at_once <= 2

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("words", "reason"),
        [
            (["atlantis"], "unknown region 'atlantis'"),
            (["--satellites", "Terra,Sputnik"], "unknown satellite 'Sputnik'"),
            (["--to", "2020-01-01"], "--to 2020-01-01 is before --from 2020-01-20"),
            (["--from", "1999-01-01"], "Terra has no pictures before 2000-02-24"),
            (["--to", "2999-12-31"], "is in the future"),
            (["--from", "monday"], "'monday' is not a day"),
            (["--degrees", "0"], "degrees must be above 0 and at most 1"),
            (["--archive", "nowhere"], "nowhere: not a server's address"),
        ],
    )
    def test_wrong_usage(self, server, tmp_path, words, reason):
        done = fetch(server, tmp_path, *words)
        assert done.exit_code == 2
        assert reason in done.stderr
        assert server.total == 0
        assert not list(tmp_path.iterdir())

    @pytest.mark.slow
    def test_an_interrupt_leaves_only_whole_files(self, tmp_path):
        with WorldviewServer(delay=0.05) as server:
            command = [sys.executable, "-m", "nephoscope", "fetch", "scenes", "barbados", "-o", str(tmp_path)]
            command += ["--from", "2020-01-01", "--to", "2020-12-31", "--degrees", "0.1"]
            with subprocess.Popen(
                [*command, "--archive", server.address],
                stderr=subprocess.PIPE,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            ) as process:
                deadline = time.monotonic() + 60
                while len(list(tmp_path.glob("*.jpeg"))) < 5 and time.monotonic() < deadline:
                    time.sleep(0.02)
                process.send_signal(signal.SIGINT)
                errors = process.communicate(timeout=60)[1]
        assert process.returncode == 130
        assert b"the files written so far are complete" in errors
        pictures = list(tmp_path.glob("*.jpeg"))
        assert 5 <= len(pictures) < 2 * 366
        assert len(list(tmp_path.iterdir())) == 2 * len(pictures)
        assert all(read_with_sidecar(picture) for picture in pictures)
