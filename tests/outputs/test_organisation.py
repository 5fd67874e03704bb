"""Metrics of cloud organisation: analytic cases, and one row a region."""

import csv
import io
import math
from concurrent.futures import ThreadPoolExecutor
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
from nephoscope.outputs.organisation_metrics import BRIGHTNESS, METRICS, cloud_mask, measure

SIDE = 240


def of(cloud: np.ndarray) -> dict[str, float]:
    return measure(cloud, np.ones_like(cloud))


def lattice(step: int = 20, side: int = 4) -> np.ndarray:
    cloud = np.zeros((SIDE, SIDE), bool)
    for y in range(step // 2 - side // 2, SIDE - side, step):
        for x in range(step // 2 - side // 2, SIDE - side, step):
            cloud[y : y + side, x : x + side] = True
    return cloud


def scattered(number: int = 144, spread: float | None = None, seed: int = 0) -> np.ndarray:
    """Single pixels: anywhere, or around nine centres."""
    rng = np.random.default_rng(seed)
    places = rng.random((number, 2)) * SIDE
    if spread:
        places = rng.choice(rng.random((9, 2)) * SIDE * 0.8 + SIDE * 0.1, number)
        places += rng.normal(0, spread, (number, 2))
    cloud = np.zeros((SIDE, SIDE), bool)
    y, x = places.astype(int).clip(0, SIDE - 1).T
    cloud[y, x] = True
    return cloud


def blob(side: int = 60) -> np.ndarray:
    cloud = np.zeros((SIDE, SIDE), bool)
    cloud[90 : 90 + side, 90 : 90 + side] = True
    return cloud


def test_every_metric_stays_in_its_range():
    for cloud in (lattice(), scattered(), scattered(spread=6), blob(), lattice()[:33, :77]):
        result = of(cloud)
        assert list(result) == list(METRICS)
        for name, metric in METRICS.items():
            assert math.isnan(result[name]) or metric.least <= result[name] <= metric.most, name


@pytest.mark.slow
def test_a_lattice_is_regular_points_are_random_and_swarms_are_clustered():
    assert of(lattice())["iorg"] < 0.1
    chance = [of(scattered(seed=seed))["iorg"] for seed in range(10)]
    assert np.mean(chance) == pytest.approx(0.5, abs=0.05)
    assert of(scattered(spread=6))["iorg"] > 0.7


def test_iorg_is_the_area_under_the_curve_of_two_distributions():
    """By the definition, in many small steps."""
    cloud = scattered(60, seed=4)
    points = np.argwhere(cloud)
    gaps = np.hypot(*(points[:, None] - points).transpose(2, 0, 1)) + np.diag([np.inf] * len(points))
    distance = np.linspace(0, 2 * SIDE, 200_000)
    observed = np.searchsorted(np.sort(gaps.min(axis=1)), distance, side="right") / len(points)
    random = 1 - np.exp(-len(points) / cloud.size * np.pi * distance**2)
    area = np.sum((observed[1:] + observed[:-1]) / 2 * np.diff(random))
    result = of(cloud)
    assert result["num_objects"] == len(points)  # none touch
    assert result["iorg"] == pytest.approx(area, abs=1e-3)


def test_lengths_and_numbers_of_objects():
    result = of(lattice(step=20, side=4))
    assert result["num_objects"] == 144
    assert result["mean_length_scale"] == result["max_length_scale"] == 4
    assert result["cloud_fraction"] == 144 * 16 / SIDE**2
    both = lattice()
    both[100:160, 100:160] = True
    assert of(both)["max_length_scale"] > 10 * of(lattice())["mean_length_scale"]
    assert of(lattice(side=8))["mean_perimeter_length"] == 4 * 7  # through the pixels' centres


def test_pixels_that_touch_at_a_corner_are_two_objects():
    cloud = np.zeros((40, 40), bool)
    cloud[10, 10] = cloud[11, 11] = True
    assert of(cloud)["num_objects"] == 2


@pytest.mark.slow
def test_more_sky_is_open_where_clouds_gather():
    """As much cloud in one blob as all over; and twice as much all over."""
    assert scattered(3000).mean() == pytest.approx(blob(54).mean(), rel=0.1)
    assert of(scattered(6000))["open_sky"] < of(scattered(3000))["open_sky"] < of(blob(54))["open_sky"] == 1
    assert of(np.zeros((60, 80), bool))["open_sky"] == 1
    assert of(np.ones((60, 80), bool))["open_sky"] == 0


def test_a_room_between_clouds_is_as_large_as_it_is():
    """One clear rectangle in all cloud."""
    cloud = np.ones((100, 200), bool)
    cloud[20:50, 40:100] = False
    assert of(cloud)["open_sky"] == 30 * 60 / cloud.size


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_open_sky_agrees_with_cloudmetrics_where_clouds_close_the_window(seed):
    from cloudmetrics.mask import open_sky

    cloud = scattered(900, seed=seed)
    cloud[[0, -1]] = cloud[:, [0, -1]] = True
    assert of(cloud)["open_sky"] == open_sky(cloud)


@pytest.mark.slow
def test_straight_edges_have_one_dimension_and_dust_has_two():
    half = np.tri(256, dtype=bool)
    assert of(half)["fractal_dimension"] == pytest.approx(1, abs=0.02)
    dust = np.random.default_rng(0).random((256, 256)) < 0.3
    assert of(dust)["fractal_dimension"] == pytest.approx(2, abs=0.02)
    # Where a window ends says nothing of its clouds.
    inside = np.zeros((256, 256), bool)
    inside[37:203, 61:190] = True
    cut = inside[: 256 + 1 - 41, :]
    assert of(cut)["fractal_dimension"] == pytest.approx(of(inside)["fractal_dimension"], abs=0.15)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (3, 2), (15, 15), (16, 500)])
@pytest.mark.parametrize("covered", [0, 1])
def test_the_smallest_windows_do_no_harm(shape, covered):
    result = of(np.full(shape, bool(covered)))
    assert result["cloud_fraction"] == covered
    assert result["num_objects"] == covered
    assert math.isnan(result["iorg"])
    assert math.isnan(result["mean_length_scale"]) == (not covered)
    assert math.isnan(result["fractal_dimension"])  # no edge at all


def test_a_window_without_data_has_no_metrics():
    none = np.zeros((30, 30), bool)
    result = measure(none, none)
    assert result.pop("num_objects") == 0
    assert all(math.isnan(value) for value in result.values())


def test_pixels_without_data_count_neither_as_cloud_nor_as_sky():
    valid = np.ones((SIDE, SIDE), bool)
    valid[:, : SIDE // 2] = False
    assert measure(lattice() & valid, valid)["cloud_fraction"] == pytest.approx(
        of(lattice())["cloud_fraction"]
    )
    pixels = np.full((2, 2, 3), BRIGHTNESS + 1, np.uint8)
    assert cloud_mask(pixels, np.array([[True, False]] * 2)).tolist() == [[True, False]] * 2
    assert not cloud_mask(pixels - 1, np.ones((2, 2), bool)).any()


@pytest.mark.slow
def test_measuring_is_thread_safe():
    masks = [scattered(seed=seed) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(of, masks))
    assert together == [of(mask) for mask in masks]


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
