"""What all figures of a summary share: classes, region and period, scales, and what is hatched."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nephoscope.atlas.c3ontext import our_name
from nephoscope.atlas.climatology import LEAST
from nephoscope.atlas.flags import UNCLASSIFIED
from nephoscope.atlas.maps import Frame, Scale, percent
from nephoscope.atlas.summary_file import counted_shares, summary_cells, summary_region
from nephoscope.core.errors import CardError
from nephoscope.core.geo import Bounds, format_degrees
from nephoscope.core.patterns import styled_patterns
from nephoscope.inference.card import Card

if TYPE_CHECKING:
    import xarray as xr

_KINDS = {"unbiased": " Masks by unbiased rules.", "expected": " Sums of calibrated probabilities."}

LITTLE = 0.1
"""Mean coverage below which a cell is hatched."""


def classes_of(summary: "xr.Dataset") -> dict[str, str | None]:
    """Colours of the patterns by name; then Unclassified, if there is one, which has no colour.

    Colours are those of the model card that the summary keeps, else the default ones.
    """
    classes = [str(name) for name in summary["pattern"].values]
    patterns = [name for name in classes if name != UNCLASSIFIED]
    try:
        styles = Card.from_json(str(summary.attrs["model_card"])).styles
    except (KeyError, CardError):
        styles = {}
    named = styled_patterns([our_name(name) for name in patterns], styles)
    colours = dict(zip(patterns, (pattern.hex_colour for pattern in named), strict=True))
    return {name: colours.get(name) for name in classes}


def class_scales(
    classes: Iterable[str], fields: NDArray[Any], hatched: NDArray[np.bool_] | None = None
) -> list[Scale]:
    """A scale for each class: one for all patterns, and one for Unclassified, which is mostly far above them.

    Fields have the classes last; hatched values do not count.
    """
    kept = fields if hatched is None else np.where(hatched[..., None], np.nan, fields)
    own = np.array([name == UNCLASSIFIED for name in classes])
    patterns = Scale.frequencies(kept[..., ~own])
    return [Scale.frequencies(kept[..., own]) if alone else patterns for alone in own]


def share_label(summary: "xr.Dataset", none: bool = False) -> str:
    """What a scale of frequencies means; `none` for that of Unclassified."""
    if summary.attrs.get("kind") == "expected":
        return "expected share of the area with data that the pattern covers"
    return f"share of the area with data in which {'no' if none else 'the'} pattern was found"


def ends_of(scale: Scale) -> tuple[str, str]:
    """Labels of both ends of a scale of frequencies."""
    top = percent(float(scale.norm.vmax or 0))
    return "0", f"\N{GREATER-THAN OR EQUAL TO}{top}" if scale.extend == "max" else top


def least_days(summary: "xr.Dataset") -> int:
    """Days that a cell needs for not being hatched: `LEAST`, but one in a summary of fewer days."""
    return LEAST if days_with_data(summary) >= LEAST else 1


def hatched_cells(summary: "xr.Dataset", prefix: str, least: int) -> NDArray[np.bool_]:
    """Where there is too little data for a frequency; what does not count at all is not hatched."""
    counted = counted_shares(summary)
    coverage = summary[f"{prefix}_coverage"].values / np.maximum(counted, 1e-9)
    little = (summary[f"{prefix}_days"].values < least) | (coverage < LITTLE)
    return np.asarray(little & (counted > 0))


def hatching_note(least: int) -> str:
    """The sentence that explains the hatching."""
    days = f"data on fewer than {least} days, or " if least > 1 else ""
    return f"Hatched: {days}coverage below {percent(LITTLE)}."


def place_and_period(summary: "xr.Dataset") -> str:
    """Region and period, for titles."""
    return describe(summary_region(summary), dates(summary))


def describe(region: Bounds, days: NDArray[np.datetime64]) -> str:
    """A region, and the period from the first to the last of some days, in words."""
    west, south, east, north = region
    across = f"{format_degrees(west, 'EW')} to {format_degrees(east, 'EW')}"
    period = str(days[0]) if len(days) == 1 else f"{days[0]} to {days[-1]}"
    return f"{format_degrees(south, 'NS')} to {format_degrees(north, 'NS')}, {across}; {period}"


def days_note(summary: "xr.Dataset") -> str:
    """A sentence about days, satellites, land and missing images."""
    days, with_data = summary.sizes["date"], days_with_data(summary)
    satellites = " and ".join(str(name) for name in summary["satellite"].values)
    some = f", {with_data:,} of them with data" if with_data < days else ""
    text = f"{count_days(days)}{some}, {satellites}."
    text += _KINDS.get(str(summary.attrs.get("kind")), "")
    if summary.attrs.get("land") == "exclude":
        text += " Without land."
    missing = float(summary.attrs["missing_share"])
    return text + (f" {percent(missing, 1)} of the pictures are missing." if missing else "")


def count_days(days: int) -> str:
    """A number of days in words."""
    return f"{days:,} day{'' if days == 1 else 's'}"


def dates(summary: "xr.Dataset") -> NDArray[np.datetime64]:
    """The days of a summary."""
    return np.asarray(summary["date"].values.astype("datetime64[D]"))


def have_data(summary: "xr.Dataset") -> NDArray[np.bool_]:
    """Which days of a summary have any data, shape (days,)."""
    return np.asarray((np.asarray(summary["coverage"].values) > 0).any(axis=(1, 2)))


def days_with_data(summary: "xr.Dataset") -> int:
    """How many days of a summary have any data."""
    return int(np.count_nonzero(have_data(summary)))


def map_frame(summary: "xr.Dataset") -> Frame:
    """The cells, and the region that maps show of them."""
    cells, region = summary_cells(summary), summary_region(summary)
    turns = [region.west + turn for turn in (-360.0, 0.0, 360.0)]
    low, high = (float(edge) for edge in cells.longitudes[[0, -1]])
    west = max(turns, key=lambda west: min(west + region.width, high) - max(west, low))
    return Frame(cells, (west, west + region.width), (region.south, region.north))


def centres(summary: "xr.Dataset") -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Longitudes and latitudes of the cells' middles."""
    cells = summary_cells(summary)
    return (
        (cells.longitudes[:-1] + cells.longitudes[1:]) / 2,
        (cells.latitudes[:-1] + cells.latitudes[1:]) / 2,
    )
