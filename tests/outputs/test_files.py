"""One contract for every output format, and the content of each."""

import json
from datetime import date

import cv2
import numpy as np
import pytest

from nephoscope.core.errors import OutputError
from nephoscope.core.geo import REGIONS
from nephoscope.core.patterns import DEFAULT_NAMES, DEFAULT_PATTERNS
from nephoscope.core.types import SCORE_GRID
from nephoscope.datasets.labels import read_labels
from nephoscope.imagery.synthetic import make_scene
from nephoscope.inference.pipeline import segment
from nephoscope.outputs import FORMATS, parse_formats
from nephoscope.outputs import csv as contest


@pytest.fixture(scope="module")
def result(model):
    """A made-up scene with patterns and a swath gap, of a size that no grid has."""
    pixels = make_scene(53, (467, 700), patterns=DEFAULT_NAMES).pixels
    return segment(pixels, model, bounds=REGIONS["barbados"], day=date(2020, 2, 1))


@pytest.fixture(scope="module")
def nothing(model):
    """A scene without data."""
    pixels = np.zeros((300, 200, 3), np.uint8)
    return segment(pixels, model, bounds=REGIONS["atlantic"], day=date(2020, 2, 1))


def read(content: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_every_format_renders_each_of_its_files(name, result, nothing):
    chosen = FORMATS[name]
    for segmentation in (result, nothing):
        contents = chosen.render(segmentation)
        assert len(contents) == (1 if chosen.per_run else len(chosen.file_endings(DEFAULT_NAMES)))
        assert all(contents)
    if name not in ("netcdf", "gpkg"):  # which say when they were written
        assert chosen.render(result) == chosen.render(result)


def test_masks_are_zeros_and_ones_at_the_pictures_size(result):
    for name, content in zip(DEFAULT_NAMES, FORMATS["mask"].render(result), strict=True):
        mask = read(content)
        assert mask.dtype == np.uint8
        assert np.array_equal(mask, result.mask(name, result.scene.size))


def test_json_holds_every_region(result):
    (content,) = FORMATS["json"].render(result)
    answer = json.loads(content)
    assert [region["pattern"] for region in answer["regions"]] == [
        region.pattern for region in result.regions
    ]
    assert [name for name in DEFAULT_NAMES if answer["patterns"][name]["present"]] == result.present
    assert answer["model"]["name"] == "default"
    assert (answer["width"], answer["height"]) == (700, 467)
    for given, region in zip(answer["regions"], result.regions, strict=True):
        assert given["area"] == pytest.approx(region.area, abs=1e-3)
        areas = [[cv2.contourArea(np.float32(ring)) for ring in polygon] for polygon in given["outline"]]
        enclosed = sum(outer - sum(holes) for outer, *holes in areas)
        assert enclosed == pytest.approx(region.area, rel=0.01)  # inner corners are cut


def test_csv_is_read_back_as_the_same_masks(result, tmp_path):
    path = tmp_path / contest.FILE_NAME
    path.write_bytes(contest.merge(contest.render(result)))
    labels = read_labels(path, SCORE_GRID)
    assert [pattern for _, pattern in labels.texts] == list(DEFAULT_NAMES)
    for name in DEFAULT_NAMES:
        assert np.array_equal(labels.mask("array", name), result.mask(name, SCORE_GRID))


def test_overlay_shows_each_pattern_in_its_colour_and_the_legend_below(result, nothing):
    (content,) = FORMATS["overlay"].render(result)
    page = cv2.cvtColor(read(content), cv2.COLOR_BGR2RGB).astype(int)
    height, width = result.scene.size
    assert page.shape[1] == width
    assert height < page.shape[0] < height * 1.2
    legend = page[height:]
    for pattern in DEFAULT_PATTERNS:
        swatch = (np.abs(legend - pattern.colour).sum(axis=2) < 30).sum()
        assert (swatch > 40) == (pattern.name in result.present), pattern.name
    assert read(FORMATS["overlay"].render(nothing)[0]).shape[1] >= 700  # enlarged for its legend


def test_overlay_changes_clouds_only_inside_regions(result):
    page = cv2.cvtColor(read(FORMATS["overlay"].render(result)[0]), cv2.COLOR_BGR2RGB).astype(int)
    picture = page[: result.scene.size[0]]
    inside = np.any([result.mask(name, result.scene.size) for name in result.present], axis=0)
    away = cv2.dilate(inside.astype(np.uint8), np.ones((41, 41))) == 0
    away &= result.scene.read().valid_mask
    changed = np.abs(picture - result.scene.read().pixels).max(axis=2)
    assert np.median(changed[away]) <= 4
    assert np.median(changed[inside]) > 20


@pytest.mark.slow
def test_panel_shows_picture_probabilities_and_masks(result):
    page = cv2.cvtColor(read(FORMATS["panel"].render(result)[0]), cv2.COLOR_BGR2RGB).astype(int)
    for pattern in DEFAULT_PATTERNS:
        painted = (np.abs(page - pattern.colour).sum(axis=2) < 12).sum()
        assert (painted > 300) == (pattern.name in result.present), pattern.name


def test_formats_are_parsed_by_name():
    assert parse_formats("overlay, json,overlay") == ("overlay", "json")
    with pytest.raises(OutputError, match="did you mean overlay"):
        parse_formats("overlya")
    with pytest.raises(OutputError, match="name at least one"):
        parse_formats(",")
