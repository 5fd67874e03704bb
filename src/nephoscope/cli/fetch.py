"""The commands `fetch scenes`, `fetch labels` and `fetch kaggle`."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from typer import Argument, Option

from nephoscope.cli import console, options
from nephoscope.cli.app import fail, fetch, needs, usage_errors

if TYPE_CHECKING:
    from nephoscope.imagery.fetch import Fetched

FewConnections = Annotated[int, Option(min=1, max=16, help="Concurrent requests to the archive.")]


# Western longitudes begin with a minus: unknown options are taken for bounds.
@fetch.command(context_settings={"ignore_unknown_options": True})
def scenes(
    places: Annotated[
        list[str], Argument(metavar="PLACE...", help="A region's name, or west,south,east,north in degrees.")
    ],
    first: options.FirstDay,
    folder: options.Folder,
    last: Annotated[
        str | None, Option("--to", metavar="DAY", help="The last day. Default: the first day.")
    ] = None,
    satellites: options.Satellites = "Terra,Aqua",
    degrees: options.Degrees = 0.01,
    picture_format: Annotated[Literal["jpeg", "png"], Option("--format")] = "jpeg",
    connections: FewConnections = 4,
    archive: options.Archive = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Download pictures from NASA Worldview; existing ones are kept."""
    from nephoscope.core.geo import parse_bounds, parse_day
    from nephoscope.imagery.fetch import fetch_scenes, overpasses
    from nephoscope.imagery.worldview import WorldviewClient

    with usage_errors():
        begin, end = parse_day(first), parse_day(last or first)
        if end < begin:
            fail(f"--to {end} is before --from {begin}")
        client = WorldviewClient.from_environment(
            archive, degrees=degrees, format=picture_format, connections=connections
        )
        names = [name.strip() for name in satellites.split(",")]
        wanted = overpasses(names, begin, end, [parse_bounds(place) for place in places])
        for overpass in wanted:
            client.check(overpass)
    _print_fetched(fetch_scenes(wanted, folder, client, overwrite=overwrite), len(wanted), folder)


@fetch.command()
def labels(
    boxes: Annotated[
        Path,
        Argument(
            metavar="BOXES.csv",
            help="Rectangles: satellite,date,region,x0,y0,x1,y1,pattern; may be .gz or .xz.",
        ),
    ],
    folder: options.Folder,
    connections: FewConnections = 4,
    archive: options.Archive = None,
) -> None:
    """Make labelled scenes, in the contest's layout, from rectangles that people drew."""
    from nephoscope.datasets.build import rebuild
    from nephoscope.datasets.rectangles import read_rectangles
    from nephoscope.imagery.worldview import WorldviewClient

    with usage_errors():
        drawn = read_rectangles(boxes)
        results = rebuild(drawn, folder, WorldviewClient.from_environment(archive, connections=connections))
        _print_fetched(results, len(drawn), folder)


@fetch.command()
def kaggle(folder: options.Folder) -> None:
    """Download the contest's pictures and labels with your Kaggle account."""
    from nephoscope.datasets.kaggle import fetch_contest

    with usage_errors(), needs("kaggle"):
        pictures = fetch_contest(folder, console.progress_bar("copying files"))
        console.info(f"{pictures:,} pictures and their labels: {folder}")


def _print_fetched(results: "Iterable[Fetched]", total: int, folder: Path) -> None:
    """Print a line per scene as they arrive; exit with code 1 if any failed."""
    progress = console.progress_bar("fetching")
    counts: Counter[str] = Counter()
    for done, result in enumerate(results, 1):
        counts[result.state] += 1
        if result.state == "failed":
            console.error(result.reason)
        elif not console.is_quiet():
            coverage = "  no coverage" if result.no_coverage else ""
            print(f"{result.path.name}  {result.state}{coverage}", flush=True)
        progress(done, total)
    parts = [f"{counts[state]} {state}" for state in ("fetched", "kept", "failed") if counts[state]]
    console.info(f"{', '.join(parts)}: {folder}")
    if counts["failed"]:
        raise typer.Exit(1)
