"""What becomes of a pattern: planted transitions are recovered, and independence looks like independence."""

import csv
import io

import dask.array as da
import numpy as np
import pytest
import xarray as xr

from nephoscope.atlas.flags import flag_attributes
from nephoscope.atlas.transitions import LAGS, transitions
from nephoscope.core.errors import AtlasError
from nephoscope.core.patterns import DEFAULT_NAMES

FISH, NONE, NO_DATA = 1, 0, 16
STAYS, APPEARS = 0.8, 0.1  # of Fish, from one picture to the next


def make_atlas(flags, first="2020-01-01", satellites=("Terra", "Aqua")):
    days = np.datetime64(first, "ns") + np.arange(len(flags)) * np.timedelta64(1, "D")
    side = flags.shape[2]
    return xr.Dataset(
        {
            "pattern_flags": (
                ("time", "satellite", "lat", "lon"),
                da.from_array(flags.astype(np.uint8), chunks=(1, 1, side, side)),
                flag_attributes(DEFAULT_NAMES),
            )
        },
        {
            "time": days,
            "satellite": list(satellites),
            "lat": 5 - (np.arange(side) + 0.5) * 10 / side,
            "lon": (np.arange(side) + 0.5) * 10 / side,
        },
    )


def chain(rng, days, side):
    """Pixels, each a Markov chain from Terra to Aqua to the next day's Terra."""
    state = rng.random((side, side)) < APPEARS / (APPEARS + 1 - STAYS)
    flags = np.zeros((days, 2, side, side), int)
    for day in range(days):
        for satellite in range(2):
            draw = rng.random((side, side))
            state = np.where(state, draw < STAYS, draw < APPEARS)
            flags[day, satellite] = np.where(state, FISH, NONE)
    return flags


def table(text):
    rows = csv.DictReader(io.StringIO(text))
    return {(r["from"], r["to"], int(r["days"]), r["first"], r["later"]): r for r in rows}


def test_planted_transitions_are_recovered():
    rows = table(transitions(make_atlas(chain(np.random.default_rng(0), 60, 20))))
    frequency = APPEARS / (APPEARS + 1 - STAYS)
    memory = STAYS - APPEARS  # of one step; there are two a day
    for to, days, steps in (("Aqua", 0, 1), ("Terra", 1, 2), ("Terra", 3, 6)):
        row = rows["Terra", to, days, "Fish", "Fish"]
        expected = frequency + (1 - frequency) * memory**steps
        assert float(row["low"]) - 0.01 < expected < float(row["high"]) + 0.01
        assert float(row["probability"]) == pytest.approx(expected, abs=0.03)
        assert float(row["independent"]) == pytest.approx(frequency, abs=0.03)
    assert int(rows["Terra", "Terra", LAGS, "Fish", "Fish"]["pairs"]) == 60 - LAGS


def test_a_pattern_that_is_only_in_one_cell_does_not_look_persistent():
    """Half of the area always has Fish in half of its pixels, drawn anew each time; the rest never."""
    rng = np.random.default_rng(1)
    flags = np.where(rng.random((50, 2, 20, 20)) < 0.5, FISH, NONE)
    flags[..., 10:] = NONE
    row = table(transitions(make_atlas(flags)))["Terra", "Terra", 1, "Fish", "Fish"]
    assert float(row["independent"]) == pytest.approx(0.5, abs=0.02)
    assert float(row["low"]) < float(row["independent"]) < float(row["high"])


def test_only_places_with_data_both_times_count():
    flags = np.full((2, 1, 4, 4), NO_DATA)
    flags[:, :, :2] = FISH
    flags[1, :, 0] = NO_DATA
    flags[0, :, 3] = FISH
    rows = table(transitions(make_atlas(flags, satellites=("Aqua",))))
    assert float(rows["Aqua", "Aqua", 1, "Fish", "Fish"]["probability"]) == 1.0
    assert rows["Aqua", "Aqua", 1, "Fish", "Fish"]["low"] == ""  # two days are too few for an interval


def test_land_does_not_count():
    sahara = make_atlas(np.full((3, 1, 4, 4), FISH), satellites=("Aqua",))
    sahara = sahara.assign_coords(lat=sahara["lat"] + 20, lon=sahara["lon"] + 10)
    with pytest.raises(AtlasError, match="no two pictures that follow each other"):
        transitions(sahara)


def test_an_atlas_of_one_day_is_refused():
    with pytest.raises(AtlasError, match="no two pictures that follow each other"):
        transitions(make_atlas(np.zeros((1, 1, 4, 4)), satellites=("Aqua",)))
