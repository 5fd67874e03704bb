"""Whatever holds a picture gives the same scene as its pixels."""

import io
from datetime import date, datetime
from pathlib import Path

import dask.array
import numpy as np
import pytest
import torch
import xarray as xr
from PIL import Image as PilImage

from conftest import encoded, hide
from nephoscope.core.errors import MissingExtraError, SceneError
from nephoscope.core.geo import Bounds
from nephoscope.imagery.reading import open_scene
from nephoscope.imagery.sources import open_source

BOX = Bounds(-61, 10, -40, 24)


@pytest.fixture
def pixels() -> np.ndarray:
    """A picture without black areas, 70 x 105."""
    return np.random.default_rng(0).integers(20, 255, (70, 105, 3), dtype=np.uint8)


def axes(size: tuple[int, int] = (70, 105)) -> tuple[np.ndarray, np.ndarray]:
    """Latitudes from north to south and longitudes from west to east, of pixels' centres in BOX."""
    height, width = size
    latitude = BOX.north - (np.arange(height) + 0.5) * BOX.height / height
    return latitude, BOX.west + (np.arange(width) + 0.5) * BOX.width / width


def labelled(pixels: np.ndarray) -> xr.DataArray:
    latitude, longitude = axes()
    coordinates = {"lat": ("y", latitude), "lon": ("x", longitude)}
    return xr.DataArray(pixels, dims=("y", "x", "band"), coords=coordinates, name="scene")


def dataset(pixels: np.ndarray, names: tuple[str, ...] = ("red", "green", "blue")) -> xr.Dataset:
    latitude, longitude = axes()
    layers = {name: (("lat", "lon"), pixels[:, :, index]) for index, name in enumerate(names)}
    return xr.Dataset(layers, {"lat": latitude, "lon": longitude})


SAME = {
    "uint8": lambda pixels: pixels,
    "bands first": lambda pixels: pixels.transpose(2, 0, 1),
    "batch of one": lambda pixels: pixels[None],
    "batch of one, bands first": lambda pixels: pixels.transpose(2, 0, 1)[None],
    "uint16": lambda pixels: pixels.astype(np.uint16) * 257,
    "uint16 from 0 to 255": lambda pixels: pixels.astype(np.uint16),
    "int64": lambda pixels: pixels.astype(np.int64),
    "floats from 0 to 255": lambda pixels: pixels.astype(np.float32),
    "floats from 0 to 1": lambda pixels: pixels / np.float32(255),
    "not contiguous": lambda pixels: np.repeat(pixels, 2, axis=1)[:, ::2],
    "read-only": lambda pixels: np.frombuffer(pixels.tobytes(), np.uint8).reshape(pixels.shape),
    "masked, nothing masked": lambda pixels: np.ma.MaskedArray(pixels, False),
    "torch": lambda pixels: torch.from_numpy(pixels),
    "torch, bands first, from 0 to 1, with gradients": lambda pixels: (
        torch.from_numpy(pixels).permute(2, 0, 1) / 255
    ).requires_grad_(),
    "dask": lambda pixels: dask.array.from_array(pixels, chunks=(30, 40, 3)),
    "PIL": PilImage.fromarray,
    "PIL, opacity": lambda pixels: PilImage.fromarray(pixels).convert("RGBA"),
    "bytes": lambda pixels: encoded(pixels, ".png"),
    "bytes, 16 bits": lambda pixels: encoded(pixels.astype(np.uint16) * 257, ".png"),
    "open file": lambda pixels: io.BytesIO(encoded(pixels, ".png")),
    "DataArray": labelled,
    "DataArray, bands first": lambda pixels: labelled(pixels).transpose("band", "y", "x"),
    "DataArray, a time": lambda pixels: labelled(pixels).expand_dims(time=[np.datetime64("2020-02-01")]),
    "DataArray, rising latitude": lambda pixels: labelled(pixels).isel(y=slice(None, None, -1)),
    "DataArray, falling longitude": lambda pixels: labelled(pixels).isel(x=slice(None, None, -1)),
    "DataArray, dask": lambda pixels: labelled(pixels).chunk({"y": 20}),
    "Dataset": dataset,
    "Dataset, one variable": lambda pixels: labelled(pixels).to_dataset(),
}


@pytest.mark.parametrize("kind", SAME)
def test_all_kinds_give_the_same_pixels(pixels, kind):
    scene = open_scene(SAME[kind](pixels))
    raster = scene.read()
    assert np.array_equal(raster.pixels, pixels)
    assert raster.valid_mask.all()
    assert scene.size == (70, 105)
    assert scene.value_warnings == []
    if "Data" in kind:
        assert scene.bounds == pytest.approx(BOX)
    if "time" in kind:
        assert scene.day == date(2020, 2, 1)


def test_grey_pictures_have_three_equal_colours(pixels):
    for grey in (
        pixels[:, :, 0],
        pixels[:, :, :1],
        pixels[None, :, :, 0],
        PilImage.fromarray(pixels[:, :, 0]),
    ):
        assert np.array_equal(open_scene(grey).read().pixels, np.repeat(pixels[:, :, :1], 3, 2))


@pytest.mark.parametrize("kind", ["masked", "NaN", "infinite", "DataArray", "Dataset", "_FillValue"])
def test_missing_values_are_no_data_exactly(pixels, kind):
    missing = np.zeros((70, 105), np.bool_)
    missing[3:9, 5:50] = True
    missing[40, 40] = True
    pixels[9, 5] = 0  # dark, beside what is missing
    floats = np.where(missing[:, :, None], np.nan, pixels)
    filled = np.where(missing[:, :, None], np.int16(-1), pixels)
    source = {
        "masked": np.ma.MaskedArray(pixels, np.repeat(missing[:, :, None], 3, 2)),
        "NaN": floats,
        "infinite": np.where(missing[:, :, None], -np.inf, pixels),
        "DataArray": labelled(floats),
        "Dataset": dataset(floats),
        "_FillValue": labelled(filled).assign_attrs(_FillValue=-1),
    }[kind]
    raster = open_scene(source).read()
    assert np.array_equal(raster.valid_mask, ~missing)
    assert np.array_equal(raster.pixels[~missing], pixels[~missing])
    assert (raster.pixels[missing] <= 10).all()


def test_a_stray_missing_value_does_not_hide_a_gap_between_swaths(pixels):
    pixels[:, 60:70] = 0
    floats = pixels.astype(np.float32)
    floats[5, 5] = np.nan
    valid_mask = open_scene(floats).read().valid_mask
    assert not valid_mask[:, 60:70].any()
    assert not valid_mask[5, 5]
    assert valid_mask.sum() == 70 * 95 - 1


def test_bands_are_chosen_by_number_and_by_name(pixels):
    more = np.dstack([np.full_like(pixels[:, :, 0], 7)] * 2 + [pixels])
    assert np.array_equal(open_scene(more, bands=(3, 4, 5)).read().pixels, pixels)
    named = dataset(more, ("nir", "aerosol", "r7", "g7", "b7"))
    assert np.array_equal(open_scene(named, bands="r7,g7,b7").read().pixels, pixels)
    one = xr.DataArray(more, dims=("y", "x", "band"), coords={"band": ["a", "b", "Red", "Green", "Blue"]})
    assert np.array_equal(open_scene(one).read().pixels, pixels)
    assert np.array_equal(open_scene(one, bands=("Blue",)).read().pixels[:, :, 0], pixels[:, :, 2])


def test_names_of_bands_say_their_order(pixels):
    for names in (["B02", "B03", "B04"], ["blue", "green", "red", "nir"]):
        layers = np.dstack([pixels[:, :, ::-1], np.zeros((70, 105, len(names) - 3), np.uint8)])
        array = xr.DataArray(layers, dims=("y", "x", "band"), coords={"band": names})
        raster = open_scene(array).read()
        assert np.array_equal(raster.pixels, pixels)
        assert raster.valid_mask.all()
    modis = dataset(np.dstack([pixels, pixels[:, :, :1]]), ("B01", "B02", "B03", "B04"))
    with pytest.raises(SceneError, match="4 bands"):  # red is B01 of MODIS and B04 of Sentinel-2
        open_scene(modis)


def test_a_masked_dask_array_keeps_its_mask(pixels):
    masked = dask.array.ma.masked_less(dask.array.from_array(pixels, chunks=50), 60)
    assert np.array_equal(open_scene(masked).read().valid_mask, (pixels >= 60).all(axis=2))


def test_integers_called_reflectances_are_of_a_ten_thousandth(pixels):
    stored = xr.DataArray((pixels.astype(np.int16) * 40), dims=("y", "x", "band"))
    stated = open_scene(stored, scale="reflectance").read().pixels
    called = open_scene(stored.assign_attrs(standard_name="toa_bidirectional_reflectance")).read().pixels
    assert np.array_equal(called, stated)
    assert called.std() > 10


def test_projected_coordinates_in_any_order_and_in_kilometres(pixels):
    axes = {"x": ("x", np.arange(105) * 1e3 + 5e5), "y": ("y", 2e6 - np.arange(70) * 1e3)}
    array = xr.DataArray(pixels, dims=("y", "x", "band"), coords=axes, attrs={"crs": "EPSG:32620"})
    expected = open_scene(array).bounds
    assert expected.west == pytest.approx(-63, abs=0.02)
    assert open_scene(array.transpose("x", "y", "band")).bounds == expected
    kilometres = {name: (name, axes[name][1] / 1000, {"units": "km"}) for name in "xy"}
    assert open_scene(array.assign_coords(kilometres)).bounds == pytest.approx(expected)


@pytest.mark.parametrize("sides", [(1, 1), (-1, 1), (1, -1), (-1, -1)], ids=str)
@pytest.mark.parametrize("west", [-61, 170])
def test_located_pixels_stay_where_they_are_whatever_their_order(sides, west):
    rows, columns = np.mgrid[:70, :105]
    pixels = np.full((70, 105, 3), 60, np.uint8)
    pixels[20:30, 40:60] = 240
    latitude, longitude = 24 - (rows + 0.5) * 0.2, west + (columns + 0.5) * 0.2
    turned = [each[:: sides[0], :: sides[1]] for each in (pixels, latitude, (longitude + 180) % 360 - 180)]
    coordinates = {"lat": (("y", "x"), turned[1]), "lon": (("y", "x"), turned[2])}
    scene = open_scene(xr.DataArray(turned[0], dims=("y", "x", "band"), coords=coordinates))
    raster = scene.read()
    assert raster.valid_mask.mean() > 0.95
    bright = np.argwhere(raster.pixels[:, :, 0] > 150).mean(axis=0) + 0.5
    height, width = scene.size
    place = (
        scene.bounds.north - bright[0] / height * scene.bounds.height,
        scene.bounds.west + bright[1] / width * scene.bounds.width,
    )
    assert place == pytest.approx((24 - 25 * 0.2, west + 50 * 0.2), abs=0.1)


def test_of_a_full_disk_the_part_on_earth_is_warped():
    edge = 5_500_000
    axis = np.linspace(-edge, edge, 120)
    geos = "+proj=geos +h=35785831 +lon_0=-60 +sweep=y +ellps=WGS84 +units=m"
    coordinates = {"x": ("x", axis), "y": ("y", -axis)}
    pixels = np.full((120, 120, 3), 90, np.uint8)
    array = xr.DataArray(pixels, dims=("y", "x", "band"), coords=coordinates, attrs={"crs": geos})
    scene = open_scene(array)
    west, south, east, north = scene.bounds
    assert -142 < west < -120
    assert (west + east) / 2 == pytest.approx(-60, abs=3)
    assert south == pytest.approx(-north, abs=1)
    assert 0.4 < scene.read().valid_mask.mean() < 1


def test_coordinates_of_two_dimensions_are_warped_to_degrees(pixels):
    longitude, latitude = np.meshgrid(*axes()[::-1])
    for turn in (0, 1, 2):  # swaths start anywhere
        turned = [np.rot90(each, turn) for each in (pixels, latitude, longitude)]
        coordinates = {"latitude": (("y", "x"), turned[1]), "longitude": (("y", "x"), turned[2])}
        scene = open_scene(xr.DataArray(turned[0], dims=("y", "x", "band"), coords=coordinates))
        assert scene.bounds == pytest.approx(BOX, abs=0.03)
        assert scene.size == pytest.approx((70, 105), abs=1)


def test_longitude_may_come_first(pixels):
    turned = labelled(pixels).transpose("x", "y", "band")
    scene = open_scene(turned)
    assert np.array_equal(scene.read().pixels, pixels)
    assert (scene.size, scene.bounds) == ((70, 105), pytest.approx(BOX))


def test_the_antimeridian_is_crossed_either_way(pixels):
    latitude, longitude = axes()
    for shifted in ((longitude + 230) % 360, (longitude + 230 + 180) % 360 - 180):
        array = xr.DataArray(pixels, dims=("lat", "lon", "band"), coords={"lat": latitude, "lon": shifted})
        assert open_scene(array).bounds == pytest.approx((169, 10, -170, 24))


@pytest.mark.parametrize("ending", [".nc", ".zarr"])
def test_files_of_xarray(tmp_path, pixels, ending):
    path = tmp_path / f"scene{ending}"
    source = dataset(pixels).assign_coords(time=np.datetime64("2020-02-01T13:30"))
    if ending == ".nc":
        source.to_netcdf(path)
    else:
        source.to_zarr(path)
    scene = open_source(str(path))
    assert np.array_equal(scene.read().pixels, pixels)
    assert (scene.bounds, scene.day, scene.name) == (pytest.approx(BOX), date(2020, 2, 1), path.name)


def test_grid_mappings_of_cf_are_warped(tmp_path, pixels):
    """As in files of GOES: scanning angles, and a geostationary projection by its parameters."""
    mapping = {
        "grid_mapping_name": "geostationary",
        "perspective_point_height": 35_786_023.0,
        "longitude_of_projection_origin": -75.0,
        "sweep_angle_axis": "x",
        "semi_major_axis": 6_378_137.0,
        "semi_minor_axis": 6_356_752.31414,
        "latitude_of_projection_origin": 0.0,
    }
    angles = {"units": "rad"}
    source = xr.Dataset(
        {"rgb": (("y", "x", "band"), pixels, {"grid_mapping": "goes"}), "goes": ((), 0, mapping)},
        {"y": ("y", np.linspace(0.05, 0.01, 70), angles), "x": ("x", np.linspace(0.01, 0.06, 105), angles)},
    )
    source.to_netcdf(tmp_path / "goes.nc")
    scene = open_scene(tmp_path / "goes.nc")
    # 0.01 radians at 35,786 km are 358 km, some 3.2 degrees, near the point below the satellite.
    assert scene.bounds.west == pytest.approx(-75 + 3.2, abs=0.3)
    assert scene.bounds.south == pytest.approx(3.2, abs=0.3)
    assert scene.projection == "geos"
    opened = open_scene(xr.open_dataset(tmp_path / "goes.nc"))  # where the mapping is a variable
    assert (opened.bounds, opened.projection) == (scene.bounds, "geos")


def test_satpy_scenes(pixels):
    satpy = pytest.importorskip("satpy")
    pyresample = pytest.importorskip("pyresample")
    area = pyresample.create_area_def("box", 4326, area_extent=(-61, 10, -40, 24), shape=(70, 105))
    scene = satpy.Scene()
    attributes = {"area": area, "start_time": datetime(2020, 2, 1, 13), "platform_name": "NOAA-20"}
    names = {"y": axes()[0], "x": axes()[1], "bands": ["R", "G", "B"]}
    array = xr.DataArray(pixels, dims=("y", "x", "bands"), coords=names, attrs=attributes)
    scene["true_color"] = array.transpose("bands", "y", "x").chunk()
    opened = open_scene(scene)
    assert np.array_equal(opened.read().pixels, pixels)
    assert opened.bounds == pytest.approx(BOX)
    assert (opened.day, opened.satellite) == (date(2020, 2, 1), "NOAA-20")
    with pytest.raises(SceneError, match="no dataset"):
        open_scene(scene, bands=("C01", "C02", "C03"))


def test_bands_of_satpy_scenes_on_a_projected_area(pixels):
    satpy = pytest.importorskip("satpy")
    pyresample = pytest.importorskip("pyresample")
    extent = (-500_000, 1_000_000, 1_000_000, 2_000_000)
    area = pyresample.create_area_def("utm", 32621, area_extent=extent, shape=(70, 105))
    scene = satpy.Scene()
    for index, name in enumerate(("1", "4", "3")):
        array = xr.DataArray(pixels[:, :, index], dims=("y", "x"), attrs={"area": area})
        scene[name] = array.chunk()
    opened = open_scene(scene, bands=("1", "4", "3"))
    assert opened.projection == "EPSG:32621"
    assert opened.source_grid.transform[2:] == pytest.approx((-500_000, 0, -1_000_000 / 70, 2_000_000))
    assert opened.read().valid_mask.mean() > 0.8


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (None, "NoneType is no picture"),
        ({"a": 1}, "dict is no picture"),
        (np.zeros((40, 50), np.complex64), "complex"),
        (np.zeros((40, 50), "U1"), "type <U1"),
        (np.zeros((3, 40, 50, 3), np.uint8), "a batch of 3 pictures: give them one by one to segment_many"),
        (np.zeros((40, 50, 7), np.uint8), "7 bands.*bands="),
        (np.zeros(40, np.uint8), r"shape .* got \(40,\)"),
        (xr.Dataset(), "it is empty"),
        (xr.Dataset({name: (("y", "x"), np.zeros((40, 50))) for name in "abcde"}), "5 bands .*--bands"),
        (xr.DataArray(np.zeros((5, 5, 40, 50))), "select one by .isel"),
        (xr.DataArray(np.zeros((3, 40, 50)), dims=("time", "y", "x")), r"3 times or .*\.isel\(time=0\)"),
        (
            xr.DataArray(np.zeros((3, 40, 50)), dims=("lev", "y", "x"), coords={"lev": [1.0, 2.0, 3.0]}),
            r"levels along lev",
        ),
        (xr.concat([xr.DataArray(np.zeros((40, 50)))] * 7, xr.Variable("band", range(1, 8))), "7 bands"),
        (
            xr.Dataset(
                {name: (("time", "y", "x"), np.zeros((2, 40, 50))) for name in ("red", "green", "blue")}
            ),
            r"2 times or .*\.isel\(time=0\)",
        ),
        ([np.zeros((40, 50))], "segment_many takes several"),
        (io.StringIO("text"), "open it in binary mode"),
    ],
)
def test_what_cannot_be_a_picture_is_refused_with_what_to_do(source, reason):
    with pytest.raises(SceneError, match=reason):
        open_scene(source)


@pytest.mark.parametrize(
    ("ending", "module", "extra"),
    [(".nc", "xarray", "geo"), (".nc", "h5netcdf", "geo"), (".zarr", "zarr", "atlas")],
)
def test_without_a_library_a_file_says_what_to_install(tmp_path, pixels, monkeypatch, ending, module, extra):
    path = tmp_path / f"scene{ending}"
    path.touch()
    hide(monkeypatch, module)
    with pytest.raises(MissingExtraError, match=rf"scene{ending}: .*{module} missing: pip install .*{extra}"):
        open_scene(path)


def test_without_rasterio_arrays_on_other_grids_say_what_to_install(pixels, monkeypatch):
    hide(monkeypatch, "rasterio")
    assert open_scene(labelled(pixels)).bounds == pytest.approx(BOX)
    longitude, latitude = np.meshgrid(*axes()[::-1])
    swath = {"lat": (("y", "x"), latitude), "lon": (("y", "x"), longitude)}
    stated = {"spatial_ref": ((), 0, {"crs_wkt": "EPSG:3857"})}
    for coordinates in (swath, stated):
        array = xr.DataArray(pixels, dims=("y", "x", "band"), coords=coordinates)
        with pytest.raises(MissingExtraError, match=r"rasterio missing: pip install .*\[geo\]"):
            open_scene(array)


def test_names_come_from_files(tmp_path, pixels):
    path = tmp_path / "Aqua_CorrectedReflectance20090122_-61--40_10-24.png"
    path.write_bytes(encoded(pixels, ".png"))
    with path.open("rb") as file, PilImage.open(path) as image:
        for source in (str(path), Path(path), file, image):
            scene = open_scene(source)
            assert (scene.name, scene.bounds) == (path.name, BOX)


@pytest.mark.parametrize("content", [b"", b"not NetCDF"])
def test_a_file_that_is_not_netcdf_has_a_short_message(tmp_path, content):
    path = tmp_path / "scene.nc"
    path.write_bytes(content)
    with pytest.raises(SceneError) as caught:
        open_scene(path)
    assert str(caught.value) == (
        "scene.nc: empty, damaged or not a NetCDF file, or h5netcdf or netCDF4 is not installed"
    )
