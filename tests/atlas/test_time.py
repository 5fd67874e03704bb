"""Seasons of single years, anomalies, trends, and days with a pattern: known answers are recovered."""

import csv
import io

import numpy as np
import pytest
from made_up import FISH, NO_DATA, NONE, make_atlas, write_store
from typer.testing import CliRunner

from nephoscope.atlas.climatology import (
    LEAST_YEARS,
    Bootstrap,
    Resampling,
    calendar_months,
    parse_block,
    season_of,
    season_years,
    year_seasons,
)
from nephoscope.atlas.figure_maps import trends
from nephoscope.atlas.figure_time import anomaly_series
from nephoscope.atlas.figures import draw
from nephoscope.atlas.series import series
from nephoscope.atlas.summary import summarise
from nephoscope.atlas.summary_file import add_up, read_summary
from nephoscope.cli import app
from nephoscope.core.errors import AtlasError
from nephoscope.core.geo import Bounds

BOX = Bounds(-40, 0, -38, 2)


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def planted(rng, dates, cells, trend=0.0, yearly=0.0, cycle=0.2):
    """Areas with a pattern and with data of which the frequency has a cycle, a trend and years of its own.

    Returns shapes (days, 1, 1, cells) and (days, 1, cells).
    """
    months = dates.astype("datetime64[M]").astype(int)
    decades = (months - months.mean()) / 120
    years = season_years(dates) - season_years(dates).min()
    own = yearly * rng.normal(size=(years.max() + 1, cells))[years]
    usual = 0.5 + cycle * np.cos(2 * np.pi * (months % 12) / 12) + trend * decades
    freq = np.clip(usual[:, None] + own + 0.1 * rng.normal(size=(len(dates), cells)), 0, 1)
    data = rng.uniform(0.2, 1, (len(dates), cells))
    return (freq * data)[:, None, None], data[:, None]


def every(days: int, years: int) -> np.ndarray:
    """A day in so many, over so many years from December on."""
    return np.arange(np.datetime64("2005-12-01"), np.datetime64(f"{2005 + years}-12-01"), days)


def test_seasons_of_years_begin_in_december():
    dates = np.arange(np.datetime64("2019-11-30"), np.datetime64("2020-12-02"))
    chosen = year_seasons(dates)
    names = [f"{season_of(first)} {season_years(first)}" for first in chosen]
    assert names == ["SON 2019", "DJF 2020", "MAM 2020", "JJA 2020", "SON 2020", "DJF 2021"]
    assert str(next(iter(chosen))) == "2019-09-01"
    assert [len(days) for days in chosen.values()] == [1, 91, 92, 92, 91, 1]
    np.testing.assert_array_equal(np.concatenate(list(chosen.values())), np.arange(len(dates)))


@pytest.mark.slow
@pytest.mark.parametrize(("years", "yearly"), [(10, 0.05), (20, 0.05), (20, 0)])
def test_intervals_of_trends_cover_the_planted_trend(years, yearly):
    dates = every(20, years)
    areas = planted(np.random.default_rng(1), dates, 300, trend=0.08, yearly=yearly)
    result = Resampling.of(dates, "year").trend(*areas, np.arange(len(dates)))
    assert result.slope.mean() == pytest.approx(0.08, abs=0.015)
    covered = (result.low <= 0.08) & (result.high >= 0.08)
    assert 0.89 < covered.mean() < 0.99
    assert (result.years == years).all()


def test_intervals_cover_the_planted_frequency_and_its_cycle():
    dates = every(5, 4)
    areas = planted(np.random.default_rng(6), dates, 100)
    resampling = Resampling.of(dates)
    whole = resampling.pool(*areas, np.arange(len(dates)))
    assert 0.88 < ((whole.low < 0.5) & (whole.high > 0.5)).mean() <= 1
    for month, days in calendar_months(dates).items():
        pooled, truth = resampling.pool(*areas, days), 0.5 + 0.2 * np.cos(2 * np.pi * (month - 1) / 12)
        assert pooled.freq.mean() == pytest.approx(truth, abs=0.01)
        assert 0.85 < ((pooled.low < truth) & (pooled.high > truth)).mean() <= 1


def test_single_days_underestimate_what_years_vary():
    dates = every(15, 12)
    areas = planted(np.random.default_rng(2), dates, 100, yearly=0.1)
    days, years = (Resampling.of(dates, block).trend(*areas, np.arange(len(dates))) for block in (1, "year"))
    assert np.median(years.high - years.low) > 1.5 * np.median(days.high - days.low)


def test_missing_months_do_not_bias_a_trend():
    dates = every(10, 10)
    months = dates.astype("datetime64[M]").astype(int) % 12
    # Only winters at first, with their high frequencies, and later whole years.
    kept = dates[(season_years(dates) > 2010) | (months < 2) | (months == 11)]
    areas = planted(np.random.default_rng(3), kept, 50, cycle=0.3)
    result = Resampling.of(kept, "year").trend(*areas, np.arange(len(kept)))
    assert np.abs(result.slope.mean()) < 0.01


def test_a_trend_needs_enough_years():
    dates = every(30, LEAST_YEARS)
    areas, valid = planted(np.random.default_rng(4), dates, 2, trend=0.1)
    first = season_years(dates) == season_years(dates)[0]
    areas[first, ..., 0] = valid[first, ..., 0] = 0
    result = Resampling.of(dates, "year").trend(areas, valid, np.arange(len(dates)))
    assert result.years.tolist() == [LEAST_YEARS - 1, LEAST_YEARS]
    assert np.isnan([result.slope[0, 0], result.low[0, 0]]).all()
    assert result.low[0, 1] < result.slope[0, 1] < result.high[0, 1]


def test_anomalies_are_from_the_mean_cycle_and_their_intervals_cover_it():
    dates = every(3, 6)
    areas = planted(np.random.default_rng(5), dates, 200, cycle=0.3)
    january = dates.astype("datetime64[M]").astype(int) % 12 == 0
    own = [np.flatnonzero(january & (season_years(dates) == year)) for year in range(2006, 2012)]
    anomalies = Resampling.of(dates).anomalies(*areas, own, np.flatnonzero(january))
    assert np.abs(anomalies[2].freq.mean()) < 0.01
    assert 0.85 < ((anomalies[2].low < 0) & (anomalies[2].high > 0)).mean() < 0.99
    alone = Resampling.of(dates).anomalies(*areas, own[:1], own[0])
    assert np.isnan(alone[0].freq).all()


def test_a_day_has_a_pattern_if_it_is_anywhere_in_the_cell():
    dates = every(1, 1)[:10]
    areas, valid = np.zeros((10, 2, 1, 2)), np.ones((10, 2, 2))
    areas[:3, 1, 0, 0] = 0.001
    valid[8:, :, 0] = 0
    pooled = Resampling.of(dates).occurrence(areas, valid, np.arange(10))
    np.testing.assert_allclose(pooled.freq, [[3 / 8, 0]])
    assert pooled.days.tolist() == [8, 10]
    assert pooled.low[0, 0] < 3 / 8 < pooled.high[0, 0]


@pytest.fixture(scope="module")
def six_years():
    """A scene of 4 x 4 pixels every tenth day; Fish in k of 16 pixels, more in winter, and more each year."""
    dates = every(10, 6)
    months = dates.astype("datetime64[M]").astype(int)
    fish = 4 + 4 * (months % 12 < 6) + (season_years(dates) - 2006)
    flags = np.full((len(dates), 1, 4, 4), NONE)
    for day, count in enumerate(fish):
        flags[day, 0].flat[:count] = FISH
    flags[::7] = NO_DATA
    atlas = make_atlas(flags, -40.0, 2.0, 0.5, satellites=("Terra",))
    return atlas.assign_coords(time=dates.astype("datetime64[ns]")), dates, fish / 16


@pytest.mark.slow
def test_a_summary_has_seasons_anomalies_trends_and_days(six_years, tmp_path):
    atlas, dates, fish = six_years
    summarise(atlas, tmp_path / "s.nc", 2.0)
    summary = read_summary(tmp_path / "s.nc").squeeze(["longitude", "latitude"]).sel(pattern="Fish")
    assert summary["year_season_name"].values[[0, 1, -1]].tolist() == ["DJF 2006", "MAM 2006", "SON 2011"]
    assert str(summary["year_season"].values[0])[:10] == "2005-12-01"
    spring = np.isin(dates.astype("datetime64[M]").astype(int) % 12, (2, 3, 4)) & (
        season_years(dates) == 2008
    )
    spring &= np.arange(len(dates)) % 7 > 0
    own = summary.isel(year_season=summary["year_season_name"].values.tolist().index("MAM 2008"))
    # Lines of pixels differ by less than 0.1 % in area.
    assert float(own["year_season_freq"]) == pytest.approx(fish[spring].mean(), rel=1e-3)
    assert int(own["year_season_days"]) == spring.sum()
    # A change of 1/16 a year
    trend = summary.sel(season="all")
    assert float(trend["trend"]) == pytest.approx(10 / 16, rel=0.01)
    assert trend["trend_low"] <= 10 / 16 * 1.01
    assert trend["trend_high"] >= 10 / 16 * 0.99
    assert trend["trend_years"] == 6
    assert summary["trend"].attrs["units"] == "0.1 year-1"
    anomalies = summary["monthly_anomaly"].groupby(summary["month"].dt.year).mean()
    np.testing.assert_allclose(anomalies.sel(year=2011) - anomalies.sel(year=2007), 4 / 16, atol=0.01)
    np.testing.assert_allclose(summary["seasonal_occurrence"], 1)


@pytest.mark.slow
def test_series_by_period_say_what_the_summary_says(six_years, tmp_path):
    atlas, *_ = six_years
    summarise(atlas, tmp_path / "s.nc", 2.0)
    summary = read_summary(tmp_path / "s.nc").squeeze(["longitude", "latitude"])
    for by, prefix, dimension in (
        ("month", "monthly", "month"),
        ("calendar-month", "calendar", "calendar_month"),
        ("season", "seasonal", "season"),
        ("year-season", "year_season", "year_season"),
    ):
        rows = rows_of(series(atlas, BOX, by))
        names = summary["pattern"].values.tolist()
        assert [row["pattern"] for row in rows[:5]] == names
        assert len(rows) == summary.sizes[dimension] * len(names)
        for column, variable in (("frequency", "freq"), ("anomaly", "anomaly"), ("occurrence", "occurrence")):
            if f"{prefix}_{variable}" not in summary:
                assert column not in rows[0]
                continue
            for end in ("", "_low", "_high"):
                own = [float(row[f"{column}{end}"] or "nan") for row in rows]
                np.testing.assert_allclose(
                    own, summary[f"{prefix}_{variable}{end}"].values.ravel(), rtol=1e-4, atol=1e-7
                )
    trends = rows_of(series(atlas, BOX, "trend"))
    assert [row["season"] for row in trends[::5]] == ["DJF", "MAM", "JJA", "SON", "all"]
    own = [float(row["trend_per_decade_low"] or "nan") for row in trends]
    np.testing.assert_allclose(own, summary["trend_low"].values.ravel(), rtol=1e-4, atol=1e-7)
    assert rows_of(series(atlas, BOX, "year-season"))[0]["period"] == "DJF 2006"
    assert rows_of(series(atlas, BOX, "month"))[0]["period"] == "2005-12"


def test_trends_can_resample_blocks_of_days(six_years):
    atlas, *_ = six_years
    years = rows_of(series(atlas, BOX, "trend"))
    months = rows_of(series(atlas, BOX, "trend", bootstrap=Bootstrap(trend_block=30)))
    assert [row["trend_per_decade"] for row in years] == [row["trend_per_decade"] for row in months]
    assert years[0]["trend_per_decade_low"] != months[0]["trend_per_decade_low"]


@pytest.mark.parametrize(("text", "block"), [("year", "year"), (" Year", "year"), ("30", 30)])
def test_blocks_are_years_or_days(text, block):
    assert parse_block(text) == block


@pytest.mark.parametrize("text", ["", "0", "-3", "month", "1.5"])
def test_other_blocks_are_refused(text):
    with pytest.raises(AtlasError, match="give year, or a number of days"):
        parse_block(text)


@pytest.mark.slow
def test_figures_of_anomalies_and_trends(six_years, tmp_path):
    atlas, *_ = six_years
    summarise(atlas, tmp_path / "summary.nc", 1)
    with read_summary(tmp_path / "summary.nc") as summary:
        drawn = draw(summary, tmp_path / "figures")
        assert "trends" not in drawn.left_out
        assert drawn.left_out["anomalies"].startswith("needs one calendar month of 5 days")
        columns = add_up(summary)
        figure = trends(summary, columns)
        titles = [axes.get_title(loc="right") or axes.get_xlabel() for axes in figure.axes]
        slope = summary["trend"].sel(season="all", pattern="Fish").mean()  # all cells have the same area
        assert any(f"{100 * float(slope):+.1f}" in title.replace("\n", " ") for title in titles)
        bars = anomaly_series(summary, columns).axes[0].patches
        heights = [bar.get_height() for bar in bars]
        monthly = summary["monthly_anomaly"].sel(pattern="Fish").mean(("longitude", "latitude"))
        assert heights == pytest.approx(monthly.values.tolist(), abs=0.01)


@pytest.fixture
def store(tmp_path, card) -> str:
    return write_store(tmp_path / "atlas.zarr", card)


def test_the_command_writes_periods(store, tmp_path):
    output = tmp_path / "x.csv"
    words = ["atlas", "series", store, "--region", "barbados", "-o", str(output), "--by", "season"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    rows = rows_of(output.read_text())
    assert [row["period"] for row in rows[::5]] == ["DJF", "all"]
    assert float(rows[0]["frequency"]) == pytest.approx(1 / 3, abs=0.01)
    assert rows[0]["frequency_low"] == ""
    done = CliRunner().invoke(app, [*words[:-1], "trend", "--overwrite"])
    assert done.exit_code == 0, done.output
    assert "trends need 5 years from December to November; the atlas has 1" in done.stderr
    done = CliRunner().invoke(app, [*words, "--overwrite", "--trend-block", "month"])
    assert done.exit_code == 2
    assert "'month' is not a block" in done.stderr
