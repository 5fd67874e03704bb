"""The format `organisation`: rows of regions, windows and scenes."""

import csv
import io
import math
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from nephoscope.core.geo import EAST_PACIFIC, Bounds
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.inference.model import Model
from nephoscope.inference.pipeline import segment
from nephoscope.inference.postprocess import Rule
from nephoscope.outputs import FORMATS
from nephoscope.outputs.organisation import COLUMNS, markdown_table
from nephoscope.outputs.organisation_metrics import METRICS

PAGE = Path(__file__).parents[2] / "docs" / "formats.md"
PACIFIC = Bounds(170, -7, -169, 7)


@pytest.fixture
def bright(tiny_model):
    """Flower is where green is bright."""
    rule = Rule(threshold=0.5, top_k=10, presence=0.6, least_cover=0, minimum_area=50)
    return Model.load(tiny_model(rules=dict.fromkeys(DEFAULT_NAMES, rule)))


def table(result, scope: str = "") -> list[dict[str, str]]:
    (content,) = FORMATS["organisation"].render(result)
    text = content.decode()
    assert text.splitlines()[0].split(",") == list(COLUMNS)
    return [row for row in csv.DictReader(io.StringIO(text)) if row["scope"] == scope or not scope]


@pytest.fixture
def pixels():
    """Two green boxes, 200 x 100 and 50 x 50 px; in the first, ten clouds of 6 x 6 px lie in a row."""
    pixels = np.full((700, 1050, 3), 40, np.uint8)
    pixels[100:200, 300:500, 1] = 220
    pixels[500:550, 800:850, 1] = 220
    for x in range(305, 500, 20):
        pixels[150:156, x : x + 6] = 220
    return pixels


def test_one_row_a_region_with_the_clouds_in_it(bright, pixels):
    result = segment(pixels, bright, bounds=PACIFIC, day=date(2020, 2, 1))
    first, second = table(result, "region")
    assert (first["pattern"], first["date"], first["scene"]) == ("Flower", "2020-02-01", "array")
    assert float(first["num_objects"]) == 10
    assert float(first["mean_length_scale"]) == 6
    assert float(first["mean_perimeter_length"]) == 24
    assert float(first["window_width"]) == pytest.approx(200, abs=8)
    assert float(first["cloud_fraction"]) == pytest.approx(10 * 36 / 20_000, rel=0.1)
    assert float(first["longitude"]) == pytest.approx(170 + 400 / 50, abs=0.05)
    assert float(first["latitude"]) == pytest.approx(7 - 150 / 50, abs=0.05)
    assert float(second["longitude"]) == pytest.approx(170 + 825 / 50 - 360, abs=0.05)
    # 0.02° are 2.22 km at the equator; the box of 200 x 100 px lies at 4° north.
    assert float(first["pixel_km"]) == pytest.approx(2.2239 * math.sqrt(math.cos(math.radians(4))), rel=1e-3)
    assert float(first["area_km2"]) == pytest.approx(20_000 * float(first["pixel_km"]) ** 2, rel=0.05)
    assert first["valid"] == "1"
    assert second["num_objects"] == "0"
    assert second["iorg"] == second["mean_length_scale"] == ""


def test_clouds_in_the_box_of_a_region_but_outside_its_mask_do_not_count(bright):
    """An L with three clouds in it; many more lie in the corner that it leaves free."""
    pixels = np.full((700, 1050, 3), 40, np.uint8)
    pixels[100:500, 100:200, 1] = pixels[400:500, 100:700, 1] = 220
    for y, x in ((150, 140), (450, 300), (450, 600)):
        pixels[y : y + 6, x : x + 6] = 220
    pixels[120:340:20, 300:680:2, 0] = 220
    (row,) = table(segment(pixels, bright, bounds=PACIFIC), "region")
    assert float(row["window_width"]) == pytest.approx(600, abs=8)
    assert float(row["num_objects"]) == 3
    assert float(row["cloud_fraction"]) == pytest.approx(3 * 36 / 90_000, rel=0.1)


def test_windows_lie_between_multiples_of_ten_degrees(bright, pixels):
    windows = table(segment(pixels, bright, bounds=PACIFIC), "window")
    assert [(row["longitude"], row["latitude"]) for row in windows] == [
        *(("175", "5"), ("-175", "5"), ("175", "-5"), ("-175", "-5"))  # and none from 170° to 169° west
    ]
    for row in windows:
        assert float(row["valid"]) == pytest.approx(0.7)
        assert (row["window_width"], row["window_height"]) == ("500", "350")
        assert float(row["area"]) == 500 * 350
        assert float(row["area_km2"]) == pytest.approx(500 * 350 * float(row["pixel_km"]) ** 2, rel=0.01)
        assert row["pattern"] == ""
    assert [row["num_objects"] for row in windows] == ["10", "0", "0", "0"]


def test_windows_with_data_in_half_are_kept_and_with_less_left_out(bright):
    pixels = np.full((700, 1050, 3), 40, np.uint8)
    windows = table(segment(pixels, bright, bounds=EAST_PACIFIC), "window")
    assert {(row["longitude"], row["latitude"]): row["valid"] for row in windows} == {
        ("-125", "-5"): "0.9",
        ("-115", "-5"): "0.54",
        ("-125", "-15"): "0.5",
    }
    pixels[:, 550:] = 0  # no data from 124° west on
    (row,) = table(segment(pixels, bright, bounds=EAST_PACIFIC), "window")
    assert (row["longitude"], row["latitude"], row["valid"]) == ("-125", "-5", "0.54")
    assert float(row["area"]) == 300 * 450


def test_the_scenes_row_is_the_last(bright, pixels):
    *_, last = table(segment(pixels, bright, bounds=PACIFIC))
    assert (last["scope"], last["pattern"], last["num_objects"]) == ("scene", "", "10")
    assert (last["window_width"], last["window_height"], last["valid"]) == ("1050", "700", "1")
    assert (float(last["longitude"]), float(last["latitude"])) == (-179.5, 0)
    assert float(last["area"]) == 700 * 1050


def test_without_a_place_what_needs_one_is_empty(bright, pixels):
    first, second, scene = table(segment(pixels, bright))
    assert [row["scope"] for row in (first, second, scene)] == ["region", "region", "scene"]
    for row in (first, second, scene):
        assert row["longitude"] == row["latitude"] == row["area_km2"] == row["pixel_km"] == ""
    assert float(first["num_objects"]) == float(scene["num_objects"]) == 10


def test_a_scene_without_data_has_one_row_without_metrics(bright):
    (row,) = table(segment(np.zeros((350, 525, 3), np.uint8), bright, bounds=PACIFIC))
    assert (row["scope"], row["valid"], row["area"]) == ("scene", "0", "0")
    assert {row[name] for name in METRICS} == {""}


def test_a_small_picture_is_measured_at_its_own_size(bright):
    """Smaller than the grid of the rules."""
    pixels = np.full((70, 105, 3), 40, np.uint8)
    pixels[10:40, 20:80, 1] = 220
    pixels[20, 30:70:10] = 220
    region, scene = table(segment(pixels, bright))
    assert (scene["window_width"], scene["window_height"]) == ("105", "70")
    assert float(region["window_width"]) == pytest.approx(60, abs=2)
    assert region["num_objects"] == scene["num_objects"] == "4"


def test_the_page_describes_every_column():
    marked = (
        PAGE.read_text().partition("<!-- organisation: begin")[2].partition("<!-- organisation: end -->")[0]
    )
    assert marked.partition("-->\n")[2] == markdown_table()
    names = [line.split("|")[1].strip(" `") for line in markdown_table().splitlines()[2:]]
    assert names == list(COLUMNS)
    assert set(METRICS) < set(names)
