"""Commands that make an atlas: `atlas plan`, `atlas run`, `atlas status`."""

from pathlib import Path
from typing import Annotated

import typer

from nephoscope.atlas.estimate import Assumptions, Estimate
from nephoscope.cli import atlas_report, console
from nephoscope.cli.app import atlas, needs, plain_errors, refuse

Where = Annotated[
    str, typer.Argument(metavar="STORE", help="A folder, or an address such as s3://bucket/atlas.")
]


@atlas.command()
def plan(
    region: Annotated[
        str, typer.Option(metavar="REGION|W,S,E,N", help="A region's name, or a box in degrees.")
    ],
    first: Annotated[str, typer.Option("--from", metavar="DAY", help="Such as 2020-01-20.")],
    last: Annotated[str, typer.Option("--to", metavar="DAY", help="The last day.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")] = Path("atlas.json"),
    satellites: Annotated[
        str, typer.Option(help="Of Terra, Aqua, SNPP, NOAA20, NOAA21; several with commas.")
    ] = "Terra,Aqua",
    months: Annotated[
        str | None, typer.Option(help="Numbers of months, with commas; all unless said.")
    ] = None,
    margin: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="DEGREES",
            help="Look at this much around what is kept of each box: near a border less is found.",
        ),
    ] = 0.0,
    scenes: Annotated[Path | None, typer.Option(metavar="FILE.csv", help="Also list all scenes.")] = None,
    rate: Annotated[float, typer.Option(min=1e-3, help="Scenes a second and core.")] = Assumptions.rate,
    cores: Annotated[int, typer.Option(min=1, help="How many there will be.")] = Assumptions.cores,
    connections: Annotated[
        int, typer.Option(min=1, help="Requests under way at once.")
    ] = Assumptions.connections,
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds that the archive takes for a picture.")
    ] = Assumptions.wait,
    core_price: Annotated[float, typer.Option(min=0, help="Of a core for an hour.")] = Assumptions.core_price,
    storage_price: Annotated[
        float, typer.Option(min=0, help="Of a gigabyte for a month.")
    ] = Assumptions.storage_price,
) -> None:
    """Plan an atlas: which scenes, and what they will take."""
    from nephoscope.atlas.plan import Plan, parse_months, write_scenes
    from nephoscope.core.geo import parse_bounds, parse_day

    with plain_errors():
        numbers = parse_months(months) if months else tuple(range(1, 13))
        names = tuple(name.strip() for name in satellites.split(","))
        made = Plan(parse_day(first), parse_day(last), names, parse_bounds(region), numbers, margin)
        made.write(output)
        if scenes is not None:
            write_scenes(made, scenes)
    assumed = Assumptions(rate, cores, connections, wait, core_price, storage_price)
    atlas_report.planned(made, Estimate(len(made), assumed), assumed)
    console.hint(f"next: nephoscope atlas run {output} STORE")


@atlas.command()
def run(
    plan_file: Annotated[Path, typer.Argument(metavar="PLAN", help="As `atlas plan` writes it.")],
    store: Where,
    model: Annotated[str, typer.Option(help="A model's name or file; see 'nephoscope models'.")] = "default",
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Of a Dask cluster; processes here unless said.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes on this machine; one a processor unless said.")
    ] = None,
    connections: Annotated[
        int, typer.Option(min=1, help="Requests under way at once, of the whole cluster.")
    ] = 4,
    archive: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="A mirror of Worldview Snapshots; NASA's, or NEPHOSCOPE_WORLDVIEW's, unless said.",
        ),
    ] = None,
    cache: Annotated[Path | None, typer.Option(metavar="DIR", help="Keep pictures here.")] = None,
    degrees: Annotated[float, typer.Option(help="What a pixel spans.")] = 0.01,
    retries: Annotated[int, typer.Option(min=0, help="How often a picture is asked for again.")] = 3,
) -> None:
    """Segment a plan's scenes into a store; again, to do what is missing or failed."""
    with needs("atlas"):
        from nephoscope.atlas.cluster import local_cluster, parse_scheduler, remote_cluster
        from nephoscope.atlas.run import Abandoned, prepare
        from nephoscope.atlas.run import run as running
        from nephoscope.atlas.status import read_status
        from nephoscope.core.errors import AtlasError
    from nephoscope.atlas.plan import Plan
    from nephoscope.core.io import available_cpus
    from nephoscope.imagery.worldview import WorldviewClient

    if scheduler and workers:
        refuse("--workers is for processes on this machine; a scheduler has its own")
    with plain_errors():
        remote = scheduler and parse_scheduler(scheduler)
        wanted = Plan.read(plan_file)
        place = store if "://" in store else str(Path(store).absolute())
        opened, content = prepare(place, wanted, model)
        before = read_status(opened.manifest)
        changes = {"tries": retries + 1, "connections": connections, "degrees": degrees}
        asked = WorldviewClient.from_environment(archive, cache=cache and cache.absolute(), **changes)
    if before.unfinished:
        cluster = remote_cluster(remote) if remote else local_cluster(workers or available_cpus())
        try:
            bar = atlas_report.progress(before.settled, before.scenes)
            with cluster as client, bar as step:
                for result in running(opened, content, before.unfinished, asked, client):
                    if isinstance(result, Abandoned):
                        console.complain(f"batch {result.batch} was given up: workers died of it repeatedly")
                    else:
                        step(result.scenes)
        except AtlasError as error:
            console.complain(f"{error}; running the same again goes on from here")
            raise typer.Exit(1) from error
    after = read_status(opened.manifest)
    atlas_report.status(after)
    if after.done < after.scenes:
        console.tell(
            f"'nephoscope atlas status {store} --failures' lists what failed; running again retries it"
        )
        raise typer.Exit(1)


@atlas.command()
def status(
    store: Where,
    failures: Annotated[bool, typer.Option("--failures", help="List the scenes that failed.")] = False,
) -> None:
    """Say how far an atlas is: done, failed and why, missing."""
    with needs("atlas"):
        from nephoscope.atlas.status import read_failures, read_status
        from nephoscope.atlas.store import open_store

    with plain_errors():
        manifest = open_store(store).manifest
        if failures:
            for record in read_failures(manifest):
                box = ",".join(f"{edge:g}" for edge in record["box"])
                print(f"{record['satellite']}/{record['date']}/{box}  {record['cause']}: {record['reason']}")
        else:
            atlas_report.status(read_status(manifest))
