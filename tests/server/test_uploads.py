"""Files and forms that mean harm are refused; they take little memory and write nothing."""

import gc
import io
import os
import struct
import subprocess
import sys
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image as PilImage

from asking import (
    FORM,
    SEGMENT,
    ask,
    counts,
    form,
    post,
    post_form,
    refused,
    wait_for,
)
from conftest import encoded, hide
from nephoscope.server.limits import Limits


@pytest.fixture(scope="module")
def server(tiny_server):
    return tiny_server


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
    PilImage.new("L", (size, size), 128).save(file, "JPEG", progressive=True)
    content = file.getvalue()
    last = content.rindex(b"\xff\xda")
    return content[:last] + content[last:-2] * count + content[-2:]


def black(size: tuple[int, int], kind: str, **how: object) -> bytes:
    """A black picture, which packs to little."""
    file = io.BytesIO()
    PilImage.new("RGB", size[::-1]).save(file, kind, **how)
    return file.getvalue()


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
    @pytest.mark.slow
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
    def test_files_that_are_not_one_picture_are_refused(self, server, content, kind):
        assert "a.jpg" in refused(post(server, content, "?name=a.jpg"), kind)
        assert "a.jpg" in refused(post_form(server, ("a.jpg", content)), kind)

    @pytest.mark.parametrize("content", [JPEG, JPEG + bytes(64), PNG, WEBP])
    def test_pictures_are_accepted(self, server, content):
        assert post(server, content).status == 200

    @pytest.mark.parametrize(
        "kind", ["image/gif", "image/svg+xml", "text/html", "application/json", "multipart/mixed", ""]
    )
    def test_other_media_types_are_refused(self, server, content, kind):
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
        ("many", "words"),
        [
            (JPEG[:2] + b"\xff\xe0\x00\x02" * 10_000 + JPEG[2:], "segments"),
            (with_chunk(PNG, chunk(b"tEXt", b"") * 20_000), "chunks"),
            (WEBP + b"none" + bytes(4) + (b"none" + bytes(4)) * 20_000, "chunks"),
        ],
    )
    def test_a_picture_has_few_parts(self, server, many, words):
        assert words in refused(post(server, many), "too-large")

    def test_a_picture_that_never_fits_into_the_memory_budget_is_refused(self, start):
        with start(Limits(decoded_pixels=1_000_000)) as address:
            for large in (
                black((1000, 1001), "PNG"),
                black((1000, 500), "WEBP"),
                encoded(np.zeros((500, 1000, 3), np.uint16), ".png"),
            ):
                assert "memory" in refused(post(address, large), "too-large")
            jpeg = black((2000, 3000), "JPEG")  # decoded at a half of its size in three of four answers
            assert post(address, jpeg, Accept="text/csv").status == 413
            assert post(address, black((4000, 5500), "JPEG")).status == 413
            assert post(address, black((900, 1000), "PNG")).status == 200

    @pytest.mark.parametrize(
        "how",
        [{}, {"compression": "tiff_lzw"}, {"compression": "jpeg"}, {"save_all": True, "append_images": 30}],
    )
    def test_ordinary_tiffs_are_accepted(self, server, picture, how):
        file, image = io.BytesIO(), PilImage.fromarray(picture)
        if "append_images" in how:
            how = how | {"append_images": [image] * how["append_images"]}
        image.save(file, "TIFF", **how)
        assert post(server, file.getvalue()).json["scenes"][0]["width"] == 240

    def test_tiffs_with_tiles_strips_and_16_bits_are_accepted(self, server):
        assert post(server, tiff((112, 112), zlib.compress(bytes(112 * 112 * 3)))).status == 200
        deep, rows = io.BytesIO(), io.BytesIO()
        PilImage.fromarray(np.full((100, 150), 40_000, np.uint16)).save(deep, "TIFF")
        PilImage.new("RGB", (100, 150), "teal").save(rows, "TIFF", tiffinfo={278: 1})
        assert post(server, deep.getvalue()).status == 200
        assert post(server, rows.getvalue()).status == 200

    @pytest.mark.parametrize("options", [{"bigtiff": "yes"}, {"compress": "lerc"}, {"interleave": "band"}])
    def test_what_the_command_reads_by_rasterio_the_server_reads_too(self, server, picture, options):
        profile = {"driver": "GTiff", "height": 160, "width": 240, "count": 3, "dtype": "uint16"}
        with rasterio.MemoryFile() as file:
            with file.open(**profile, **options) as dataset:
                dataset.write(np.moveaxis(picture.astype(np.uint16) * 257, 2, 0))
            assert post(server, bytes(file.read())).json["scenes"][0]["width"] == 240

    def test_without_rasterio_such_a_file_is_no_picture(self, server, picture, monkeypatch):
        file = io.BytesIO()
        PilImage.fromarray(picture[:, :, 0].astype(np.float32)).save(file, "TIFF")
        hide(monkeypatch, "rasterio")
        assert "32-bit floats" in refused(post(server, file.getvalue()), "not-a-picture")

    def test_a_second_directory_claims_no_more_than_the_file_holds(self, server):
        file, image = io.BytesIO(), PilImage.new("RGB", (100, 100))
        image.save(file, "TIFF")
        content = bytearray(file.getvalue())
        first = int.from_bytes(content[4:8], "little")
        end = first + 2 + 12 * int.from_bytes(content[first : first + 2], "little")
        content[end : end + 4] = len(content).to_bytes(4, "little")
        tags = b"".join(struct.pack("<HHII", 40_000 + number, 1, 9_000, 8) for number in range(30))
        content += struct.pack("<H", 30) + tags + bytes(4)
        assert "claim" in refused(post(server, bytes(content)), "picture")

    @pytest.mark.slow
    @pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="asks Linux for a process's peak")
    def test_decompression_bombs_take_little_memory(self, tmp_path, tiny_model):
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
            "segments": JPEG[:2] + b"\xff\xe0\x00\x02" * 8_000_000 + JPEG[2:],
            "chunks": with_chunk(PNG, chunk(b"tEXt", b"") * 2_700_000),
            "WebP": black((5400, 5500), "WEBP", lossless=True, quality=0, method=0),
        }  # fmt: skip
        for name, content in bombs.items():
            (tmp_path / name).write_bytes(content)
        code = """
import re, sys, warnings
from pathlib import Path
from nephoscope.inference.model import Model
from nephoscope.server import limits, memory, problems, responses, uploads, work
allowed = limits.Limits()
budget = memory.PixelBudget(allowed.decoded_pixels)
warnings.simplefilter("ignore")
job = work.PictureJob(Model.load(sys.argv[1], threads=1), responses.response_formats()[0])
def segment(content):
    try:
        return work.segment_upload(uploads.Upload("bomb", content), job, allowed, budget, lambda: None)
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
            (b"", "request", "truncated"),
            (b"garbage", "request", "invalid form"),
            (form(('form-data; name="picture"', JPEG)), "request", "file name"),
            (form(('form-data; name="rules"', b"{}")), "request", "file name"),
            (form(('form-data; name="photo"; filename="a.jpg"', JPEG)), "request", "'photo'"),
            (form(('form-data; filename="a.jpg"', JPEG)), "request", "name"),
            (form(("attachment", JPEG)), "request", "name"),
            (form(*[('form-data; name="picture"; filename="a.jpg"', JPEG)] * 2, end="")[:-2], "request", "truncated"),  # noqa: E501
            (form(('form-data; name="picture"; filename="a.jpg"', JPEG))[:-30], "request", "truncated"),
            (form(*[('form-data; name="picture"; filename="a.jpg"', JPEG)] * 17), "too-large", "16"),
            (form(*[('form-data; name="picture"; filename="a"', b"")] * 10_000), "too-large", "16"),
            (form(*[('form-data; name="x"', b"")] * 10_000), "request", "file name"),
            (form(('form-data; name="picture"; filename="a.jpg"\r\nX: ' + "a" * 5_000_000, JPEG)), "request", ""),  # noqa: E501
            (form(('form-data; name="picture"; filename="a.jpg"' + "\r\nX: a" * 100_000, JPEG)), "request", ""),  # noqa: E501
        ],
    )  # fmt: skip
    def test_invalid_forms_are_refused(self, server, body, kind, words):
        assert words in refused(ask(server, SEGMENT, body, Content_Type=FORM), kind)

    @pytest.mark.parametrize("boundary", ["", "; boundary=", "; boundary=" + "x" * 300, "; boundary=other"])
    def test_a_boundary_is_required(self, server, boundary):
        body = form(('form-data; name="picture"; filename="a.jpg"', JPEG))
        refused(ask(server, SEGMENT, body, Content_Type="multipart/form-data" + boundary), "request")

    def test_nested_forms_are_refused(self, server):
        inner = form(('form-data; name="picture"; filename="a.jpg"', JPEG))
        answer = post_form(server, ("inner.jpg", inner.replace(b"MADE-BY", b"OTHER")))
        refused(answer, "not-a-picture")

    @pytest.mark.parametrize(
        "charset", ["unicode_escape", "punycode", "undefined", "utf-16", "idna", "nothing", "\xe9"]
    )
    def test_charsets_are_ignored(self, server, charset):
        body = form(('form-data; name="picture"; filename="\\ud800-é.jpg"', JPEG))
        answer = ask(server, SEGMENT, body, Content_Type=f"{FORM}; charset={charset}")
        assert answer.json["scenes"][0]["scene"] == "ud800-é.jpg"

    @pytest.mark.slow
    def test_nothing_is_written_to_disk(self, server):
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


def test_server_still_works(server, content):
    wait_for(lambda: counts(server)["nephoscope_requests_inside"] == 0)
    now = counts(server)
    assert (now["nephoscope_pictures_inside"], now["nephoscope_held_bytes"]) == (0, 0)
    assert post(server, content).status == 200
