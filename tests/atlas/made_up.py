"""Made-up atlases, as `open_atlas` gives them."""

from datetime import date
from pathlib import Path

import dask.array as da
import numpy as np
import xarray as xr

from nephoscope.atlas.flags import flag_attributes
from nephoscope.atlas.plan import Plan
from nephoscope.atlas.store import create
from nephoscope.core.geo import Bounds
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.inference.card import Card

FISH, FLOWER, GRAVEL, SUGAR, NONE, NO_DATA, NOT_YET = 1, 2, 4, 8, 0, 16, 255


def make_atlas(
    flags: np.ndarray,
    west: float,
    north: float,
    step: float,
    first: str = "2020-01-31",
    satellites: tuple[str, ...] = ("Terra", "Aqua"),
    chunk: int = 4,
) -> xr.Dataset:
    """An atlas as `open_atlas` gives it, of made-up flags of shape (time, satellite, lat, lon)."""
    days = np.datetime64(first, "ns") + np.arange(len(flags)) * np.timedelta64(1, "D")
    lat = north - step * (np.arange(flags.shape[2]) + 0.5)
    lon = west + step * (np.arange(flags.shape[3]) + 0.5)
    return xr.Dataset(
        {
            "pattern_flags": (
                ("time", "satellite", "lat", "lon"),
                da.from_array(flags.astype(np.uint8), chunks=(1, 1, chunk, chunk)),
                flag_attributes(DEFAULT_NAMES),
            )
        },
        {"time": days, "satellite": list(satellites), "lat": lat, "lon": lon},
        {"model_card": '{"name": "tiny"}', "history": "before"},
    )


def random_atlas(seed: int, days: int, side: int, step: float, **place) -> xr.Dataset:
    rng = np.random.default_rng(seed)
    flags = rng.integers(0, 16, (days, 2, side, side))
    flags[rng.random(flags.shape) < 0.2] = NO_DATA
    flags[rng.random((days, 2)) < 0.1] = NOT_YET
    return make_atlas(flags, place.get("west", 0.0), place.get("north", side * step), step, chunk=side // 2)


def planned_for(atlas: xr.Dataset, region: Bounds) -> xr.Dataset:
    """The atlas as if a plan had asked for this region."""
    plan = Plan(date(2020, 1, 31), date(2020, 2, 1), ("Terra", "Aqua"), region)
    return atlas.assign_attrs(plan=plan.to_json())


def write_store(path: Path, card: Card) -> str:
    """A store of two days over the ocean upwind of Barbados in which one of four scenes is missing."""
    plan = Plan(date(2020, 1, 20), date(2020, 1, 21), ("Terra", "Aqua"), Bounds(-62, 6, -41, 20))
    made = create(str(path), plan, card, "0" * 64)
    for number, scene in enumerate(plan):
        if number != 3:
            made.write(scene, np.full((350, 525), FISH if scene.satellite else SUGAR, np.uint8))
    return made.address
