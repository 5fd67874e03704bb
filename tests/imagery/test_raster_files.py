"""Rasters that rasterio opens, and what is said where it is not installed."""

import subprocess
import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import ClassVar

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.transform import from_bounds
from rasterio.warp import calculate_default_transform, reproject

from conftest import OWN_RULE, hide
from nephoscope.core.errors import NephoscopeError, OutputConflictError, SceneError
from nephoscope.core.geo import Bounds
from nephoscope.imagery.reading import open_scene
from nephoscope.imagery.sources import find_sources
from nephoscope.inference.model import Model
from nephoscope.inference.pipeline import segment
from nephoscope.outputs import get_format

BOX = Bounds(-61, 10, -40, 24)
GEOSTATIONARY = "+proj=geos +h=35785831 +lon_0=-60 +sweep=y +ellps=WGS84 +units=m"


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(20, 255, (70, 105, 3), dtype=np.uint8)


@pytest.fixture
def geotiff(tmp_path):
    """Writes a GeoTIFF of values of shape (height, width, bands) on a grid of degrees."""

    def make(values: np.ndarray, name: str = "scene.tif", mask: np.ndarray | None = None, **options):
        height, width, count = values.shape
        profile = {"driver": "GTiff", "crs": "EPSG:4326", "transform": from_bounds(*BOX, width, height)}
        shape = {"height": height, "width": width, "count": count, "dtype": values.dtype}
        with (
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
            rasterio.open(tmp_path / name, "w", **profile | shape | options) as file,
        ):
            file.write(np.moveaxis(values, 2, 0))
            if mask is not None:
                file.write_mask(mask)
        return tmp_path / name

    return make


@pytest.fixture
def no_geo(monkeypatch):
    """As if rasterio were not installed."""
    hide(monkeypatch, "rasterio")


KINDS = {
    "plain": {},
    "colours": {"photometric": "rgb"},
    "deflate, tiled": {"compress": "deflate", "tiled": True, "blockxsize": 16, "blockysize": 16},
    "bands one after the other": {"interleave": "band"},
    "no colours": {"photometric": "minisblack"},
    "LERC": {"compress": "lerc"},
    "ZSTD": {"compress": "zstd"},
    "BigTIFF": {"bigtiff": "yes"},
    "big-endian BigTIFF": {"bigtiff": "yes", "endianness": "big"},
    "COG": {"driver": "COG"},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("deep", [False, True], ids=["8 bits", "16 bits"])
def test_layouts_and_compressions_give_the_same_pixels(geotiff, pixels, kind, deep):
    path = geotiff(pixels.astype(np.uint16) * 257 if deep else pixels, **KINDS[kind])
    for source in (path, path.read_bytes()):
        scene = open_scene(source)
        assert np.array_equal(scene.read().pixels, pixels)
        assert scene.bounds == BOX


READ_BY_PILLOW = {
    False: {"plain", "colours", "deflate, tiled", "bands one after the other", "BigTIFF", "COG"},
    True: {"colours"},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("deep", [False, True], ids=["8 bits", "16 bits"])
def test_without_rasterio_the_pixels_are_the_same_or_the_reason_is_true(geotiff, pixels, kind, deep, no_geo):
    path = geotiff(pixels.astype(np.uint16) * 257 if deep else pixels, **KINDS[kind])
    if kind in READ_BY_PILLOW[deep]:
        assert np.array_equal(open_scene(path).read().pixels, pixels)
    else:
        with pytest.raises(NephoscopeError, match=r"scene.tif: a TIFF .* rasterio missing: pip install"):
            open_scene(path)


@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.int32])
def test_other_types_are_read_or_named(geotiff, pixels, dtype, monkeypatch):
    path = geotiff(pixels.astype(dtype))
    assert np.array_equal(open_scene(path).read().pixels, pixels)
    hide(monkeypatch, "rasterio")
    words = {
        np.int16: "16-bit signed integers",
        np.float32: "32-bit floats",
        np.int32: "32-bit signed integers",
    }
    with pytest.raises(NephoscopeError, match=rf"a TIFF of {words[dtype]}: rasterio missing: pip install"):
        open_scene(path)


def test_a_no_data_value_is_no_data_with_and_without_rasterio(geotiff, pixels, monkeypatch):
    pixels[:, :30] = 255
    path = geotiff(pixels, nodata=255)
    expected = np.ones((70, 105), np.bool_)
    expected[:, :30] = False
    assert np.array_equal(open_scene(path).read().valid_mask, expected)
    hide(monkeypatch, "rasterio")
    assert np.array_equal(open_scene(path).read().valid_mask, expected)


def test_an_internal_mask_is_no_data_with_and_without_rasterio(geotiff, pixels, monkeypatch):
    valid = np.ones((70, 105), np.bool_)
    valid[5:20, 5:90] = False
    path = geotiff(pixels, mask=valid)
    assert np.array_equal(open_scene(path).read().valid_mask, valid)
    hide(monkeypatch, "rasterio")
    assert np.array_equal(open_scene(path).read().valid_mask, valid)


def test_of_many_bands_those_called_red_green_and_blue_are_taken(geotiff, pixels):
    many = np.dstack([np.full((70, 105, 2), 9, np.uint8), pixels[:, :, ::-1]])
    path = geotiff(many)
    with pytest.raises(SceneError, match=r"scene.tif: 5 bands: .*--bands 1,4,3"):
        open_scene(path)
    assert np.array_equal(open_scene(path, bands=(5, 4, 3)).read().pixels, pixels)
    with pytest.raises(SceneError, match="no band 6; available: 1, 2, 3, 4, 5"):
        open_scene(path, bands="6,1,2")
    with rasterio.open(path, "r+") as file:
        file.descriptions = ("NIR", "SWIR", "Blue", "Green", "Red")
    assert np.array_equal(open_scene(path).read().pixels, pixels)


def test_descriptions_and_colour_interpretation_say_the_order(geotiff, pixels):
    swapped = pixels[:, :, ::-1]
    path = geotiff(swapped, photometric="rgb")
    with rasterio.open(path, "r+") as file:
        file.colorinterp = [ColorInterp.blue, ColorInterp.green, ColorInterp.red]
    assert np.array_equal(open_scene(path).read().pixels, pixels)
    path = geotiff(np.dstack([swapped, np.zeros_like(pixels[:, :, :1])]), name="nir.tif")
    with rasterio.open(path, "r+") as file:
        file.descriptions = ("Blue", "Green", "Red", "NIR")
    raster = open_scene(path).read()
    assert np.array_equal(raster.pixels, pixels)
    assert raster.valid_mask.all()


def test_an_external_mask_is_no_data(geotiff, pixels):
    valid = np.ones((70, 105), np.bool_)
    valid[5:20, 5:90] = False
    path = geotiff(pixels)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, "r+") as file:
        file.write_mask(valid)
    assert path.with_name("scene.tif.msk").exists()
    assert np.array_equal(open_scene(path).read().valid_mask, valid)


def test_a_raster_is_not_overwritten_by_its_own_result(tmp_path, bright_model):
    projected(tmp_path / "scene.tif", "EPSG:32621", blobs((70, 105)))
    with pytest.raises(OutputConflictError, match="is the picture itself"):
        segment(tmp_path / "scene.tif", bright_model).save(tmp_path / "scene.tif")


def test_opacity_and_palettes(geotiff, pixels):
    opacity = np.full((70, 105, 1), 255, np.uint8)
    opacity[:, :40] = 0
    colours = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
    path = geotiff(np.dstack([pixels, opacity]), interleave="band", compress="lerc")
    with rasterio.open(path, "r+") as file:
        file.colorinterp = colours
    assert np.array_equal(open_scene(path).read().valid_mask, opacity[:, :, 0] > 0)
    path = geotiff(pixels[:, :, :1], name="palette.tif", compress="lerc")
    with rasterio.open(path, "r+") as file:
        file.write_colormap(1, {index: (index, 255 - index, 7, 255) for index in range(256)})
    shown = open_scene(path).read().pixels
    assert np.array_equal(shown[:, :, 1], 255 - pixels[:, :, 0])


def test_scales_and_offsets_are_applied(geotiff, pixels):
    path = geotiff((pixels.astype(np.int16) - 100) * 20)
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = (1 / 20 / 255,) * 3, (100 / 255,) * 3
    assert np.array_equal(open_scene(path, scale="unit").read().pixels, pixels)


def projected(path, crs: str, pixels: np.ndarray, box: Bounds = BOX, nodata: int | None = 0) -> None:
    """Write a picture of `box` on a projected grid, with twice as many pixels a side."""
    height, width = pixels.shape[:2]
    transform, columns, rows = calculate_default_transform(
        "EPSG:4326", crs, width, height, *box, dst_width=2 * width, dst_height=2 * height
    )
    profile = {"driver": "GTiff", "count": 3, "dtype": "uint8", "nodata": nodata}
    with rasterio.open(
        path, "w", height=rows, width=columns, crs=crs, transform=transform, **profile
    ) as file:
        for band in range(3):
            layer = np.zeros((rows, columns), np.uint8)
            reproject(
                np.ascontiguousarray(pixels[:, :, band]),
                layer,
                src_transform=from_bounds(*box, width, height),
                src_crs="EPSG:4326",
                dst_transform=transform,
                dst_crs=crs,
                resampling=rasterio.enums.Resampling.bilinear,
            )
            file.write(layer, band + 1)


def blobs(size: tuple[int, int]) -> np.ndarray:
    """Bright discs on a dark sea."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    pixels = np.full((*size, 3), 40, np.uint8)
    for y, x, radius in ((0.3, 0.25, 0.12), (0.6, 0.7, 0.2), (0.75, 0.2, 0.08)):
        pixels[np.hypot(rows - y * size[0], columns - x * size[1]) < radius * size[0]] = 220
    return pixels


@pytest.fixture
def bright_model(tiny_model, card) -> Model:
    """Marks what is bright; its canvas has as many pixels as the pictures of these tests."""
    return Model.load(tiny_model(rules=dict.fromkeys(card.patterns, OWN_RULE)))


def places(scene, model: Model) -> list[tuple[float, float]]:
    """Longitude and latitude of every region's centroid."""
    segmentation = segment(scene, model)
    box, (height, width) = segmentation.scene.bounds, segmentation.scene.size
    return [
        (
            box.west + region.centroid[0] / width * box.width,
            box.north - region.centroid[1] / height * box.height,
        )
        for region in segmentation.regions
        if region.pattern == "Fish"
    ]


@pytest.mark.parametrize("crs", ["EPSG:3857", "EPSG:32621", "EPSG:4087", GEOSTATIONARY])
def test_projected_grids_give_regions_at_the_same_place(tmp_path, crs, bright_model):
    pixels = blobs((350, 525))
    array = open_scene(pixels).with_location(BOX)
    projected(tmp_path / "scene.tif", crs, pixels)
    scene = open_scene(tmp_path / "scene.tif")
    first, second = places(array, bright_model), places(scene, bright_model)
    assert len(first) == len(second) == 3
    assert second == pytest.approx(np.array(first), abs=2 * BOX.width / 525)


def test_a_projected_grid_across_the_antimeridian(tmp_path):
    box = Bounds(172, -15, -167, -1)
    pixels = blobs((140, 210))
    east = box._replace(east=193)
    projected(tmp_path / "scene.tif", "EPSG:3832", pixels, east)
    scene = open_scene(tmp_path / "scene.tif")
    assert scene.bounds == pytest.approx(box, abs=0.3)
    assert (scene.read().valid_mask).mean() > 0.95


def test_the_answer_is_written_back_on_the_grid_of_the_file(tmp_path, bright_model):
    pixels = blobs((350, 525))
    projected(tmp_path / "scene.tif", "EPSG:32621", pixels)
    (content,) = get_format("geotiff").render(segment(tmp_path / "scene.tif", bright_model))
    with rasterio.open(tmp_path / "scene.tif") as source, rasterio.MemoryFile(content).open() as result:
        assert (result.crs, result.shape) == (CRS.from_epsg(32621), source.shape)
        assert result.transform.almost_equals(source.transform)
        bright, mask = source.read(1) > 128, result.read(1) == 1
        assert 2 * (bright & mask).sum() / (bright.sum() + mask.sum()) > 0.95
        assert ((result.read(1) == 255) == (source.dataset_mask() == 0)).mean() > 0.99


def test_bounds_of_a_projected_picture_are_refused_with_what_to_do(tmp_path, monkeypatch):
    projected(tmp_path / "scene.tif", "EPSG:32621", blobs((70, 105)))
    with pytest.raises(SceneError, match=r"EPSG:32621\); leave them out: it is warped"):
        open_scene(tmp_path / "scene.tif").with_location(BOX)
    hide(monkeypatch, "rasterio")
    with pytest.raises(SceneError, match=r"EPSG:32621\); pip install .*\[geo\]"):
        open_scene(tmp_path / "scene.tif").with_location(BOX)


class Ranges(SimpleHTTPRequestHandler):
    """Serves files, on request in parts, and counts the bytes."""

    sent: ClassVar[list[int]] = []
    in_parts = True

    def do_GET(self):
        content = (self.server.folder / self.path.lstrip("/")).read_bytes()
        wanted = self.headers.get("Range") if self.in_parts else None
        if wanted:
            first, last = wanted.removeprefix("bytes=").split("-")
            part = content[int(first) : int(last or len(content)) + 1]
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{int(first) + len(part) - 1}/{len(content)}")
        else:
            part = content
            self.send_response(200)
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part)
        self.sent.append(len(part))

    def log_message(self, *_):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("in_parts", [True, False])
def test_of_a_remote_geotiff_only_what_is_needed_is_read(tmp_path, in_parts, monkeypatch):
    values = np.random.default_rng(0).integers(0, 255, (6000, 6000, 1), dtype=np.uint8)
    path = tmp_path / "large.tif"
    profile = {"driver": "COG", "height": 6000, "width": 6000, "count": 1, "dtype": "uint8"}
    with rasterio.open(
        path, "w", crs="EPSG:4326", transform=from_bounds(*BOX, 6000, 6000), **profile
    ) as file:
        file.write(values[:, :, 0], 1)
    monkeypatch.setattr(Ranges, "sent", [])
    monkeypatch.setattr(Ranges, "in_parts", in_parts)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Ranges)
    server.folder = tmp_path
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        (source,) = find_sources([f"http://127.0.0.1:{server.server_port}/large.tif"])
        scene = source.open()
        assert (scene.name, scene.bounds) == ("large.tif", pytest.approx(BOX))
        assert min(scene.read((640, 960)).valid_mask.shape) >= 640
        assert (sum(Ranges.sent) < path.stat().st_size / 4) == in_parts
    finally:
        server.shutdown()


MEMORY = """
import resource, sys
from nephoscope.imagery.reading import open_scene
import rasterio.warp
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
scene = open_scene(sys.argv[1])
raster = scene.read()
assert scene.projection == "EPSG:32621" and raster.valid_mask.mean() > 0.8, scene
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.slow
def test_a_large_projected_raster_takes_bounded_memory(tmp_path):
    side = 10_980
    profile = {"driver": "GTiff", "height": side, "width": side, "count": 3, "dtype": "uint16", "tiled": True}
    place = {"crs": "EPSG:32621", "transform": rasterio.Affine(10, 0, 500_000, 0, -10, 1_700_040)}
    path = tmp_path / "tile.tif"
    with rasterio.open(path, "w", compress="deflate", zlevel=1, **profile, **place) as file:
        for first in range(0, side, 1098):
            window = rasterio.windows.Window(0, first, side, 1098)
            file.write(np.full((3, 1098, side), 20_000 + first, np.uint16), window=window)
    measured = subprocess.run(
        [sys.executable, "-c", MEMORY, str(path)], capture_output=True, text=True, check=True
    )
    # The file holds 723 MB of values; GDAL keeps 64 MB of blocks.
    assert float(measured.stdout) < 200
