"""What geographic information systems open: GeoPackages, and styles for QGIS."""

import json
import os
import sqlite3
import subprocess
from contextlib import closing
from datetime import date
from importlib.util import find_spec
from xml.etree import ElementTree

import geopandas
import numpy as np
import pyogrio
import pytest
import rasterio
from typer.testing import CliRunner

import nephoscope
from nephoscope.cli import app
from nephoscope.core.errors import MissingExtraError, SceneError
from nephoscope.core.geo import Bounds
from nephoscope.core.patterns import DEFAULT_NAMES, DEFAULT_PATTERNS, Pattern
from nephoscope.inference.model import Model
from nephoscope.inference.postprocess import Rule
from nephoscope.outputs import FORMATS, parse_formats
from nephoscope.outputs.gpkg import LAYER
from nephoscope.outputs.qgis import regions_style, styles

RULE = Rule(threshold=0.5, top_k=100, presence=0.6, least_cover=0, minimum_area=50)
QGIS_PYTHON = os.environ.get("NEPHOSCOPE_QGIS_PYTHON", "/usr/bin/python3")  # that imports QGIS
READ_BY_QGIS = """
import json, sys
from qgis.core import QgsApplication, QgsRasterLayer, QgsVectorLayer
application = QgsApplication([], False)
application.initQgis()
folder, patterns = sys.argv[1], sys.argv[2:]
def categories(layer):
    return {each.value(): each.symbol().color().name() for each in layer.renderer().categories()}
regions = QgsVectorLayer(folder + "/scene.geojson", "regions", "ogr")
loaded = {"loaded": [regions.loadNamedStyle(folder + "/regions.qml")[1]], "geojson": categories(regions)}
package = QgsVectorLayer(folder + "/scene.gpkg|layername=regions", "package", "ogr")
loaded["gpkg"] = categories(package)
masks = QgsRasterLayer(folder + "/scene_patterns.tif", "masks")
shares = QgsRasterLayer('NETCDF:"' + folder + '/scene.nc":probability', "shares")
for layer, kind in ((masks, "mask"), (shares, "probability"), (shares, "frequency")):
    for name in patterns:
        loaded["loaded"].append(layer.loadNamedStyle(folder + "/" + kind + "_" + name + ".qml")[1])
        renderer = layer.renderer()
        if kind == "mask":
            ((value, colour),) = [(each.value, each.color.name()) for each in renderer.classes()]
        else:
            item = renderer.shader().rasterShaderFunction().colorRampItemList()[-1]
            value, colour = item.value, item.color.name()
        loaded[kind + name] = [renderer.band(), value, colour]
print(json.dumps(loaded))
"""
PLACED = {"bounds": Bounds(-62, 6, -41, 20), "day": date(2020, 2, 1)}


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


@pytest.fixture
def write(tmp_path):
    """Writes a result as a GeoPackage."""

    def writing(result):
        path = tmp_path / "scene.gpkg"
        path.write_bytes(FORMATS["gpkg"].render(result)[0])
        return path

    return writing


def tree(style: bytes) -> ElementTree.Element:
    assert style.startswith(b"<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n<qgis ")
    return ElementTree.fromstring(style)


class TestGeoPackage:
    def test_it_holds_what_geojson_holds(self, bright, pixels, write):
        result = nephoscope.segment(pixels, bright, **PLACED)
        table = geopandas.read_file(write(result), layer=LAYER)
        expected = geopandas.GeoDataFrame.from_features(result.__geo_interface__, crs="EPSG:4326")
        assert table.crs.to_epsg() == 4326
        assert len(table) == len(result.regions) == 3
        assert set(table.geom_type) == {"MultiPolygon"}
        assert table.geometry.geom_equals(expected.geometry).all()
        fields = [name for name in table.columns if name != "geometry"]
        assert fields == [name for name in expected.columns if name != "geometry"]
        for name in fields:
            if name != "satellite":  # unknown
                assert table[name].tolist() == expected[name].tolist()
        assert table.satellite.isna().all()

    def test_a_scene_without_patterns_has_the_same_fields(self, bright, pixels, write):
        some = pyogrio.read_info(write(nephoscope.segment(pixels, bright, **PLACED)), layer=LAYER)
        none = pyogrio.read_info(write(nephoscope.segment(pixels // 4, bright, **PLACED)), layer=LAYER)
        assert (some["features"], none["features"]) == (3, 0)
        for key in ("fields", "ogr_types", "geometry_type", "crs"):
            assert np.array_equal(some[key], none[key])

    def test_it_says_where_it_comes_from(self, bright, pixels, write):
        about = pyogrio.read_info(write(nephoscope.segment(pixels, bright, **PLACED)), layer=LAYER)
        assert about["dataset_metadata"]["software"] == f"nephoscope {nephoscope.__version__}"
        assert '"threshold": 0.5' in about["dataset_metadata"]["rules"]

    def test_qgis_finds_the_style_of_the_layer(self, bright, pixels, write):
        result = nephoscope.segment(pixels, bright, **PLACED)
        path = write(result)
        with closing(sqlite3.connect(path)) as database:
            (row,) = database.execute(
                "SELECT f_table_name, f_geometry_column, styleQML, useAsDefault FROM layer_styles"
            )
            problems = database.execute("PRAGMA integrity_check").fetchall()
            kinds = dict(database.execute("SELECT table_name, data_type FROM gpkg_contents"))
        assert row == (LAYER, "geom", regions_style(result.card.styled_patterns).decode(), 1)
        assert problems == [("ok",)]
        assert kinds == {LAYER: "features", "layer_styles": "attributes"}
        assert pyogrio.read_info(path, layer=LAYER)["geometry_name"] == row[1]

    def test_it_needs_a_place(self, bright, pixels):
        with pytest.raises(SceneError, match="unknown location"):
            FORMATS["gpkg"].render(nephoscope.segment(pixels, bright))

    def test_without_geopandas_it_says_what_to_install(self, monkeypatch):
        real = find_spec
        monkeypatch.setattr(
            "nephoscope.outputs.format.find_spec", lambda name: None if name == "geopandas" else real(name)
        )
        with pytest.raises(MissingExtraError, match=r"output format gpkg: geopandas missing: .*\[notebook\]"):
            parse_formats("gpkg")


class TestStyles:
    def test_regions_are_categorised_by_pattern(self):
        renderer = tree(styles(DEFAULT_PATTERNS)["regions.qml"]).find("renderer-v2")
        assert (renderer.get("type"), renderer.get("attr")) == ("categorizedSymbol", "pattern")
        categories = renderer.findall("categories/category")
        assert [each.get("value") for each in categories] == list(DEFAULT_NAMES)
        symbols = {each.get("name"): each for each in renderer.findall("symbols/symbol")}
        for category, pattern in zip(categories, DEFAULT_PATTERNS, strict=True):
            layer = symbols[category.get("symbol")].find("layer")
            options = {each.get("name"): each.get("value") for each in layer.findall("Option/Option")}
            assert options["color"] == "{},{},{},77".format(*pattern.colour)
            assert options["outline_color"] == "{},{},{},255".format(*pattern.colour)
            assert options == {each.get("k"): each.get("v") for each in layer.findall("prop")}

    @pytest.mark.parametrize(("kind", "most"), [("probability", 1), ("frequency", 0.5)])
    def test_shares_have_a_ramp_of_the_patterns_colour(self, kind, most):
        made = styles(DEFAULT_PATTERNS)
        for band, pattern in enumerate(DEFAULT_PATTERNS, 1):
            renderer = tree(made[f"{kind}_{pattern}.qml"]).find("pipe/rasterrenderer")
            assert (renderer.get("type"), renderer.get("band")) == ("singlebandpseudocolor", str(band))
            assert float(renderer.get("classificationMax")) == most
            items = renderer.findall("rastershader/colorrampshader/item")
            assert [float(each.get("value")) for each in items] == [0, most]
            assert [each.get("alpha") for each in items] == ["0", "255"]
            assert {each.get("color") for each in items} == {pattern.hex_colour}

    def test_masks_have_the_bands_of_the_raster(self, bright, pixels, tmp_path):
        result = nephoscope.segment(pixels, bright, **PLACED)
        (path,) = result.save(tmp_path / "scene_patterns.tif")
        made = styles(result.card.styled_patterns)
        with rasterio.open(path) as raster:
            for pattern in result.card.styled_patterns:
                renderer = tree(made[f"mask_{pattern}.qml"]).find("pipe/rasterrenderer")
                assert renderer.get("type") == "paletted"
                assert raster.descriptions[int(renderer.get("band")) - 1] == pattern.name
                (entry,) = renderer.findall("colorPalette/paletteEntry")
                assert entry.attrib == {
                    **{"value": "1", "label": pattern.name},
                    **{"color": pattern.hex_colour, "alpha": "255"},
                }

    def test_any_name_is_escaped(self):
        (category,) = tree(regions_style([Pattern('<&" é', (1, 2, 3))])).iter("category")
        assert category.get("value") == '<&" é'

    @pytest.mark.slow
    def test_qgis_reads_them(self, bright, pixels, tmp_path):
        environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
        try:
            command = [QGIS_PYTHON, "-c", "import qgis.core"]
            subprocess.run(command, check=True, capture_output=True, env=environment)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip(f"{QGIS_PYTHON} has no QGIS (NEPHOSCOPE_QGIS_PYTHON names another Python)")
        result = nephoscope.segment(pixels, bright, **PLACED)
        for ending in (".geojson", ".gpkg", "_patterns.tif", ".nc"):
            result.save(tmp_path / f"scene{ending}")
        for name, content in styles(DEFAULT_PATTERNS).items():
            (tmp_path / name).write_bytes(content)
        command = [QGIS_PYTHON, "-c", READ_BY_QGIS, str(tmp_path), *DEFAULT_NAMES]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
        loaded = json.loads(done.stdout.splitlines()[-1])
        colours = {each.name: each.hex_colour for each in DEFAULT_PATTERNS}
        assert loaded["geojson"] == loaded["gpkg"] == colours
        assert all(loaded["loaded"])
        for kind, value in (("mask", 1), ("probability", 1), ("frequency", 0.5)):
            for band, name in enumerate(DEFAULT_NAMES, 1):
                assert loaded[kind + name] == [band, value, colours[name]]

    def test_the_command_writes_them(self, tiny_model, tmp_path):
        words = ["styles", "-o", str(tmp_path / "styles"), "--model", str(tiny_model())]
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, done.output
        made = styles(DEFAULT_PATTERNS)
        assert {path.name: path.read_bytes() for path in (tmp_path / "styles").iterdir()} == made
        assert len(made) == 13
        again = CliRunner().invoke(app, words)
        assert again.exit_code == 2
        assert "--overwrite" in again.output
        assert CliRunner().invoke(app, [*words, "--overwrite", "--names", "c3ontext"]).exit_code == 0
        assert (tmp_path / "styles" / "mask_Flowers.qml").is_file()
