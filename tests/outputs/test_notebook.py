"""Results in a notebook: tables, datasets, figures, files and HTML."""

import io
import re
import sys
from base64 import b64decode
from datetime import date

import numpy as np
import pytest

import nephoscope
from conftest import encoded
from nephoscope.core.errors import (
    MissingExtraError,
    OutputConflictError,
    OutputError,
    SceneError,
)
from nephoscope.core.geo import Bounds
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.imagery.reading import open_scene
from nephoscope.inference.model import Model
from nephoscope.inference.postprocess import Rule
from nephoscope.outputs import FORMATS

RULE = Rule(threshold=0.5, top_k=100, presence=0.6, least_cover=0, minimum_area=50)
BARBADOS = {"bounds": Bounds(-62, 6, -41, 20), "day": date(2020, 2, 1)}
ACROSS = {"bounds": Bounds(170, -7, -169, 7)}


@pytest.fixture
def bright(tiny_model):
    """A model for which a pattern is where its colour is bright."""
    return Model.load(tiny_model(rules=dict.fromkeys(DEFAULT_NAMES, RULE)))


@pytest.fixture
def pixels():
    """Two areas of Flower, one of Gravel, which overlaps one of them, and no data on the left."""
    pixels = np.full((140, 210, 3), 60, np.uint8)
    pixels[20:60, 30:80, 1] = pixels[80:120, 100:200, 1] = pixels[90:130, 150:205, 2] = 240
    pixels[:, :10] = 0
    return pixels


@pytest.mark.slow
class TestXarray:
    def test_it_is_what_the_file_holds(self, bright, pixels):
        import xarray as xr

        result = nephoscope.segment(pixels, bright, **BARBADOS)
        (content,) = FORMATS["netcdf"].render(result)
        with xr.open_dataset(io.BytesIO(content), engine="h5netcdf") as opened:
            dataset = result.to_xarray()
            xr.testing.assert_allclose(dataset, opened, atol=1e-4)
        assert dataset.time.values[0] == np.datetime64("2020-02-01")

    def test_without_a_place_it_has_pixels_and_without_a_day_no_time(self, bright, pixels):
        dataset = nephoscope.segment(pixels, bright).to_xarray()
        assert dataset.probability.dims == ("pattern", "y", "x")
        assert (dataset.x[0], dataset.y[-1]) == pytest.approx((0.2, 139.8))
        assert not {"time", "crs", "lat"} & set(dataset.variables)
        assert dataset.to_netcdf(engine="h5netcdf")
        placed = nephoscope.segment(pixels, bright, **ACROSS).to_xarray()
        assert placed.mask.dims == ("lat", "lon")
        dated = nephoscope.segment(pixels, bright, day=date(2020, 2, 1)).to_xarray()
        assert dated.mask.dims == ("time", "y", "x")


class TestTables:
    def test_a_row_a_region(self, bright, pixels):
        result = nephoscope.segment(pixels, bright, **BARBADOS)
        table = result.to_dataframe()
        assert list(table.pattern) == ["Flower", "Flower", "Gravel"]
        for row, region in zip(table.itertuples(), result.regions, strict=True):
            assert (row.area, row.area_fraction) == (region.area, region.area_fraction)
            assert (row.left, row.top, row.right, row.bottom) == region.box
            assert row.longitude == pytest.approx(-62 + region.centroid[0] / 10)
            assert row.latitude == pytest.approx(20 - region.centroid[1] / 10)
            assert row.area_km2 == pytest.approx(region.area * 11.12**2, rel=0.06)

    def test_without_a_place_there_are_no_degrees(self, bright, pixels):
        table = nephoscope.segment(pixels, bright).to_dataframe()
        assert len(table) == 3
        assert not {"area_km2", "longitude", "latitude"} & set(table)

    def test_without_regions_the_columns_are_there(self, bright):
        table = nephoscope.segment(np.zeros((140, 210, 3), np.uint8), bright).to_dataframe()
        assert len(table) == 0
        assert table.area.sum() == 0

    @pytest.mark.slow
    def test_geometries_are_those_of_the_regions(self, bright, pixels):
        import geopandas as gpd

        for place in (BARBADOS, ACROSS):
            result = nephoscope.segment(pixels, bright, **place)
            table = result.to_geodataframe()
            assert table.crs.to_epsg() == 4326
            assert table.geometry.is_valid.all()
            for row, region in zip(table.itertuples(), result.regions, strict=True):
                assert row.geometry.area * 100 == pytest.approx(
                    region.area, rel=1e-4
                )  # six digits of a degree
            collection = gpd.GeoDataFrame.from_features(result, crs="EPSG:4326")
            assert collection.geometry.equals(table.geometry)

    def test_regions_without_a_place_say_so(self, bright, pixels):
        result = nephoscope.segment(pixels, bright)
        with pytest.raises(SceneError, match="array: unknown location; .*`bounds`"):
            result.to_geodataframe()
        with pytest.raises(SceneError, match="array: unknown location; .*`bounds`"):
            _ = result.__geo_interface__
        with pytest.raises(SceneError, match="Region of Flower.*unknown location; .*`bounds`"):
            _ = result.regions[0].__geo_interface__

    def test_a_missing_library_is_named(self, bright, pixels, monkeypatch):
        monkeypatch.setitem(sys.modules, "pandas", None)
        with pytest.raises(MissingExtraError, match=r"^pandas is missing: pip install '.*\[notebook\]'"):
            nephoscope.segment(pixels, bright).to_dataframe()


@pytest.mark.slow
class TestPlot:
    def test_degrees_names_and_shares(self, bright, pixels):
        from matplotlib.figure import Figure

        result = nephoscope.segment(pixels, bright, **ACROSS)
        given = Figure().subplots()
        axes = result.plot(given)
        assert axes is given
        axes.figure.canvas.draw()
        assert axes.get_xlim() == (170, 191)
        labels = [label.get_text() for label in axes.get_xticklabels()]
        assert {"175°E", "180°", "175°W"} <= set(labels)
        assert [text.get_text() for text in axes.texts] == ["Flower", "Flower", "Gravel"]
        shares = [text.get_text() for text in axes.get_legend().get_texts()]
        assert shares == [f"{name} {result.area_fractions[name]:.0%}" for name in ("Flower", "Gravel")]

    def test_pixels_where_the_place_is_unknown(self, bright, pixels):
        import matplotlib.pyplot as plt

        plt.switch_backend("agg")
        scene = open_scene(encoded(pixels, ".png"), name="50$_x^$ \udce9.png")
        axes = nephoscope.segment(scene, bright).plot()
        axes.figure.canvas.draw()  # a name is no formula
        assert axes.get_ylim() == (140, 0)
        assert axes.get_xlabel() == "x (pixels)"
        plt.close(axes.figure)


class TestSave:
    @pytest.mark.parametrize(
        ("name", "form", "files"),
        [
            ("x.json", "json", ["x.json"]),
            ("x.GeoJSON", "geojson", ["x.GeoJSON"]),
            ("x.gpkg", "gpkg", ["x.gpkg"]),
            ("x.csv", "csv", ["x.csv"]),
            ("x.nc", "netcdf", ["x.nc"]),
            ("x.tif", "geotiff", ["x.tif"]),
            ("x.jpg", "overlay", ["x.jpg"]),
            ("x_panel.png", "panel", ["x_panel.png"]),
            ("x.png", "mask", [f"x_{name}.png" for name in DEFAULT_NAMES]),
        ],
    )
    def test_the_ending_says_the_format(self, bright, pixels, tmp_path, name, form, files):
        result = nephoscope.segment(pixels, bright, **BARBADOS)
        paths = [tmp_path / "new" / each for each in files]
        assert result.save(tmp_path / "new" / name) == paths
        assert sorted((tmp_path / "new").iterdir()) == sorted(paths)
        if form not in ("netcdf", "gpkg"):  # which have the time in them
            assert [path.read_bytes() for path in paths] == FORMATS[form].render(result)

    def test_one_of_several_files(self, bright, pixels, tmp_path):
        result = nephoscope.segment(pixels, bright)
        (path,) = result.save(str(tmp_path / "x_Gravel.png"))
        assert path.read_bytes() == FORMATS["mask"].render(result)[DEFAULT_NAMES.index("Gravel")]

    def test_an_unknown_ending(self, bright, pixels, tmp_path):
        result = nephoscope.segment(pixels, bright)
        with pytest.raises(OutputError, match=r"x\.xyz: no output format has this ending; .*\.nc \(netcdf\)"):
            result.save(tmp_path / "x.xyz")
        with pytest.raises(SceneError, match="unknown location"):
            result.save(tmp_path / "x.nc")
        assert [path.name for path in tmp_path.iterdir()] == ["tiny.onnx"]

    def test_the_picture_itself_is_kept(self, bright, pixels, tmp_path):
        path = tmp_path / "scene.jpg"
        path.write_bytes(encoded(pixels, ".jpg"))
        before = path.read_bytes()
        with pytest.raises(OutputConflictError, match="is the picture itself"):
            nephoscope.segment(path, bright).save(tmp_path / "." / "scene.jpg")
        assert path.read_bytes() == before


class TestHTML:
    def test_it_needs_no_file_and_escapes_names(self, bright, pixels, tmp_path):
        path = tmp_path / "<b>&\udce9.jpg"
        path.write_bytes(encoded(pixels, ".jpg"))
        result = nephoscope.segment(path, bright, **BARBADOS)
        path.unlink()
        html = result._repr_html_()
        html.encode()
        assert "&lt;b&gt;&amp;\ufffd.jpg" in html
        assert "62°W to 41°W, 6°N to 20°N" in html
        assert re.findall(r"(\w+)</td>", html)[0] == "Fish"
        assert result.warnings[0][:20] in html
        (picture,) = re.findall(r"base64,([^\"]+)", html)
        assert open_scene(b64decode(picture)).size == (427, 640)

    @pytest.mark.slow
    @pytest.mark.parametrize("size", [(400, 600), (40, 400), (400, 40)])
    def test_it_is_small_for_any_picture(self, bright, size):
        noise = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
        for pixels in (noise, np.zeros_like(noise)):
            assert 1000 < len(nephoscope.segment(pixels, bright)._repr_html_()) < 150_000


@pytest.mark.slow
def test_a_notebook(tmp_path, monkeypatch):
    """The outputs that people see: HTML of a result, and a figure as PNG."""
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    import nbformat
    from nbclient import NotebookClient

    cells = (
        "import nephoscope\nfrom nephoscope.imagery.synthetic import sample",
        "result = nephoscope.segment(sample(), bounds=nephoscope.Bounds(-61, 10, -40, 24))\nresult",
        "result.plot();",
        "result.to_xarray()",
        "result.to_dataframe()",
        "result.save('sample.geojson')",
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert (tmp_path / "sample.geojson").is_file()
    shown = [{kind for output in cell.outputs for kind in output.get("data", {})} for cell in notebook.cells]
    assert "text/html" in shown[1]
    assert "image/png" in shown[2]
    assert {"text/html"} <= shown[3] & shown[4]
    assert b"Fish" in (tmp_path / "sample.geojson").read_bytes()
