"""Summaries of an atlas: frequencies counted by hand, pooled over days, with intervals; files and CSV."""

import contextlib
import csv
import io

import dask.array as da
import numpy as np
import pytest
import rasterio
import xarray as xr
from compliance_checker.suite import CheckSuite
from made_up import FISH, FLOWER, GRAVEL, NO_DATA, NONE, NOT_YET, SUGAR, make_atlas, random_atlas, write_store
from typer.testing import CliRunner

from nephoscope.atlas.cells import aligned, box
from nephoscope.atlas.climatology import LEAST, Resampling, calendar_months, months, seasons
from nephoscope.atlas.flags import UNCLASSIFIED
from nephoscope.atlas.frequency import Domain, measure
from nephoscope.atlas.series import series
from nephoscope.atlas.summary import summarise
from nephoscope.atlas.summary_file import outputs, read_summary
from nephoscope.cli import app
from nephoscope.core.errors import AtlasError
from nephoscope.core.geo import Bounds
from nephoscope.core.patterns import DEFAULT_NAMES

CLASSES = (*DEFAULT_NAMES, UNCLASSIFIED)


@pytest.fixture(scope="module")
def by_hand() -> xr.Dataset:
    """Two days, Terra and Aqua, 8 x 4 pixels of 0.25° from 0.5°E to 2.5°E: half a cell, a cell, half a cell.

    Every row is the same, so that areas on the sphere cancel out. The scenes' border, at 1.5°E, cuts the cell
    in the middle; Aqua's eastern scene of the second day is missing.
    """
    both = FISH | SUGAR
    rows = [
        [
            [FISH, NONE, FISH, both, NO_DATA, NO_DATA, GRAVEL, NO_DATA],
            [FISH, FISH, NONE, SUGAR, SUGAR, NONE, NO_DATA, NO_DATA],
        ],
        [
            [NO_DATA, NO_DATA, FLOWER, FLOWER, FLOWER, NONE, NONE, GRAVEL],
            [NO_DATA, NO_DATA, FLOWER, NO_DATA, *[NOT_YET] * 4],
        ],
    ]
    flags = np.repeat(np.array(rows)[:, :, None], 4, axis=2)
    return make_atlas(flags, west=0.5, north=1.0, step=0.25)


@pytest.fixture(scope="module")
def summary(by_hand, tmp_path_factory) -> xr.Dataset:
    path = tmp_path_factory.mktemp("summary") / "summary.nc"
    summarise(by_hand, path, 1.0)
    return read_summary(path)


def test_daily_frequencies_are_those_counted_by_hand(summary):
    nan = np.nan
    assert summary["freq"].dims == ("date", "longitude", "latitude", "pattern")
    assert summary["pattern"].values.tolist() == ["Fish", "Flower", "Gravel", "Sugar", "Unclassified"]
    assert summary["longitude"].values.tolist() == [0.5, 1.5, 2.5]
    freq = [
        # Fish, Flower, Gravel, Sugar, Unclassified of the three cells
        [[3 / 4, 0, 0, 0, 1 / 4], [2 / 6, 0, 0, 3 / 6, 2 / 6], [0, 0, 1, 0, 0]],
        [[nan] * 5, [0, 4 / 5, 0, 0, 1 / 5], [0, 0, 1 / 2, 0, 1 / 2]],
    ]
    np.testing.assert_allclose(summary["freq"].values[:, :, 0], freq, rtol=1e-6)
    # The outer cells have only half their area in the atlas.
    np.testing.assert_allclose(summary["inside"].values[:, 0], [1 / 2, 1, 1 / 2], rtol=1e-6)
    coverage = [[1 / 2, 6 / 8, 1 / 8], [0, 5 / 8, 2 / 8]]
    np.testing.assert_allclose(summary["coverage"].values[:, :, 0], coverage, rtol=1e-6)
    assert summary["overpasses"].values[:, :, 0].tolist() == [[2, 2, 1], [0, 2, 1]]


def test_each_satellite_is_counted_by_itself(summary):
    terra = summary.sel(satellite="Terra")
    np.testing.assert_allclose(terra["satellite_freq"].values[0, 1, 0], [1, 0, 0, 1 / 2, 0], rtol=1e-6)
    np.testing.assert_allclose(terra["satellite_coverage"].values[0, :, 0], [1 / 2, 1 / 2, 1 / 4], rtol=1e-6)


def test_the_share_of_missing_scenes_is_recorded(summary):
    np.testing.assert_allclose(summary["missing"].values, [[0, 0], [0, 1 / 2]], rtol=1e-6)
    assert summary.attrs["missing_share"] == pytest.approx(1 / 8)
    assert "12.50%" in summary.attrs["missing_comment"]


def test_months_and_seasons_pool_areas_not_frequencies(summary):
    # 31 January and 1 February: each month is its day; all days pool 6 + 5 pixels of the cell in the middle.
    assert summary["month"].values.astype("datetime64[M]").astype(str).tolist() == ["2020-01", "2020-02"]
    assert summary["calendar_month"].values.tolist() == [1, 2]
    np.testing.assert_allclose(summary["monthly_freq"].values, summary["freq"].values, rtol=1e-6)
    assert summary["season"].values.tolist() == ["DJF", "all"]
    for season in ("DJF", "all"):
        pooled = summary.sel(season=season)
        middle = pooled["seasonal_freq"].values[1, 0]
        np.testing.assert_allclose(middle, [2 / 11, 4 / 11, 0, 3 / 11, 3 / 11], rtol=1e-6)
        assert pooled["seasonal_days"].values[:, 0].tolist() == [1, 2, 2]
        coverage = [1 / 4, 11 / 16, 3 / 16]
        np.testing.assert_allclose(pooled["seasonal_coverage"].values[:, 0], coverage, rtol=1e-6)


def test_the_diurnal_difference_counts_only_what_both_saw(summary):
    pooled = summary.sel(season="all")
    assert pooled["diurnal_days"].values[:, 0].tolist() == [1, 2, 0]
    difference = pooled["diurnal_difference"].values[:, 0]
    # West: day 1, Aqua 2 of 2 Fish, Terra 1 of 2. Middle: Aqua 5 pixels, Terra 6.
    np.testing.assert_allclose(difference[0], [1 / 2, 0, 0, 0, -1 / 2], rtol=1e-6)
    expected = [0 - 2 / 6, 1 / 5 - 3 / 6, 0, 2 / 5 - 1 / 6, 2 / 5 - 1 / 6]
    np.testing.assert_allclose(difference[1], expected, rtol=1e-6)
    assert np.isnan(difference[2]).all()


def test_few_days_have_no_interval(summary):
    for end in ("low", "high"):
        assert np.isnan(summary[f"seasonal_freq_{end}"].values).all()


def test_pixels_that_do_not_divide_a_cell_count_by_overlap():
    # 125 pixels of 0.04° make 5°, 62.5 of them one cell of 2.5°.
    flags = np.zeros((1, 1, 125, 125))
    flags[..., :63] = FISH
    atlas = make_atlas(flags, west=10.0, north=5.0, step=0.04, satellites=("Terra",), chunk=50)
    cells = aligned(atlas["lon"].values, atlas["lat"].values, 2.5)
    freq = measure(atlas, cells, Domain("include"))
    np.testing.assert_allclose(cells.longitudes, [10, 12.5, 15])
    np.testing.assert_allclose(freq.valid_shares, 1, rtol=1e-6)
    np.testing.assert_allclose(freq.class_shares[0, 0, 0], [[1, 0.5 / 62.5]] * 2, rtol=1e-5)


def test_rows_count_by_their_area_on_the_sphere():
    flags = np.zeros((1, 1, 4, 4))
    flags[:, :, :2] = FISH  # 45°N to 60°N, of a cell from 30°N
    atlas = make_atlas(flags, 0.0, 60.0, 7.5, satellites=("Terra",))
    freq = measure(atlas, box(Bounds(0, 30, 30, 60)), Domain("include"))
    sines = np.sin(np.radians([30, 45, 60]))
    expected = (sines[2] - sines[1]) / (sines[2] - sines[0])
    assert freq.class_shares[0, 0, 0, 0, 0] == pytest.approx(expected)


@pytest.mark.parametrize(("fine", "coarse"), [(1.0, 5.0), (2.5, 5.0), (1.0, 2.5)])
def test_area_is_conserved_between_grids(fine, coarse):
    atlas = random_atlas(1, 3, 100, 0.1)  # 10° x 10°
    sums = []
    for size in (fine, coarse):
        freq = measure(atlas, aligned(atlas["lon"].values, atlas["lat"].values, size))
        sums.append((freq.shares * freq.cells.areas).sum(axis=(-2, -1), dtype=float))
    np.testing.assert_allclose(*sums, rtol=1e-5)


def test_cells_lie_at_whole_multiples_and_only_where_the_atlas_is():
    cells = aligned(-61 + 0.04 * (np.arange(525) + 0.5), 24 - 0.04 * (np.arange(350) + 0.5), 2.5)
    assert cells.longitudes[[0, -1]].tolist() == [-62.5, -40]
    assert cells.latitudes[[0, -1]].tolist() == [10, 25]
    around = aligned(np.arange(-179.5, 180.5), np.arange(-9.5, 10), 1)
    assert around.shape == (20, 360)


@pytest.mark.parametrize("size", [0, -1, 90, float("nan")])
def test_impossible_cells_are_refused(size):
    with pytest.raises(AtlasError, match="degrees"):
        aligned(np.arange(10.0), np.arange(10.0), size)


@pytest.mark.slow
def test_a_month_pools_its_days_by_coverage(tmp_path):
    atlas = random_atlas(2, 40, 8, 0.5)
    summarise(atlas, tmp_path / "s.nc", 2.0)
    summary = read_summary(tmp_path / "s.nc")
    by_month = summary["date"].dt.strftime("%Y-%m")
    whole = summary["coverage"].groupby(by_month).sum()
    pooled = (summary["freq"].fillna(0) * summary["coverage"]).groupby(by_month).sum() / whole
    expected = pooled.transpose("strftime", "longitude", "latitude", "pattern").values
    np.testing.assert_allclose(summary["monthly_freq"].values, expected, rtol=1e-5)


def test_months_and_seasons_of_days():
    days = np.arange(np.datetime64("2019-11-30"), np.datetime64("2021-03-02"))
    assert [str(month) for month in months(days)][:3] == ["2019-11-01", "2019-12-01", "2020-01-01"]
    assert list(calendar_months(days)) == list(range(1, 13))
    assert len(calendar_months(days)[2]) == 29 + 28
    chosen = seasons(days)
    assert list(chosen) == ["DJF", "MAM", "JJA", "SON", "all"]
    assert set(days[chosen["DJF"]].astype("datetime64[M]").astype(int) % 12 + 1) == {12, 1, 2}


def daily(rng, days, cells, lasting=0.0):
    """A day's area with data, and how much of it carries a pattern, half of it on average, in many cells."""
    state = np.zeros((days, cells))
    for day in range(days):
        before = state[day - 1] if day else rng.normal(size=cells)
        state[day] = lasting * before + np.sqrt(1 - lasting**2) * rng.normal(size=cells)
    data = rng.uniform(0.2, 1, (days, 1, cells))
    return (data * np.clip(0.5 + 0.15 * state[:, None], 0, 1))[:, :, None], data


def test_intervals_cover_the_truth_in_about_95_percent():
    days = np.datetime64("2020-01-01") + np.arange(60)
    pooled = Resampling.of(days).pool(*daily(np.random.default_rng(3), 60, 1000), np.arange(60))
    covered = ((pooled.low <= 0.5) & (pooled.high >= 0.5)).mean()
    assert 0.92 < covered < 0.98


def test_blocks_widen_intervals_where_weather_lasts():
    days = np.datetime64("2020-01-01") + np.arange(120)
    areas = daily(np.random.default_rng(4), 120, 200, lasting=0.8)
    alone, blocks = (Resampling.of(days, block).pool(*areas, np.arange(120)) for block in (1, 10))
    assert np.median(blocks.high - blocks.low) > 1.5 * np.median(alone.high - alone.low)


def test_intervals_follow_the_seed():
    days = np.datetime64("2020-01-01") + np.arange(20)
    areas = daily(np.random.default_rng(5), 20, 3)
    first, again, other = (Resampling.of(days, seed=seed).pool(*areas, np.arange(20)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.low, again.low)
    assert (first.low != other.low).all()
    np.testing.assert_array_equal(first.freq, other.freq)
    assert (first.low < first.freq).all()
    assert (first.freq < first.high).all()


@pytest.mark.parametrize(("differing", "sure"), [(1, False), (2, False), (8, True)])
def test_a_difference_that_rests_on_a_day_or_two_is_not_sure(differing, sure):
    days = np.datetime64("2020-01-01") + np.arange(10)
    areas, valid = np.zeros((10, 2, 1, 1)), np.ones((10, 2, 1))
    areas[:differing, 1] = 1
    pooled = Resampling.of(days).difference(areas, valid, np.arange(10))
    assert pooled.freq[0, 0] == pytest.approx(differing / 10)
    assert (pooled.low[0, 0] > 0) == sure


def test_resamples_without_data_are_left_out_of_an_interval():
    days = np.datetime64("2020-01-01") + np.arange(LEAST)
    areas, valid = daily(np.random.default_rng(8), LEAST, 1)
    pooled = Resampling.of(days).pool(areas, valid, np.arange(LEAST))
    assert pooled.low[0, 0] <= pooled.freq[0, 0] <= pooled.high[0, 0]


def test_intervals_need_enough_days_with_data():
    days = np.datetime64("2020-01-01") + np.arange(10)
    areas, valid = daily(np.random.default_rng(6), 10, 2)
    areas[LEAST - 1 :, ..., 0] = valid[LEAST - 1 :, ..., 0] = 0
    pooled = Resampling.of(days).pool(areas, valid, np.arange(10))
    assert pooled.days.tolist() == [LEAST - 1, 10]
    assert np.isnan(pooled.low[0, 0])
    assert np.isfinite(pooled.low[0, 1])


@pytest.mark.slow
def test_a_year_is_measured_like_its_days_one_by_one():
    atlas = random_atlas(7, 70, 4, 0.5)
    cells = aligned(atlas["lon"].values, atlas["lat"].values, 1.0)
    calls = []
    whole = measure(atlas, cells, progress=lambda *call: calls.append(call))
    apart = [measure(atlas.isel(time=[day]), cells).shares for day in range(70)]
    np.testing.assert_array_equal(whole.shares, np.concatenate(apart))
    assert calls[-1] == (70, 70)
    assert len(calls) > 1


def test_a_dask_cluster_measures_the_same():
    from distributed import Client

    atlas = random_atlas(8, 3, 8, 0.5)
    cells = aligned(atlas["lon"].values, atlas["lat"].values, 1.0)
    here = measure(atlas, cells)
    with Client(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0"):
        there = measure(atlas, cells)
    np.testing.assert_array_equal(here.shares, there.shares)


@pytest.mark.slow
def test_the_file_keeps_the_conventions_and_where_it_came_from(by_hand, tmp_path):
    path = tmp_path / "summary.nc"
    summarise(by_hand, path, 1.0)
    suite = CheckSuite()
    suite.load_all_available_checkers()
    with contextlib.closing(suite.load_dataset(str(path))) as dataset:
        results, errors = suite.run_all(dataset, ["cf:1.11"])["cf:1.11"]
    assert not errors
    assert len(results) > 30
    short = [message for result in results if result.value[0] != result.value[1] for message in result.msgs]
    # Longitude before latitude, and the pattern last, as C3ONTEXT has them: CF only recommends another order.
    assert [message for message in short if "recommended order T, Z, Y, X" not in message] == []
    written = read_summary(path)
    for name in ("freq", "seasonal_freq_low", "inside"):
        wkt = written[written[name].attrs["grid_mapping"]].attrs["crs_wkt"]
        assert rasterio.crs.CRS.from_wkt(wkt).to_epsg() == 4326
    assert written.attrs["model_card"] == '{"name": "tiny"}'
    assert written.attrs["history"].endswith("\nbefore")
    assert "may add up to more than 1" in written["freq"].attrs["comment"]


@pytest.mark.slow
def test_zarr_holds_the_same(by_hand, summary, tmp_path):
    summarise(by_hand, tmp_path / "summary.zarr", 1.0)
    summarise(by_hand, tmp_path / "summary.zarr", 1.0)  # in place of the first
    zarr = read_summary(tmp_path / "summary.zarr")
    for name in summary.variables:
        np.testing.assert_array_equal(zarr[name].values, summary[name].values)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["summary.zarr"]


def test_names_of_several_grids(tmp_path):
    path = tmp_path / "s.nc"
    assert outputs(path, "2.5") == [(2.5, path)]
    assert [each.name for _, each in outputs(path, "1, 2.5")] == ["s_1deg.nc", "s_2.5deg.nc"]
    with pytest.raises(AtlasError, match="not a list of cell sizes"):
        outputs(path, "fine")
    with pytest.raises(AtlasError, match="must end in"):
        outputs(tmp_path / "s.csv", "1")
    path.touch()
    with pytest.raises(AtlasError, match="--overwrite"):
        outputs(path, "1")


@pytest.mark.parametrize("content", [b"", b"not a summary"])
def test_an_invalid_summary_is_refused(tmp_path, content):
    (tmp_path / "s.nc").write_bytes(content)
    with pytest.raises(AtlasError, match="s.nc"):
        read_summary(tmp_path / "s.nc")


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_series_is_counted_by_hand(by_hand):
    rows = rows_of(series(by_hand, Bounds(1, 0, 2, 1)))
    assert [row["date"] for row in rows] == ["2020-01-31", "2020-02-01"]
    assert [float(rows[0][name]) for name in CLASSES] == pytest.approx([2 / 6, 0, 0, 3 / 6, 2 / 6], rel=1e-5)
    assert float(rows[0]["coverage"]) == pytest.approx(6 / 8)
    assert float(rows[0]["Fish_Terra"]) == 1
    assert float(rows[0]["coverage_Terra"]) == pytest.approx(1 / 2)


def test_a_series_is_empty_without_data(by_hand):
    rows = rows_of(series(by_hand, Bounds(0.5, 0, 1, 1)))
    assert rows[1]["Fish"] == ""
    assert float(rows[1]["coverage"]) == 0


@pytest.mark.parametrize("box", [Bounds(179, 0, -179, 1), Bounds(-181, 0, -179, 1)])
def test_a_series_may_cross_the_antimeridian(box):
    flags = np.zeros((1, 1, 4, 16))
    flags[..., 8:] = FISH  # from 180° on
    rows = rows_of(series(make_atlas(flags, 178.0, 1.0, 0.25, satellites=("Terra",)), box))
    assert float(rows[0]["Fish"]) == pytest.approx(1 / 2)
    assert float(rows[0]["coverage"]) == pytest.approx(1)


def test_a_series_outside_the_atlas_is_refused(by_hand):
    with pytest.raises(AtlasError, match="does not reach"):
        series(by_hand, Bounds(50, 0, 60, 1))


def test_a_series_reads_only_the_scenes_it_needs():
    read = []

    def scene(block_info=None):
        read.append(block_info[None]["chunk-location"])
        return np.zeros((1, 1, 4, 4), np.uint8)

    atlas = make_atlas(np.zeros((2, 1, 8, 12)), 0.0, 8.0, 1.0, satellites=("Terra",))
    lazy = da.map_blocks(
        scene, chunks=((1, 1), (1,), (4, 4), (4, 4, 4)), dtype=np.uint8, meta=np.empty((0,) * 4)
    )
    atlas["pattern_flags"] = atlas["pattern_flags"].copy(data=lazy)
    series(atlas, Bounds(5, 5, 7, 7))
    assert sorted(read) == [(0, 0, 0, 1), (1, 0, 0, 1)]


@pytest.fixture
def store(tmp_path, card) -> str:
    return write_store(tmp_path / "atlas.zarr", card)


@pytest.mark.slow
def test_commands_summarise_and_series(store, tmp_path):
    run = CliRunner().invoke
    done = run(app, ["atlas", "summarise", store, "-o", str(tmp_path / "s.nc"), "--grid", "1,2.5"])
    assert done.exit_code == 0, done.output
    assert "25.00% of the atlas is not segmented" in done.output
    with read_summary(tmp_path / "s_2.5deg.nc") as summary:
        whole = summary.sel(season="all", longitude=-51.25, latitude=13.75)
        np.testing.assert_allclose(whole["seasonal_freq"].values, [1 / 3, 0, 0, 2 / 3, 0], rtol=1e-6)
        assert "plan" in summary.attrs
    again = run(app, ["atlas", "summarise", store, "-o", str(tmp_path / "s.nc"), "--grid", "1,2.5"])
    assert again.exit_code == 2
    assert "--overwrite" in again.output
    done = run(app, ["atlas", "series", store, "--region", "barbados", "-o", str(tmp_path / "x.csv")])
    assert done.exit_code == 0, done.output
    rows = rows_of((tmp_path / "x.csv").read_text())
    assert float(rows[0]["Fish"]) == pytest.approx(0.5)
    assert float(rows[1]["coverage"]) == pytest.approx(0.5)
    assert (
        run(app, ["atlas", "series", store, "--region", "barbados", "-o", str(tmp_path / "x.csv")]).exit_code
        == 2
    )
    done = run(app, ["atlas", "series", store, "--region", "mars"])
    assert done.exit_code == 2
    assert "mars" in done.output


def test_no_atlas_there(tmp_path):
    done = CliRunner().invoke(
        app, ["atlas", "summarise", str(tmp_path / "nothing"), "-o", str(tmp_path / "s.nc")]
    )
    assert done.exit_code == 2
    assert "nothing" in done.output


@pytest.mark.slow
@pytest.mark.parametrize("size", [0.1, 1.0, 2.5, 7.0, 45.0])
def test_cells_around_the_earth_hold_all_of_it_once(size):
    longitudes = np.arange(-180 + 0.1, 180, 0.2)
    cells = aligned(longitudes, np.array([-0.1, 0.1]), size)
    assert np.diff(cells.longitudes).sum() == pytest.approx(360)
    shares = cells.along_longitude(longitudes) * np.diff(cells.longitudes)[:, None]
    np.testing.assert_allclose(shares.sum(axis=0), 0.2)


def test_only_a_summary_is_replaced(tmp_path):
    other = tmp_path / "store.zarr"
    other.mkdir()
    (other / "zarr.json").write_text('{"attributes": {"plan": "..."}}')
    with pytest.raises(AtlasError, match="not a summary"):
        outputs(other, "1", overwrite=True)
    with pytest.raises(AtlasError, match="not a summary"):
        summarise(xr.Dataset(), other)
    assert (other / "zarr.json").is_file()
