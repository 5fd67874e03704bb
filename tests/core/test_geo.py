"""Bounds, days and snapshot names: parsing and formatting."""

from datetime import date, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nephoscope.core.errors import LocationError
from nephoscope.core.geo import (
    REGIONS,
    Bounds,
    Overpass,
    as_bounds,
    as_day,
    parse_bounds,
    parse_day,
    parse_worldview_name,
    worldview_name,
    wrapped,
)


def test_regions_are_boxes_of_the_size_that_people_were_shown():
    assert {(box.width, box.height) for box in REGIONS.values()} == {(21.0, 14.0)}


@pytest.mark.parametrize(
    ("words", "box"),
    [
        ("-61,10,-40,24", (-61, 10, -40, 24)),
        (" Barbados ", REGIONS["barbados"]),
        ("159,8,180,22", (159, 8, 180, 22)),
        ("170,-10,190,4", (170, -10, -170, 4)),  # across the antimeridian, counted on
        ("170,-10,-170,4", (170, -10, -170, 4)),
        ("300,0,320,10", (-60, 0, -40, 10)),
        ("0,-30,360,30", (0, -30, 0, 30)),  # all around
    ],
)
def test_parse_bounds(words: str, box: tuple[float, ...]):
    assert parse_bounds(words) == box


def test_a_box_all_around_is_360_degrees_wide():
    assert parse_bounds("0,-30,360,30").width == 360
    assert parse_bounds("-180,-30,180,30").width == 360


@pytest.mark.parametrize(
    "words",
    [
        "",
        "barbedos",
        "1,2,3",
        "1,2,3,x",
        "0,10,20,10",
        "0,24,20,10",
        "0,-91,20,0",
        "-181,0,20,10",
        "10,0,10,10",
    ],
)
def test_invalid_bounds_are_refused(words: str):
    with pytest.raises(LocationError, match=r"unknown region|no box"):
        parse_bounds(words)


@pytest.mark.parametrize("words", ["nan,0,20,10", "0,0,inf,10", "0,nan,20,10"])
def test_non_finite_bounds_are_refused(words: str):
    with pytest.raises(LocationError):
        parse_bounds(words)


def test_parse_day():
    assert parse_day("2020-02-01") == date(2020, 2, 1)
    with pytest.raises(LocationError, match="2020-02-01"):
        parse_day("01.02.2020")


@pytest.mark.parametrize(
    ("value", "box"),
    [
        ("barbados", REGIONS["barbados"]),
        ((-61, 10, -40, 24), (-61, 10, -40, 24)),
        (np.array([300, 0, 320, 10]), (-60, 0, -40, 10)),
        (REGIONS["atlantic"], REGIONS["atlantic"]),
        (parse_bounds("0,-30,360,30"), (0, -30, 0, 30)),
    ],
)
def test_bounds_of_anything_that_means_bounds(value, box):
    assert as_bounds(value) == box
    assert as_bounds(as_bounds(value)) == box


@pytest.mark.parametrize(
    "value",
    [
        Bounds(-61, 24, -40, 10),
        (-61, float("nan"), -40, 24),
        (10, 0, 10, 10),
        (0, 0, 10),
        (0, 0, "east", 10),
        10,
        "nowhere",
        None,
    ],
)
def test_what_means_no_bounds_is_refused(value):
    with pytest.raises(LocationError):
        as_bounds(value)


def test_a_day_of_anything_that_means_a_day():
    for value in (
        date(2020, 2, 1),
        datetime(2020, 2, 1, 23, 59),
        np.datetime64("2020-02-01T14:30"),
        "2020-02-01",
    ):
        assert as_day(value) == date(2020, 2, 1)
        assert not isinstance(as_day(value), datetime)
    for value in ("yesterday", np.datetime64("NaT"), 20200201, None):
        with pytest.raises(LocationError, match="not a day"):
            as_day(value)


@pytest.mark.parametrize(
    "name",
    [
        "snapshot-2019-09-03T00_00_00Z.jpg",
        "snapshot-2019-09-03T00:00:00Z.tif",
        "snapshot-2019-09-03T00_00_00Z (1).png",
        "barbados_snapshot-2019-09-03.jpeg",
    ],
)
def test_names_that_the_page_of_worldview_gives_have_the_day(name):
    assert parse_worldview_name(name) == (None, date(2019, 9, 3), None)


@pytest.mark.parametrize("name", ["snapshot-2019-13-03T00_00_00Z.jpg", "snapshot-1.jpg", "2019-09-03.jpg"])
def test_other_names_have_no_day(name):
    assert parse_worldview_name(name) == (None, None, None)


edges = st.integers(-18000, 18000).map(lambda hundredths: hundredths / 100)


@given(
    st.sampled_from(["Terra", "Aqua", "SNPP", "NOAA20"]),
    st.dates(date(2000, 1, 1), date(2040, 1, 1)),
    edges,
    edges,
    st.lists(st.integers(-9000, 9000), min_size=2, max_size=2, unique=True).map(sorted),
)
def test_a_snapshots_name_tells_all_that_went_into_it(satellite, day, west, east, latitudes):
    box = Bounds(west, latitudes[0] / 100, east, latitudes[1] / 100)
    name = worldview_name(Overpass(satellite, day, box))
    assert parse_worldview_name(name) == (box, day, satellite)


@given(st.floats(-360, 720))
def test_a_longitude_is_wrapped_around_the_globe(longitude: float):
    assert -180 <= wrapped(longitude) < 180
    assert (wrapped(longitude) - longitude) % 360 == pytest.approx(0, abs=1e-9) or (
        wrapped(longitude) - longitude
    ) % 360 == pytest.approx(360, abs=1e-9)
