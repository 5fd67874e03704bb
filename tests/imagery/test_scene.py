"""Pictures of every kind are opened as scenes, or refused in one line that names them."""

import contextlib
import io
import struct
import zlib
from datetime import date
from importlib.util import find_spec

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PilImage

from conftest import encoded
from nephoscope.core.errors import LocationError, SceneError
from nephoscope.core.geo import Bounds, parse_bounds
from nephoscope.imagery.reading import open_scene
from nephoscope.imagery.scene import find_nodata

reads_any_tiff = pytest.mark.skipif(find_spec("rasterio") is None, reason="the extra geo is not installed")


@pytest.fixture
def smooth() -> np.ndarray:
    """A picture that survives lossy formats: slow colour changes, nothing black."""
    y, x = np.mgrid[:90, :120]
    return np.dstack([60 + y, 80 + x, 200 - x]).astype(np.uint8)


@pytest.mark.parametrize("ending", [".jpg", ".png", ".tiff", ".webp"])
def test_colour_is_kept_in_every_format(smooth, ending):
    scene = open_scene(encoded(smooth, ending), name="x" + ending)
    assert scene.size == (90, 120)
    assert scene.read().valid_mask.all()
    assert np.abs(scene.read().pixels.astype(int) - smooth).max() <= (
        12 if ending in (".jpg", ".webp") else 0
    )


@pytest.mark.parametrize("ending", [".jpg", ".png", ".tiff", ".webp"])
def test_grey_becomes_three_equal_colours(smooth, ending):
    scene = open_scene(encoded(smooth[:, :, 0], ending))
    assert scene.read().pixels.shape == (90, 120, 3)
    assert np.abs(np.diff(scene.read().pixels.astype(int), axis=2)).max() <= 2


@pytest.mark.parametrize("ending", [".png", ".tiff"])
@pytest.mark.parametrize("kind", ["grey", "colour", "alpha"])
def test_of_sixteen_bits_the_high_byte_is_kept(smooth, ending, kind):
    alpha = np.full((90, 120, 1), 255, np.uint8)
    pixels = {"grey": smooth[:, :, 0], "colour": smooth, "alpha": np.dstack([smooth, alpha])}[kind]
    scene = open_scene(encoded(pixels.astype(np.uint16) * 256 + 77, ending))
    expected = np.dstack([pixels] * 3) if kind == "grey" else pixels[:, :, :3]
    assert np.array_equal(scene.read().pixels, expected)


@pytest.mark.parametrize("ending", [".png", ".tiff", ".webp"])
def test_transparent_is_no_data(smooth, ending):
    alpha = np.full((90, 120), 255, np.uint8)
    alpha[:, :40] = 0
    scene = open_scene(encoded(np.dstack([smooth, alpha]), ending))
    assert not scene.read().valid_mask[:, :40].any()
    assert scene.read().valid_mask[:, 40:].all()
    assert not scene.read().pixels[:, :40].any()


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_transparent_colour_without_a_palette(smooth, mode):
    image = PilImage.fromarray(smooth).convert(mode)
    colour = image.getpixel((5, 40))
    file = io.BytesIO()
    image.save(file, "PNG", transparency=colour)
    same = np.asarray(image) == np.array(colour)
    assert np.array_equal(
        open_scene(file.getvalue()).read().valid_mask, ~(same if mode == "L" else same.all(axis=2))
    )


def test_a_palette_with_a_transparent_colour(smooth):
    image = PilImage.fromarray(smooth).quantize(8)
    file = io.BytesIO()
    image.save(file, "PNG", transparency=0)
    scene = open_scene(file.getvalue())
    assert np.array_equal(scene.read().valid_mask, np.asarray(image) != 0)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(smooth, orientation, kind):
    exif = PilImage.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    PilImage.fromarray(smooth).save(file, kind, exif=exif, quality=95)
    scene = open_scene(file.getvalue())
    shape = scene.read((1, 1)).pixels.shape
    assert scene.size == ((120, 90) if orientation >= 5 else (90, 120))
    assert (shape[0] < shape[1]) == (scene.size[0] < scene.size[1])
    # Red grows downwards in the stored picture; see where it grows after turning.
    upright = open_scene(file.getvalue()).read().pixels[:, :, 0].astype(int)
    down, right = upright[-1].mean() - upright[0].mean(), upright[:, -1].mean() - upright[:, 0].mean()
    expected = {1: "down", 2: "down", 3: "up", 4: "up", 5: "right", 6: "left", 7: "left", 8: "right"}
    result = ("down" if down > 0 else "up") if abs(down) > abs(right) else "right" if right > 0 else "left"
    assert result == expected[orientation]


def test_a_jpeg_is_decoded_no_finer_than_needed():
    large = encoded(np.full((800, 1200, 3), 90, np.uint8), ".jpg")
    scene = open_scene(large)
    assert scene.read((200, 300)).pixels.shape == (200, 300, 3)
    assert scene.read().pixels.shape == (800, 1200, 3)
    assert scene.size == (800, 1200)


def test_arrays_are_scenes_too(smooth):
    assert np.array_equal(open_scene(smooth).read().pixels, smooth)
    assert np.array_equal(open_scene(smooth.astype(np.uint16) << 8).read().pixels, smooth)
    with pytest.raises(SceneError, match="an array of 2 bands"):
        open_scene(smooth[:, :, :2])


class TestGaps:
    """Large black areas have no data, small dark ones do."""

    def test_a_wedge_is_no_data_and_a_shadow_is_not(self):
        pixels = np.full((200, 300, 3), 40, np.uint8)
        pixels[50:53, 50:53] = 0
        pixels[:, 200:230] = 3
        gaps = find_nodata(pixels)
        assert gaps[:, 200:230].all()
        assert gaps.sum() == 200 * 30

    def test_a_black_picture_has_no_data(self):
        assert find_nodata(np.zeros((40, 50, 3), np.uint8)).all()

    def test_a_bright_picture_has_none(self):
        assert not find_nodata(np.full((40, 50, 3), 30, np.uint8)).any()

    def test_dark_blue_sea_is_data(self):
        assert not find_nodata(np.full((40, 50, 3), (2, 6, 24), np.uint8)).any()

    @pytest.mark.parametrize("strip", [1, 100, 700])
    def test_large_pictures_are_searched_strip_by_strip(self, monkeypatch, strip):
        monkeypatch.setattr("nephoscope.imagery.scene._MIN_NODATA_FRACTION", 0.02)
        random = np.random.default_rng(strip).random((60, 41))
        pictures = [np.dstack([(random > dark).astype(np.uint8) * 200] * 3) for dark in (0.3, 0.4, 0.6)]
        expected = [find_nodata(pixels) for pixels in pictures]
        monkeypatch.setattr("nephoscope.imagery.components._STRIP", strip)
        for pixels, nodata in zip(pictures, expected, strict=True):
            assert nodata.any()
            assert np.array_equal(find_nodata(pixels), nodata)


class TestNames:
    """Satellite, day and place are read from Worldview's names."""

    def test_a_snapshot(self, smooth):
        scene = open_scene(smooth, name="Aqua_CorrectedReflectance20090122_-61--40_10-24.jpeg")
        assert scene.bounds == Bounds(-61, 10, -40, 24)
        assert (scene.day, scene.satellite) == (date(2009, 1, 22), "Aqua")

    def test_south_of_the_equator(self, smooth):
        scene = open_scene(smooth, name="Terra_CorrectedReflectance20101231_-135--114_-15--1.jpeg")
        assert scene.bounds == Bounds(-135, -15, -114, -1)

    @pytest.mark.parametrize("name", ["006c5a6.jpg", "Aqua_CorrectedReflectance20091399_-61--40_10-24.jpeg"])
    def test_other_names_have_no_metadata(self, smooth, name):
        scene = open_scene(smooth, name=name)
        assert scene.bounds is scene.day is scene.satellite is None


def png_header(width: int, height: int) -> bytes:
    """A PNG that announces a size and holds next to nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(b"\0" * 100))
        + chunk(b"IEND", b"")
    )


class TestRefusals:
    """Each says which picture and why."""

    @pytest.mark.parametrize(
        ("name", "content", "reason"),
        [
            ("empty.jpg", b"", "the file is empty"),
            ("text.jpg", b"I am no picture", "not a JPEG, PNG, TIFF or WebP"),
            ("page.jpg", b"<html><body>Not found</body></html>", "not a JPEG, PNG, TIFF or WebP"),
            ("bomb.png", png_header(60_000, 60_000), "60000 x 60000 px is over the limit of 100,000,000"),
            ("dot.png", encoded(np.full((1, 1, 3), 9, np.uint8), ".png"), "1 x 1 px is too small"),
            ("line.png", encoded(np.full((2, 900, 3), 9, np.uint8), ".png"), "900 x 2 px is too small"),
            (
                "thread.png",
                encoded(np.full((40, 900, 3), 9, np.uint8), ".png"),
                "900 x 40 px is more than 20 times",
            ),
            pytest.param(
                "float.tiff",
                encoded(np.linspace(0, 1, 2500, dtype=np.float32).reshape(50, 50), ".tiff"),
                "values from 0 to 1 may be colours or reflectances",
                marks=reads_any_tiff,
            ),
        ],
    )
    def test_files(self, tmp_path, name, content, reason):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(SceneError, match=f"^{name}: {reason}"):
            open_scene(path).read()

    @pytest.mark.parametrize("ending", [".jpg", ".png", ".tiff", ".webp"])
    def test_files_cut_short(self, tmp_path, picture, ending):
        path = tmp_path / f"cut{ending}"
        content = encoded(picture, ending)
        path.write_bytes(content[: len(content) // 2])
        with pytest.raises(SceneError, match=f"^cut{ending}: "):
            open_scene(path).read()

    def test_paths(self, tmp_path):
        with pytest.raises(SceneError, match="no such file"):
            open_scene(tmp_path / "missing.jpg")
        with pytest.raises(SceneError, match="directory"):
            open_scene(tmp_path)

    def test_the_limit_can_be_set_either_way(self, smooth):
        content = encoded(smooth, ".png")
        with pytest.raises(SceneError, match="over the limit of 500 pixels"):
            open_scene(content, max_pixels=500)
        # Over Pillow's own limit too, which must not speak for ours; it then fails for want of data.
        with pytest.raises(SceneError, match="damaged"):
            open_scene(png_header(20_000, 10_000), max_pixels=300_000_000)
        assert PilImage.MAX_IMAGE_PIXELS is not None


@reads_any_tiff
@settings(max_examples=60, deadline=None)
@given(data=st.data(), ending=st.sampled_from([".jpg", ".png", ".tiff", ".webp"]))
def test_whatever_is_damaged_gives_a_scene_or_a_scene_error(data, ending):
    content = bytearray(_SMALL[ending])
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(SceneError):
        open_scene(bytes(content), max_pixels=100_000)


_NOISE = np.random.default_rng(0).integers(0, 255, (40, 48, 3), dtype=np.uint8)
_SMALL = {ending: bytes(cv2.imencode(ending, _NOISE)[1]) for ending in (".jpg", ".png", ".tiff", ".webp")}


def test_a_stated_location_is_checked_at_once():
    scene = open_scene(np.full((40, 60, 3), 99, np.uint8))
    stated = scene.with_location("barbados", "2020-02-01")
    assert (stated.bounds, stated.day) == (parse_bounds("barbados"), date(2020, 2, 1))
    assert stated.with_location().bounds == stated.bounds
    for bounds, day in ((Bounds(-61, 24, -40, 10), None), (None, "1 February")):
        with pytest.raises(LocationError):
            scene.with_location(bounds, day)
