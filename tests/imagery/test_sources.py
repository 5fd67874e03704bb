"""Command-line arguments become sources of pictures, each once and with a unique name."""

import io
import json
import os
import sys
import threading
import time
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from conftest import encoded
from nephoscope.core.errors import DownloadError, NephoscopeError, SceneError
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.imagery.http import download
from nephoscope.imagery.sources import find_sources
from nephoscope.inference.model import Model
from nephoscope.outputs import FORMATS
from nephoscope.outputs.batch import Done, Job, run
from nephoscope.testing.worldview_server import WorldviewServer


def names(*words):
    return [source.name for source in find_sources([str(word) for word in words])]


def failure(*words):
    (source,) = find_sources([str(word) for word in words])
    with pytest.raises(NephoscopeError) as caught:
        source.open().read()
    return str(caught.value)


@pytest.fixture
def folder(tmp_path, picture):
    """Pictures of several kinds, something else, and a folder within."""
    for name in ("b.jpg", "a.PNG", "c.tif", "d.webp"):
        (tmp_path / name).write_bytes(encoded(picture, name[1:].lower()))
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "within").mkdir()
    (tmp_path / "within" / "b.jpg").write_bytes(encoded(picture, ".jpg"))
    return tmp_path


class TestPlaces:
    def test_a_folder_gives_its_pictures_in_order(self, folder):
        assert names(folder) == ["a.PNG", "b.jpg", "c.tif", "d.webp"]

    def test_a_glob_reaches_into_folders(self, folder):
        assert names(folder / "**" / "*.jpg") == ["b.jpg", "b-2.jpg"]

    def test_outputs_are_not_segmented_again(self, folder, picture):
        for chosen in FORMATS.values():
            for ending in chosen.file_endings(DEFAULT_NAMES):
                (folder / f"b{ending}").write_bytes(encoded(picture, ".png"))
        assert names(folder) == ["a.PNG", "b.jpg", "c.tif", "d.webp"]
        assert names(folder / "b*.[jp]*g") == ["b.jpg"]
        assert names(folder / "b_overlay.jpg") == ["b_overlay.jpg"]

    def test_masks_of_other_patterns_are_not_segmented_again(self, folder, picture):
        grey = encoded(picture[:, :, 0], ".png")
        for name in ("b_closed_cell.png", "a_open.png", "b_open.png"):
            (folder / name).write_bytes(grey)
        (folder / "alone.json").write_text("{}")
        (folder / "alone_open.png").write_bytes(grey)
        assert names(folder) == ["a.PNG", "b.jpg", "c.tif", "d.webp"]

    def test_grey_and_numbered_pictures_are_no_masks(self, folder, picture):
        (folder / "b_2.png").write_bytes(encoded(picture, ".png"))
        (folder / "other_b.png").write_bytes(encoded(picture[:, :, 0], ".png"))
        assert names(folder) == ["a.PNG", "b.jpg", "b_2.png", "c.tif", "d.webp", "other_b.png"]

    def test_hidden_files_are_no_pictures_of_a_folder(self, folder):
        for name in ("._b.jpg", ".b.jpg.0123abcd.part.jpg"):
            (folder / name).write_bytes(b"macOS keeps attributes here")
        assert names(folder) == ["a.PNG", "b.jpg", "c.tif", "d.webp"]
        assert names(folder / "*b.jpg") == ["b.jpg"]
        assert names(folder / "._b.jpg") == ["._b.jpg"]  # named, so meant

    def test_a_picture_is_taken_once(self, folder, monkeypatch):
        monkeypatch.chdir(folder)
        assert names("b.jpg", folder, "*.jpg") == ["b.jpg", "a.PNG", "c.tif", "d.webp"]

    def test_equal_names_are_told_apart_by_what_their_outputs_are_called(self, folder, picture):
        (folder / "B.png").write_bytes(encoded(picture, ".png"))
        assert names(folder / "b.jpg", folder / "B.png", folder / "within" / "b.jpg") == [
            "b.jpg",
            "B-2.png",
            "b-3.jpg",
        ]

    def test_a_name_with_glob_letters_is_a_file_first(self, folder):
        (folder / "b.jpg").rename(folder / "b[1].jpg")
        assert names(folder / "b[1].jpg") == ["b[1].jpg"]

    def test_each_is_read(self, folder, picture):
        for source in find_sources([str(folder)]):
            scene = source.open()
            assert scene.name == source.name
            assert scene.size == picture.shape[:2]

    @pytest.mark.slow
    def test_the_sample(self):
        (source,) = find_sources(["sample"])
        assert "synthetic" in source.name
        assert source.open().size == (1400, 2100)

    def test_standard_input(self, monkeypatch, picture):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(encoded(picture, ".png"))))
        (source,) = find_sources(["-"])
        assert np.array_equal(source.open().read().pixels, picture)

    def test_a_pipe_is_read_to_its_end(self, tmp_path, picture):
        os.mkfifo(tmp_path / "pipe.png")
        content = encoded(picture, ".png")
        threading.Thread(target=(tmp_path / "pipe.png").write_bytes, args=[content]).start()
        (source,) = find_sources([str(tmp_path / "pipe.png")])
        assert np.array_equal(source.open().read().pixels, picture)

    def test_an_endless_file_is_refused(self, monkeypatch):
        monkeypatch.setattr("nephoscope.imagery.picture.MAX_BYTES", 100_000)
        assert failure("/dev/zero") == "zero: more than 100,000 bytes"

    def test_empty_standard_input(self, monkeypatch):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO()))
        assert failure("-") == "stdin: no content"

    def test_names_are_printable(self, tmp_path, picture):
        content = encoded(picture, ".png")
        for name in (b"new\nline.png", b"not\xffutf8.png"):
            (tmp_path / os.fsdecode(name)).write_bytes(content)
        sources = find_sources([str(tmp_path)])
        assert sorted(source.name for source in sources) == ["new_line.png", "not\ufffdutf8.png"]
        assert all(source.open().size == picture.shape[:2] for source in sources)

    def test_a_pipe_among_pictures_is_not_waited_for(self, folder):
        os.mkfifo(folder / "pipe.jpg")
        assert "pipe.jpg" not in names(folder)


class TestFailures:
    def test_paths_that_the_operating_system_refuses(self):
        assert "File name too long" in failure("x" * 300 + ".jpg")
        assert failure("a\0b.jpg").startswith("a\0b.jpg: ")

    def test_missing(self, tmp_path):
        assert failure(tmp_path / "no.jpg") == f"{tmp_path}/no.jpg: no such file"
        assert failure(tmp_path / "*.jpg") == f"{tmp_path}/*.jpg: no file matches"

    def test_a_folder_without_pictures(self, tmp_path):
        assert "no picture in this folder" in failure(tmp_path)

    def test_a_folder_that_cannot_be_read(self, tmp_path):
        locked = tmp_path / "locked"
        locked.mkdir(mode=0o000)
        user = os.geteuid()
        if user == 0:
            for folder in (tmp_path, *tmp_path.parents):
                if not folder.stat().st_mode & 0o001:
                    folder.chmod(0o755)
            os.seteuid(65534)  # the superuser may read anything; nobody may not
        try:
            assert failure(locked) == f"{locked}: the folder cannot be read: Permission denied"
        finally:
            os.seteuid(user)

    def test_too_many_pixels(self, folder):
        (source,) = find_sources([str(folder / "b.jpg")], max_pixels=1000)
        with pytest.raises(SceneError, match="over the limit of 1,000 pixels"):
            source.open().read()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server on this machine that can misbehave."""
    secret = tmp_path_factory.mktemp("secret") / "secret.txt"
    secret.write_text("not for the web")
    content = encoded(np.full((64, 96, 3), 120, np.uint8), ".png")
    released = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            match self.path.partition("?")[0]:
                case "/scene%20one.png":
                    self.answer(200, content)
                case "/moved":
                    self.answer(302, b"", Location="/scene%20one.png")
                case "/to-file":
                    self.answer(302, b"", Location=secret.as_uri())
                case "/to-ftp":
                    self.answer(302, b"", Location="ftp://localhost/x.png")
                case "/round":
                    self.answer(302, b"", Location="/round")
                case "/html":
                    self.answer(200, b"<html>an error, with status 200</html>")
                case "/short":
                    self.answer(200, content[:50], **{"Content-Length": str(len(content))})
                case "/busy":
                    self.answer(503, b"", **{"Retry-After": "12"})
                case "/empty":
                    self.answer(200, b"")
                case "/endless":
                    self.send_response(200)
                    self.end_headers()
                    try:
                        while not released.wait(0.01):
                            self.wfile.write(b"x" * 10_000)
                    except OSError:
                        return
                case "/drip":
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Drip: ")
                    try:
                        while not released.wait(0.05):
                            self.wfile.write(b"x")
                            self.wfile.flush()
                    except OSError:
                        return
                case "/silent":
                    released.wait(10)
                case "/dropped":
                    self.connection.close()
                case _:
                    self.answer(404, b"")

        def answer(self, status, body, **headers):
            self.send_response(status)
            headers.setdefault("Content-Length", str(len(body)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.daemon_threads = True
    threading.Thread(target=running.serve_forever, args=[0.05], daemon=True).start()
    yield f"http://127.0.0.1:{running.server_address[1]}"
    released.set()
    running.shutdown()


class TestAddresses:
    @pytest.mark.parametrize("path", ["/scene%20one.png", "/moved"])
    def test_a_picture_is_fetched(self, server, path):
        (source,) = find_sources([server + path])
        assert source.open().size == (64, 96)

    def test_it_is_named_after_its_path(self, server):
        assert names(server + "/scene%20one.png?x=1", server) == ["scene one.png", "picture"]

    @pytest.mark.parametrize(
        ("path", "reason"),
        [
            ("/missing.jpg", "the server answered 404"),
            ("/to-file", "is not allowed"),
            ("/to-ftp", "ftp"),
            ("/round", "infinite loop"),
            ("/html", "not a JPEG, PNG, TIFF or WebP picture"),
            ("/short", "cut short"),
            ("/empty", "no content"),
            ("/dropped", "/dropped: "),
        ],
    )
    def test_download_errors(self, server, path, reason):
        message = failure(server + path)
        assert reason in message
        assert "not for the web" not in message

    @pytest.mark.parametrize("address", ["http://", "http://[::1", "http://127.0.0.1:99999/x", "http://a b/"])
    def test_an_invalid_address(self, address):
        assert failure(address).startswith(f"{address}: ")

    @pytest.mark.parametrize(
        ("path", "cause", "status"),
        [
            ("/missing.jpg", "refused", 404),
            ("/short", "cut short", None),
            ("/dropped", "unreachable", None),
            ("/busy", "busy", 503),
        ],
    )
    def test_an_error_carries_what_a_second_try_needs(self, server, path, cause, status):
        with pytest.raises(DownloadError) as caught:
            download(server + path)
        assert (caught.value.cause, caught.value.status) == (cause, status)
        assert caught.value.retry_after == (12 if path == "/busy" else None)
        assert str(caught.value) == f"{server}{path}: {caught.value.reason}"

    def test_an_unreachable_server(self):
        assert "refused" in failure("http://127.0.0.1:9/x.png")

    @pytest.mark.slow
    def test_an_endless_response_is_cut_off(self, server):
        with pytest.raises(DownloadError, match="more than 200,000 bytes"):
            download(server + "/endless", largest=200_000)
        for path in ("/endless", "/drip"):
            with pytest.raises(DownloadError, match=r"not done after 0.3 s"):
                download(server + path, longest=0.3)

    @pytest.mark.slow
    def test_a_silent_server_times_out(self, server):
        began = time.monotonic()
        with pytest.raises(DownloadError, match="timed out|not done"):
            download(server + "/silent", longest=0.3)
        assert time.monotonic() - began < 5


class TestWorldview:
    WORD = "worldview:Aqua/2020-02-01/-61,10,-58,12"

    def test_an_overpass_becomes_a_scene_with_bounds(self, monkeypatch):
        with WorldviewServer() as archive:
            monkeypatch.setenv("NEPHOSCOPE_WORLDVIEW", archive.address)
            (source,) = find_sources([self.WORD])
            assert archive.total == 0
            scene = source.open()
        assert source.name == scene.name == "Aqua_CorrectedReflectance20200201_-61--58_10-12.jpeg"
        assert scene.size == (200, 300)
        assert (scene.satellite, scene.day) == ("Aqua", date(2020, 2, 1))
        assert scene.bounds == (-61, 10, -58, 12)

    def test_it_is_segmented_like_any_other(self, monkeypatch, tmp_path, tiny_model):
        with WorldviewServer() as archive:
            monkeypatch.setenv("NEPHOSCOPE_WORLDVIEW", archive.address)
            sources = find_sources([self.WORD])
            job = Job(Model.load(tiny_model()), tmp_path / "out", ("json",))
            (done,) = run(sources, job)
        answer = json.loads((tmp_path / "out" / f"{Path(sources[0].name).stem}.json").read_text())
        assert isinstance(done, Done)
        assert answer["scene"] == sources[0].name

    def test_a_region_by_name_and_a_box_across_the_antimeridian(self):
        assert names("worldview:Terra/2020-02-01/barbados", "worldview:Terra/2020-02-01/170,-5,-170,5") == [
            "Terra_CorrectedReflectance20200201_-62--41_6-20.jpeg",
            "Terra_CorrectedReflectance20200201_170--170_-5-5.png",
        ]

    @pytest.mark.parametrize(
        ("word", "reason"),
        [
            ("worldview:", "give SATELLITE/DAY/REGION"),
            ("worldview:Aqua/2020-02-01", "give SATELLITE/DAY/REGION"),
            ("worldview:Aqua/yesterday/barbados", "'yesterday' is not a day"),
            ("worldview:Aqua/2020-02-01/atlantis", "unknown region 'atlantis'"),
            ("worldview:Sputnik/2020-02-01/barbados", "unknown satellite 'Sputnik'"),
            ("worldview:Aqua/1999-02-01/barbados", "Aqua has no pictures before 2002-07-04"),
        ],
    )
    def test_a_bad_word_fails_with_a_hint(self, word, reason):
        assert reason in failure(word)

    def test_an_invalid_address_of_the_archive(self, monkeypatch):
        monkeypatch.setenv("NEPHOSCOPE_WORLDVIEW", "nowhere")
        assert "nowhere: not a server's address" in failure(self.WORD)
