"""Commands that make something of an atlas: `atlas summarise`, `series`, `track` and `plot`."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer

from nephoscope.cli import console
from nephoscope.cli.app import Folder, atlas, needs, plain_errors, refuse
from nephoscope.core.io import atomic_write

Store = Annotated[
    str, typer.Argument(metavar="STORE", help="An atlas: a folder or an address.", show_default=False)
]


@atlas.command()
def summarise(
    store: Store,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The file to write: .nc for NetCDF, .zarr for Zarr.")
    ] = Path("summary.nc"),
    grid: Annotated[
        str, typer.Option(metavar="DEGREES", help="Cell size; of several, as 1,2.5, each becomes a file.")
    ] = "1",
    block: Annotated[
        int, typer.Option(min=1, metavar="DAYS", help="Resample blocks of so many consecutive days.")
    ] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Of the resampling.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
) -> None:
    """Count how often each pattern is where: by day, month, season and hour, with intervals."""
    with needs("atlas"):
        from nephoscope.atlas.store import open_atlas
        from nephoscope.atlas.summary import summarise
        from nephoscope.atlas.summary_file import outputs
    with plain_errors():
        opened = open_atlas(store)
        for size, path in outputs(output, grid, overwrite):
            progress = console.watch(f"measuring cells of {size:g}°")
            missing = summarise(opened, path, size, block=block, seed=seed, progress=progress)
            if missing:
                console.tell(f"{missing:.2%} of the atlas is not segmented")
            console.tell(str(path))


@atlas.command()
def series(
    store: Store,
    region: Annotated[
        str,
        typer.Option(
            metavar="WEST,SOUTH,EAST,NORTH|REGION",
            help="A box in degrees, or a region's name.",
            show_default=False,
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The CSV to write.")] = Path("series.csv"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
) -> None:
    """Write a box's daily frequencies as CSV."""
    with needs("atlas"):
        from nephoscope.atlas.series import series
        from nephoscope.atlas.store import open_atlas
    from nephoscope.core.geo import parse_bounds

    with plain_errors():
        _write(
            output,
            overwrite,
            lambda: series(open_atlas(store), parse_bounds(region), console.watch("measuring")),
        )


@atlas.command()
def track(
    store: Store,
    points: Annotated[
        Path,
        typer.Argument(
            metavar="TRACK.csv",
            help="Columns time (ISO 8601, UTC), lon and lat; others are kept.",
            show_default=False,
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The CSV to write.")] = Path("sampled.csv"),
    overpass: Annotated[
        Literal["nearest", "each"],
        typer.Option(help="One row a point, of the satellite nearest in time; or one for each."),
    ] = "nearest",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
) -> None:
    """Look up the patterns along a track of points in time and space."""
    with needs("atlas"):
        from nephoscope.atlas.store import open_atlas
        from nephoscope.atlas.track import read_track, sample
    with plain_errors():
        _write(output, overwrite, lambda: sample(open_atlas(store), read_track(points), overpass))


@atlas.command()
def plot(
    summary: Annotated[
        Path, typer.Argument(metavar="SUMMARY", help="What 'atlas summarise' wrote.", show_default=False)
    ],
    folder: Folder = Path("nephoscope-figures"),
) -> None:
    """Draw a summary: maps, seasonal cycle, longitude and time, diurnal difference."""
    with needs("atlas"):
        from nephoscope.atlas.figures import draw
        from nephoscope.atlas.summary_file import read_summary
    with plain_errors(), read_summary(summary) as opened:
        for path in draw(opened, folder):
            console.tell(str(path))


def _write(path: Path, overwrite: bool, make: Callable[[], str]) -> None:
    """Write a file whole, unless there is one; what it takes to make it is not done in vain."""
    if path.exists() and not overwrite:
        refuse(f"{path}: is there already; --overwrite replaces it")
    atomic_write(path, make().encode())
    console.tell(str(path))
