"""Bounds of a picture: stated, from its name, GeoTIFF tags or a world file, in this order."""

import re
from datetime import date

import numpy as np
import pytest
import rasterio
from PIL import Image as PilImage
from rasterio.transform import Affine, from_bounds

from conftest import encoded, hide
from nephoscope.core.geo import REGIONS, Bounds
from nephoscope.imagery.reading import open_scene
from nephoscope.imagery.sources import find_sources
from nephoscope.inference.model import Model
from nephoscope.inference.pipeline import segment
from nephoscope.outputs.batch import Done, Job, run

HEIGHT, WIDTH = 70, 105
BOX = Bounds(-61, 10, -40, 24)
NAME = "Aqua_CorrectedReflectance20090122_-61--40_10-24.jpeg"


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(20, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)


@pytest.fixture
def geotiff(tmp_path, pixels):
    """Makes GeoTIFF pictures by GDAL."""

    def make(box=BOX, crs="EPSG:4326", transform=None, point=False, **creation):
        path = tmp_path / "scene.tif"
        transform = transform or from_bounds(*box, WIDTH, HEIGHT)
        options = {"driver": "GTiff", "height": HEIGHT, "width": WIDTH, "count": 3, "dtype": "uint8"}
        with rasterio.open(path, "w", crs=crs, transform=transform, **options, **creation) as dataset:
            if point:
                dataset.update_tags(AREA_OR_POINT="Point")
            dataset.write(pixels.transpose(2, 0, 1))
        return path

    return make


@pytest.mark.parametrize("point", [False, True])
@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((-61, 10, -40, 24), (-61, 10, -40, 24)),
        ((-61.123456, -0.7, -60.1, 0.9), (-61.123456, -0.7, -60.1, 0.9)),
        ((170, -15, 191, -1), (170, -15, -169, -1)),  # across the antimeridian
        ((200, -15, 221, -1), (-160, -15, -139, -1)),  # counted to 360
        ((-180, -90, 180, 90), (-180, -90, 180, 90)),
        ((159, 8, 180, 22), (159, 8, 180, 22)),
    ],
)
def test_geographic_tags_give_the_box_that_gdal_wrote(geotiff, box, expected, point):
    scene = open_scene(geotiff(box, point=point))
    assert scene.bounds == pytest.approx(expected, abs=1e-9)
    assert scene.location_problem == ""
    assert scene.day is None


def test_points_are_the_centres_of_pixels(geotiff):
    """The same numbers in the tags, read as corners and as centres."""
    path = geotiff()
    with PilImage.open(path) as image:
        tags = image.tag_v2
        keys = list(tags[34735])
        assert keys[keys.index(1025) : keys.index(1025) + 4] == [1025, 0, 1, 1]
        keys[keys.index(1025) + 3] = 2
        tags[34735] = tuple(keys)
        image.save(path.with_name("point.tif"), tiffinfo=tags)
    west, _, _, north = open_scene(path.with_name("point.tif")).bounds
    assert (west, north) == pytest.approx((-61 - 0.1, 24 + 0.1))
    with rasterio.open(path.with_name("point.tif")) as dataset:
        assert dataset.bounds[0] == pytest.approx(west)


def test_an_unrotated_transformation_has_bounds(geotiff):
    path = geotiff()
    with PilImage.open(path) as image:
        tags = image.tag_v2
        del tags[33550], tags[33922]
        tags[34264] = (0.2, 0.0, 0.0, -61.0, 0.0, -0.2, 0.0, 24.0, *(0.0,) * 7, 1.0)
        tags.tagtype[34264] = 12
        image.save(path.with_name("other.tif"), tiffinfo=tags)
    assert open_scene(path.with_name("other.tif")).bounds == pytest.approx(BOX)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"transform": Affine(4, 0, -61, 0, -0.2, 24)}, "not a box in degrees"),
        ({"transform": Affine(0.2, 0, -61, 0, -2, 24)}, "not a box in degrees"),
    ],
)
def test_other_grids_have_no_bounds_and_a_reason(geotiff, options, reason):
    scene = open_scene(geotiff(**options))
    assert scene.bounds is None
    assert re.search(reason, scene.location_problem)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (
            {"crs": "EPSG:32620", "transform": Affine(1000, 0, 500_000, 0, -1000, 2_000_000)},
            r"projected CRS \(EPSG:32620\)",
        ),
        ({"transform": Affine(0.2, 0.05, -61, 0.05, -0.2, 24)}, "rotated"),
        ({"transform": Affine(0.2, 0, -61, 0, 0.2, 10)}, "rows do not run from north to south"),
    ],
)
def test_without_rasterio_such_grids_have_no_bounds_and_a_reason(geotiff, options, reason, monkeypatch):
    hide(monkeypatch, "rasterio")
    scene = open_scene(geotiff(**options))
    assert scene.bounds is None
    assert re.search(reason, scene.location_problem)


def test_plain_pictures_have_no_georeference(tmp_path, pixels):
    for ending in (".jpg", ".png", ".tif", ".webp"):
        scene = open_scene(encoded(pixels, ending), name="x" + ending)
        assert (scene.bounds, scene.day, scene.location_problem) == (None, None, "")


def test_the_time_in_a_tiffs_tags_is_not_when_the_picture_was_taken(tmp_path, pixels):
    path = tmp_path / "a.tif"
    PilImage.fromarray(pixels).save(path, tiffinfo={306: "2019:05:01 12:00:00"})
    assert open_scene(path).day is None


@pytest.mark.parametrize("ruined", [(), (1, 1), (1, 1, 0, 9, *(1, 2, 3)), "text"])
def test_damaged_keys_never_cost_the_picture(geotiff, ruined):
    path = geotiff()
    with PilImage.open(path) as image:
        tags = image.tag_v2
        tags[34735] = ruined
        if ruined == "text":
            tags.tagtype[34735] = 2
        image.save(path.with_name("ruined.tif"), tiffinfo=tags)
    scene = open_scene(path.with_name("ruined.tif"))
    assert scene.bounds is None
    assert scene.size == (HEIGHT, WIDTH)


def world_file(box: Bounds) -> str:
    """Six lines as GDAL and ArcGIS write them: pixel size, rotation, and the upper left pixel's centre."""
    across, down = box.width / WIDTH, box.height / HEIGHT
    numbers = (across, 0, 0, -down, box.west + across / 2, box.north - down / 2)
    return "\n".join(f"{number:.12f}" for number in numbers) + "\n"


@pytest.mark.parametrize(
    ("picture", "beside"),
    [
        ("a.jpg", "a.jgw"),
        ("a.jpg", "a.JGW"),
        ("a.jpeg", "a.jpegw"),
        ("a.png", "a.pgw"),
        ("a.tif", "a.tfw"),
        ("a.tiff", "a.tfw"),
        ("a.webp", "a.wld"),
        ("a.jpg", "a.jpg.wld"),
    ],
)
def test_a_world_file_beside_the_picture(tmp_path, pixels, picture, beside):
    (tmp_path / picture).write_bytes(encoded(pixels, "." + picture.split(".")[1]))
    (tmp_path / beside).write_text(world_file(BOX))
    assert open_scene(tmp_path / picture).bounds == pytest.approx(BOX)
    if beside.islower() and picture != "a.webp" and beside.count(".") == 1:
        with rasterio.open(tmp_path / picture) as dataset:  # GDAL agrees
            assert tuple(dataset.bounds) == pytest.approx(tuple(BOX))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("1000\n0\n0\n-1000\n500000\n2000000\n", "may be in metres"),
        ("0.2\n0.1\n0.1\n-0.2\n-61\n24\n", "a.jgw describes a rotated grid"),
        ("0.2\n0\n0\n", "a.jgw cannot be read"),
        ("hello", "a.jgw cannot be read"),
        ("nan\n0\n0\nnan\nnan\nnan\n", "do not run"),
        ("0.2\n0\n0\n-0.2\ninf\n24\n", "not a box"),
    ],
)
def test_a_world_file_without_bounds_has_a_reason(tmp_path, pixels, content, reason):
    (tmp_path / "a.jpg").write_bytes(encoded(pixels, ".jpg"))
    (tmp_path / "a.jgw").write_text(content)
    scene = open_scene(tmp_path / "a.jpg")
    assert scene.bounds is None
    assert reason in scene.location_problem


def test_a_picture_that_exif_rotates_has_no_bounds(tmp_path, pixels):
    exif = PilImage.Exif()
    exif[0x0112] = 6
    PilImage.fromarray(pixels).save(tmp_path / "a.jpg", exif=exif)
    (tmp_path / "a.jgw").write_text(world_file(BOX))
    scene = open_scene(tmp_path / "a.jpg")
    assert scene.bounds is None
    assert "EXIF" in scene.location_problem


def test_the_name_is_believed_before_tags_and_world_files(tmp_path, pixels):
    (tmp_path / NAME).write_bytes(encoded(pixels, ".jpg"))
    (tmp_path / NAME).with_suffix(".jgw").write_text(world_file(REGIONS["east-pacific"]))
    assert open_scene(tmp_path / NAME).bounds == BOX


def test_what_is_stated_is_believed_before_all(tmp_path, pixels, tiny_model):
    path = tmp_path / NAME
    path.write_bytes(encoded(pixels, ".jpg"))
    model = Model.load(tiny_model())
    result = segment(path, model, bounds=Bounds(170, -10, -148, 4), day=date(2020, 2, 1))
    assert result.scene.bounds == Bounds(170, -10, -148, 4)
    assert (result.scene.day, result.scene.satellite) == (date(2020, 2, 1), "Aqua")
    assert result.valid_mask.shape == (350, 1050)  # 42° wide: two frames
    assert segment(path, model).scene.bounds == BOX


def test_a_run_sets_bounds_and_day_of_all_pictures(tmp_path, pixels, tiny_model):
    for name in ("a.jpg", NAME):
        (tmp_path / name).write_bytes(encoded(pixels, ".jpg"))
    job = Job(
        Model.load(tiny_model()),
        tmp_path / "out",
        ("json",),
        bounds=REGIONS["barbados"],
        day=date(2020, 2, 1),
    )
    results = list(run(find_sources([str(tmp_path / "a.jpg"), str(tmp_path / NAME)]), job))
    for result in results:
        assert isinstance(result, Done)
        assert result.summary["bounds"] == REGIONS["barbados"]._asdict()
        assert result.summary["date"] == "2020-02-01"


@pytest.mark.slow
def test_a_large_jpeg_is_decoded_finely_enough_for_the_stated_place(tmp_path, tiny_model):
    """42° x 28° must be decoded finer than the same picture taken for one view."""
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded(np.full((1400, 2100, 3), 99, np.uint8), ".jpg"))
    model = Model.load(tiny_model())
    assert segment(path, model).prediction.raster.pixels.shape[:2] == (700, 1050)
    wide = segment(path, model, bounds=Bounds(-61, 0, -19, 28))
    assert wide.prediction.raster.pixels.shape[:2] == (1400, 2100)
