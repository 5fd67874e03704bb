"""A summary of an atlas on one grid: frequencies by day, month and season.

The daily variables have the shape of C3ONTEXT's level 3: `freq` over (date, longitude, latitude, pattern),
with "Unclassified" beside the patterns.

Source: CF conventions 1.11, cfconventions.org; Schulz 2022, "C3ONTEXT: a Common Consensus on Convective
OrgaNizaTion during the EUREC4A eXperimenT", ESSD, doi:10.5194/essd-14-1233-2022.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from nephoscope.atlas.c3ontext import with_names_of_c3ontext
from nephoscope.atlas.cells import aligned, extent
from nephoscope.atlas.climatology import (
    LEAST,
    LEAST_YEARS,
    RESAMPLES,
    Block,
    Bootstrap,
    season_years,
    seasons,
)
from nephoscope.atlas.frequency import Domain, Frequency, Kind, asked_region, measure
from nephoscope.atlas.model_error import area_ratios
from nephoscope.atlas.summary_file import check_replaceable, write_summary
from nephoscope.atlas.summary_variables import (
    CELL,
    DIURNAL,
    bounds_variables,
    coordinates,
    daily_variables,
    diurnal_variables,
    overlap_comment,
    period_variables,
    trend_variables,
)
from nephoscope.core.citation import LABELS, PATTERNS
from nephoscope.core.geo import WGS84_GRID_MAPPING, Bounds
from nephoscope.core.types import Progress
from nephoscope.core.version import __version__

if TYPE_CHECKING:
    import xarray as xr

Names = Literal["nephoscope", "c3ontext"]
"""Whose names and order of patterns a summary has."""


def summarise(
    atlas: "xr.Dataset",
    path: Path,
    size: float = 1.0,
    *,
    bootstrap: Bootstrap = Bootstrap(),  # noqa: B008 (a constant)
    domain: Domain = Domain(),  # noqa: B008 (a constant)
    kind: Kind = "contest",
    names: Names = "nephoscope",
    progress: Progress | None = None,
    log: Callable[[str], None] = lambda _: None,
) -> float:
    """Summarise an atlas on a grid, into a NetCDF file or a Zarr folder, atomically.

    Where the model of the atlas is calibrated, every period also has the frequencies that people's labels
    would give (`..._labelled`), whose intervals include the model's error.
    An existing summary is replaced. Cells lie at whole multiples of their size in degrees. What counts lies
    in the region that the atlas was planned for and in `domain`. `progress` is called with the days done so
    far and in all, `log` with a line about seasons without data. Returns the share of the area that is not
    segmented yet.

    Raises:
        AtlasError: the cell size is out of range, the region is all land or has no data, a mask cannot be
            used, the atlas has no areas of this kind, C3ONTEXT has no name for a pattern, or `path` is a
            folder that is not a summary.
        OSError: the summary cannot be written.
    """
    check_replaceable(path)
    longitudes, latitudes = (atlas[name].values.astype(np.float64) for name in ("lon", "lat"))
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.", ignore_cleanup_errors=True) as folder:
        region = asked_region(atlas)
        cells = aligned(longitudes, latitudes, size, region)
        freq = measure(atlas, cells, domain, kind, file=Path(folder) / "shares", progress=progress)
        freq.check_has_data()
        if empty := freq.without_data(seasons(freq.days)):
            log(f"no data in {', '.join(empty)}: the frequencies there are empty")
        written = Path(folder) / path.name
        summary = _dataset(freq, size, bootstrap, atlas.attrs)
        summary.attrs |= _domain(region or extent(longitudes, latitudes), freq.days, domain)
        write_summary(with_names_of_c3ontext(summary) if names == "c3ontext" else summary, written)
        if path.is_dir():
            shutil.rmtree(path)
        written.replace(path)
        return float(freq.missing().mean())


def _dataset(
    freq: Frequency, size: float, bootstrap: Bootstrap, attributes: Mapping[Any, Any]
) -> "xr.Dataset":
    import xarray as xr

    ratios = area_ratios(attributes, freq.kind)
    variables = daily_variables(freq) | period_variables(freq, bootstrap, ratios)
    if set(DIURNAL) <= set(freq.satellites):
        variables |= diurnal_variables(freq, bootstrap)
    if len(np.unique(season_years(freq.days))) >= LEAST_YEARS:
        variables |= trend_variables(freq, bootstrap)
    variables |= bounds_variables(freq.cells)
    variables["crs"] = ((), np.int8(0), WGS84_GRID_MAPPING)
    dataset = xr.Dataset(variables, coordinates(freq), _attributes(freq, size, bootstrap, attributes))
    for variable in dataset.data_vars.values():
        if set(CELL) <= set(variable.dims):
            variable.attrs["grid_mapping"] = "crs"
    return dataset


def _attributes(
    freq: Frequency, size: float, bootstrap: Bootstrap, attributes: Mapping[Any, Any]
) -> dict[str, Any]:
    """The atlas's own attributes, then those of the summary."""
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    missing = float(freq.missing().mean())
    kept = {
        str(name): value if isinstance(value, str | int | float) else json.dumps(value, default=str)
        for name, value in attributes.items()
    }
    drawn, drawn_for_trends = (_drawn(block) for block in (bootstrap.block, bootstrap.trend_block))
    history = f"{now} nephoscope {__version__}: summarised on {size:g} degrees"
    *others, last = freq.patterns
    patterns = f"{', '.join(others)} and {last}" if others else last
    return kept | {
        "Conventions": "CF-1.11",
        "title": f"Frequency of {patterns} on {size:g} degrees",
        "source": f"true-colour satellite pictures, segmented and summarised by nephoscope {__version__}",
        "history": "\n".join([history, str(kept.get("history", ""))]).strip(),
        "references": f"Stevens et al. 2020, doi:{PATTERNS.doi}; Rasp et al. 2020, doi:{LABELS.doi}; "
        "Schulz 2022, doi:10.5194/essd-14-1233-2022",
        "comment": f"{overlap_comment(freq)} Frequencies over several days are the summed area with the "
        "pattern over the summed area with data; a cell at the region's edge counts with its part inside.",
        "uncertainty": f"95 % percentile intervals of {RESAMPLES} bootstrap resamples (Poisson) of {drawn}, "
        f"all satellites of a day together, seed {bootstrap.seed}; none where fewer than {LEAST} {drawn} "
        f"have data. For trends, {drawn_for_trends} are resampled. "
        "They say what another sample of days would change; those of '..._labelled' also how far the area "
        "that the model draws is from the labels' on validation scenes.",
        "kind": freq.kind,
        "bootstrap_block": np.int32(bootstrap.block),
        "bootstrap_seed": np.int32(bootstrap.seed),
        "bootstrap_trend_block": str(bootstrap.trend_block),
        "missing_share": missing,
        "missing_comment": f"{missing:.2%} of the planned area is not segmented; see the variable 'missing'",
    }


def _drawn(block: Block) -> str:
    """What a bootstrap draws, in words."""
    if block == "year":
        return "years from December to November"
    return "days" if block == 1 else f"blocks of {block} consecutive days"


def _domain(region: Bounds, days: NDArray[np.datetime64], domain: Domain) -> dict[str, Any]:
    """What the summary covers, by names of the Attribute Convention for Data Discovery (ACDD 1.3)."""
    west, south, east, north = map(float, region)
    counted = "Land does not count." if domain.land == "exclude" else "Land counts."
    return {
        "geospatial_lon_min": west,
        "geospatial_lat_min": south,
        "geospatial_lon_max": east,
        "geospatial_lat_max": north,
        "time_coverage_start": str(days[0]),
        "time_coverage_end": str(days[-1]),
        "land": domain.land,
        "land_comment": f"{counted} Outlines: Natural Earth 1:50 million, without lakes and Antarctica.",
        "excluded_masks": ", ".join(domain.masks) or "none",
    }
