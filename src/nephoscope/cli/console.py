"""Terminal output: aligned lines and progress bars on a terminal, plain lines elsewhere, or JSON."""

import json
import logging
import shutil
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nephoscope.core.geo import brief_name
from nephoscope.core.patterns import Pattern

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

    from nephoscope.outputs.batch import Done, Failed, Kept

_NAME_WIDTH = 30
_INTERVAL = 30.0  # s between progress lines where there is no terminal

_log = logging.getLogger("nephoscope")


def error(message: str) -> None:
    """Print an error on standard error, in one line."""
    print("nephoscope: " + " ".join(message.split()), file=sys.stderr)


def warning(message: str) -> None:
    """Print a warning on standard error, in one line, unless `--quiet`."""
    if not is_quiet():
        error(message)


def is_quiet() -> bool:
    """Whether only errors are printed, and what was asked for."""
    return not _log.isEnabledFor(logging.WARNING)


def _shows_bars() -> bool:
    """Whether progress bars are drawn: not between the lines of a log."""
    return sys.stderr.isatty() and _log.getEffectiveLevel() == logging.WARNING


def hint(message: str) -> None:
    """Print a suggestion on standard error, if it is a terminal."""
    if sys.stderr.isatty() and not is_quiet():
        print(message, file=sys.stderr)


def info(message: str) -> None:
    """Print a message on standard error, unless `--quiet`; wrapped between words on a terminal."""
    if is_quiet():
        return
    if sys.stderr.isatty():
        width = max(20, shutil.get_terminal_size().columns)
        message = textwrap.fill(
            message, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
        )
    print(message, file=sys.stderr, flush=True)


def progress_bar(description: str) -> Callable[[int, int], None]:
    """A progress bar for one piece of work, called with the count done and in all; for terminals only."""
    if not _shows_bars():
        return lambda _done, _total: None
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

    bar = _progress(
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    )
    task = bar.add_task(description)

    def step(done: int, total: int) -> None:
        if not bar.finished:
            bar.start()
            bar.update(task, completed=done, total=total)
        if done >= total:
            bar.stop()

    return step


@contextmanager
def scene_progress(total: int, done: int = 0, *, log: bool = False) -> Iterator[Callable[[int], None]]:
    """Progress in scenes and scenes per second: a bar on a terminal, elsewhere a line now and then if `log`.

    Yields:
        A function to call with the number of scenes just finished.
    """
    started = logged = time.monotonic()
    finished = 0

    def rate() -> float:
        return finished / max(1e-9, time.monotonic() - started)

    if not _shows_bars():

        def log_step(scenes: int) -> None:
            nonlocal finished, logged
            finished += scenes
            if log and time.monotonic() - logged >= _INTERVAL:
                logged = time.monotonic()
                left = duration((total - done - finished) / rate() / 3600)
                info(f"{done + finished:,} of {total:,} scenes, {rate():.1f} scenes/s, {left} left")

        yield log_step
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn())
    with _progress(*columns) as bar:
        task = bar.add_task("", total=total, completed=done, rate="")

        def step(scenes: int) -> None:
            nonlocal finished
            finished += scenes
            bar.update(task, advance=scenes, rate=f"{rate():.1f} scenes/s")

        yield step


def _progress(*columns: "ProgressColumn") -> "Progress":
    from rich.console import Console  # slow to import, so only terminals do
    from rich.progress import Progress

    # Lines for the same terminal go above the bar; lines for a pipe go straight there.
    redirect = sys.stdout.isatty()
    return Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=redirect)


def duration(hours: float) -> str:
    """A duration such as `40 s`, `12 min`, `7.5 h` or `12 days`."""
    if hours < 1 / 60:
        return f"{hours * 3600:.0f} s"
    if hours < 1:
        return f"{hours * 60:.0f} min"
    return f"{hours:,.1f} h" if hours < 100 else f"{hours / 24:,.0f} days"


def print_results(
    results: "Iterable[Done | Kept | Failed]", total: int, patterns: Sequence[Pattern], as_json: bool
) -> Counter[str]:
    """Print results as they come, and failures on standard error; count the `done`, `kept` and `failed`."""
    from nephoscope.outputs.batch import Done, Failed

    counts: Counter[str] = Counter(done=0, kept=0, failed=0)
    with scene_progress(total) if total > 1 else nullcontext(lambda _: None) as step:
        for result in results:
            if isinstance(result, Failed):
                counts["failed"] += 1
                error(result.reason)
                if as_json:
                    print(_json({"scene": result.name, "error": result.reason}))
            elif isinstance(result, Done):
                counts["done"] += 1
                _print_result(_json_line(result) if as_json else _line(result, patterns), as_json)
                for text in result.summary["warnings"]:
                    warning(f"{result.name}: {text}")
            else:
                counts["kept"] += 1
                kept = {"scene": result.name, "kept": [str(path) for path in result.kept]}
                if result.model:
                    kept["model"] = result.model
                by = f", made by the model {result.model}" if result.model else ""
                _print_result(_json(kept) if as_json else f"{_padded(result.name)}  kept{by}", as_json)
            sys.stdout.flush()
            step(1)
    return counts


def print_summary(counts: Counter[str], folder: Path, seconds: float) -> None:
    """Print on standard error what was done, and the output folder."""
    parts = [f"{counts['done']} done"]
    if counts["kept"]:
        parts.append(f"{counts['kept']} kept (--overwrite replaces them)")
    if counts["failed"]:
        parts.append(f"{counts['failed']} failed")
    if not is_quiet():
        print(f"{', '.join(parts)} in {seconds:.1f} s: {folder}", file=sys.stderr)


def _print_result(line: str, as_json: bool) -> None:
    """Print a picture's line; with `--quiet` only those for programs."""
    if as_json or not is_quiet():
        print(line)


def _line(result: "Done", patterns: Sequence[Pattern]) -> str:
    entries = result.summary["patterns"]
    present = [pattern for pattern in patterns if entries[pattern.name]["present"]]
    texts = [f"{pattern.name} {entries[pattern.name]['cover']:.0%}" for pattern in present] or ["no pattern"]
    start = f"{_padded(result.name)}  {result.seconds:5.2f} s"
    if not sys.stdout.isatty():
        return "  ".join([start, *texts])
    fits = len("  ".join([start, *texts])) < shutil.get_terminal_size().columns
    for index, pattern in enumerate(present):
        red, green, blue = pattern.colour
        texts[index] = f"\x1b[38;2;{red};{green};{blue}m{texts[index]}\x1b[0m"
    return start + ("  " if fits else "\n  ") + "  ".join(texts)


def _json_line(result: "Done") -> str:
    files = [str(path) for path in result.files]
    content = {**result.summary, "seconds": round(result.seconds, 3), "files": files}
    if result.kept:
        content["kept"] = [str(path) for path in result.kept]
    return _json(content)


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False)


def _padded(name: str) -> str:
    """A name at a fixed width; shortened on a terminal."""
    if not sys.stdout.isatty():
        return f"{name:<{_NAME_WIDTH}}"
    width = min(_NAME_WIDTH, max(12, shutil.get_terminal_size().columns // 3))
    if len(name) > width:
        name = brief_name(name)
    if len(name) > width:
        name = f"{name[: width // 2 - 1]}…{name[-(width - width // 2) :]}"
    return f"{name:<{width}}"
