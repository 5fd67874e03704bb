"""What of an atlas counts: the region that was asked for, and no land."""

import csv
import io

import numpy as np
import pytest
import xarray as xr
from made_up import FISH, NONE, NOT_YET, SUGAR, make_atlas, planned_for, write_store
from typer.testing import CliRunner

from nephoscope.atlas.cells import aligned, box
from nephoscope.atlas.frequency import Domain, measure
from nephoscope.atlas.land import land_shares, outlines
from nephoscope.atlas.series import series
from nephoscope.atlas.summary import summarise
from nephoscope.atlas.summary_file import add_up, read_summary
from nephoscope.cli import app
from nephoscope.core.errors import AtlasError
from nephoscope.core.geo import Bounds


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture
def half_asked():
    """Pixels of 1° at sea, from 40°W to 32°W and the equator to 4°N; only 38.5°W to 34°W was asked for.

    There is Fish in the middle, and Sugar outside of what was asked for.
    """
    flags = np.full((2, 2, 4, 8), SUGAR)
    flags[..., 1:6] = FISH
    flags[..., 3] = NONE
    return planned_for(make_atlas(flags, -40.0, 4.0, 1.0), Bounds(-38.5, 1, -34, 3))


@pytest.mark.slow
def test_only_the_region_that_was_asked_for_counts(half_asked, tmp_path):
    summarise(half_asked, tmp_path / "s.nc", 2.0)
    summary = read_summary(tmp_path / "s.nc")
    assert summary["longitude"].values.tolist() == [-39, -37, -35]
    assert summary["latitude"].values.tolist() == [1, 3]
    everywhere = summary.sel(season="all")["seasonal_freq"]
    np.testing.assert_allclose(everywhere.sel(pattern="Sugar"), 0)
    np.testing.assert_allclose(everywhere.sel(pattern="Fish").values[:, 0], [1, 1 / 2, 1], rtol=1e-5)
    np.testing.assert_allclose(summary["inside"].values[:, 0], [1 / 8, 1 / 2, 1 / 2], rtol=1e-3)
    np.testing.assert_allclose(summary["coverage"].values[0], summary["inside"].values, rtol=1e-6)
    attributes = [
        summary.attrs[f"geospatial_{name}"] for name in ("lon_min", "lat_min", "lon_max", "lat_max")
    ]
    assert attributes == [-38.5, 1, -34, 3]
    assert (summary.attrs["time_coverage_start"], summary.attrs["time_coverage_end"]) == (
        "2020-01-31",
        "2020-02-01",
    )


def test_a_series_counts_only_what_was_asked_for(half_asked):
    row = rows_of(series(half_asked, Bounds(-40, 0, -32, 4)))[0]
    assert float(row["Fish"]) == pytest.approx(3.5 / 4.5, rel=1e-5)
    assert float(row["Sugar"]) == 0
    assert float(row["coverage"]) == pytest.approx(1)
    with pytest.raises(AtlasError, match="does not reach into this region"):
        series(half_asked, Bounds(-40, 0, -39, 4))


def test_a_region_across_the_antimeridian_is_cut_on_both_sides():
    flags = np.full((1, 1, 4, 8), SUGAR)
    flags[..., 2:5] = FISH  # 178°E to 181°E
    atlas = planned_for(
        make_atlas(flags, 176.0, -10.0, 1.0, satellites=("Terra",)), Bounds(178, -14, -179, -10)
    )
    freq = measure(atlas, box(Bounds(170, -14, -170, -10)))
    np.testing.assert_allclose(freq.class_shares[0, 0, :, 0, 0], [3 / 20, 0, 0, 0, 0], rtol=1e-5)


@pytest.mark.slow
def test_land_does_not_count_unless_it_is_asked_for(tmp_path):
    # A pixel of 1° in Amazonia, and one in the ocean; the land is Sugar.
    flags = np.full((1, 1, 4, 30), FISH)
    flags[..., :4] = SUGAR
    atlas = make_atlas(flags, -60.0, 2.0, 1.0, satellites=("Terra",))  # from Amazonia to the Atlantic
    summarise(atlas, tmp_path / "sea.nc", 2.0)
    summarise(atlas, tmp_path / "all.nc", 2.0, domain=Domain("include"))
    sea, everything = read_summary(tmp_path / "sea.nc"), read_summary(tmp_path / "all.nc")
    np.testing.assert_array_equal(sea["land"].values, everything["land"].values)
    assert sea["land"].sel(longitude=-59, latitude=1) == 1
    assert sea["land"].sel(longitude=-33, latitude=1) == 0
    assert np.isnan(sea["freq"].sel(longitude=-59, latitude=1)).all()
    assert everything["freq"].sel(longitude=-59, latitude=1, pattern="Sugar") == 1
    assert (sea.attrs["land"], everything.attrs["land"]) == ("exclude", "include")
    assert sea["missing"].values.max() == 0
    # All of the sea has data: a column's share with data is that of its sea.
    columns = add_up(sea)
    np.testing.assert_allclose(columns.valid_shares[0, 0][columns.areas > 0], 1, rtol=1e-5)
    assert columns.areas[0] == 0
    np.testing.assert_allclose(columns.whole[1], 1, rtol=1e-5)


def test_a_series_leaves_land_out(tmp_path):
    flags = np.full((1, 1, 4, 4), SUGAR)
    flags[..., 2:] = FISH
    atlas = make_atlas(flags, -52.0, 3.0, 1.0, satellites=("Terra",))  # the coast of Amapá
    shares = land_shares(atlas["lon"].values, atlas["lat"].values)
    assert 0 < shares.mean() < 1
    bounds = Bounds(-52, -1, -48, 3)
    sea, everything = (
        rows_of(series(atlas, bounds, domain=Domain(land)))[0] for land in ("exclude", "include")
    )
    assert float(everything["Fish"]) == pytest.approx(1 / 2, rel=1e-3)
    weights = np.cos(np.radians(atlas["lat"].values))[:, None] * (1 - shares)
    assert float(sea["Fish"]) == pytest.approx(weights[:, 2:].sum() / weights.sum(), rel=1e-3)
    assert float(sea["coverage"]) == pytest.approx(1)


def test_a_region_of_land_alone_is_refused():
    atlas = make_atlas(np.zeros((1, 1, 4, 4)), -62.0, 0.0, 0.25, satellites=("Terra",))
    with pytest.raises(AtlasError, match="all land"):
        measure(atlas, aligned(atlas["lon"].values, atlas["lat"].values, 1.0))


@pytest.mark.parametrize("step", [0.04, -0.04])
def test_shares_of_land_add_up_to_the_area_of_an_island(step):
    (ring,) = [each for each in outlines() if np.hypot(*(each.mean(axis=0) - (-59.55, 13.15))) < 0.1]
    x, y = ring.T
    area = abs((x[:-1] * y[1:] - x[1:] * y[:-1]).sum()) / 2
    longitudes, latitudes = -59.8 + 0.04 * np.arange(13), 13.15 + step * np.arange(-8, 9)
    shares = land_shares(longitudes, latitudes)
    assert shares.sum() * 0.04**2 == pytest.approx(area, rel=0.03)
    assert {0, 1} < set(np.unique(shares).tolist())


LONGITUDES, LATITUDES = -40 + 0.5 + np.arange(8), 4 - 0.5 - np.arange(4)


def write_mask(path, values, dims, **coordinates):
    """A mask on the pixels of `half_asked`, or on coordinates of its own."""
    own = {
        "time": np.array(["2020-01-31", "2020-02-01"], "datetime64[ns]"),
        "satellite": ["Aqua", "Terra"],
        "lat": LATITUDES,
        "lon": LONGITUDES,
    } | coordinates
    mask = xr.Dataset({"ice": (dims, values)}, {name: own[name] for name in dims})
    mask.to_zarr(path, consolidated=False) if path.suffix == ".zarr" else mask.to_netcdf(path)
    return str(path)


def fish_of(atlas, *masks: str) -> list[float]:
    """The series' Fish of each day, NaN without data."""
    rows = rows_of(series(atlas, Bounds(-40, 0, -32, 4), domain=Domain(masks=masks)))
    return [float(row["Fish"] or "nan") for row in rows]


@pytest.mark.parametrize("kind", [np.bool_, np.int8, np.float32])
@pytest.mark.parametrize("ending", [".nc", ".zarr"])
def test_where_a_mask_is_true_there_is_no_data(half_asked, tmp_path, kind, ending):
    values = np.zeros((4, 8), kind)
    values[:, 3] = 1  # where there is no Fish
    mask = write_mask(tmp_path / f"mask{ending}", values, ("lat", "lon"))
    assert fish_of(half_asked, mask) == pytest.approx([1, 1])
    assert fish_of(half_asked, f"{mask}:ice") == pytest.approx([1, 1])


def test_a_mask_may_have_days_and_satellites_in_another_order(half_asked, tmp_path):
    values = np.zeros((2, 2, 4, 8), np.bool_)
    values[0, 0, :, 3] = True  # Aqua on the first of February
    mask = write_mask(
        tmp_path / "mask.nc",
        values,
        ("time", "satellite", "lat", "lon"),
        time=np.array(["2020-02-01T12", "2020-01-31T12"], "datetime64[ns]"),
    )
    assert fish_of(half_asked, mask) == pytest.approx([3.5 / 4.5, 7 / 8], rel=1e-5)


def test_the_nearest_value_of_a_coarser_mask_decides_also_in_other_longitudes(half_asked, tmp_path):
    values = np.zeros((4, 4), np.int8)
    values[:, 1] = 1  # 322°E to 324°E is 38°W to 36°W
    places = {"latitude": [0.5, 1.5, 2.5, 3.5], "longitude": [321.0, 323, 325, 327]}
    mask = write_mask(tmp_path / "mask.nc", values, tuple(places), **places)
    assert fish_of(half_asked, mask) == pytest.approx([1, 1])


def test_what_a_mask_leaves_open_counts_as_no_data(half_asked, tmp_path, caplog):
    values = np.zeros((1, 4, 8), np.float32)
    values[:, :, 3] = np.nan
    day = np.array(["2020-02-01"], "datetime64[ns]")
    mask = write_mask(tmp_path / "mask.nc", values, ("time", "lat", "lon"), time=day)
    np.testing.assert_allclose(fish_of(half_asked, mask), [np.nan, 1])
    assert "lacks 1 of 2 days" in caplog.text


@pytest.mark.slow
def test_a_mask_does_not_hide_what_is_missing(half_asked, tmp_path):
    half_asked["pattern_flags"][0] = NOT_YET
    mask = write_mask(tmp_path / "mask.nc", np.indices((4, 8))[1] != 3, ("lat", "lon"))
    summarise(half_asked, tmp_path / "s.nc", 2.0, domain=Domain(masks=(mask,)))
    summary = read_summary(tmp_path / "s.nc")
    np.testing.assert_allclose(summary["missing"].values, [[1, 0], [1, 0]])
    assert summary.attrs["excluded_masks"] == mask


def at(*times: str) -> dict[str, np.ndarray]:
    return {"time": np.array(times, "datetime64[ns]")}


@pytest.mark.parametrize(
    ("dims", "changes", "words"),
    [
        ("lat lon", {"lon": np.arange(8.0)}, "does not cover the atlas"),
        ("lat lon", {"lat": 1.8 + 0.1 * np.arange(4)}, "does not cover the atlas"),
        ("time lat lon", at("2019-01-01", "2019-01-02"), "none of the atlas's days"),
        ("time lat lon", at("2020-01-31T01", "2020-01-31T02"), "several times of one day"),
        ("satellite lat lon", {"satellite": ["Terra", "SNPP"]}, "has no Aqua"),
        ("y x", {"y": np.arange(4), "x": np.arange(8)}, "no variable of 0 and 1 on latitudes"),
    ],
)
def test_masks_that_do_not_fit_are_refused(half_asked, tmp_path, dims, changes, words):
    sizes = {"time": 2, "satellite": 2, "lat": 4, "lon": 8, "y": 4, "x": 8}
    values = np.zeros([sizes[name] for name in dims.split()], np.int8)
    mask = write_mask(tmp_path / "mask.nc", values, tuple(dims.split()), **changes)
    with pytest.raises(AtlasError, match=words) as caught:
        fish_of(half_asked, mask)
    assert "mask.nc" in str(caught.value)


@pytest.fixture
def store(tmp_path, card) -> str:
    return write_store(tmp_path / "atlas.zarr", card)


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        ("numbers.nc", "has several: depth, ice; name one"),
        ("numbers.nc:depth", "has values other than 0 and 1"),
        ("numbers.nc:glint", "has no variable 'glint' on latitudes and longitudes; it has depth, ice"),
        ("absent.nc", "no such file"),
        ("text.nc", "neither NetCDF nor Zarr"),
    ],
)
def test_files_without_a_mask_are_refused_in_one_line(store, tmp_path, mask, words):
    dims, values = ("lat", "lon"), np.full((4, 8), 2.0)
    places = {"lat": [-10, 0, 10, 20], "lon": -80 + 10.0 * np.arange(8)}
    xr.Dataset({"depth": (dims, values), "ice": (dims, values > 2)}, places).to_netcdf(
        tmp_path / "numbers.nc"
    )
    (tmp_path / "text.nc").write_text("no")
    words_of_command = ["atlas", "series", store, "--region", "barbados", "-o", str(tmp_path / "x.csv")]
    done = CliRunner().invoke(app, [*words_of_command, "--exclude", str(tmp_path / mask)])
    assert done.exit_code == 2, done.output
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
