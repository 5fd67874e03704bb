"""Every format with the patterns of a model that has two, six or eight of its own."""

import csv
import io
import json
from datetime import date

import cv2
import numpy as np
import pytest
import xarray as xr
from rasterio.io import MemoryFile
from typer.testing import CliRunner

from conftest import OWN_PATTERNS
from nephoscope.cli import app
from nephoscope.core.errors import CardError
from nephoscope.core.geo import REGIONS
from nephoscope.core.patterns import C3ONTEXT_NAMES
from nephoscope.core.types import SCORE_GRID
from nephoscope.datasets.labels import read_labels
from nephoscope.inference.model import Model
from nephoscope.inference.pipeline import segment
from nephoscope.inference.renamed import RenamedModel
from nephoscope.outputs import FORMATS


@pytest.fixture(params=OWN_PATTERNS)
def segmentation(request, tiny_model):
    """Boxes of red, green and blue: all patterns are present, and some overlap."""
    pixels = np.full((467, 700, 3), 60, np.uint8)
    pixels[50:250, 50:300, 0] = pixels[200:400, 100:400, 1] = pixels[50:400, 450:650, 2] = 240
    model = Model.load(tiny_model(patterns=OWN_PATTERNS[request.param]))
    return segment(pixels, model, bounds=REGIONS["barbados"], day=date(2020, 2, 1))


@pytest.fixture
def patterns(segmentation):
    return segmentation.card.patterns


def read(content: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)


def shows(page: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((np.abs(page[:, :, ::-1].astype(int) - colour).sum(axis=2) < 30).sum() > 40)


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_every_format_renders_each_of_its_files(segmentation, patterns, name):
    chosen = FORMATS[name]
    contents = chosen.render(segmentation)
    assert len(contents) == (1 if chosen.per_run else len(chosen.file_endings(patterns)))
    assert all(contents)


def test_masks_and_their_names(segmentation, patterns):
    endings = FORMATS["mask"].file_endings(patterns)
    assert endings == tuple(f"_{name}.png" for name in patterns)
    for name, content in zip(patterns, FORMATS["mask"].render(segmentation), strict=True):
        assert np.array_equal(read(content), segmentation.mask(name, segmentation.scene.size))


def test_json(segmentation, patterns):
    answer = json.loads(FORMATS["json"].render(segmentation)[0])
    assert tuple(answer["patterns"]) == patterns
    assert [region["pattern"] for region in answer["regions"]] == list(patterns)


def test_csv(segmentation, patterns, tmp_path):
    path = tmp_path / "submission.csv"
    path.write_bytes(FORMATS["csv"].render(segmentation)[0])
    labels = read_labels(path, SCORE_GRID)
    assert [pattern for _, pattern in labels.texts] == list(patterns)
    for name in patterns:
        assert np.array_equal(labels.mask("array", name), segmentation.mask(name, SCORE_GRID))


@pytest.mark.slow
def test_overlay_and_panel_show_each_colour(segmentation):
    height = segmentation.scene.size[0]
    legend = read(FORMATS["overlay"].render(segmentation)[0])[height:]
    panel = read(FORMATS["panel"].render(segmentation)[0])
    for pattern in segmentation.card.styled_patterns:
        assert shows(legend, pattern.colour), pattern.name
        assert shows(panel, pattern.colour), pattern.name


@pytest.mark.slow
def test_netcdf_has_a_flag_for_each_pattern(segmentation, patterns):
    dataset = xr.open_dataset(io.BytesIO(FORMATS["netcdf"].render(segmentation)[0]), engine="h5netcdf").load()
    assert dataset.mask.attrs["flag_meanings"].split() == list(patterns)
    assert (
        dataset.mask.dtype
        == dataset.mask.attrs["flag_masks"].dtype
        == ("int8" if len(patterns) < 8 else "int16")
    )
    assert dataset.pattern_name.values.tolist() == list(patterns)
    for index, flag in enumerate(dataset.mask.attrs["flag_masks"]):
        assert np.array_equal(dataset.mask.values[0] & flag > 0, segmentation.masks[index])
    assert dataset.attrs["title"] == f"{', '.join(patterns[:-1])} and {patterns[-1]} in array"
    assert "references" not in dataset.attrs  # those of the default patterns


def test_geotiff_has_a_band_for_each_pattern(segmentation, patterns):
    with MemoryFile(FORMATS["geotiff"].render(segmentation)[0]) as file, file.open() as raster:
        assert raster.descriptions == patterns
        for band, name in enumerate(patterns, 1):
            assert np.array_equal(raster.read(band), segmentation.mask(name, segmentation.scene.size))


def test_geojson_has_each_patterns_colour(segmentation, patterns):
    collection = json.loads(FORMATS["geojson"].render(segmentation)[0])
    fills = {each["properties"]["pattern"]: each["properties"]["fill"] for each in collection["features"]}
    assert fills == {pattern.name: pattern.hex_colour for pattern in segmentation.card.styled_patterns}
    assert len(set(fills.values())) == len(patterns)


def test_organisation_has_a_row_for_each_region(segmentation, patterns):
    rows = csv.DictReader(io.StringIO(FORMATS["organisation"].render(segmentation)[0].decode()))
    assert [row["pattern"] for row in rows if row["scope"] == "region"] == list(patterns)


def test_names_of_c3ontext_keep_every_mask_and_take_its_order(tiny_model, tmp_path):
    """Of every output, by the command: C3ONTEXT's first bit is Sugar's."""
    pixels = np.full((467, 700, 3), 60, np.uint8)
    pixels[50:250, 50:300, 0] = pixels[200:400, 100:400, 1] = 240
    picture = tmp_path / "boxes.png"
    cv2.imwrite(str(picture), pixels[:, :, ::-1])
    words = [
        "segment",
        str(picture),
        "--bounds",
        "barbados",
        "--time",
        "2020-02-01",
        "--format",
        "netcdf,json",
    ]
    words += ["--model", str(tiny_model())]
    for names in ("nephoscope", "c3ontext"):
        done = CliRunner().invoke(app, [*words, "--names", names, "-o", str(tmp_path / names)])
        assert done.exit_code == 0, done.output
    ours, theirs = (
        xr.open_dataset(tmp_path / names / "boxes.nc", engine="h5netcdf")
        for names in ("nephoscope", "c3ontext")
    )
    assert theirs["mask"].attrs["flag_meanings"].split() == list(theirs["pattern_name"].values)
    assert list(theirs["pattern_name"].values) == ["Sugar", "Flowers", "Fish", "Gravel"]
    for place, old in enumerate(C3ONTEXT_NAMES.values()):
        before = ours["mask"].attrs["flag_meanings"].split().index(old)
        assert np.array_equal(theirs["mask"] >> place & 1, ours["mask"] >> before & 1)
        assert np.array_equal(theirs["probability"][place], ours["probability"][before], equal_nan=True)
    colours = json.loads((tmp_path / "c3ontext" / "boxes.json").read_text())["patterns"]
    assert (ours["mask"] > 0).any()
    assert "Flowers" in str(colours)
    assert "Flower'" not in str(colours)


def test_names_of_c3ontext_are_for_its_patterns_alone(tiny_model):
    with pytest.raises(CardError, match=r"has the patterns Fish, Flower, not Sugar"):
        RenamedModel(Model.load(tiny_model(patterns=("Fish", "Flower"))), C3ONTEXT_NAMES)
