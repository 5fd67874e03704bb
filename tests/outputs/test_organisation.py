"""The format `organisation`: one row a region."""

import csv
import io
import math
from datetime import date

import numpy as np
import pytest

from nephoscope.core.geo import Bounds
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.inference.model import Model
from nephoscope.inference.pipeline import segment
from nephoscope.inference.postprocess import Rule
from nephoscope.outputs import FORMATS
from nephoscope.outputs.organisation import COLUMNS


@pytest.fixture
def bright(tiny_model):
    """Flower is where green is bright."""
    rule = Rule(threshold=0.5, top_k=10, presence=0.6, least_cover=0, minimum_area=50)
    return Model.load(tiny_model(rules=dict.fromkeys(DEFAULT_NAMES, rule)))


def table(result) -> list[dict[str, str]]:
    (content,) = FORMATS["organisation"].render(result)
    text = content.decode()
    assert text.splitlines()[0].split(",") == list(COLUMNS)
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture
def pixels():
    """Two green boxes, 200 x 100 and 50 x 50 px; in the first, ten clouds of 6 x 6 px lie in a row."""
    pixels = np.full((700, 1050, 3), 40, np.uint8)
    pixels[100:200, 300:500, 1] = 220
    pixels[500:550, 800:850, 1] = 220
    for x in range(305, 500, 20):
        pixels[150:156, x : x + 6] = 220
    return pixels


def test_one_row_a_region_with_the_clouds_in_its_box(bright, pixels):
    result = segment(pixels, bright, bounds=Bounds(170, -7, -169, 7), day=date(2020, 2, 1))
    first, second = table(result)
    assert (first["pattern"], first["date"], first["scene"]) == ("Flower", "2020-02-01", "array")
    assert float(first["num_objects"]) == 10
    assert float(first["mean_length_scale"]) == 6
    assert float(first["window_width"]) == pytest.approx(200, abs=8)
    assert float(first["cloud_fraction"]) == pytest.approx(10 * 36 / 20_000, rel=0.1)
    assert float(first["longitude"]) == pytest.approx(170 + 400 / 50, abs=0.05)
    assert float(first["latitude"]) == pytest.approx(7 - 150 / 50, abs=0.05)
    assert float(second["longitude"]) == pytest.approx(170 + 825 / 50 - 360, abs=0.05)
    # 0.02° are 2.22 km at the equator; the box of 200 x 100 px lies at 4° north.
    assert float(first["pixel_km"]) == pytest.approx(2.2239 * math.sqrt(math.cos(math.radians(4))), rel=1e-3)
    assert float(first["area_km2"]) == pytest.approx(20_000 * float(first["pixel_km"]) ** 2, rel=0.05)
    assert second["num_objects"] == "0"
    assert second["iorg"] == second["mean_length_scale"] == ""


def test_without_a_place_what_needs_one_is_empty(bright, pixels):
    first, _ = table(segment(pixels, bright))
    assert first["longitude"] == first["latitude"] == first["area_km2"] == first["pixel_km"] == ""
    assert float(first["num_objects"]) == 10


def test_a_scene_without_regions_has_no_rows(bright):
    assert table(segment(np.full((350, 525, 3), 40, np.uint8), bright)) == []
