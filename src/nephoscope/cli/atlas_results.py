"""The commands `atlas summarise`, `series`, `transitions`, `sizes`, `compare`, `track` and `plot`."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from typer import Argument, Option

from nephoscope.cli import console, options
from nephoscope.cli.app import atlas, fail, needs, usage_errors
from nephoscope.core.io import atomic_write

_Land = Annotated[
    Literal["exclude", "include"],
    Option(help="Whether land counts. Its outlines are Natural Earth's, at 1:50 million."),
]

_Exclude = Annotated[
    list[str] | None,
    Option(
        metavar="FILE[:VARIABLE]",
        help="A mask, NetCDF or Zarr, such as of ice cloud: where it is 1, there is no data. Repeatable.",
    ),
]

_Kind = Annotated[
    Literal["contest", "unbiased", "expected"],
    Option(
        help="What a pattern covers: its masks by the rules of the highest Dice or by unbiased rules, or the "
        "sum of its calibrated probabilities."
    ),
]

_Block = Annotated[
    int, Option(min=1, metavar="DAYS", help="Block length of the bootstrap, in consecutive days.")
]
_TrendBlock = Annotated[
    str, Option(metavar="year|DAYS", help="The same for trends: whole years, or consecutive days.")
]
_Formats = Annotated[
    str, Option("--format", metavar="FORMATS", help="Comma-separated list of png, pdf, svg.")
]
_Dpi = Annotated[int, Option(min=50, max=1200, help="Pixels per inch of PNG.")]
_Seed = Annotated[int, Option(min=0, help="Random seed of the bootstrap.")]


@atlas.command()
def summarise(
    store: options.Store,
    output: Annotated[
        Path, Option("--output", "-o", help="The file to write: .nc for NetCDF, .zarr for Zarr.")
    ] = Path("summary.nc"),
    grid: Annotated[
        str, Option(metavar="DEGREES", help="Cell size; a list such as 1,2.5 makes a file of each.")
    ] = "1",
    names: options.Names = "nephoscope",
    block: _Block = 1,
    trend_block: _TrendBlock = "year",
    seed: _Seed = 0,
    kind: _Kind = "contest",
    land: _Land = "exclude",
    exclude: _Exclude = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Compute frequencies by day, month, season and hour, with intervals, anomalies and trends."""
    with needs("atlas"):
        from nephoscope.atlas.climatology import Bootstrap, parse_block
        from nephoscope.atlas.frequency import Domain
        from nephoscope.atlas.store import open_atlas
        from nephoscope.atlas.summary import summarise
        from nephoscope.atlas.summary_file import outputs
    with usage_errors():
        opened, domain = open_atlas(store), Domain(land, tuple(exclude or ()))
        bootstrap = Bootstrap(block, seed, parse_block(trend_block))
        for size, path in outputs(output, grid, overwrite):
            progress = console.progress_bar(f"computing cells of {size:g}°")
            settings: dict[str, Any] = {
                "kind": kind,
                "names": names,
                "progress": progress,
                "log": console.info,
            }
            missing = summarise(opened, path, size, bootstrap=bootstrap, domain=domain, **settings)
            if missing:
                console.info(f"{missing:.2%} of the atlas is not segmented")
            console.info(str(path))


@atlas.command()
def series(
    store: options.Store,
    region: Annotated[
        str,
        Option(
            metavar="WEST,SOUTH,EAST,NORTH|REGION",
            help="Bounds in degrees, or a region's name.",
            show_default=False,
        ),
    ],
    output: options.OutputFile = Path("series.csv"),
    by: Annotated[
        Literal["day", "month", "calendar-month", "season", "year-season", "trend"],
        Option(help="Rows: days, periods of single years or of all years together, or trends by season."),
    ] = "day",
    block: _Block = 1,
    trend_block: _TrendBlock = "year",
    seed: _Seed = 0,
    kind: _Kind = "contest",
    land: _Land = "exclude",
    exclude: _Exclude = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Write the frequencies of a region by day, month or season, or their trends, as CSV."""
    with needs("atlas"):
        import numpy as np

        from nephoscope.atlas.climatology import LEAST_YEARS, Bootstrap, parse_block, season_years
        from nephoscope.atlas.frequency import Domain
        from nephoscope.atlas.series import series
        from nephoscope.atlas.store import open_atlas
    from nephoscope.core.geo import parse_bounds

    progress = console.progress_bar("computing")
    with usage_errors():
        opened, bounds = open_atlas(store), parse_bounds(region)
        settings: dict[str, Any] = {
            "bootstrap": Bootstrap(block, seed, parse_block(trend_block)),
            "domain": Domain(land, tuple(exclude or ())),
            "kind": kind,
            "progress": progress,
            "log": console.info,
        }
        _write(output, overwrite, lambda: series(opened, bounds, by, **settings))
        if by != "trend":
            return
        years = len(np.unique(season_years(opened["time"].values.astype("datetime64[D]"))))
        if years < LEAST_YEARS:
            console.info(f"trends need {LEAST_YEARS} years from December to November; the atlas has {years}")


@atlas.command()
def transitions(
    store: options.Store,
    output: options.OutputFile = Path("transitions.csv"),
    block: _Block = 1,
    seed: _Seed = 0,
    overwrite: options.Overwrite = False,
) -> None:
    """Write what becomes of each pattern by the next overpass and over the next days, as CSV."""
    with needs("atlas"):
        from nephoscope.atlas.store import open_atlas
        from nephoscope.atlas.transitions import transitions
    progress = console.progress_bar("comparing days")
    with usage_errors():
        _write(output, overwrite, lambda: transitions(open_atlas(store), block, seed, progress))


@atlas.command()
def sizes(
    store: options.Store,
    output: options.OutputFile = Path("sizes.csv"),
    block: _Block = 1,
    seed: _Seed = 0,
    land: _Land = "exclude",
    overwrite: options.Overwrite = False,
) -> None:
    """Write how many regions of each pattern have which area, as CSV."""
    with needs("atlas"):
        from nephoscope.atlas.region_sizes import region_sizes
        from nephoscope.atlas.store import open_store
    with usage_errors():
        _write(output, overwrite, lambda: region_sizes(open_store(store), block, seed, land))


@atlas.command()
def compare(
    first: options.Store,
    second: Annotated[
        str,
        Argument(
            metavar="OTHER",
            help="Another atlas, a summary or C3ONTEXT's level 3 as NetCDF, or a folder of labelled scenes.",
            show_default=False,
        ),
    ],
    output: options.OutputFile = Path("comparison.csv"),
    grid: Annotated[float, Option(metavar="DEGREES", help="Cell size, where neither has its own.")] = 1.0,
    kind: _Kind = "contest",
    block: _Block = 1,
    seed: _Seed = 0,
    formats: _Formats = "png",
    dpi: _Dpi = 144,
    overwrite: options.Overwrite = False,
) -> None:
    """Compare the daily frequencies of an atlas with another's: bias, correlation, overlap, agreement."""
    with needs("atlas"):
        from nephoscope.atlas.comparison import compare, draw, pair, to_csv
        from nephoscope.atlas.daily import read_two
        from nephoscope.atlas.figures import known_formats
        from nephoscope.plotting.style import render
    with usage_errors():
        figures = {output.with_suffix(f".{ending}"): ending for ending in known_formats(formats.split(","))}
        if output in figures:
            fail(f"{output}: the name of a figure; -o FILE.csv names the table, and figures lie beside it")
        for path in (output, *figures):
            _check_free(path, overwrite)
        pairs = pair(*read_two(first, second, grid, kind, console.progress_bar("measuring")))
        for note in pairs.notes:
            console.info(note)
        comparisons = compare(pairs, block, seed)
        atomic_write(output, to_csv(comparisons).encode())
        figure = draw(pairs, comparisons)
        for path, ending in figures.items():
            atomic_write(path, render(figure, ending, dpi))
        for path in (output, *figures):
            console.info(str(path))


@atlas.command()
def track(
    store: options.Store,
    points: Annotated[
        Path,
        Argument(
            metavar="TRACK.csv",
            help="Columns time (ISO 8601, UTC), lon and lat; others are copied.",
            show_default=False,
        ),
    ],
    output: options.OutputFile = Path("sampled.csv"),
    overpass: Annotated[
        Literal["nearest", "each"],
        Option(help="One row per point from the overpass nearest in time, or one from each."),
    ] = "nearest",
    overwrite: options.Overwrite = False,
) -> None:
    """Sample the patterns along a track of points in time and space."""
    with needs("atlas"):
        from nephoscope.atlas.store import open_atlas
        from nephoscope.atlas.track import read_track, sample
    with usage_errors():
        _write(output, overwrite, lambda: sample(open_atlas(store), read_track(points), overpass))


@atlas.command()
def plot(
    summary: Annotated[
        Path, Argument(metavar="SUMMARY", help="A file that 'atlas summarise' wrote.", show_default=False)
    ],
    folder: options.Folder = Path("nephoscope-figures"),
    formats: _Formats = "png",
    dpi: _Dpi = 144,
) -> None:
    """Plot a summary: maps, seasonal cycle, longitude-time sections, diurnal difference."""
    with needs("atlas"):
        from nephoscope.atlas.figures import draw
        from nephoscope.atlas.summary_file import read_summary
    with usage_errors(), read_summary(summary) as opened:
        drawn = draw(opened, folder, formats.split(","), dpi)
    for path in drawn.files:
        console.info(str(path))
    for reason in dict.fromkeys(drawn.left_out.values()):
        names = [name for name, own in drawn.left_out.items() if own == reason]
        console.info(f"left out: {', '.join(names)}: {reason}")


def _write(path: Path, overwrite: bool, make: Callable[[], str]) -> None:
    """Write a file atomically, unless it exists; its content is only made if it will be written."""
    _check_free(path, overwrite)
    atomic_write(path, make().encode())
    console.info(str(path))


def _check_free(path: Path, overwrite: bool) -> None:
    if path.exists() and not overwrite:
        fail(f"{path}: exists; use --overwrite to replace it")
