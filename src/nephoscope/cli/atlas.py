"""The commands `atlas plan`, `atlas run`, `atlas status`, `atlas merge` and `atlas tables`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from nephoscope.atlas.estimate import Assumptions, Estimate
from nephoscope.cli import console, options
from nephoscope.cli.app import atlas, fail, needs, usage_errors

if TYPE_CHECKING:
    from nephoscope.atlas.manifest import Status
    from nephoscope.atlas.plan import Plan


@atlas.command()
def plan(
    region: Annotated[str, Option(metavar="REGION|W,S,E,N", help="A region's name, or bounds in degrees.")],
    first: options.FirstDay,
    last: Annotated[str, Option("--to", metavar="DAY", help="The last day.")],
    output: options.OutputFile = Path("atlas.json"),
    satellites: options.Satellites = "Terra,Aqua",
    months: Annotated[str | None, Option(help="Comma-separated numbers of months. Default: all.")] = None,
    margin: Annotated[
        float | None,
        Option(
            min=0,
            metavar="DEGREES",
            help="Discard this much along the edges of each box, where fewer patterns are detected. "
            "Default: 2 where several boxes meet, 0 for a region of one box.",
        ),
    ] = None,
    scenes: Annotated[
        Path | None, Option(metavar="FILE.csv", help="Also write a list of all scenes.")
    ] = None,
    rate: Annotated[float, Option(min=1e-3, help="Scenes per second and core.")] = Assumptions.rate,
    cores: Annotated[int, Option(min=1, help="Number of cores.")] = Assumptions.cores,
    connections: options.Connections = Assumptions.connections,
    wait: Annotated[float, Option(min=0, help="Response time of the archive in seconds.")] = Assumptions.wait,
    core_price: Annotated[float, Option(min=0, help="Price of a core-hour.")] = Assumptions.core_price,
    storage_price: Annotated[
        float, Option(min=0, help="Price of a gigabyte-month.")
    ] = Assumptions.storage_price,
) -> None:
    """Plan an atlas: list its scenes and estimate its cost."""
    from nephoscope.atlas.plan import Plan, default_margin, parse_months, write_scenes
    from nephoscope.core.geo import parse_bounds, parse_day

    with usage_errors():
        numbers = parse_months(months) if months else tuple(range(1, 13))
        names = tuple(name.strip() for name in satellites.split(","))
        bounds = parse_bounds(region)
        degrees = default_margin(bounds) if margin is None else margin
        made = Plan(parse_day(first), parse_day(last), names, bounds, numbers, degrees)
        made.write(output)
        if scenes is not None:
            write_scenes(made, scenes)
    assumed = Assumptions(rate, cores, connections, wait, core_price, storage_price)
    _print_plan(made, Estimate(len(made), assumed), assumed, margin is None)
    console.hint(f"next: nephoscope atlas run {output} STORE")


@atlas.command()
def run(
    plan_file: Annotated[Path, Argument(metavar="PLAN", help="A file that `atlas plan` wrote.")],
    store: options.Store,
    model: options.ModelName = "default",
    scheduler: Annotated[
        str | None,
        Option(metavar="ADDRESS", help="Address of a Dask cluster. Default: processes on this machine."),
    ] = None,
    workers: Annotated[
        int | None, Option(min=1, help="Processes on this machine. Default: one per processor.")
    ] = None,
    connections: options.Connections = 4,
    archive: options.Archive = None,
    cache: Annotated[Path | None, Option(metavar="DIR", help="Keep pictures here.")] = None,
    degrees: options.Degrees = 0.01,
    retries: Annotated[int, Option(min=0, help="Retries per picture.")] = 3,
    organisation: Annotated[
        bool, Option("--organisation", help="Measure how clouds are organised in every region, for 'tables'.")
    ] = False,
) -> None:
    """Segment a plan's scenes into a store; a second run completes what is missing or failed.

    A store grows to a plan that contains its own: further days or satellites of the same region.
    """
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
        if opened.added:
            console.info(f"{store}: extended by {opened.added:,} scenes to {len(opened.layout):,}")
        before = read_status(opened.manifest)
        kept = cache and cache.absolute()
        client = WorldviewClient.from_environment(
            archive, cache=kept, tries=retries + 1, connections=connections, degrees=degrees
        )
    if before.unfinished:
        cluster = remote_cluster(address) if address else local_cluster(workers or available_cpus())
        progress = console.scene_progress(before.scenes, before.settled, log=True)
        try:
            with cluster as dask, progress as step:
                work = before.unfinished
                for result in run_batches(opened, content, work, client, dask, organisation=organisation):
                    if isinstance(result, Abandoned):
                        console.error(f"batch {result.batch} was abandoned: its workers died repeatedly")
                    else:
                        step(result.scenes)
        except AtlasError as error:
            console.error(f"{error}; run the same command again to resume")
            raise typer.Exit(1) from error
    after = read_status(opened.manifest)
    _print_status(after)
    if after.done < after.scenes:
        console.info(f"'nephoscope atlas status {store} --failures' lists failures; run again to retry them")
        raise typer.Exit(1)


@atlas.command()
def status(
    store: options.Store,
    failures: Annotated[bool, Option("--failures", help="List the scenes that failed.")] = False,
    verify: Annotated[
        bool,
        Option("--verify", help="Check all stored data; the next run does damaged scenes again."),
    ] = False,
) -> None:
    """Print how many scenes of an atlas are done, failed and missing."""
    with needs("atlas"):
        from nephoscope.atlas.manifest import read_failures, read_status
        from nephoscope.atlas.store import open_store
        from nephoscope.atlas.verify import verify as check

    damaged = 0
    with usage_errors():
        opened = open_store(store)
        if verify:
            damaged = check(opened, console.progress_bar("checking"))
        if failures:
            for record in read_failures(opened.manifest):
                box = ",".join(f"{edge:g}" for edge in record["box"])
                print(f"{record['satellite']}/{record['date']}/{box}  {record['cause']}: {record['reason']}")
        else:
            _print_status(read_status(opened.manifest))
    if damaged:
        console.error(f"{store}: {damaged:,} scenes were damaged or lost; the next run does them again")
        raise typer.Exit(1)


@atlas.command()
def merge(
    stores: Annotated[
        list[str], Argument(metavar="STORE...", help="Stores of one model and region.", show_default=False)
    ],
    output: Annotated[
        str, Option("--output", "-o", metavar="STORE", help="The new store.", show_default=False)
    ],
) -> None:
    """Merge stores of one model and region, with other days or satellites, into a new one."""
    with needs("atlas"):
        from nephoscope.atlas.manifest import read_status
        from nephoscope.atlas.merge import merge
        from nephoscope.atlas.store import open_store

    with usage_errors():
        opened = [open_store(store) for store in stores]
        merged = merge(opened, output, console.progress_bar("merging"))
        _print_status(read_status(merged.manifest))


@atlas.command()
def tables(
    store: options.Store,
    folder: options.Folder = Path("nephoscope-tables"),
    overwrite: options.Overwrite = False,
) -> None:
    """Write a table of the scenes and one of all regions, as CSV."""
    with needs("atlas"):
        from nephoscope.atlas.store import open_store
        from nephoscope.atlas.tables import REGIONS, SCENES, write_tables

    with usage_errors():
        opened = open_store(store)
        existing = [path for name in (SCENES, REGIONS) if (path := folder / name).exists()]
        if existing and not overwrite:
            fail(f"{existing[0]}: exists; use --overwrite to replace it")
        for path in write_tables(opened, folder):
            console.info(str(path))


def _print_plan(plan: "Plan", estimate: Estimate, assumed: Assumptions, default_margin: bool) -> None:
    """Print the content of a plan and its estimated cost, on 60 columns."""
    rows, columns = plan.shape
    _row("scenes", f"{estimate.scenes:,}")
    _row("days", f"{len(plan.days):,} from {plan.days[0]} to {plan.days[-1]}")
    _row("satellites", ", ".join(plan.satellites))
    _row("boxes", f"{columns} x {rows} of 21° x 14°")
    default = "where several boxes meet" if plan.margin else "for a region of one box"
    _row("margin", f"{plan.margin:g}°{f', the default {default}' if default_margin else ''}")
    if plan.margin:
        _row("kept", f"{plan.step[1]:g}° x {plan.step[0]:g}° of each box")
    edges = ",".join(f"{edge:g}" for edge in plan.covered)
    _row("covered", f"{edges}{'' if plan.covered == plan.region else ': more than requested'}")
    picture = _bytes(estimate.download / estimate.scenes)
    _row("download", f"{_bytes(estimate.download)} ({picture} per picture)")
    _row("store", _bytes(estimate.stored))
    _row("computing", f"{console.duration(estimate.core_hours)} of a core ({assumed.rate:g} scenes/s)")
    cores = f"on {assumed.cores:,} core{'' if assumed.cores == 1 else 's'}"
    _row(cores, console.duration(estimate.compute_hours))
    waiting = f"{assumed.connections} connections, {assumed.wait:g} s per picture"
    _row("archive", f"{console.duration(estimate.archive_hours)} ({waiting})")
    bottleneck = "the archive" if estimate.archive_hours > estimate.compute_hours else "computing"
    _row("total", f"{console.duration(estimate.wall_hours)}, limited by {bottleneck}")
    _row("price", f"${estimate.price:,.2f} for cores (${assumed.core_price:g} per hour)")
    _row("per month", f"${estimate.store_price:,.2f} for the store, ${estimate.cache_price:,.2f} with all")
    _row("", f"pictures (${assumed.storage_price:g} per GB)")
    print("assumed: prices and seconds per picture; measured: sizes")
    print("and, unless --rate states it, scenes/s")


def _print_status(status: "Status") -> None:
    """Print how many scenes of an atlas are done, failed and missing."""
    _row("scenes", f"{status.scenes:>10,}")
    _row("done", f"{status.done:>10,}")
    if status.done:
        share = status.valid / status.done
        _row("  with data", f"{status.covered:>10,}  {share:.1%} of the area of those done")
    _row("failed", f"{status.failed:>10,}")
    for cause, count in status.causes.most_common():
        _row(f"  {cause}", f"{count:>10,}")
    _row("missing", f"{status.missing:>10,}")


def _row(name: str, value: str) -> None:
    print(f"{name:<17}{value}")


def _bytes(count: float) -> str:
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        if count < 1000:
            return f"{count:,.3g} {unit}"
    return f"{count / 1000:,.3g} TB"
