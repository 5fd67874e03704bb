"""Two sets of daily frequencies compared: known biases are found, other people's files are read."""

import csv
import io

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from nephoscope.atlas.cells import aligned
from nephoscope.atlas.comparison import compare, draw, pair, to_csv
from nephoscope.atlas.daily import Daily, read_two
from nephoscope.cli import app
from nephoscope.core.errors import AtlasError
from nephoscope.datasets.build import write_synthetic_dataset
from nephoscope.plotting.style import render

CELLS = aligned(np.arange(0.5, 10), np.arange(0.5, 5), 1.0)
DAYS = np.datetime64("2016-01-01") + np.arange(60)


def daily(freq, name="one", days=DAYS, classes=("Fish", "Sugar"), cells=CELLS):
    return Daily(name, days, classes, cells, freq)


def random_frequencies(seed):
    return np.random.default_rng(seed).uniform(0.1, 0.8, (len(DAYS), 2, *CELLS.shape))


def test_a_planted_bias_and_perfect_agreement_are_found():
    one = random_frequencies(0)
    other = one.copy()
    other[:, 0] -= 0.05  # Fish
    fish, sugar = compare(pair(daily(one), daily(other, "two")))
    assert fish.values["bias"] == pytest.approx((0.05,) * 3)
    assert fish.values["correlation"][0] == pytest.approx(1)
    assert fish.values["iou"][0] == pytest.approx(other[:, 0].mean() / one[:, 0].mean(), abs=0.01)
    assert sugar.values["bias"] == pytest.approx((0,) * 3)
    assert sugar.values["iou"] == pytest.approx((1,) * 3)
    assert sugar.cell_days == one[:, 0].size


def test_independent_fields_are_uncorrelated():
    fish, _ = compare(pair(daily(random_frequencies(1)), daily(random_frequencies(2), "two")))
    _, low, high = fish.values["correlation"]
    assert low < 0.02
    assert high > -0.02
    assert high - low < 0.15


def test_only_cells_and_days_with_data_in_both_count():
    one, other = random_frequencies(3), random_frequencies(4)
    one[:30] = np.nan
    other[:, :, 2:] = np.nan
    pairs = pair(daily(one), daily(other[10:], "two", days=DAYS[10:]))
    assert pairs.days[0] == DAYS[10]
    assert compare(pairs)[0].cell_days == 30 * 2 * CELLS.shape[1]


def test_a_class_that_only_one_has_is_left_out():
    pairs = pair(daily(random_frequencies(5)), daily(random_frequencies(6), "two", classes=("Sugar", "Fog")))
    assert pairs.classes == ("Sugar",)
    assert pairs.notes == ("left out: Fish: only one has them", "left out: Fog: only two has them")


def test_what_no_pattern_covers_is_compared_for_the_same_patterns_alone():
    three = np.concatenate([random_frequencies(5), random_frequencies(6)[:, :1]], axis=1)
    own = daily(three, classes=("Fish", "Sugar", "Unclassified"))
    assert pair(own, own._replace(name="two")).classes == own.classes
    pairs = pair(own, daily(three, "two", classes=("Sugar", "Fog", "Unclassified")))
    assert pairs.classes == ("Sugar",)
    assert pairs.notes[-1].startswith("left out: Unclassified: ")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"days": DAYS + 1000}, "one and two have no day in common"),
        ({"classes": ("Ring", "Fog")}, "one and two have no pattern in common"),
        ({"cells": aligned(np.arange(20.5, 30), np.arange(0.5, 5), 1.0)}, "one and two: on different cells"),
        ({"freq": np.full((len(DAYS), 2, *CELLS.shape), np.nan)}, "have no cell with data on the same day"),
    ],
)
def test_what_cannot_be_compared_is_refused(changes, message):
    with pytest.raises(AtlasError, match=message):
        pair(daily(random_frequencies(7)), daily(random_frequencies(7), "two")._replace(**changes))


@pytest.fixture
def other_file(tmp_path):
    """A file as C3ONTEXT's level 3: another order of patterns, another name, latitudes from the north."""
    freq = random_frequencies(8)
    path = tmp_path / "level3.nc"
    xr.Dataset(
        {
            "freq": (
                ("date", "longitude", "latitude", "pattern"),
                np.moveaxis(freq[:, ::-1, ::-1], (1, 2, 3), (3, 2, 1)),
            )
        },
        {
            "date": DAYS.astype("datetime64[ns]"),
            "longitude": np.arange(0.5, 10),
            "latitude": np.arange(0.5, 5)[::-1],
            "pattern": ["Flowers", "Fish"],
        },
    ).to_netcdf(path, engine="h5netcdf")
    return path, freq


def test_level_3_of_others_is_read(other_file):
    path, freq = other_file
    one, two = read_two(str(path), str(path))
    assert one.classes == ("Flower", "Fish")
    np.testing.assert_allclose(two.freq[:, 1], freq[:, 0])
    np.testing.assert_allclose(one.cells.latitudes, np.arange(6))


@pytest.mark.slow
def test_an_atlas_is_compared_with_labels(tmp_path):
    """The summary of the labels themselves, so that they agree."""
    data = tmp_path / "data"
    write_synthetic_dataset(data, 6, size=(140, 210))
    lines = ["image,split,satellite,date,west,south,east,north"]
    lines += [
        f"{path.name},,Terra,2016-01-{day:02d},0,0,21,14"
        for day, path in enumerate(sorted((data / "train_images").iterdir()), 1)
    ]
    (data / "scenes.csv").write_text("\n".join(lines) + "\n")
    grid = xr.Dataset(
        {"freq": (("date", "longitude", "latitude", "pattern"), np.full((6, 21, 14, 4), 0.25))},
        {
            "date": np.datetime64("2016-01-01", "ns") + np.arange(6) * np.timedelta64(1, "D"),
            "longitude": np.arange(0.5, 21),
            "latitude": np.arange(0.5, 14),
            "pattern": ["Fish", "Flower", "Gravel", "Sugar"],
        },
    )
    grid.to_netcdf(tmp_path / "even.nc", engine="h5netcdf")
    done = CliRunner().invoke(
        app, ["atlas", "compare", f"{tmp_path}/even.nc", str(data), "-o", f"{tmp_path}/c.csv"]
    )
    assert done.exit_code == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO((tmp_path / "c.csv").read_text())))
    assert [row["class"] for row in rows] == ["Fish", "Flower", "Gravel", "Sugar"]
    _, labels = read_two(f"{tmp_path}/even.nc", str(data))
    shares = np.nanmean(labels.freq, axis=(0, 2, 3))
    assert labels.freq.shape == (6, 5, 14, 21)
    assert 0.02 < shares[:4].mean() < 0.6
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    words = ["atlas", "compare", f"{tmp_path}/even.nc", str(data), "-o", f"{tmp_path}/p.csv"]
    assert CliRunner().invoke(app, [*words, "--format", "pdf,svg"]).exit_code == 0
    assert {path.name for path in tmp_path.glob("p.*")} == {"p.csv", "p.pdf", "p.svg"}
    again = CliRunner().invoke(
        app, ["atlas", "compare", f"{tmp_path}/even.nc", str(data), "-o", f"{tmp_path}/c.csv"]
    )
    assert again.exit_code == 2
    assert "--overwrite" in again.stderr
    words = ["atlas", "compare", f"{tmp_path}/even.nc", str(data), "-o", f"{tmp_path}/table.png"]
    refused = CliRunner().invoke(app, words)
    assert refused.exit_code == 2
    assert "-o FILE.csv names the table" in refused.stderr
    assert not (tmp_path / "table.png").exists()


def test_areas_of_different_kinds_are_compared_with_a_word():
    one, other = (daily(random_frequencies(8), name) for name in ("a.nc", "b.zarr"))
    kinds = one._replace(kind="expected"), other._replace(kind="contest")
    assert pair(*kinds).notes == ("a.nc has expected areas, b.zarr contest ones, which differ as such",)
    assert pair(one, kinds[1]).notes == ()


def test_the_figure_and_the_table_can_be_made_without_intervals():
    pairs = pair(
        daily(random_frequencies(9)[:1], days=DAYS[:1]),
        daily(random_frequencies(9)[:1], "two", days=DAYS[:1]),
    )
    comparisons = compare(pairs)
    figure = draw(pairs, comparisons)
    assert render(figure, "png").startswith(b"\x89PNG")
    assert figure.get_suptitle().endswith("0° to 5°N, 0° to 10°E; 2016-01-01")
    assert to_csv(comparisons).count("\n") == 3
