"""Georeferenced formats: the same masks at the same coordinates in each, and an error without bounds."""

import io
import json
import re
import socket
from dataclasses import replace
from datetime import date
from importlib.util import find_spec

import cv2
import numpy as np
import pytest
import rasterio
import shapely
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.features import geometry_mask
from rasterio.io import MemoryFile
from shapely.geometry import shape
from typer.testing import CliRunner

from conftest import encoded
from nephoscope.cli import app
from nephoscope.core.errors import MissingExtraError, SceneError
from nephoscope.core.extras import install_command
from nephoscope.core.geo import EARTH_RADIUS, Bounds
from nephoscope.core.patterns import DEFAULT_NAMES, DEFAULT_PATTERNS
from nephoscope.imagery.reading import open_scene
from nephoscope.imagery.sources import find_sources
from nephoscope.inference.model import Model
from nephoscope.inference.postprocess import label_components
from nephoscope.inference.prediction import Prediction
from nephoscope.inference.segmentation import Segmentation
from nephoscope.outputs import FORMATS, parse_formats
from nephoscope.outputs.batch import Done, Failed, Job, run

DAY = date(2020, 2, 1)
PLACES = {
    "west": Bounds(-61, 10, -40, 24),
    "south, with digits": Bounds(-61.37, -8.11, -40.12, 5.93),
    "over a pixel on the antimeridian": Bounds(170.013, -10, -168.987, 4),
    "over a pixel's edge on the antimeridian": Bounds(170, -10, -169, 4),
    "up to the antimeridian": Bounds(159, 8, 180, 22),
}


def segmentation(card, masks, bounds=PLACES["west"], day=DAY, gap=0, size=None) -> Segmentation:
    """A segmentation with these masks, and no data along the left side."""
    masks = np.array(masks)
    _, height, width = masks.shape
    pixels = np.full((*(size or (height, width)), 3), 90, np.uint8)
    pixels[:, : round(gap * pixels.shape[1] / width)] = 0
    masks[:, :, :gap] = False
    valid = np.ones((height, width), bool)
    valid[:, :gap] = False
    chances = np.random.default_rng(5).random(masks.shape, np.float32) * valid
    scene = open_scene(pixels, name="made-up.jpg").with_location(bounds, day)
    components = np.stack([label_components(mask) for mask in masks])
    prediction = Prediction(scene, scene.read(), card, chances, valid, None, False, {})
    return Segmentation(prediction, components, dict.fromkeys(DEFAULT_NAMES, 0.5))


def with_scene(segmentation, **changes) -> Segmentation:
    """The same segmentation of a scene with other facts."""
    prediction = segmentation.prediction
    return replace(segmentation, prediction=replace(prediction, scene=replace(prediction.scene, **changes)))


def blobs(seed: int, height: int = 70, width: int = 105) -> np.ndarray:
    """Four masks of ragged regions with holes, some of whose pixels touch at a corner only."""
    noise = np.random.default_rng(seed).random((4, height, width))
    return np.stack([cv2.blur(field, (5, 5)) > 0.5 for field in noise])


def opened(result: Segmentation) -> xr.Dataset:
    (content,) = FORMATS["netcdf"].render(result)
    return xr.open_dataset(io.BytesIO(content), engine="h5netcdf").load()


def features(result: Segmentation) -> dict:
    (content,) = FORMATS["geojson"].render(result)
    return json.loads(content)


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_all_formats_put_the_same_pixels_at_the_same_places(card, place):
    result = segmentation(card, blobs(1), PLACES[place], gap=9)
    dataset, collection = opened(result), features(result)
    with MemoryFile(FORMATS["geotiff"].render(result)[0]) as file, file.open() as raster:
        assert raster.shape == result.scene.size
        columns, rows = np.meshgrid(np.arange(raster.width), np.arange(raster.height))
        longitudes, latitudes = rasterio.transform.xy(raster.transform, rows.ravel(), columns.ravel())
        assert np.allclose(np.reshape(longitudes, rows.shape), dataset.lon.values, atol=1e-9)
        assert np.allclose(np.reshape(latitudes, rows.shape), dataset.lat.values[:, None], atol=1e-9)
        for index, name in enumerate(DEFAULT_NAMES):
            band = raster.read(index + 1)
            assert np.array_equal(band == 1, result.masks[index])
            assert np.array_equal(band == 255, ~result.valid_mask)
            assert np.array_equal(dataset.mask.values[0] & (1 << index) > 0, result.masks[index])
            outlines = [
                shapely.affinity.translate(shape(feature["geometry"]), turn)
                for feature in collection["features"]
                if feature["properties"]["pattern"] == name
                for turn in (0, 360)  # the grid counts on beyond 180
            ]
            inside = geometry_mask(outlines, raster.shape, raster.transform, invert=True)
            assert np.array_equal(inside, result.masks[index])


class TestNetCDF:
    """A dataset that others read without asking."""

    @pytest.mark.slow
    @pytest.mark.parametrize("place", PLACES)
    def test_conventions_are_kept(self, card, place, tmp_path, monkeypatch):
        from compliance_checker.suite import CheckSuite

        def refuse(*_):
            raise AssertionError("the network was asked")

        monkeypatch.setattr(socket.socket, "connect", refuse)
        path = tmp_path / "made-up.nc"
        path.write_bytes(FORMATS["netcdf"].render(segmentation(card, blobs(2), PLACES[place], gap=5))[0])
        suite = CheckSuite()
        suite.load_all_available_checkers()
        dataset = suite.load_dataset(str(path))
        (results, errors) = suite.run_all(dataset, ["cf:1.11"])["cf:1.11"]
        dataset.close()
        assert not errors
        assert len(results) > 30
        assert [result.msgs for result in results if result.value[0] != result.value[1]] == []

    def test_readers_know_the_crs(self, card, tmp_path):
        path = tmp_path / "made-up.nc"
        path.write_bytes(FORMATS["netcdf"].render(segmentation(card, blobs(2)))[0])
        with rasterio.open(f"netcdf:{path}:mask") as raster:
            assert raster.crs.to_epsg() == 4326
            assert tuple(raster.bounds) == pytest.approx(PLACES["west"])
        rioxarray = pytest.importorskip("rioxarray")
        with rioxarray.open_rasterio(f"netcdf:{path}:mask") as raster:
            assert raster.rio.crs.to_epsg() == 4326
        with xr.open_dataset(path, engine="h5netcdf", decode_coords="all") as dataset:
            assert dataset.rio.crs.to_epsg() == 4326

    def test_values_survive_packing(self, card):
        result = segmentation(card, blobs(3), gap=7)
        dataset = opened(result)
        chances = dataset.probability.transpose("time", "pattern", "lat", "lon").values[0]
        assert dataset.probability.encoding["dtype"] == "int16"
        assert np.array_equal(np.isfinite(chances), np.broadcast_to(result.valid_mask, chances.shape))
        assert np.abs(chances - result.probabilities)[:, result.valid_mask].max() < 5.1e-5
        assert np.array_equal(dataset.valid.values[0], result.valid_mask)
        covers = dataset.set_index(pattern="pattern_name").cover
        for name in DEFAULT_NAMES:
            assert covers.sel(pattern=name).item() == pytest.approx(result.area_fractions[name])

    def test_flags_are_those_of_the_published_labels(self, card):
        mask = opened(segmentation(card, blobs(3))).mask
        assert mask.attrs["flag_masks"].tolist() == [1, 2, 4, 8]
        assert mask.attrs["flag_meanings"] == "Fish Flower Gravel Sugar"

    @pytest.mark.parametrize(("satellite", "hour"), [("Terra", 10.5), ("Aqua", 13.5)])
    def test_the_time_is_that_of_the_overpass(self, card, satellite, hour):
        box = PLACES["west"]
        dataset = opened(with_scene(segmentation(card, blobs(3), box), satellite=satellite))
        middle = box.west + box.width / 2
        expected = np.datetime64("2020-02-01") + np.timedelta64(round(60 * (hour - middle / 15)), "m")
        assert dataset.time.values[0] == expected
        earliest, latest = dataset.time_bnds.values[0]
        assert earliest < expected < latest
        assert latest - earliest == np.timedelta64(round(60 * (2 + box.width / 15)), "m")
        assert dataset.satellite.values.tolist() == [satellite]

    @pytest.mark.slow
    def test_two_satellites_of_a_day_open_together(self, card, tmp_path):
        for satellite in ("Aqua", "Terra"):
            result = with_scene(segmentation(card, blobs(3)), satellite=satellite)
            (tmp_path / f"{satellite}.nc").write_bytes(FORMATS["netcdf"].render(result)[0])
        with xr.open_mfdataset(str(tmp_path / "*.nc"), engine="h5netcdf") as both:
            assert both.sizes["time"] == 2
            assert both.satellite.values.tolist() == ["Terra", "Aqua"]
            assert both.sel(time="2020-02-01").mask.shape == (2, 70, 105)

    def test_without_a_satellite_the_time_is_the_day(self, card):
        dataset = opened(segmentation(card, blobs(3)))
        assert dataset.time.values[0] == np.datetime64("2020-02-01")
        assert dataset.time_bnds.values.tolist() == (
            np.array([["2020-02-01", "2020-02-02"]], "datetime64[ns]").tolist()
        )
        assert "overpass is not known" in dataset.time.attrs["comment"]

    @pytest.mark.slow
    def test_cells_tile_the_box(self, card):
        for box in PLACES.values():
            dataset = opened(segmentation(card, blobs(3), box))
            west, east = dataset.lon_bnds.values.T
            north, south = dataset.lat_bnds.values.T
            assert np.array_equal(west[1:], east[:-1])
            assert np.array_equal(north[1:], south[:-1])
            assert (west[0], north[0], south[-1]) == pytest.approx((box.west, box.north, box.south))
            assert east[-1] == pytest.approx(box.west + box.width)
            assert (np.diff(dataset.lon) > 0).all()

    def test_provenance_attributes(self, card):
        attributes = opened(segmentation(card, blobs(3))).attrs
        assert json.loads(attributes["model_card"])["name"] == card.name
        assert attributes["picture"] == "made-up.jpg"
        assert "nephoscope" in attributes["history"]
        assert card.licence in attributes["license"]

    @pytest.mark.slow
    def test_days_concatenate(self, card):
        days = [opened(segmentation(card, blobs(n), day=date(2020, 2, n))) for n in (1, 2, 3)]
        joined = xr.concat(days, "time", data_vars="minimal")
        assert joined.mask.shape == (3, 70, 105)


class TestGeoTIFF:
    """A raster to lay over the picture."""

    def test_it_is_on_the_pictures_own_grid(self, card):
        result = segmentation(card, blobs(4), gap=7, size=(140, 300))
        with MemoryFile(FORMATS["geotiff"].render(result)[0]) as file, file.open() as raster:
            assert raster.descriptions == DEFAULT_NAMES
            assert raster.crs.to_epsg() == 4326
            assert tuple(raster.bounds) == pytest.approx(PLACES["west"])
            assert raster.nodata == 255
            assert raster.shape == (140, 300)
            assert raster.tags()["picture"] == "made-up.jpg"
            for index, name in enumerate(DEFAULT_NAMES):
                band = raster.read(index + 1, masked=True)
                assert np.array_equal(band.mask, ~result.scene.read().valid_mask)
                assert np.array_equal(band.filled(0), result.mask(name, (140, 300)))

    def test_nephoscope_reads_its_bounds_back(self, card):
        for box in PLACES.values():
            (content,) = FORMATS["geotiff"].render(segmentation(card, blobs(4), box))
            assert open_scene(content, bands="Fish").bounds == pytest.approx(box)


class TestGeoJSON:
    """Features by RFC 7946."""

    @pytest.mark.slow
    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(masks=st.integers(0, 2**32 - 1), density=st.floats(0.2, 0.8), place=st.sampled_from(list(PLACES)))
    def test_any_region_has_a_valid_outline(self, card, masks, density, place):
        noise = np.random.default_rng(masks).random((4, 32, 48)) < density
        result = segmentation(card, noise, PLACES[place])
        collection = features(result)
        assert len(collection["features"]) == len(result.regions)
        for feature in collection["features"]:
            outline = shape(feature["geometry"])
            assert outline.is_valid, shapely.is_valid_reason(outline)
            west, south, east, north = feature["bbox"]
            assert -180 <= west <= 180
            assert -180 <= east <= 180
            left, bottom, right, top = outline.bounds
            assert (south, north) == pytest.approx((bottom, top), abs=1e-6)
            assert -180 <= left < right <= 180
            if west < east:
                assert (west, east) == pytest.approx((left, right), abs=1e-6)

    def test_rings_are_closed_and_turn_as_they_should(self, card):
        holes = 0
        for feature in features(segmentation(card, blobs(6)))["features"]:
            kind, coordinates = feature["geometry"]["type"], feature["geometry"]["coordinates"]
            for polygon in [coordinates] if kind == "Polygon" else coordinates:
                for index, ring in enumerate(polygon):
                    assert ring[0] == ring[-1]
                    assert shapely.LinearRing(ring).is_ccw == (index == 0)
                holes += len(polygon) - 1
        assert holes > 0

    @pytest.mark.parametrize("place", PLACES)
    def test_areas_are_those_on_the_sphere(self, card, place):
        """Everything is Flower: the area is that of the box, by the formula for a zone of a sphere."""
        masks = np.zeros((4, 70, 105), bool)
        masks[1] = True
        box = PLACES[place]
        (feature,) = features(segmentation(card, masks, box))["features"]
        zone = np.sin(np.radians(box.north)) - np.sin(np.radians(box.south))
        expected = EARTH_RADIUS**2 * np.radians(box.width) * zone
        assert feature["properties"]["area_km2"] == pytest.approx(expected, rel=1e-6)
        assert feature["bbox"] == pytest.approx(box)
        assert shape(feature["geometry"]).area == pytest.approx(box.width * box.height)
        parts = 2 if box.west + box.width > 180 else 1
        assert feature["geometry"]["type"] == ("Polygon" if parts == 1 else "MultiPolygon")

    def test_a_box_all_around_the_globe(self, card):
        masks = np.ones((4, 36, 72), bool)
        for bounds in (Bounds(-180, -90, 180, 90), Bounds(0, -90, 0, 90)):
            collection = features(segmentation(card, masks, bounds))
            assert collection["bbox"] == collection["features"][0]["bbox"] == [-180, -90, 180, 90]
            area = collection["features"][0]["properties"]["area_km2"]
            assert area == pytest.approx(4 * np.pi * EARTH_RADIUS**2)
            assert shape(collection["features"][0]["geometry"]).area == pytest.approx(360 * 180)

    @pytest.mark.slow
    def test_properties_of_a_feature(self, card):
        result = segmentation(card, blobs(7))
        for feature, region in zip(features(result)["features"], result.regions, strict=True):
            properties = feature["properties"]
            assert properties["pattern"] == region.pattern
            assert properties["cover"] == pytest.approx(region.area_fraction, abs=1e-4)
            assert properties["mean_probability"] == pytest.approx(region.mean_probability, abs=1e-4)
            assert (properties["scene"], properties["date"]) == ("made-up.jpg", "2020-02-01")
            colour = DEFAULT_PATTERNS[DEFAULT_NAMES.index(region.pattern)].colour
            assert tuple(bytes.fromhex(properties["fill"][1:])) == colour

    def test_joined_components_are_one_feature(self, card):
        masks = np.zeros((4, 70, 105), bool)
        masks[0, 10:20, 10:20] = masks[0, 10:20, 24:40] = True
        result = segmentation(card, masks)
        result = replace(
            result, components=np.stack([label_components(mask, join=6) for mask in masks]), join=6
        )
        (feature,) = features(result)["features"]
        assert feature["geometry"]["type"] == "MultiPolygon"
        assert len(feature["geometry"]["coordinates"]) == 2


@pytest.mark.parametrize("name", ["netcdf", "geotiff", "geojson"])
def test_georeferenced_formats_need_bounds(card, name):
    result = segmentation(card, blobs(1))
    nowhere = with_scene(result, bounds=None)
    with pytest.raises(SceneError, match=r"^made-up.jpg: unknown location; state it by --bounds west,south"):
        FORMATS[name].render(nowhere)
    why = with_scene(result, bounds=None, location_problem="its grid is rotated")
    with pytest.raises(SceneError, match="unknown location: its grid is rotated; state it by --bounds"):
        FORMATS[name].render(why)


@pytest.fixture
def folder(tmp_path):
    """Two pictures, of which one tells where and when it is."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    pixels = np.full((140, 210, 3), 60, np.uint8)
    pixels[30:110, 40:160, 1] = 250
    for name in ("a.jpg", "Aqua_CorrectedReflectance20090122_-61--40_10-24.jpeg"):
        (folder / name).write_bytes(encoded(pixels, ".jpg"))
    return folder


def test_a_picture_without_bounds_fails_before_any_output(folder, tmp_path, tiny_model):
    job = Job(Model.load(tiny_model()), tmp_path / "out", ("json", "geojson", "netcdf", "geotiff"))
    placed, nowhere = run(find_sources([str(folder)]), job)
    assert isinstance(placed, Done)
    assert isinstance(nowhere, Failed)
    assert "--bounds" in nowhere.reason
    stem = "Aqua_CorrectedReflectance20090122_-61--40_10-24"
    assert sorted(path.name for path in (tmp_path / "out").glob("[!.]*")) == sorted(
        stem + ending for ending in (".json", ".geojson", ".nc", "_patterns.tif")
    )


@pytest.mark.slow
def test_the_command_takes_place_and_day(folder, tmp_path, tiny_model):
    command = ["segment", str(folder / "a.jpg"), "-o", str(tmp_path), "--model", str(tiny_model())]
    command += ["--format", "netcdf,geojson"]
    runner = CliRunner()
    only_place = runner.invoke(app, [*command, "--bounds", "barbados"])
    assert only_place.exit_code == 1
    assert "--time" in only_place.output
    done = runner.invoke(app, [*command, "--bounds", "barbados", "--time", "2020-02-01"])
    assert done.exit_code == 0, done.output
    assert xr.open_dataset(tmp_path / "a.nc", engine="h5netcdf").lon.values[0] == pytest.approx(-61.98)
    for wrong in (["--bounds", "nowhere"], ["--time", "yesterday"]):
        refused = runner.invoke(app, [*command, *wrong])
        assert refused.exit_code == 2
        assert wrong[1] in refused.output


@pytest.mark.parametrize(
    ("name", "library", "extra"),
    [("netcdf", "h5netcdf", "geo"), ("geotiff", "rasterio", "geo")],
)
def test_a_missing_extra_stops_before_the_run(monkeypatch, folder, tmp_path, name, library, extra):
    real = find_spec
    monkeypatch.setattr(
        "nephoscope.outputs.format.find_spec", lambda word: None if word == library else real(word)
    )
    with pytest.raises(MissingExtraError, match=re.escape(f"{library} missing: {install_command(extra)}")):
        parse_formats(f"json,{name}")
    out = tmp_path / "out"
    refused = CliRunner().invoke(app, ["segment", str(folder), "-o", str(out), "--format", name])
    assert refused.exit_code == 2
    assert not out.exists()
