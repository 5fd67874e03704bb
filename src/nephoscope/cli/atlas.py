"""The commands `atlas plan`, `atlas run` and `atlas status`."""

from pathlib import Path
from typing import Annotated

import typer

from nephoscope.atlas.estimate import Assumptions, Estimate
from nephoscope.cli import atlas_report, console
from nephoscope.cli.app import (
    Archive,
    Connections,
    Degrees,
    FirstDay,
    ModelName,
    OutputFile,
    Satellites,
    Store,
    atlas,
    fail,
    needs,
    usage_errors,
)


@atlas.command()
def plan(
    region: Annotated[
        str, typer.Option(metavar="REGION|W,S,E,N", help="A region's name, or bounds in degrees.")
    ],
    first: FirstDay,
    last: Annotated[str, typer.Option("--to", metavar="DAY", help="The last day.")],
    output: OutputFile = Path("atlas.json"),
    satellites: Satellites = "Terra,Aqua",
    months: Annotated[
        str | None, typer.Option(help="Comma-separated numbers of months. Default: all.")
    ] = None,
    margin: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="DEGREES",
            help="Discard this much along the edges of each box, where fewer patterns are detected.",
        ),
    ] = 0.0,
    scenes: Annotated[
        Path | None, typer.Option(metavar="FILE.csv", help="Also write a list of all scenes.")
    ] = None,
    rate: Annotated[float, typer.Option(min=1e-3, help="Scenes per second and core.")] = Assumptions.rate,
    cores: Annotated[int, typer.Option(min=1, help="Number of cores.")] = Assumptions.cores,
    connections: Connections = Assumptions.connections,
    wait: Annotated[
        float, typer.Option(min=0, help="Response time of the archive in seconds.")
    ] = Assumptions.wait,
    core_price: Annotated[float, typer.Option(min=0, help="Price of a core-hour.")] = Assumptions.core_price,
    storage_price: Annotated[
        float, typer.Option(min=0, help="Price of a gigabyte-month.")
    ] = Assumptions.storage_price,
) -> None:
    """Plan an atlas: list its scenes and estimate its cost."""
    from nephoscope.atlas.plan import Plan, parse_months, write_scenes
    from nephoscope.core.geo import parse_bounds, parse_day

    with usage_errors():
        numbers = parse_months(months) if months else tuple(range(1, 13))
        names = tuple(name.strip() for name in satellites.split(","))
        made = Plan(parse_day(first), parse_day(last), names, parse_bounds(region), numbers, margin)
        made.write(output)
        if scenes is not None:
            write_scenes(made, scenes)
    assumed = Assumptions(rate, cores, connections, wait, core_price, storage_price)
    atlas_report.print_plan(made, Estimate(len(made), assumed), assumed)
    console.hint(f"next: nephoscope atlas run {output} STORE")


@atlas.command()
def run(
    plan_file: Annotated[Path, typer.Argument(metavar="PLAN", help="A file that `atlas plan` wrote.")],
    store: Store,
    model: ModelName = "default",
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Address of a Dask cluster. Default: processes on this machine."
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes on this machine. Default: one per processor.")
    ] = None,
    connections: Connections = 4,
    archive: Archive = None,
    cache: Annotated[Path | None, typer.Option(metavar="DIR", help="Keep pictures here.")] = None,
    degrees: Degrees = 0.01,
    retries: Annotated[int, typer.Option(min=0, help="Retries per picture.")] = 3,
) -> None:
    """Segment a plan's scenes into a store; a second run completes what is missing or failed."""
    with needs("atlas"):
        from nephoscope.atlas.cluster import local_cluster, parse_scheduler, remote_cluster
        from nephoscope.atlas.manifest import read_status
        from nephoscope.atlas.run import Abandoned, prepare
        from nephoscope.atlas.run import run as run_batches
    from nephoscope.atlas.plan import Plan
    from nephoscope.core.errors import AtlasError
    from nephoscope.core.io import available_cpus
    from nephoscope.imagery.worldview import WorldviewClient

    if scheduler and workers:
        fail("--workers is for processes on this machine; a scheduler has its own")
    with usage_errors():
        address = scheduler and parse_scheduler(scheduler)
        place = store if "://" in store else str(Path(store).absolute())
        opened, content = prepare(place, Plan.read(plan_file), model)
        before = read_status(opened.manifest)
        options = {"tries": retries + 1, "connections": connections, "degrees": degrees}
        client = WorldviewClient.from_environment(archive, cache=cache and cache.absolute(), **options)
    if before.unfinished:
        cluster = remote_cluster(address) if address else local_cluster(workers or available_cpus())
        progress = console.scene_progress(before.scenes, before.settled, log=True)
        try:
            with cluster as dask, progress as step:
                for result in run_batches(opened, content, before.unfinished, client, dask):
                    if isinstance(result, Abandoned):
                        console.error(f"batch {result.batch} was abandoned: its workers died repeatedly")
                    else:
                        step(result.scenes)
        except AtlasError as error:
            console.error(f"{error}; run the same command again to resume")
            raise typer.Exit(1) from error
    after = read_status(opened.manifest)
    atlas_report.print_status(after)
    if after.done < after.scenes:
        console.info(f"'nephoscope atlas status {store} --failures' lists failures; run again to retry them")
        raise typer.Exit(1)


@atlas.command()
def status(
    store: Store,
    failures: Annotated[bool, typer.Option("--failures", help="List the scenes that failed.")] = False,
) -> None:
    """Print how many scenes of an atlas are done, failed and missing."""
    with needs("atlas"):
        from nephoscope.atlas.manifest import read_failures, read_status
        from nephoscope.atlas.store import open_store

    with usage_errors():
        manifest = open_store(store).manifest
        if failures:
            for record in read_failures(manifest):
                box = ",".join(f"{edge:g}" for edge in record["box"])
                print(f"{record['satellite']}/{record['date']}/{box}  {record['cause']}: {record['reason']}")
        else:
            atlas_report.print_status(read_status(manifest))
