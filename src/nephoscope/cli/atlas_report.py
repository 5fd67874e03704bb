"""What the atlas commands say: an estimate, how far a run is, what a store holds."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nephoscope.atlas.estimate import Assumptions, Estimate
    from nephoscope.atlas.plan import Plan
    from nephoscope.atlas.status import Status

_SILENCE = 30.0  # s between lines where there is no terminal
_WIDTH = 17


def planned(plan: "Plan", found: "Estimate", assumed: "Assumptions") -> None:
    """Print what is in a plan and what it will take, on 60 columns."""
    rows, columns = plan.shape
    print(f"{'scenes':<{_WIDTH}}{found.scenes:,}")
    print(f"{'days':<{_WIDTH}}{len(plan.days):,} from {plan.days[0]} to {plan.days[-1]}")
    print(f"{'satellites':<{_WIDTH}}{', '.join(plan.satellites)}")
    kept = f", {plan.step[1]:g}° x {plan.step[0]:g}° of each kept" if plan.margin else ""
    print(f"{'boxes':<{_WIDTH}}{columns} x {rows} of 21° x 14°{kept}")
    edges = ",".join(f"{edge:g}" for edge in plan.covered)
    beyond = "" if plan.covered == plan.region else ": more than asked for"
    print(f"{'covered':<{_WIDTH}}{edges}{beyond}")
    picture = found.download / found.scenes
    print(f"{'download':<{_WIDTH}}{_bytes(found.download)} ({_bytes(picture)} a picture)")
    print(f"{'store':<{_WIDTH}}{_bytes(found.stored)}")
    print(f"{'computing':<{_WIDTH}}{_hours(found.core_hours)} of a core ({assumed.rate:g} scenes/s)")
    cores = f"on {assumed.cores:,} core{'' if assumed.cores == 1 else 's'}"
    print(f"{cores:<{_WIDTH}}{_hours(found.compute_hours)}")
    waiting = f"{assumed.connections} connections, {assumed.wait:g} s a picture"
    print(f"{'archive':<{_WIDTH}}{_hours(found.archive_hours)} ({waiting})")
    slower = "the archive" if found.archive_hours > found.compute_hours else "computing"
    print(f"{'so in all':<{_WIDTH}}{_hours(found.wall_hours)}: {slower} decides")
    print(f"{'price':<{_WIDTH}}${found.price:,.2f} for cores (${assumed.core_price:g} an hour)")
    print(
        f"{'a month of':<{_WIDTH}}${found.store_price:,.2f} for the store, ${found.cache_price:,.2f} with all"
    )
    print(f"{'':<{_WIDTH}}pictures (${assumed.storage_price:g} a GB)")
    print("assumed: prices, and seconds a picture; measured: sizes,")
    print("and scenes/s unless --rate says what your machine does")


def status(found: "Status") -> None:
    """Print how far an atlas is."""
    print(f"{'scenes':<{_WIDTH}}{found.scenes:>10,}")
    print(f"{'done':<{_WIDTH}}{found.done:>10,}")
    if found.done:
        share = found.valid / found.done
        print(f"{'  with data':<{_WIDTH}}{found.covered:>10,}  {share:.1%} of the area of those done")
    print(f"{'failed':<{_WIDTH}}{found.failed:>10,}")
    for cause, count in found.causes.most_common():
        print(f"{f'  {cause}':<{_WIDTH}}{count:>10,}")
    print(f"{'missing':<{_WIDTH}}{found.missing:>10,}")


@contextmanager
def progress(done: int, total: int) -> Iterator[Callable[[int], None]]:
    """A function to tell of scenes that are finished: a bar on a terminal, now and then a line elsewhere.

    Args:
        done: scenes that were finished before.
        total: scenes that there will be.
    """
    began = time.monotonic()
    finished = 0

    def rate() -> float:
        return finished / max(1e-9, time.monotonic() - began)

    if not sys.stderr.isatty():
        told = began

        def tell(scenes: int) -> None:
            nonlocal finished, told
            finished += scenes
            if time.monotonic() - told >= _SILENCE:
                told = time.monotonic()
                left = _hours((total - done - finished) / rate() / 3600)
                line = f"{done + finished:,} of {total:,} scenes, {rate():.1f} scenes/s, {left} left"
                print(line, file=sys.stderr, flush=True)

        yield tell
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total, completed=done, rate="")

        def step(scenes: int) -> None:
            nonlocal finished
            finished += scenes
            bar.update(task, advance=scenes, rate=f"{rate():.1f} scenes/s")

        yield step


def _bytes(count: float) -> str:
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        if count < 1000:
            return f"{count:,.3g} {unit}"
    return f"{count / 1000:,.3g} TB"


def _hours(hours: float) -> str:
    if hours < 1 / 60:
        return f"{hours * 3600:.0f} s"
    if hours < 1:
        return f"{hours * 60:.0f} min"
    return f"{hours:,.1f} h" if hours < 100 else f"{hours / 24:,.0f} days"
