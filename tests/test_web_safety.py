"""Whoever means harm to a server gets a clear refusal, and nothing else."""

import gc
import io
import logging
import os
import re
import socket
import struct
import subprocess
import sys
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit

import numpy as np
import pytest
from PIL import Image

from asking import (
    FORM,
    PATIENCE,
    SEGMENT,
    Answer,
    ask,
    counts,
    elsewhere,
    form,
    parsed,
    post,
    post_form,
    raw,
    received,
    request,
    wait_for,
)
from conftest import encoded, serving
from nephoscope.synthetic_archive import SyntheticArchive
from nephoscope.web import guard
from nephoscope.web.problems import KINDS
from nephoscope.web.settings import LOOPBACK, Limits, Settings
from nephoscope.worldview import Archive

GUARDED = {
    "content-security-policy",
    "x-content-type-options",
    "x-frame-options",
    "referrer-policy",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "permissions-policy",
    "cache-control",
}


@pytest.fixture
def start(tiny_model):
    """Serves with settings of a test's own."""

    def starting(limits=None, **settings):
        return serving(Settings(models=(str(tiny_model()),), limits=limits or Limits(), **settings))

    return starting


@pytest.fixture
def content(jpeg):
    return jpeg.read_bytes()


def refused(answer: Answer, kind: str) -> str:
    """See that an answer is a problem of a kind, guarded as all answers are; gives what it says."""
    assert (answer.status, answer.kind) == (KINDS[kind].status, kind)
    assert {name.lower() for name in answer.headers} >= GUARDED
    return answer.json["detail"]


class TestVisitors:
    @pytest.mark.parametrize(
        "host",
        ["evil.example", "evil.example:8000", "localhost.evil.example", "localhost@evil.example", "[::1", ""],
    )
    def test_unknown_names_are_refused(self, server, host):
        for method, target in (
            ("GET", "/"),
            ("GET", "/healthz"),
            ("GET", "/api/v1/server"),
            ("POST", SEGMENT),
        ):
            refused(raw(server, request(method, target, host=f"{host} ")), "host")

    @pytest.mark.parametrize("host", [*LOOPBACK[:2], "LocalHost:99", "[::1]:8000"])
    def test_own_names_are_known(self, server, host):
        assert raw(server, request("GET", "/healthz", host=host)).status == 200

    def test_a_request_without_a_name_is_refused(self, server):
        assert raw(server, request("GET", "/", host=None)).kind == "request"
        refused(raw(server, b"GET / HTTP/1.0\r\n\r\n"), "host")

    def test_more_names_may_be_told(self, start):
        with start(hosts=("clouds.example",)) as address:
            assert ask(address, "/healthz", Host="clouds.example").status == 200
            refused(ask(address, "/healthz"), "host")
        with start(hosts=()) as address:
            assert ask(address, "/healthz", Host="any.example").status == 200
            assert (
                raw(address, b"POST / HTTP/1.0\r\nOrigin: http://x\r\nContent-Length: 0\r\n\r\n").kind
                == "origin"
            )

    @pytest.mark.parametrize(
        "authorization",
        [
            None,
            "",
            "Bearer",
            "Bearer ",
            "Bearer wrong",
            "Basic s3cret",
            "s3cret",
            "Bearer s3cret2",
            "Bearer \xe9",
        ],
    )
    def test_without_the_token_little_is_open(self, start, content, authorization):
        headers = {} if authorization is None else {"Authorization": authorization}
        with start(token="s3cret") as address:
            for target in (
                "/api/v1/models",
                "/api/models",
                "/api/v1/worldview",
                "/metrics",
                "/api/v1/nothing",
            ):
                refused(ask(address, target, **headers), "token")
            answer = post(address, content, **headers)
            refused(answer, "token")
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            for target in (
                "/",
                "/healthz",
                "/readyz",
                "/openapi.json",
                "/api/v1/server",
                "/api/v1/problems/token",
            ):
                assert ask(address, target, **headers).status == 200
            assert ask(address, "/api/v1/server").json["token_needed"] is True

    def test_no_address_leads_around_the_token(self, start):
        with start(token="s3cret", hosts=()) as address:
            for target in (
                "/api/v1/problems/../models",
                "//api/v1/models",
                "/api/v1/server/../models",
                "/API/v1/models",
            ):
                assert raw(address, request("GET", target)).status in (401, 404)
            for host in ("x/y?", "x/api/v1/server#", "x:80/api/v1/server?"):
                refused(raw(address, request("GET", "/api/v1/models", host=host)), "token")

    def test_with_the_token_everything_is_open(self, start, content):
        with start(token="s3cret") as address:
            assert post(address, content, Authorization="Bearer s3cret").status == 200
            assert ask(address, "/metrics", Authorization="bearer s3cret").status == 200

    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": "http://evil.example"},
            {"Origin": "null"},
            {"Origin": ""},
            {"Origin": "http://["},
            {"Origin": "http://localhost"},  # another port is another site
            {"Origin": "file://"},
            {"Sec_Fetch_Site": "cross-site"},
            {"Sec_Fetch_Site": "same-site"},
        ],
    )
    def test_other_sites_pages_may_not_send(self, server, content, headers):
        refused(post(server, content, **headers), "origin")

    def test_its_own_page_may(self, server, content):
        answer = post(server, content, Origin=server, Sec_Fetch_Site="same-origin")
        assert answer.status == 200

    def test_what_proxies_say_is_not_believed(self, server):
        headers = {
            "X_Forwarded_Host": "localhost",
            "X_Forwarded_For": "127.0.0.1",
            "Forwarded": "host=localhost",
        }
        refused(ask(server, "/", Host="evil.example", **headers), "host")


class TestRequests:
    def test_chunked_bodies_are_not_taken(self, server, content):
        chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(content), content)
        sent = request("POST", SEGMENT, "Transfer-Encoding: chunked", "Content-Type: image/jpeg", body=chunks)
        refused(raw(server, sent), "length")

    def test_a_length_does_not_hide_chunks(self, server, content):
        chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(content), content)
        both = ("Transfer-Encoding: chunked", "Content-Length: 10", "Content-Type: image/jpeg")
        refused(raw(server, request("POST", SEGMENT, *both, body=chunks)), "length")

    def test_a_length_must_be_said(self, server):
        refused(raw(server, request("POST", SEGMENT, "Content-Type: image/jpeg")), "length")

    def test_a_long_request_is_refused_to_who_sends_it_whole(self, start):
        with start(Limits(request_bytes=1000)) as address:
            refused(post(address, bytes(20_000_000)), "too-large")
            refused(post_form(address, ("a.jpg", bytes(20_000_000))), "too-large")

    def test_a_long_request_is_refused_to_who_asks_first(self, start, content):
        headers = ("Content-Type: image/jpeg", "Content-Length: 99999", "Expect: 100-continue")
        with start(Limits(request_bytes=1000)) as address:
            answer = raw(address, request("POST", SEGMENT, *headers))  # not a byte of the body is sent
        refused(answer, "too-large")

    def test_who_asks_first_may_then_send(self, server, content):
        length = f"Content-Length: {len(content)}"
        headers = ("Content-Type: image/jpeg", length, "Expect: 100-continue")
        answer = raw(server, request("POST", SEGMENT, *headers), content)
        assert answer.status == 100
        assert answer.body.startswith(b"HTTP/1.1 200 OK")

    def test_who_goes_on_sending_is_cut_off(self, server, monkeypatch):
        monkeypatch.setattr(guard, "_DRAINED", 0.05)
        start = "POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\nx"
        answer = raw(server, start.encode())  # returns when the server closes
        refused(answer, "not-found")
        assert answer.headers["Connection"] == "close"

    @pytest.mark.parametrize(
        "lines",
        [
            ["Host: evil.example"],
            ["Content-Length: 3", "Content-Length: 4"],
            ["Content-Length: -1"],
            ["Content-Length: 1e3"],
            ["Content-Length: " + "9" * 5000],
            ["Transfer-Encoding: gzip, chunked"],
            ["Transfer-Encoding: identity"],
            ["no colon"],
            ["Bad Name: x"],
            ["X: a\0b"],
            ["X: a\rb"],
            ["X: " + "a" * 1_000_000],
        ],
    )
    def test_tricks_with_headers_are_no_requests(self, server, lines):
        answer = raw(server, request("POST", SEGMENT, *lines, body=b"abc"))
        assert answer.status in (400, 501)
        assert answer.kind == "request"
        assert {name.lower() for name in answer.headers} >= GUARDED

    @pytest.mark.parametrize(
        "start",
        [
            b"\x16\x03\x01\0\xa5\x01",
            b"GET\r\n\r\n",
            b"GET / HTTP/9.9\r\nHost: localhost\r\nConnection: close",
            b"\r\n" * 50_000,
        ],
    )
    def test_what_is_no_http_is_told_so(self, server, start):
        assert raw(server, start, b"\r\n\r\n").kind == "request"

    def test_who_is_refused_twice_reads_the_first(self, server, monkeypatch):
        said = []
        monkeypatch.setattr(logging.getLogger("uvicorn.error"), "error", lambda *what, **_: said.append(what))
        monkeypatch.setattr(guard, "_DRAINED", 0.3)
        counted = 'nephoscope_requests_total{route="none",status="404"}'
        before = counts(server).get(counted, 0)
        refusable = b"PUT /nothing HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        place = urlsplit(server)
        with socket.create_connection((place.hostname, place.port), PATIENCE) as connection:
            connection.sendall(refusable + b"no chunk\r\n")
            assert parsed(received(connection)).kind == "request"
            wait_for(lambda: counts(server).get(counted, 0) > before)
        assert said == []

    def test_folded_headers_do_not_smuggle(self, server):
        answer = raw(server, request("GET", "/healthz", "X: a\r\n Host: evil.example"))
        assert answer.status == 200  # the fold is part of X

    def test_a_whole_address_as_target_reaches_no_other_host(self, server):
        refused(raw(server, request("GET", "http://evil.example/api/v1/server")), "not-found")
        refused(raw(server, request("CONNECT", "evil.example:80")), "not-found")

    @pytest.mark.parametrize(
        "target",
        [
            "/page/../settings.py",
            "/page/..%2fsettings.py",
            "/page/%2e%2e/%2e%2e/settings.py",
            "/page/%2fetc%2fpasswd",
            "/page//etc/passwd",
            "/page/..%5csettings.py",
            "/page/%00",
            "/page/",
            "/page/nothing.js",
            "/patterns/../page/style.css",
            "/patterns/Fish%2f.jpg",
            "/patterns/Nothing.jpg",
            "/api/v1/problems/nothing",
            "/etc/passwd",
            "/docs",
            "/redoc",
            "/%ff%fe",
        ],
    )
    def test_there_is_nothing_beside_what_there_is(self, server, target):
        refused(raw(server, request("GET", target)), "not-found")

    @pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "FOO"])
    def test_other_methods_are_refused(self, server, method):
        answer = ask(server, SEGMENT, method=method)
        refused(answer, "method")
        assert answer.headers["Allow"] == "POST"

    def test_no_name_breaks_a_header(self, server, content):
        evil = "a\r\nSet-Cookie: x=1\r\n\r\n<script>.jpg"
        answer = post(server, content, f"?name={quote(evil)}", Accept="image/png")
        assert answer.status == 200
        assert "Set-Cookie" not in answer.headers
        assert "\n" not in answer.headers["Content-Disposition"]

    def test_every_kind_of_answer_is_guarded(self, server, content, monkeypatch):
        tag = ask(server, "/page/style.css").headers["ETag"]
        answers = [
            ask(server, "/"),
            ask(server, "/", method="HEAD"),
            ask(server, "/page/style.css"),
            ask(server, "/page/style.css", If_None_Match=tag),
            ask(server, "/patterns/Fish.jpg"),
            ask(server, "/synthetic_sample.jpg"),
            ask(server, "/healthz"),
            ask(server, "/metrics"),
            ask(server, "/openapi.json"),
            ask(server, "/nothing"),
            post(server, content),
            post(server, b"nothing"),
        ]

        def fail():
            raise RuntimeError("a secret of the server")

        monkeypatch.setattr("nephoscope.web.api.PATTERNS", property(fail))
        answers.append(ask(server, "/api/v1/server"))
        assert b"secret" not in answers[-1].body
        assert answers[-1].kind == "failure"
        assert [answer.status for answer in answers] == [200, 200, 200, 304, *[200] * 5, 404, 200, 415, 500]
        for answer in answers:
            assert {name.lower() for name in answer.headers} >= GUARDED
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "'unsafe" not in answer.headers["Content-Security-Policy"]
            assert "Server" not in answer.headers


def tiff(
    tile: tuple[int, int], content: bytes = b"", *tags: tuple[int, int, int, bytes], kind: int = 4
) -> bytes:
    """A colour TIFF of 100 x 100 px in one deflated tile of any size."""
    width, height = tile
    entries = [
        *((tag, 4, 1, struct.pack("<I", value)) for tag, value in ((256, 100), (257, 100))),
        (258, 3, 3, struct.pack("<I", 8 + len(content))),
        *((tag, 3, 1, struct.pack("<I", value)) for tag, value in ((259, 8), (262, 2), (277, 3), (284, 1))),
        (322, kind, 1, struct.pack("<I", width)),
        (323, kind, 1, struct.pack("<I", height)),
        (324, 4, 1, struct.pack("<I", 8)),
        (325, 4, 1, struct.pack("<I", len(content))),
        *tags,
    ]
    packed = b"".join(struct.pack("<HHI", *entry[:3]) + entry[3] for entry in entries)
    start = struct.pack("<4sI", b"II*\0", 8 + len(content) + 6)
    return start + content + struct.pack("<HHHH", 8, 8, 8, len(entries)) + packed + bytes(4)


def chunk(name: bytes, content: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + checksum


def with_chunk(png: bytes, *chunks: bytes) -> bytes:
    """A PNG with more chunks behind its header."""
    return png[:33] + b"".join(chunks) + png[33:]


def with_scans(size: int, count: int) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    file = io.BytesIO()
    Image.new("L", (size, size), 128).save(file, "JPEG", progressive=True)
    content = file.getvalue()
    last = content.rindex(b"\xff\xda")
    return content[:last] + content[last:-2] * count + content[-2:]


def exif(tags: int, length: int) -> bytes:
    """EXIF data of which many tags hold the same bytes."""
    entries = b"".join(struct.pack("<HHII", 40000 + tag, 1, length, 8) for tag in range(tags))
    return (
        b"II*\0"
        + struct.pack("<I", 8 + length)
        + bytes(length)
        + struct.pack("<H", tags)
        + entries
        + bytes(4)
    )


PNG = encoded(np.full((64, 64, 3), 120, np.uint8), ".png")
JPEG = encoded(np.full((64, 64, 3), 120, np.uint8), ".jpg")
WEBP = encoded(np.full((64, 64, 3), 120, np.uint8), ".webp")


def zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("evil.html", content)
    return file.getvalue()


class TestFiles:
    @pytest.mark.parametrize(
        ("content", "kind"),
        [
            (b"", "not-a-picture"),
            (b"hello", "not-a-picture"),
            (b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "not-a-picture"),
            (b"<!doctype html><script>alert(1)</script>", "not-a-picture"),
            (b"GIF89a" + PNG, "not-a-picture"),
            (b"%PDF-1.7\n", "not-a-picture"),
            (b"%!PS-Adobe-3.0 EPSF-3.0\n", "not-a-picture"),
            (zipped(b"x"), "not-a-picture"),
            (b"RIFF\4\0\0\0AVI ", "not-a-picture"),
            (JPEG + zipped(b"x"), "picture"),
            (JPEG + JPEG, "picture"),
            (PNG + b"<script>alert(1)</script>", "picture"),
            (PNG + zipped(b"x"), "picture"),
            (WEBP + b"trailing", "picture"),
            (JPEG + bytes(65), "picture"),
            (JPEG[:-40], "picture"),
            (PNG[:-40], "picture"),
            (JPEG[:4], "picture"),
            (PNG[:8], "picture"),
            (b"II*\0", "picture"),
            (b"\xff\xd8" + b"\xff" * 2_000_000 + b"\0", "picture"),  # no patience for what never matches
        ],
    )
    def test_what_is_not_one_picture_is_refused(self, server, content, kind):
        assert "a.jpg" in refused(post(server, content, "?name=a.jpg"), kind)
        assert "a.jpg" in refused(post_form(server, ("a.jpg", content)), kind)

    @pytest.mark.parametrize("content", [JPEG, JPEG + bytes(64), PNG, WEBP])
    def test_what_is_one_is_taken(self, server, content):
        assert post(server, content).status == 200

    @pytest.mark.parametrize(
        "kind", ["image/gif", "image/svg+xml", "text/html", "application/json", "multipart/mixed", ""]
    )
    def test_other_kinds_of_bodies_are_refused(self, server, content, kind):
        refused(post(server, content, Content_Type=kind), "not-a-picture")

    def test_too_long_a_picture_is_refused(self, start, content):
        with start(Limits(picture_bytes=1000)) as address:
            assert "picture" in refused(post(address, content), "too-large")
            assert "b.jpg" in refused(post_form(address, ("a.jpg", b"x"), ("b.jpg", content)), "too-large")

    def test_too_many_pixels_are_refused_by_the_header(self, server):
        header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
        bomb = PNG[:8] + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + PNG[-12:]
        assert "50000 x 50000" in refused(post(server, bomb), "too-large")

    @pytest.mark.parametrize(
        "query",
        [
            "?name=Aqua_CorrectedReflectance20090122_-180-180_-90-90.jpeg",
            "?bounds=-180,-90,180,90",
            "?name=Aqua_CorrectedReflectance20090122_-180--180_-90-90.jpeg",
        ],
    )
    def test_a_name_that_claims_the_globe_is_refused(self, server, content, query):
        assert "220 frames" in refused(post(server, content, query), "too-large")

    @pytest.mark.parametrize("kind", [4, 3, 16])
    def test_a_tiffs_tiles_are_no_larger_than_pictures(self, server, kind):
        sizes = (65_000, 65_000) if kind == 3 else (20_000, 20_000)
        assert "tile" in refused(
            post(server, tiff(sizes, kind=kind)), "picture" if kind == 16 else "too-large"
        )

    def test_a_second_tag_does_not_hide_the_first(self, server):
        again = [(tag, 4, 1, struct.pack("<I", 112)) for tag in (322, 323)]
        refused(post(server, tiff((20_000, 20_000), b"", *again)), "too-large")

    def test_a_jpeg_has_few_scans(self, server):
        assert "scans" in refused(post(server, with_scans(200, 200)), "too-large")
        standing_alone = with_scans(200, 200).replace(b"\xff\xda", b"\xff\x01\xff\xda")
        assert "scans" in refused(post(server, standing_alone), "too-large")
        assert post(server, with_scans(200, 2)).status == 200

    @pytest.mark.parametrize(
        "how",
        [{}, {"compression": "tiff_lzw"}, {"compression": "jpeg"}, {"save_all": True, "append_images": 30}],
    )
    def test_ordinary_tiffs_are_taken(self, server, picture, how):
        file, image = io.BytesIO(), Image.fromarray(picture)
        if "append_images" in how:
            how = how | {"append_images": [image] * how["append_images"]}
        image.save(file, "TIFF", **how)
        assert post(server, file.getvalue()).json["scenes"][0]["width"] == 240

    def test_tiffs_of_tiles_strips_and_16_bits_are_taken(self, server):
        assert post(server, tiff((112, 112), zlib.compress(bytes(112 * 112 * 3)))).status == 200
        deep, rows = io.BytesIO(), io.BytesIO()
        Image.fromarray(np.full((100, 150), 40_000, np.uint16)).save(deep, "TIFF")
        Image.new("RGB", (100, 150), "teal").save(rows, "TIFF", tiffinfo={278: 1})
        assert post(server, deep.getvalue()).status == 200
        assert post(server, rows.getvalue()).status == 200

    @pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="asks Linux for a process's peak")
    def test_no_bomb_takes_much_memory(self, tmp_path, tiny_model):
        zeros = zlib.compress(bytes(300_000_000), 9)
        huge = exif(3000, 900_000)
        segments = b"".join(
            b"\xff\xe1" + struct.pack(">H", 8 + len(part)) + b"Exif\0\0" + part
            for part in (huge[at : at + 65_000] for at in range(0, len(huge), 65_000))
        )
        size = len(WEBP) + 18 + 8 + len(huge)
        extended = b"VP8X" + struct.pack("<I", 10) + b"\x08\0\0\0" + b"\x3f\0\0\x3f\0\0"
        bombs = {
            "icc": with_chunk(PNG, chunk(b"iCCP", b"x\0\0" + zeros)),
            "text": with_chunk(PNG, chunk(b"zTXt", b"x\0\0" + zeros)),
            "texts": with_chunk(PNG, *[chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(1_000_000)))] * 300),
            "international": with_chunk(PNG, chunk(b"iTXt", b"x\0\1\0\0\0" + zeros)),
            "pixels": PNG[:33] + chunk(b"IDAT", zeros) + PNG[-12:],
            "exif of PNG": with_chunk(PNG, chunk(b"eXIf", huge)),
            "exif of JPEG": JPEG[:2] + segments + JPEG[2:],
            "exif of WebP": b"RIFF" + struct.pack("<I", size - 8) + b"WEBP" + extended + WEBP[12:]
            + b"EXIF" + struct.pack("<I", len(huge)) + huge,
            "tags": tiff((112, 112), bytes(900_000), *((40_000 + n, 1, 900_000, b"\x08\0\0\0") for n in range(3000))),  # noqa: E501
            "tile": tiff((12_000, 12_000), zlib.compress(bytes(12_000 * 12_000 * 3), 9)),
            "scans": with_scans(2000, 20_000),
        }  # fmt: skip
        for name, content in bombs.items():
            (tmp_path / name).write_bytes(content)
        code = """
import re, sys, warnings
from pathlib import Path
from nephoscope.model import Model
from nephoscope.web import answers, problems, settings, uploads, work
warnings.simplefilter("ignore")
order = work.Order(Model.load(sys.argv[1], threads=1), answers.forms()[0])
def segment(content):
    try:
        return work.answer(uploads.Upload("bomb", content), order, settings.Limits(), lambda: None)
    except problems.Problem:
        return None
def megabytes(of):
    return int(re.search(of + r":\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024
for path in sys.argv[2:]:
    content = Path(path).read_bytes()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = megabytes("VmRSS")
    segment(content)
    print(path, megabytes("VmHWM") - before)
"""
        paths = [str(tmp_path / name) for name in bombs]
        ran = subprocess.run(
            [sys.executable, "-c", code, str(tiny_model()), *paths],
            capture_output=True,
            text=True,
            check=True,
        )
        more = dict(line.rsplit(" ", 1) for line in ran.stdout.splitlines())
        assert list(more) == paths
        assert {name.rpartition("/")[2]: int(more[name]) for name in more if int(more[name]) >= 150} == {}


class TestForms:
    @pytest.mark.parametrize(
        ("body", "kind", "words"),
        [
            (form(), "request", "no part"),
            (b"", "request", "breaks off"),
            (b"garbage", "request", "cannot be read"),
            (form(('form-data; name="picture"', JPEG)), "request", "file name"),
            (form(('form-data; name="rules"', b"{}")), "request", "file name"),
            (form(('form-data; name="photo"; filename="a.jpg"', JPEG)), "request", "'photo'"),
            (form(('form-data; filename="a.jpg"', JPEG)), "request", "name"),
            (form(("attachment", JPEG)), "request", "name"),
            (form(*[('form-data; name="picture"; filename="a.jpg"', JPEG)] * 2, end="")[:-2], "request", "breaks off"),  # noqa: E501
            (form(('form-data; name="picture"; filename="a.jpg"', JPEG))[:-30], "request", "breaks off"),
            (form(*[('form-data; name="picture"; filename="a.jpg"', JPEG)] * 17), "too-large", "16"),
            (form(*[('form-data; name="picture"; filename="a"', b"")] * 10_000), "too-large", "16"),
            (form(*[('form-data; name="x"', b"")] * 10_000), "request", "file name"),
            (form(('form-data; name="picture"; filename="a.jpg"\r\nX: ' + "a" * 5_000_000, JPEG)), "request", ""),  # noqa: E501
            (form(('form-data; name="picture"; filename="a.jpg"' + "\r\nX: a" * 100_000, JPEG)), "request", ""),  # noqa: E501
        ],
    )  # fmt: skip
    def test_what_is_no_form_of_pictures_is_refused(self, server, body, kind, words):
        assert words in refused(ask(server, SEGMENT, body, Content_Type=FORM), kind)

    @pytest.mark.parametrize("boundary", ["", "; boundary=", "; boundary=" + "x" * 300, "; boundary=other"])
    def test_a_boundary_must_be_said(self, server, boundary):
        body = form(('form-data; name="picture"; filename="a.jpg"', JPEG))
        refused(ask(server, SEGMENT, body, Content_Type="multipart/form-data" + boundary), "request")

    def test_a_form_in_a_form_is_no_picture(self, server):
        inner = form(('form-data; name="picture"; filename="a.jpg"', JPEG))
        answer = post_form(server, ("inner.jpg", inner.replace(b"MADE-BY", b"OTHER")))
        refused(answer, "not-a-picture")

    @pytest.mark.parametrize(
        "charset", ["unicode_escape", "punycode", "undefined", "utf-16", "idna", "nothing", "\xe9"]
    )
    def test_no_charset_is_believed(self, server, charset):
        body = form(('form-data; name="picture"; filename="\\ud800-é.jpg"', JPEG))
        answer = ask(server, SEGMENT, body, Content_Type=f"{FORM}; charset={charset}")
        assert answer.json["scenes"][0]["scene"] == "ud800-é.jpg"

    def test_nothing_is_written_to_a_disk(self, server):
        noise = np.random.default_rng(1).integers(0, 256, (1100, 1600, 3), np.uint8)
        content = encoded(noise, ".png")
        assert len(content) > 5_000_000
        with written() as files:
            assert post_form(server, ("a.png", content), ("b.png", content)).status == 200
            assert post(server, content).status == 200
            refused(post(server, content + b"trailing"), "picture")
            gc.collect()
        assert files == []


_opened: list[list[str]] = []


def _watch(event: str, arguments: tuple) -> None:
    if _opened and event == "open":
        path, mode, flags = arguments
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) or any(letter in (mode or "") for letter in "wax+"):
            _opened[-1].append(str(path))
    elif _opened and event.startswith(("tempfile.", "os.mkdir", "os.rename")):
        _opened[-1].append(event)


sys.addaudithook(_watch)  # there is no way to take it back


@contextmanager
def written():
    """What this process, and so the server in it, opens to write."""
    _opened.append([])
    try:
        yield _opened[-1]
    finally:
        _opened.pop()


NAMES = {
    "../../etc/passwd": "passwd",
    "C:\\x\\y.jpg": "y.jpg",
    "/absolute/z.jpg": "z.jpg",
    "a\0b.jpg": "a_b.jpg",
    "a\nb.jpg": "a_b.jpg",
    "a\x1b[31mb.jpg": "a_[31mb.jpg",
    "gpj.\u202etxe.jpg": "gpj._txe.jpg",
    "x" * 10_000 + ".jpg": "x" * 196 + ".jpg",
    "..": "picture",
    ".": "picture",
    "": "picture",
    " . ": "picture",
    ".hidden": "hidden",
    "café ☁.jpg": "café ☁.jpg",
    'quote".jpg': 'quote".jpg',
    "percent%2f..%2f.jpg": "percent%2f..%2f.jpg",
}


class TestNames:
    @pytest.mark.parametrize(("name", "harmless"), NAMES.items())
    def test_names_come_back_harmless(self, server, name, harmless):
        query = f"?name={quote(name)}"
        assert post(server, JPEG, query).json["scenes"][0]["scene"] == harmless
        failed = post_form(server, ("good.jpg", JPEG), ("bad.jpg", b"x")).json["scenes"][1]
        assert failed["scene"] == "bad.jpg"
        for accept, ending in (("image/png", "_overlay.png"), ("application/zip", "_masks.zip")):
            answer = post(server, JPEG, query, Accept=accept)
            disposition = answer.headers["Content-Disposition"]
            found = re.fullmatch(
                r"attachment; filename=\"([ -~]*)\"; filename\*=UTF-8''([\w.%~-]*)", disposition
            )
            assert found
            for file_name in found.components():
                assert file_name.endswith(ending)
                assert not set(file_name) & set('/\\"\r\n\0')
        for member in zipfile.ZipFile(io.BytesIO(answer.body)).namelist():
            assert not set(member) & set("/\\\r\n\0")
            assert not member.startswith(".")

    @pytest.mark.parametrize(
        "name", ["../../etc/passwd", "C:\\x\\y.jpg", "gpj.\u202etxe.jpg", "x" * 2000 + ".jpg"]
    )
    def test_names_in_forms_do_so_too(self, server, name):
        assert post_form(server, (name, JPEG)).json["scenes"][0]["scene"] == NAMES.get(
            name, "x" * 196 + ".jpg"
        )

    @pytest.mark.parametrize(
        "rules",
        [
            "[]",
            "null",
            "{",
            "[" * 3000,
            '{"Fish": 1}',
            '{"Shark": {}}',
            '{"Fish": {"colour": 1}}',
            '{"Fish": {"\\ud800": 1}}',
            '{"Fish": {"threshold": NaN}}',
            '{"Fish": {"threshold": "0.4"}}',
            '{"Fish": {"threshold": null}}',
            '{"Fish": {"top_k": 1.5}}',
            '{"Fish": {"top_k": Infinity}}',
            '{"Fish": {"top_k": 0}}',
            '{"Fish": {"top_k": %s}}' % ("9" * 400),
            '{"Fish": {"join": 1.5}}',
            '{"Fish": {"join": 101}}',
            '{"Fish": {"minimum_area": -1}}',
            '{"Fish": {"evidence": "nothing"}}',
            '{"Fish": {"evidence": []}}',
            '{"__class__": {}}',
        ],
    )
    def test_rules_that_cannot_be_are_refused(self, server, rules):
        assert "rules" in refused(post(server, JPEG, f"?rules={quote(rules)}"), "value")

    def test_rules_need_what_the_network_has(self, start):
        with start() as address:
            rules = quote('{"Fish": {"evidence": "head"}}')
            assert "presence head" in refused(post(address, JPEG, f"?rules={rules}"), "value")


def sending_to(location):
    """Sends whoever asks to another address."""
    return elsewhere(302, {"Location": location, "Content-Length": "0"})


PICTURE = "/api/v1/worldview/picture?satellite={}&day={}&place={}"


class TestArchive:
    def asked(self, server, **changes):
        return Archive(server.address, fallback=None, tries=1, pause=0, degrees=0.25, **changes)

    def test_no_redirect_leads_to_another_host(self, start):
        target = PICTURE.format("Aqua", "2020-02-01", "barbados")
        with sending_to("http://nothing.invalid/") as secret:
            for location in (secret.address, "http://localhost:9/", "file:///etc/passwd", "ftp://127.0.0.1/"):
                with sending_to(location) as archive, start(archive=self.asked(archive)) as address:
                    answer = ask(address, target)
                    refused(answer, "archive")
                    assert b"root:" not in answer.body
                    assert ask(address, "/api/v1/worldview").status == 200
                    assert archive.asked
            assert secret.asked == []

    @pytest.mark.parametrize(
        ("satellite", "day", "place"),
        [
            ("evil.example/", "2020-02-01", "barbados"),
            ("Aqua@evil.example", "2020-02-01", "barbados"),
            ("../../secret", "2020-02-01", "barbados"),
            ("Aqua", "2020-02-01&LAYERS=x", "barbados"),
            ("Aqua", "2020-02-01", "http://evil.example/"),
            ("Aqua", "2020-02-01", "0,0,1,1&HOST=evil"),
            ("Aqua", "2020-02-01", "file:///etc/passwd"),
            ("Aqua", "1999-01-01", "barbados"),
            ("Aqua", "2999-01-01", "barbados"),
            ("Aqua", "0001-01-01", "barbados"),
            ("", "", ""),
        ],
    )
    def test_no_value_changes_where_is_asked(self, start, satellite, day, place):
        with sending_to("/") as archive, start(archive=self.asked(archive)) as address:
            refused(ask(address, PICTURE.format(*map(quote, (satellite, day, place)))), "value")
            assert archive.asked == []

    def test_what_is_asked_is_the_archives_own_address(self, start):
        with sending_to("/other") as archive, start(archive=self.asked(archive)) as address:
            refused(ask(address, PICTURE.format("Aqua", "2020-02-01", "barbados")), "archive")
            assert {host for host, _ in archive.asked} == {urlsplit(archive.address).netloc}
            first = urlsplit(archive.asked[0][1])
            assert first.path == "/"
            assert "MODIS_Aqua_CorrectedReflectance_TrueColor" in first.query

    def test_too_large_a_picture_is_not_even_asked_for(self, start):
        limits = Limits(pixels=1000)
        with sending_to("/") as archive, start(limits, archive=self.asked(archive)) as address:
            refused(ask(address, PICTURE.format("Aqua", "2020-02-01", "barbados")), "too-large")
            refused(ask(address, PICTURE.format("Aqua", "2020-02-01", "-180,-90,180,90")), "too-large")
            assert archive.asked == []

    def test_too_long_a_picture_is_not_handed_on(self, start):
        with SyntheticArchive() as archive:
            where = Archive(archive.address, fallback=None, tries=1, degrees=0.25)
            with start(Limits(picture_bytes=100), archive=where) as address:
                answer = ask(address, PICTURE.format("Aqua", "2020-02-01", "barbados"))
        assert "bytes" in refused(answer, "too-large")

    def test_it_is_not_asked_for_a_stranger(self, start):
        with sending_to("/") as archive, start(archive=self.asked(archive), token="s3cret") as address:
            refused(ask(address, PICTURE.format("Aqua", "2020-02-01", "barbados")), "token")
            refused(ask(address, "/api/v1/worldview"), "token")
            assert archive.asked == []


def test_it_serves_on_after_all_that(server, content):
    wait_for(lambda: counts(server)["nephoscope_requests_inside"] == 0)
    now = counts(server)
    assert (now["nephoscope_pictures_inside"], now["nephoscope_held_bytes"]) == (0, 0)
    assert post(server, content).status == 200
