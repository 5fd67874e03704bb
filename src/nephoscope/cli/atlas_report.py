"""Tables of the atlas commands: an estimate, and the status of a run."""

from typing import TYPE_CHECKING

from nephoscope.cli.console import duration

if TYPE_CHECKING:
    from nephoscope.atlas.estimate import Assumptions, Estimate
    from nephoscope.atlas.manifest import Status
    from nephoscope.atlas.plan import Plan


def print_plan(plan: "Plan", estimate: "Estimate", assumed: "Assumptions") -> None:
    """Print the content of a plan and its estimated cost, on 60 columns."""
    rows, columns = plan.shape
    _row("scenes", f"{estimate.scenes:,}")
    _row("days", f"{len(plan.days):,} from {plan.days[0]} to {plan.days[-1]}")
    _row("satellites", ", ".join(plan.satellites))
    kept = f", {plan.step[1]:g}° x {plan.step[0]:g}° of each kept" if plan.margin else ""
    _row("boxes", f"{columns} x {rows} of 21° x 14°{kept}")
    edges = ",".join(f"{edge:g}" for edge in plan.covered)
    _row("covered", f"{edges}{'' if plan.covered == plan.region else ': more than requested'}")
    picture = _bytes(estimate.download / estimate.scenes)
    _row("download", f"{_bytes(estimate.download)} ({picture} per picture)")
    _row("store", _bytes(estimate.stored))
    _row("computing", f"{duration(estimate.core_hours)} of a core ({assumed.rate:g} scenes/s)")
    cores = f"on {assumed.cores:,} core{'' if assumed.cores == 1 else 's'}"
    _row(cores, duration(estimate.compute_hours))
    waiting = f"{assumed.connections} connections, {assumed.wait:g} s per picture"
    _row("archive", f"{duration(estimate.archive_hours)} ({waiting})")
    bottleneck = "the archive" if estimate.archive_hours > estimate.compute_hours else "computing"
    _row("total", f"{duration(estimate.wall_hours)}, limited by {bottleneck}")
    _row("price", f"${estimate.price:,.2f} for cores (${assumed.core_price:g} per hour)")
    _row("per month", f"${estimate.store_price:,.2f} for the store, ${estimate.cache_price:,.2f} with all")
    _row("", f"pictures (${assumed.storage_price:g} per GB)")
    print("assumed: prices and seconds per picture; measured: sizes")
    print("and, unless --rate states it, scenes/s")


def print_status(status: "Status") -> None:
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
