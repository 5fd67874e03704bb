"""WorldviewClient with a server that fails in every known way: results, errors, cache."""

import json
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime

import cv2
import numpy as np
import pytest

from nephoscope import __version__
from nephoscope.core.errors import DownloadError, InvalidRequestError, SceneError, WorldviewError
from nephoscope.core.geo import ATLANTIC, Bounds, Overpass, parse_bounds, worldview_name
from nephoscope.imagery.reading import open_scene
from nephoscope.imagery.sidecar import read_with_sidecar, sha256, sidecar
from nephoscope.imagery.worldview import ENVIRONMENT, GIBS, SATELLITES, SNAPSHOTS, WorldviewClient
from nephoscope.testing.worldview_server import FAULTS, WorldviewServer

SCENE = Overpass("Aqua", date(2020, 2, 1), ATLANTIC)
QUICK = {"degrees": 0.25, "pause": 0.001, "tries": 3}
SIZE = (56, 84)


def archive(server, **changes):
    return WorldviewClient.from_environment(server.address, **{**QUICK, **changes})


def decoded(content):
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)


def failure(asked, overpass=SCENE, **how):
    with pytest.raises(WorldviewError) as caught:
        asked.picture(overpass, **how)
    return caught.value


class TestAnswers:
    @pytest.mark.parametrize(("format", "begins"), [("jpeg", b"\xff\xd8"), ("png", b"\x89PNG")])
    def test_a_picture_comes_as_asked(self, format, begins):
        with WorldviewServer() as server:
            picture = archive(server, format=format).picture(SCENE)
        assert picture.content.startswith(begins)
        assert decoded(picture.content).shape == (*SIZE, 3)
        assert picture.overpass == SCENE
        assert picture.sha256 == sha256(picture.content)
        assert picture.url.startswith(server.address)
        assert "BBOX=10,-61,24,-40" in picture.url
        assert not picture.from_cache
        assert not picture.no_coverage

    def test_a_day_without_coverage_is_a_black_picture(self):
        with WorldviewServer(lambda *_: "no coverage") as server:
            picture = archive(server).picture(SCENE)
        assert picture.no_coverage
        assert not open_scene(picture.content).read().valid_mask.any()
        assert server.total == 1

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("fault", "cause", "asked"),
        [
            ("error picture", "error picture", 3),
            ("wrong size", "error picture", 3),
            ("html", "error page", 3),
            ("xml", "error page", 3),
            ("cut short", "cut short", 3),
            ("cut short without length", "cut short", 3),
            ("drip", "too slow", 3),
            ("reset", "unreachable", 3),
            ("404", "refused", 1),
            ("429", "busy", 3),
            ("500", "server error", 3),
            ("503", "busy", 3),
        ],
    )
    def test_causes_of_failures_and_retries(self, fault, cause, asked):
        with WorldviewServer(lambda *_: fault) as server:
            error = failure(archive(server, patience=0.2 if fault == "drip" else 60))
        assert error.cause == cause
        assert str(error).startswith("Aqua_CorrectedReflectance20200201_-61--40_10-24.jpeg: 127.0.0.1")
        assert server.count(SCENE) == asked

    def test_an_error_page_is_quoted(self):
        with WorldviewServer(lambda *_: "xml") as server:
            assert "msWMSLoadGetMapParams(): WMS server error." in str(failure(archive(server)))

    @pytest.mark.slow
    @pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault not in ("404", "no coverage")])
    def test_the_second_try_may_bring_it(self, fault):
        with WorldviewServer(lambda _, attempt: fault if attempt == 1 else None) as server:
            picture = archive(server, patience=0.2 if fault == "drip" else 60).picture(SCENE)
        assert decoded(picture.content).shape == (*SIZE, 3)
        assert server.count(SCENE) == 2

    @pytest.mark.parametrize("format", ["jpeg", "png"])
    def test_a_full_size_picture_of_one_colour_is_recognised(self, format):
        with WorldviewServer(lambda *_: "error picture") as server:
            asked = archive(server, degrees=0.01, tries=1, format=format)
            assert failure(asked).cause == "error picture"

    def test_an_unreachable_server(self):
        error = failure(WorldviewClient("http://127.0.0.1:9/", None, **QUICK))
        assert error.cause == "unreachable"
        assert "asked 3 times" in str(error)


class TestPauses:
    def pauses(self, fault, retry_after="0", **changes):
        slept = []
        with WorldviewServer(lambda *_: fault, retry_after=retry_after) as server:
            failure(archive(server, **changes), sleep=slept.append)
        return slept

    def test_pauses_grow(self):
        slept = self.pauses("500", pause=2.0, tries=4)
        assert len(slept) == 3
        for pause, expected in zip(slept, (2, 4, 8), strict=True):
            assert expected / 2 <= pause <= expected * 1.5

    def test_retry_after_in_seconds(self):
        assert self.pauses("429", "7") == [7, 7]

    def test_retry_after_as_a_date(self):
        then = datetime.now(UTC) + timedelta(seconds=100)
        for slept in self.pauses("503", format_datetime(then, usegmt=True)):
            assert 40 < slept <= 100

    def test_an_invalid_retry_after_is_ignored(self):
        assert max(self.pauses("503", "soon")) < 1

    def test_a_long_retry_after_ends_the_tries(self):
        assert self.pauses("429", "3600") == []

    def test_an_exception_of_sleep_ends_the_tries(self):
        def stop(_):
            raise InterruptedError

        with WorldviewServer(lambda *_: "500") as server, pytest.raises(InterruptedError):
            archive(server).picture(SCENE, sleep=stop)
        assert server.total == 1


class TestFallback:
    @pytest.mark.parametrize(("fault", "asked"), [("500", 3), ("404", 1), ("error picture", 3)])
    def test_the_fallback_is_used_when_the_first_keeps_failing(self, fault, asked):
        with WorldviewServer(lambda *_: fault) as first, WorldviewServer() as second:
            picture = archive(first, fallback=second.map_address).picture(SCENE)
        assert picture.url.startswith(second.map_address)
        assert (first.total, second.total) == (asked, 1)

    def test_a_message_has_both_reasons(self):
        with WorldviewServer(lambda *_: "404") as first, WorldviewServer(lambda *_: "html") as second:
            error = failure(archive(first, fallback=second.map_address))
        assert error.cause == "refused"
        assert "the server answered 404" in str(error)
        assert "Something went wrong." in str(error)


@pytest.mark.parametrize(
    ("overpass", "reason"),
    [
        (SCENE._replace(satellite="Landsat"), "unknown satellite 'Landsat'; available: Terra, Aqua, SNPP"),
        (SCENE._replace(day=date(2002, 7, 3)), "Aqua has no pictures before 2002-07-04"),
        (SCENE._replace(day=datetime.now(UTC).date() + timedelta(days=1)), "is in the future"),
    ],
)
def test_impossible_requests_are_not_sent(overpass, reason):
    with WorldviewServer() as server:
        error = failure(archive(server), overpass)
    assert error.cause == "no such scene"
    assert reason in str(error)
    assert server.total == 0


@pytest.mark.parametrize("satellite", SATELLITES)
def test_every_satellite_has_a_layer_from_its_first_day_on(satellite):
    with WorldviewServer() as server:
        archive(server).picture(Overpass(satellite, SATELLITES[satellite].first, ATLANTIC))
    assert server.total == 1


@pytest.mark.slow
@pytest.mark.parametrize("connections", [1, 2, 8])
def test_no_more_requests_at_once_than_allowed(connections):
    days = [SCENE._replace(day=SCENE.day + timedelta(number)) for number in range(8)]
    with WorldviewServer(delay=0.05) as server, ThreadPoolExecutor(8) as pool:
        list(pool.map(archive(server, connections=connections).picture, days))
    assert server.total == 8
    assert server.most_at_once <= connections


def test_requests_do_run_at_once():
    meeting = threading.Barrier(3, timeout=20)  # each request waits until there are three

    def meet(*_):
        meeting.wait()

    days = [SCENE._replace(day=SCENE.day + timedelta(number)) for number in range(3)]
    with WorldviewServer(meet) as server, ThreadPoolExecutor(3) as pool:
        list(pool.map(archive(server, connections=3).picture, days))
    assert server.most_at_once == 3


class TestCache:
    @pytest.fixture
    def server(self):
        with WorldviewServer() as server:
            yield server

    @pytest.fixture
    def kept(self, server, tmp_path):
        """An archive whose cache holds the scene."""
        asked = archive(server, cache=tmp_path / "cache")
        asked.picture(SCENE)
        return asked

    def path(self, asked):
        (path,) = asked.cache.rglob("*.jpeg")
        return path

    def test_a_cached_scene_is_not_requested_again(self, server, kept):
        first = kept.picture(SCENE)
        assert first.from_cache
        assert first == archive(server).picture(SCENE)._replace(from_cache=True)
        assert server.total == 2

    def test_the_cache_is_independent_of_the_server(self, kept):
        with WorldviewServer() as other:
            assert archive(other, cache=kept.cache).picture(SCENE).from_cache
        assert other.total == 0

    @pytest.mark.parametrize(
        ("changed", "how"),
        [
            ({"satellite": "Terra"}, {}),
            ({"day": date(2020, 2, 2)}, {}),
            ({"bounds": Bounds(-61, 10, -40, 23)}, {}),
            ({}, {"degrees": 0.5}),
            ({}, {"format": "png"}),
        ],
    )
    def test_another_request_is_another_picture(self, server, kept, changed, how):
        asked = archive(server, cache=kept.cache, **how)
        assert not asked.picture(SCENE._replace(**changed)).from_cache

    def test_content_of_a_sidecar(self, server, kept):
        content, about = read_with_sidecar(self.path(kept))
        fetched = datetime.fromisoformat(about.pop("fetched"))
        assert timedelta() <= datetime.now(UTC) - fetched < timedelta(minutes=5)
        (url,) = about.pop("urls")
        assert url.startswith(server.address)
        assert about == {
            "satellite": "Aqua",
            "layer": "MODIS_Aqua_CorrectedReflectance_TrueColor",
            "date": "2020-02-01",
            "bounds": [-61.0, 10.0, -40.0, 24.0],
            "width": 84,
            "height": 56,
            "format": "jpeg",
            "bytes": len(content),
            "sha256": sha256(content),
            "no_coverage": False,
            "source": "NASA Worldview, part of NASA EOSDIS",
            "nephoscope": __version__,
        }

    @pytest.mark.parametrize("harm", ["cut", "no sidecar", "no picture", "no JSON", "a list"])
    def test_a_damaged_entry_is_fetched_again(self, server, kept, harm):
        path = self.path(kept)
        match harm:
            case "cut":
                path.write_bytes(path.read_bytes()[:-100])
            case "no sidecar":
                sidecar(path).unlink()
            case "no picture":
                path.unlink()
            case "no JSON":
                sidecar(path).write_text("{")
            case "a list":
                sidecar(path).write_text("[]")
        assert not kept.picture(SCENE).from_cache
        assert kept.picture(SCENE).from_cache
        assert server.total == 2

    def test_killed_between_picture_and_sidecar(self, server, tmp_path, monkeypatch):
        from nephoscope.core import io

        def killed(path, content):
            if path.suffix == ".json":
                raise KeyboardInterrupt
            io.atomic_write(path, content)

        asked = archive(server, cache=tmp_path)
        with monkeypatch.context() as patch:
            patch.setattr("nephoscope.imagery.sidecar.atomic_write", killed)
            with pytest.raises(KeyboardInterrupt):
                asked.picture(SCENE)
        assert [path.suffix for path in tmp_path.rglob("*.*")] == [".jpeg"]
        assert not asked.picture(SCENE).from_cache
        assert asked.picture(SCENE).from_cache

    def test_a_cache_that_cannot_be_written(self, server, tmp_path):
        (tmp_path / "cache").write_text("a file")
        error = failure(archive(server, cache=tmp_path / "cache"))
        assert error.cause == "cache"
        assert f"{tmp_path}/cache: " in str(error)


class TestAntimeridian:
    BOX = Bounds(174, -10, -170, 4)

    @pytest.mark.parametrize("format", ["jpeg", "png"])
    def test_two_halves_side_by_side(self, format, tmp_path):
        with WorldviewServer() as server:
            asked = archive(server, format=format, cache=tmp_path)
            across = SCENE._replace(bounds=self.BOX)
            whole = asked.picture(across)
            west = asked.picture(SCENE._replace(bounds=Bounds(174, -10, 180, 4)))
            east = asked.picture(SCENE._replace(bounds=Bounds(-180, -10, -170, 4)))
            again = asked.picture(across)
        assert whole.content.startswith(b"\x89PNG")
        halves = [decoded(half.content) for half in (west, east)]
        assert [half.shape for half in halves] == [(56, 24, 3), (56, 40, 3)]
        assert np.array_equal(decoded(whole.content), np.hstack(halves))
        assert whole.url.split() == [west.url, east.url]
        assert again == whole._replace(from_cache=True)
        (path,) = [path for path in tmp_path.rglob("*.png") if len(read_with_sidecar(path)[1]["urls"]) == 2]
        assert asked.ending(across) == path.suffix
        assert open_scene(whole.content, name=worldview_name(across, ".png")).bounds == self.BOX

    @pytest.mark.parametrize("east", ["180", "-180"])
    def test_a_box_that_ends_there_is_one_piece(self, east):
        with WorldviewServer() as server:
            ending_there = SCENE._replace(bounds=parse_bounds(f"159,8,{east},22"))
            picture = archive(server).picture(ending_there)
        assert server.total == 1
        assert decoded(picture.content).shape == (*SIZE, 3)

    def test_an_error_of_one_half(self):
        with WorldviewServer(lambda overpass, _: "404" if overpass.bounds.west < 0 else None) as server:
            error = failure(archive(server), SCENE._replace(bounds=self.BOX))
        assert error.cause == "refused"
        assert "174--170" in str(error)


class TestArchive:
    def test_the_default_is_nasas_server(self, monkeypatch):
        monkeypatch.delenv(ENVIRONMENT, raising=False)
        assert WorldviewClient.from_environment() == WorldviewClient(SNAPSHOTS, GIBS)

    def test_the_environment_names_a_mirror(self, monkeypatch):
        monkeypatch.setenv(ENVIRONMENT, "http://mirror/")
        assert WorldviewClient.from_environment(degrees=0.1) == WorldviewClient(
            "http://mirror/", None, degrees=0.1
        )
        assert WorldviewClient.from_environment("http://other/").address == "http://other/"
        assert WorldviewClient.from_environment(fallback=GIBS) == WorldviewClient("http://mirror/", GIBS)

    def test_it_and_its_errors_go_to_other_processes(self):
        asked = WorldviewClient()
        assert pickle.loads(pickle.dumps(asked)) == asked
        error = pickle.loads(pickle.dumps(WorldviewError("a.jpeg", "busy", "too many")))
        assert (str(error), error.cause) == ("a.jpeg: too many", "busy")
        assert isinstance(error, DownloadError)
        assert not isinstance(error, SceneError)

    @pytest.mark.parametrize(
        "values",
        [
            {"address": "ftp://somewhere/"},
            {"fallback": "somewhere"},
            {"format": "tiff"},
            {"tries": 0},
            {"connections": 0},
            {"degrees": 0},
            {"pause": -1},
        ],
    )
    def test_values_that_make_no_sense(self, values):
        with pytest.raises(InvalidRequestError, match=r"address|format|at least 1|degrees|pause"):
            WorldviewClient(**values)


def test_a_sidecar_is_json_for_others_too(tmp_path):
    with WorldviewServer() as server:
        archive(server, cache=tmp_path).picture(SCENE)
    (path,) = tmp_path.rglob("*.json")
    assert json.loads(path.read_text())["layer"] == SATELLITES["Aqua"].layer
