"""Metrics of cloud organisation: brute force on small masks, known answers, and areas of any shape."""

import math
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from nephoscope.outputs.organisation_iorg import iorg, nearest_neighbour_distances
from nephoscope.outputs.organisation_metrics import (
    BRIGHTNESS,
    METRICS,
    cloud_mask,
    find_objects,
    fractal_dimension,
    measure,
)

SIDE = 240
CLEAR, CLOUD, UNSEEN = 0, 1, 2
NEIGHBOURS = ((0, 1), (1, 0), (0, -1), (-1, 0))


def fields(least: int = 1, most: int = 9) -> st.SearchStrategy[np.ndarray]:
    """Small fields of clear, cloud and pixels that are not observed."""
    shapes = array_shapes(min_dims=2, max_dims=2, min_side=least, max_side=most)
    return arrays(np.uint8, shapes, elements=st.integers(0, 2), fill=st.nothing())


def of(cloud: np.ndarray) -> dict[str, float]:
    return measure(cloud, np.ones_like(cloud))


def of_field(field: np.ndarray) -> dict[str, float]:
    return measure(field == CLOUD, field != UNSEEN)


def disc(side: int = SIDE, radius: float = SIDE / 2 - 1) -> np.ndarray:
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    return np.hypot(y, x) < radius


def shapes() -> dict[str, np.ndarray]:
    """Observed areas: a box, a disc, a strip, a ring, two pieces, an area full of holes."""
    y, x = np.mgrid[:120, :160]
    distance = np.hypot(y - 60, x - 80)
    return {
        "box": np.ones((120, 160), bool),
        "disc": distance < 55,
        "strip": np.ones((6, 300), bool),
        "ring": (distance > 35) & (distance < 50),
        "two pieces": (np.abs(x - 20) < 10) | (np.abs(x - 140) < 10),
        "holes": np.random.default_rng(3).random((120, 160)) < 0.5,
    }


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


def random_points(observed: np.ndarray, number: int, rng: np.random.Generator) -> np.ndarray:
    """Points anywhere in the observed pixels, x and y."""
    y, x = np.divmod(rng.choice(np.flatnonzero(observed), number), observed.shape[1])
    return np.stack([x, y], axis=1) + rng.random((number, 2))


def blob(side: int = 60) -> np.ndarray:
    cloud = np.zeros((SIDE, SIDE), bool)
    cloud[90 : 90 + side, 90 : 90 + side] = True
    return cloud


# By brute force


def objects_of(field: np.ndarray) -> list[set[tuple[int, int]]]:
    left = {(int(y), int(x)) for y, x in np.argwhere(field == CLOUD)}
    objects = []
    while left:
        pixels, edge = set(), [left.pop()]
        while edge:
            pixels.add(here := edge.pop())
            beside = {(here[0] + dy, here[1] + dx) for dy, dx in NEIGHBOURS} & left
            left -= beside
            edge += beside
        objects.append(pixels)
    return objects


def at(field: np.ndarray, y: int, x: int) -> int:
    inside = 0 <= y < field.shape[0] and 0 <= x < field.shape[1]
    return int(field[y, x]) if inside else UNSEEN


def open_sky_of(field: np.ndarray) -> float:
    most = 0
    for y, x in np.argwhere(field == CLEAR):
        reach = []
        for dy, dx in NEIGHBOURS:
            steps = 0
            while at(field, y + (steps + 1) * dy, x + (steps + 1) * dx) == CLEAR:
                steps += 1
            reach.append(steps)
        right, down, left, up = reach
        inside = field[y - up : y + down + 1, x - left : x + right + 1]
        most = max(most, np.count_nonzero(inside != UNSEEN))
    return most / np.count_nonzero(field != UNSEEN)


def fractal_dimension_of(field: np.ndarray) -> float:
    sizes = [2**exponent for exponent in range(2, 8) if 2**exponent <= min(field.shape)]
    first = [(side % sizes[-1]) // 2 for side in field.shape] if sizes else []
    known = []
    for size in sizes:
        counted = mixed = 0
        for row, column in product(range(-64, 64, size), repeat=2):
            y, x = first[0] + row, first[1] + column
            box = field[max(y, 0) : max(y + size, 0), max(x, 0) : max(x + size, 0)]
            if 2 * np.count_nonzero(box != UNSEEN) >= size**2:
                counted += 1
                mixed += (box == CLOUD).any() and (box == CLEAR).any()
        if counted:
            known.append((size, mixed / counted))
    if len(known) < 3 or any(share == 0 for _, share in known):
        return math.nan
    x, y = np.log(known).T
    slope = ((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum()
    return min(max(2 - slope, 0), 2)


def iorg_of(field: np.ndarray, parts: int = 24) -> float:
    """From the middle of each observed pixel, by areas in small squares."""
    places = np.argwhere(field != UNSEEN) + 0.5
    steps = (np.arange(parts) + 0.5) / parts - 0.5
    small = (places[:, None] + np.array(list(product(steps, repeat=2)))).reshape(-1, 2)
    gaps = np.hypot(*(places[:, None] - small).transpose(2, 0, 1))
    centroids = [np.mean(list(pixels), axis=0) for pixels in objects_of(field)]
    if len(centroids) < 2:
        return math.nan
    values = []
    for one, centroid in enumerate(centroids):
        nearest = min(math.dist(centroid, other) for two, other in enumerate(centroids) if one != two)
        share = (gaps <= nearest).mean(axis=1)
        values.append(((1 - share) ** (len(centroids) - 1)).mean())
    return float(np.mean(values))


@pytest.mark.slow
@settings(deadline=None)
@given(fields())
def test_counts_lengths_and_open_sky_by_brute_force(field):
    result = of_field(field)
    if not (field != UNSEEN).any():
        assert all(map(math.isnan, result.values()))
        return
    objects = objects_of(field)
    sizes = [len(pixels) for pixels in objects]
    sides = sum(
        at(field, y + dy, x + dx) == CLEAR for pixels in objects for y, x in pixels for dy, dx in NEIGHBOURS
    )
    expected = {
        "cloud_fraction": sum(sizes) / np.count_nonzero(field != UNSEEN),
        "num_objects": len(sizes),
        "mean_length_scale": math.sqrt(np.mean(sizes)) if sizes else math.nan,
        "max_length_scale": math.sqrt(max(sizes)) if sizes else math.nan,
        "mean_perimeter_length": sides / len(sizes) if sizes else math.nan,
        "open_sky": open_sky_of(field),
    }
    assert {name: result[name] for name in expected} == pytest.approx(expected, nan_ok=True)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(fields(least=12, most=40))
def test_fractal_dimension_by_brute_force(field):
    expected = fractal_dimension_of(field)
    assert fractal_dimension(field == CLOUD, field != UNSEEN) == pytest.approx(expected, nan_ok=True)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(fields(least=4, most=8))
def test_iorg_by_brute_force(field):
    expected = iorg_of(field)
    centroids = find_objects(field == CLOUD).centroids
    assert iorg(centroids, field != UNSEEN) == pytest.approx(expected, abs=0.01, nan_ok=True)


@given(arrays(np.float64, st.tuples(st.integers(2, 30), st.just(2)), elements=st.integers(0, 12).map(float)))
def test_nearest_neighbours_by_brute_force(points):
    gaps = np.hypot(*(points[:, None] - points).transpose(2, 0, 1)) + np.diag([np.inf] * len(points))
    assert nearest_neighbour_distances(points) == pytest.approx(gaps.min(axis=1))


@pytest.mark.slow
@settings(deadline=None)
@given(fields(most=24), st.integers(1, 3))
def test_every_metric_stays_in_its_range_and_does_not_see_what_is_not_observed(field, around):
    result = of_field(field)
    assert list(result) == list(METRICS)
    for name, metric in METRICS.items():
        assert math.isnan(result[name]) or metric.least <= result[name] <= metric.most, name
    assert measure(field != CLEAR, field != UNSEEN) == pytest.approx(result, nan_ok=True)
    framed = of_field(np.pad(field, around, constant_values=UNSEEN))
    for name in METRICS.keys() - {"fractal_dimension"}:  # its boxes lie elsewhere
        assert framed[name] == pytest.approx(result[name], abs=1e-3, nan_ok=True)


# Known answers


@pytest.mark.slow
def test_a_lattice_is_regular_points_are_random_and_swarms_are_clustered():
    assert of(lattice())["iorg"] < 0.1
    chance = [of(scattered(seed=seed))["iorg"] for seed in range(20)]
    assert np.mean(chance) == pytest.approx(0.5, abs=0.03)
    assert of(scattered(spread=6))["iorg"] > 0.7


@pytest.mark.slow
@pytest.mark.parametrize("name", shapes())
@pytest.mark.parametrize(("number", "times"), [(2, 400), (30, 60)])
def test_random_points_have_an_iorg_of_one_half_in_any_shape(name, number, times):
    """Within four standard errors: of one point the index is uniform, with a deviation of 0.29."""
    observed, rng = shapes()[name], np.random.default_rng(number)
    values = [iorg(random_points(observed, number, rng), observed) for _ in range(times)]
    assert np.mean(values) == pytest.approx(0.5, abs=4 * 0.29 / math.sqrt(times * number / 2))


@pytest.mark.slow
def test_iorg_of_many_points_is_that_of_the_plane():
    """Edges hardly matter there; by the definition of Tompkins and Semie, in many small steps."""
    points = random_points(np.ones((SIDE, SIDE), bool), 20_000, np.random.default_rng(0))
    distances = np.sort(nearest_neighbour_distances(points))
    distance = np.linspace(0, 20, 200_000)
    observed = np.searchsorted(distances, distance, side="right") / len(points)
    random = 1 - np.exp(-len(points) / SIDE**2 * np.pi * distance**2)
    area = np.sum((observed[1:] + observed[:-1]) / 2 * np.diff(random))
    assert iorg(points, np.ones((SIDE, SIDE), bool)) == pytest.approx(area, abs=0.005)


@pytest.mark.slow
def test_iorg_from_some_radii_and_places_is_that_from_all(monkeypatch):
    points = random_points(disc(80, 39), 200, np.random.default_rng(1))
    short = iorg(points, disc(80, 39))
    monkeypatch.setattr("nephoscope.outputs.organisation_iorg._PLACES", 80**2)
    monkeypatch.setattr("nephoscope.outputs.organisation_iorg._RADII", 200)
    assert iorg(points, disc(80, 39)) == pytest.approx(short, abs=0.003)


def test_lengths_and_numbers_of_objects():
    result = of(lattice(step=20, side=4))
    assert result["num_objects"] == 144
    assert result["mean_length_scale"] == result["max_length_scale"] == 4
    assert result["cloud_fraction"] == 144 * 16 / SIDE**2
    assert result["mean_perimeter_length"] == 4 * 4
    both = lattice()
    both[100:160, 100:160] = True
    assert of(both)["max_length_scale"] > 10 * of(lattice())["mean_length_scale"]


def test_a_hole_has_an_edge_and_the_end_of_the_data_has_none():
    cloud = blob(60)
    cloud[100:110, 100:110] = False
    assert of(cloud)["mean_perimeter_length"] == 4 * 60 + 4 * 10
    assert of(cloud[95:, 95:])["mean_perimeter_length"] == 2 * 55 + 4 * 10
    assert of(np.ones((20, 30), bool))["mean_perimeter_length"] == 0


def test_pixels_that_touch_at_a_corner_are_two_objects():
    cloud = np.zeros((40, 40), bool)
    cloud[10, 10] = cloud[11, 11] = True
    assert of(cloud)["num_objects"] == 2
    assert find_objects(cloud).centroids.tolist() == [[10.5, 10.5], [11.5, 11.5]]


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


@pytest.mark.parametrize("name", shapes())
def test_open_sky_is_at_most_what_is_observed(name):
    observed = shapes()[name]
    clear = measure(np.zeros_like(observed), observed)["open_sky"]
    assert clear == 1 if name in ("box", "disc", "strip") else 0 < clear < 1


@pytest.mark.slow
def test_straight_edges_have_one_dimension_and_dust_has_two():
    half = np.tri(256, dtype=bool)
    assert of(half)["fractal_dimension"] == pytest.approx(1, abs=0.02)
    dust = np.random.default_rng(0).random((256, 256)) < 0.3
    assert of(dust)["fractal_dimension"] == pytest.approx(2, abs=0.02)
    # In a disc, too: its own edge says nothing of the clouds.
    round_area = disc(256, 127)
    assert measure(half, round_area)["fractal_dimension"] == pytest.approx(1, abs=0.1)
    assert measure(dust, round_area)["fractal_dimension"] == pytest.approx(2, abs=0.02)
    assert math.isnan(measure(np.ones_like(half), round_area)["fractal_dimension"])


@pytest.mark.parametrize("shape", [(0, 0), (0, 7), (1, 1), (1, 40), (3, 2), (15, 15), (16, 500)])
@pytest.mark.parametrize("state", [CLEAR, CLOUD, UNSEEN])
def test_the_smallest_areas_do_no_harm(shape, state):
    result = of_field(np.full(shape, state))
    if state == UNSEEN or 0 in shape:
        assert all(map(math.isnan, result.values()))
        return
    assert result.pop("cloud_fraction") == result.pop("num_objects") == state
    assert result.pop("open_sky") == 1 - state
    if state == CLOUD:
        assert result.pop("mean_perimeter_length") == 0
        assert (
            result.pop("mean_length_scale") == result.pop("max_length_scale") == math.sqrt(math.prod(shape))
        )
    assert all(map(math.isnan, result.values()))


def test_one_blob_has_no_neighbour():
    result = of(blob(60))
    assert result["num_objects"] == 1
    assert result["mean_length_scale"] == 60
    assert result["mean_perimeter_length"] == 240
    assert math.isnan(result["iorg"])
    assert result["open_sky"] == 1


def test_pixels_without_data_count_neither_as_cloud_nor_as_sky():
    valid = np.ones((SIDE, SIDE), bool)
    valid[:, : SIDE // 2] = False
    half = measure(lattice(), valid)
    whole = of(lattice())
    assert half["num_objects"] == whole["num_objects"] / 2
    for name in ("cloud_fraction", "mean_length_scale", "mean_perimeter_length"):
        assert half[name] == pytest.approx(whole[name])
    pixels = np.full((2, 2, 3), BRIGHTNESS + 1, np.uint8)
    assert cloud_mask(pixels, np.array([[True, False]] * 2)).tolist() == [[True, False]] * 2
    assert not cloud_mask(pixels - 1, np.ones((2, 2), bool)).any()


@pytest.mark.slow
def test_measuring_is_thread_safe():
    masks = [scattered(seed=seed) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(of, masks))
    assert together == [of(mask) for mask in masks]
