"""Commands that get pictures and labels: `fetch scenes`, `fetch labels`, `fetch kaggle`."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nephoscope.cli import console
from nephoscope.cli.app import fetch, needs, plain_errors, refuse

if TYPE_CHECKING:
    from nephoscope.imagery.fetch import Fetched

Output = Annotated[Path, typer.Option("--output", "-o", help="Where they go.")]
Connections = Annotated[int, typer.Option(min=1, max=16, help="Requests under way at once.")]
Address = Annotated[
    str | None,
    typer.Option(
        "--archive",
        metavar="URL",
        help="A mirror of Worldview Snapshots; NASA's, or NEPHOSCOPE_WORLDVIEW's, unless said.",
    ),
]


# A box begins with a minus where it lies in the west: what looks like an option is taken for a place.
@fetch.command(context_settings={"ignore_unknown_options": True})
def scenes(
    places: Annotated[
        list[str],
        typer.Argument(metavar="PLACE...", help="A region's name, or west,south,east,north in degrees."),
    ],
    first: Annotated[str, typer.Option("--from", metavar="DAY", help="Such as 2020-01-20.")],
    folder: Output,
    last: Annotated[
        str | None, typer.Option("--to", metavar="DAY", help="The last day; the first unless said.")
    ] = None,
    satellites: Annotated[
        str, typer.Option(help="Of Terra, Aqua, SNPP, NOAA20, NOAA21; several with commas.")
    ] = "Terra,Aqua",
    degrees: Annotated[float, typer.Option(help="What a pixel spans.")] = 0.01,
    picture_format: Annotated[Literal["jpeg", "png"], typer.Option("--format")] = "jpeg",
    connections: Connections = 4,
    archive: Address = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Fetch all anew, and replace what is there.")
    ] = False,
) -> None:
    """Fetch pictures from NASA Worldview; those that are there are kept."""
    from nephoscope.core.geo import parse_bounds, parse_day
    from nephoscope.imagery.fetch import fetch_scenes, overpasses
    from nephoscope.imagery.worldview import WorldviewClient

    with plain_errors():
        begin, end = parse_day(first), parse_day(last or first)
        if end < begin:
            refuse(f"--to {end} is before --from {begin}")
        where = WorldviewClient.from_environment(
            archive, degrees=degrees, format=picture_format, connections=connections
        )
        names = [name.strip() for name in satellites.split(",")]
        wanted = overpasses(names, begin, end, [parse_bounds(place) for place in places])
        for overpass in wanted:
            where.check(overpass)
    _report(fetch_scenes(wanted, folder, where, overwrite=overwrite), len(wanted), folder)


@fetch.command()
def labels(
    boxes: Annotated[
        Path,
        typer.Argument(
            metavar="BOXES.csv",
            help="Rectangles: satellite,date,region,x0,y0,x1,y1,pattern; .gz and .xz will do.",
        ),
    ],
    folder: Output,
    connections: Connections = 4,
    archive: Address = None,
) -> None:
    """Make labelled scenes, in the contest's layout, of rectangles that people drew."""
    from nephoscope.datasets.annotations import read_rectangles
    from nephoscope.datasets.build import rebuild
    from nephoscope.imagery.worldview import WorldviewClient

    with plain_errors():
        drawn = read_rectangles(boxes)
        results = rebuild(drawn, folder, WorldviewClient.from_environment(archive, connections=connections))
        _report(results, len(drawn), folder)


@fetch.command()
def kaggle(folder: Output) -> None:
    """Get the contest's own pictures and labels by your Kaggle account."""
    from nephoscope.datasets.kaggle import fetch_contest

    with plain_errors(), needs("kaggle"):
        pictures = fetch_contest(folder, console.watch("laying files"))
        console.tell(f"{pictures:,} pictures and their labels: {folder}")


def _report(results: "Iterable[Fetched]", total: int, folder: Path) -> None:
    """Print a line a scene as they come; exit with code 1 if any failed."""
    step = console.watch("fetching")
    counts: Counter[str] = Counter()
    for done, result in enumerate(results, 1):
        counts[result.state] += 1
        if result.state == "failed":
            console.complain(result.reason)
        else:
            coverage = "  no coverage" if result.no_coverage else ""
            print(f"{result.path.name}  {result.state}{coverage}", flush=True)
        step(done, total)
    told = [f"{counts[state]} {state}" for state in ("fetched", "kept", "failed") if counts[state]]
    console.tell(f"{', '.join(told)}: {folder}")
    if counts["failed"]:
        raise typer.Exit(1)
