"""Frequencies of masks by both rules and of calibrated probabilities, and those that labels would give."""

import csv
import dataclasses
import io

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from made_up import FISH, FLOWER, NO_DATA, NONE, make_atlas

from nephoscope.atlas.cells import Cells
from nephoscope.atlas.daily import read_two
from nephoscope.atlas.figure_parts import classes_of
from nephoscope.atlas.figure_time import cycle
from nephoscope.atlas.figures import draw
from nephoscope.atlas.flags import UNCLASSIFIED
from nephoscope.atlas.frequency import Domain, measure
from nephoscope.atlas.series import series
from nephoscope.atlas.summary import summarise
from nephoscope.atlas.summary_file import add_up, read_summary
from nephoscope.core.errors import AtlasError
from nephoscope.core.geo import Bounds
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.inference.probability import AreaRatio

approx = pytest.approx

DAYS, SIDE, STEP, COARSE = 40, 8, 0.25, 4  # pixels and their degrees; coarse cells along a side
OCEAN = Domain("include")
PRESENCES = np.array([[0.2, 0.8], [0.1, 0.1], [0.5, 0.6], [0.9, 1.0]])  # of each pattern in west and east


@pytest.fixture
def atlas(card):
    """Two scenes side by side; each pattern has its probability there, Fish of the west on 3 days of 4."""
    flags = np.full((DAYS, 2, SIDE, 2 * SIDE), NONE)
    flags[..., :SIDE] = np.where(np.arange(DAYS) % 4 < 3, FISH, NONE)[:, None, None, None]
    flags[:, :, :2] = NO_DATA
    made = make_atlas(flags, 0, 2, STEP, chunk=SIDE)
    unbiased = np.where((flags == NO_DATA), NO_DATA, FLOWER)
    probability = np.broadcast_to(
        np.array([0.1, 0.2, 0.3, 0.4])[:, None, None], (4, COARSE, 2 * COARSE)
    ).copy()
    probability[0, :, COARSE:] = 0.5
    probability[:, 0] = np.nan  # where there is no data
    fields = da.from_array(
        np.broadcast_to(probability, (DAYS, 2, *probability.shape)), (1, 1, 4, COARSE, COARSE)
    )
    dimensions = ("time", "satellite", "pattern", "lat_coarse", "lon_coarse")
    ratios = {
        name: {"contest": AreaRatio(1.5, 0.2), "expected": AreaRatio(1.0, 0.05)} for name in DEFAULT_NAMES
    }
    own = dataclasses.replace(card, area_ratios=ratios)
    presence = np.broadcast_to(PRESENCES[:, :, None].T, (DAYS, 2, 1, 2, 4)).transpose(0, 1, 4, 2, 3).copy()
    presence[0, 0, :, 0, 1] = np.nan  # a scene without a record
    return made.assign(
        presence_probability=(("time", "satellite", "pattern", "box_lat", "box_lon"), presence),
        pattern_flags_unbiased=(
            made["pattern_flags"].dims,
            da.from_array(unbiased.astype(np.uint8), (1, 1, SIDE, SIDE)),
            made["pattern_flags"].attrs,
        ),
        pattern_probability=(dimensions, fields, {"calibrated": 1}),
    ).assign_attrs(model_card=own.to_json())


def test_each_kind_measures_its_own_areas(atlas):
    cells = Cells(np.array([0.0, 2, 4]), np.array([0.0, 2]))
    measured = {kind: measure(atlas, cells, OCEAN, kind) for kind in ("contest", "unbiased", "expected")}
    for each in measured.values():
        assert each.valid_shares == approx(0.75, rel=1e-3)  # a quarter of the latitudes has no data
    fractions = {
        kind: each.class_shares.mean(axis=(0, 1))[:, 0] / each.valid_shares.mean()
        for kind, each in measured.items()
    }
    assert fractions["contest"][0] == approx([0.75, 0])
    assert fractions["unbiased"][:2].tolist() == approx_rows([[0, 0], [1, 1]])
    assert fractions["expected"].tolist() == approx_rows([[0.1, 0.5], [0.2, 0.2], [0.3, 0.3], [0.4, 0.4]])
    assert measured["contest"].classes == (*DEFAULT_NAMES, UNCLASSIFIED)
    assert measured["expected"].classes == DEFAULT_NAMES


def approx_rows(rows):
    return [approx(row, abs=1e-4) for row in rows]


def test_excluded_and_foreign_pixels_do_not_count_in_sums_of_probabilities(atlas):
    flags = atlas["pattern_flags"].values.copy()
    flags[:, :, :, SIDE:] = NO_DATA
    hidden = atlas.assign(pattern_flags=(atlas["pattern_flags"].dims, flags, atlas["pattern_flags"].attrs))
    hidden["pattern_flags"] = hidden["pattern_flags"].chunk(
        {"time": 1, "satellite": 1, "lat": SIDE, "lon": SIDE}
    )
    measured = measure(hidden, Cells(np.array([0.0, 4]), np.array([0.0, 2])), OCEAN, "expected")
    assert (measured.class_shares / measured.valid_shares[:, :, None])[0, 0, 0, 0, 0] == approx(0.1, abs=1e-4)


def test_a_summary_states_its_kind_and_what_labels_would_give(atlas, tmp_path):
    summarise(atlas, tmp_path / "contest.nc", 2, domain=OCEAN)
    with read_summary(tmp_path / "contest.nc") as summary:
        assert summary.attrs["kind"] == "contest"
        season = summary.sel(season="all", pattern="Fish").isel(longitude=0, latitude=0)
        assert float(season["seasonal_freq"]) == approx(0.75)
        assert float(season["seasonal_labelled"]) == 1.0  # 1.5 times as much, but never above 1
        none = summary["seasonal_labelled"].sel(pattern=UNCLASSIFIED)
        assert np.isnan(none).all()  # nobody labels it
    summarise(atlas, tmp_path / "expected.nc", 2, domain=OCEAN, kind="expected")
    with read_summary(tmp_path / "expected.nc") as summary:
        assert summary.attrs["kind"] == "expected"
        assert list(summary["pattern"].values) == list(DEFAULT_NAMES)
        assert "calibrated probabilities" in summary["freq"].attrs["comment"]
        assert not [name for name in summary if "occurrence" in str(name)]
        presence = summary["seasonal_presence"].sel(season="all")
        assert presence.isel(latitude=0).values.T.tolist() == approx_rows(PRESENCES.tolist())
        assert float(summary["seasonal_presence_low"].sel(season="all", pattern="Fish")[1, 0]) == approx(0.8)
        east = summary.sel(season="all", pattern="Fish").isel(longitude=1, latitude=0)
        low, high = (float(east[f"seasonal_labelled_{end}"]) for end in ("low", "high"))
        assert float(east["seasonal_freq_low"]) == approx(0.5)  # each day is the same
        assert low == approx(0.5 * np.exp(-1.96 * 0.05), rel=0.02)
        assert high == approx(0.5 * np.exp(1.96 * 0.05), rel=0.02)
        drawn = draw(summary, tmp_path / "figures")
    assert {path.stem for path in drawn.files} >= {"frequency", "seasons_Fish", "diurnal"} - set(
        drawn.left_out
    )
    assert (tmp_path / "figures" / "frequency.png").stat().st_size > 10_000


def test_the_cycle_has_what_labels_would_give_with_the_models_error(atlas, tmp_path):
    summarise(atlas, tmp_path / "s.nc", 2, domain=OCEAN)
    with read_summary(tmp_path / "s.nc") as summary:
        figure = cycle(summary, add_up(summary))
    assert "what people's labels would give" in figure.get_supxlabel()
    fish = figure.axes[0]
    circles = next(line for line in fish.lines if line.get_markerfacecolor() == "white").get_ydata()
    points = next(line for line in fish.lines if line.get_marker() == "o" and line.get_ms() == 6).get_ydata()
    assert circles[1] == approx(1.5 * points[1], rel=1e-3)  # in February, by the card's ratio
    assert fish.get_ylim()[1] > circles[1]
    plain = atlas.assign_attrs(model_card='{"name": "tiny"}')
    summarise(plain, tmp_path / "plain.nc", 2, domain=OCEAN)
    with read_summary(tmp_path / "plain.nc") as summary:
        assert "labels" not in cycle(summary, add_up(summary)).get_supxlabel()


@pytest.mark.parametrize("kind", ["contest", "expected"])
def test_a_series_has_the_same_columns_for_both(atlas, kind):
    text = series(atlas, Bounds(2, 0, 4, 1.5), "season", domain=OCEAN, kind=kind)
    rows = {row["pattern"]: row for row in csv.DictReader(io.StringIO(text)) if row["period"] == "all"}
    fish = rows["Fish"]
    assert float(fish["frequency"]) == approx(0.0 if kind == "contest" else 0.5, abs=1e-4)
    assert float(fish["labelled"]) == approx(0.0 if kind == "contest" else 0.5, abs=1e-4)
    assert ("occurrence" in fish) == (kind == "contest")
    assert ("presence" in fish) == (kind == "expected")
    if kind == "expected":
        assert float(fish["presence"]) == approx(0.8)


def test_presence_of_a_region_is_the_mean_of_its_pictures_by_area_with_data(atlas):
    text = series(atlas, Bounds(1, 0, 4, 2), "season", domain=OCEAN, kind="expected")
    sugar = next(
        r for r in csv.DictReader(io.StringIO(text)) if (r["period"], r["pattern"]) == ("all", "Sugar")
    )
    assert float(sugar["presence"]) == approx((0.9 * 1 + 1.0 * 2) / 3, abs=2e-3)
    without = series(atlas.drop_vars("presence_probability"), Bounds(2, 0, 4, 2), "season", kind="expected")
    assert "presence" not in without.splitlines()[0]


def test_periods_without_data_are_named(atlas, tmp_path):
    flags = atlas["pattern_flags"].values.copy()
    flags[1:30] = NO_DATA  # all of February
    shown = atlas.assign(
        pattern_flags=atlas["pattern_flags"].copy(data=da.from_array(flags, (1, 1, SIDE, SIDE)))
    )
    lines: list[str] = []
    text = series(shown, Bounds(0, 0, 4, 2), "month", domain=OCEAN, log=lines.append)
    assert lines == ["no data in 2020-02: the rows are empty"]
    assert "2020-02,Fish,,,," in text
    shown["pattern_flags"] = shown["pattern_flags"].where(shown["time.month"] > 2, NO_DATA).astype(np.uint8)
    summarise(shown, tmp_path / "s.nc", 2, domain=OCEAN, log=lines.append)
    assert lines[1:] == ["no data in DJF: the frequencies there are empty"]


def test_an_atlas_without_any_data_is_refused(atlas, tmp_path):
    empty = atlas.assign(pattern_flags=xr.full_like(atlas["pattern_flags"], NO_DATA))
    with pytest.raises(AtlasError, match="no picture from 2020-01-31 to 2020-03-10 has data in this region"):
        summarise(empty, tmp_path / "s.nc", 2, domain=OCEAN)
    assert not list(tmp_path.iterdir())


def test_without_ratios_nothing_is_said_of_labels(atlas):
    plain = atlas.assign_attrs(model_card='{"name": "tiny"}')
    assert "labelled" not in series(plain, Bounds(2, 0, 4, 2), "season", domain=OCEAN)


@pytest.mark.parametrize(
    ("kind", "lost", "message"),
    [
        ("unbiased", "pattern_flags_unbiased", "no masks by unbiased rules: its model has none"),
        ("expected", "pattern_probability", "no calibrated probabilities: its model is not calibrated"),
    ],
)
def test_what_an_atlas_does_not_have_is_refused(atlas, tmp_path, kind, lost, message):
    with pytest.raises(AtlasError, match=message):
        summarise(atlas.drop_vars(lost), tmp_path / "summary.nc", 2, kind=kind)
    assert not list(tmp_path.iterdir())


def test_probabilities_that_are_not_calibrated_are_refused(atlas):
    atlas["pattern_probability"].attrs["calibrated"] = 0
    with pytest.raises(AtlasError, match="not calibrated"):
        series(atlas, Bounds(0, 0, 4, 2), kind="expected")


def test_a_summary_can_have_the_names_and_order_of_c3ontext(atlas, tmp_path):
    summarise(atlas, tmp_path / "ours.nc", 1, domain=OCEAN)
    summarise(atlas, tmp_path / "theirs.nc", 1, domain=OCEAN, names="c3ontext")
    with read_summary(tmp_path / "ours.nc") as ours, read_summary(tmp_path / "theirs.nc") as theirs:
        assert list(theirs["pattern"].values) == ["Sugar", "Flowers", "Fish", "Gravel", UNCLASSIFIED]
        for name, other in {"Flowers": "Flower", "Fish": "Fish", UNCLASSIFIED: UNCLASSIFIED}.items():
            one, two = theirs["freq"].sel(pattern=name), ours["freq"].sel(pattern=other)
            np.testing.assert_array_equal(one.values, two.values)
        assert "the share of people who marked the place" in theirs["freq"].attrs["comment"]
        assert classes_of(theirs)["Flowers"] == classes_of(ours)["Flower"]
    daily = read_two(str(tmp_path / "ours.nc"), str(tmp_path / "theirs.nc"))
    assert set(daily[0].classes) == set(daily[1].classes)


def test_other_patterns_have_no_names_in_c3ontext(atlas, tmp_path):
    flags = atlas["pattern_flags"]
    own = atlas.assign(pattern_flags=flags.assign_attrs(flag_meanings="Rings Flower Gravel Sugar no_data"))
    with pytest.raises(AtlasError, match="no names for Rings, Flower, Gravel, Sugar; its"):
        summarise(own, tmp_path / "summary.nc", 2, domain=OCEAN, names="c3ontext")
