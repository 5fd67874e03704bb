"""What the commands say: aligned lines and a progress bar on a terminal, plain lines elsewhere, or JSON."""

import json
import shutil
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nephoscope.core.geo import brief_name
from nephoscope.core.patterns import DEFAULT_NAMES, DEFAULT_PATTERNS

if TYPE_CHECKING:
    from nephoscope.evaluation.submission import Evaluation
    from nephoscope.inference.card import Card
    from nephoscope.outputs.batch import Done, Failed, Kept
    from nephoscope.training.calibration import Calibration
    from nephoscope.training.export import Parity

_NAME_WIDTH = 30


def complain(message: str) -> None:
    """Say on standard error what went wrong, in one line."""
    print("nephoscope: " + " ".join(message.split()), file=sys.stderr)


def hint(message: str) -> None:
    """Say on standard error what one may want to know next, if a person is reading."""
    if sys.stderr.isatty():
        print(message, file=sys.stderr)


def tell(message: str) -> None:
    """Say on standard error how work goes on; a terminal breaks it between words."""
    if sys.stderr.isatty():
        width = max(20, shutil.get_terminal_size().columns)
        message = textwrap.fill(
            message, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
        )
    print(message, file=sys.stderr, flush=True)


def watch(what: str) -> Callable[[int, int], None]:
    """A bar for one piece of work: to be told how much is done, of how much; only a terminal shows it."""
    if not sys.stderr.isatty():
        return lambda _done, _total: None
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    # Lines for the same terminal go above the bar; lines for a pipe go straight there.
    bar = Progress(
        *columns, console=Console(stderr=True), transient=True, redirect_stdout=sys.stdout.isatty()
    )
    task = bar.add_task(what)

    def step(done: int, total: int) -> None:
        if not bar.finished:
            bar.start()
            bar.update(task, completed=done, total=total)
        if done >= total:
            bar.stop()

    return step


def calibration(found: "Calibration") -> None:
    """Print what rules were found and what they are worth."""
    print(f"mean Dice {found.mean:.4f} on days that the rules were not chosen on")
    print(
        f"          {sum(found.in_sample_dice.values()) / len(found.rules):.4f} "
        "on those that they were chosen on: optimistic"
    )
    print(f"          {sum(found.before.values()) / len(found.rules):.4f} there too, with the rules it had")
    evidence = {"top_k": "top {k}", "head": "presence head", "product": "presence head x top {k}"}
    print(f"{'':<8}{'Dice':>7}{'above':>7}{'area':>7}{'join':>6}  present from")
    for name in found.rules:
        rule = found.rules[name]
        by = evidence[rule.evidence].format(k=f"{rule.top_k:,}")
        areas = f"{rule.minimum_area:>7,}{rule.join:>6}"
        print(f"{name:<8}{found.dice[name]:>7.3f}{rule.threshold:>7.2f}{areas}  {rule.presence:.3f} of {by}")
    print(f"{found.scenes:,} scenes of {found.days:,} days")
    if found.unread:
        print(f"{found.unread:,} more cannot be read; nephoscope explore names them")


def quantised(path: Path, before: float, after: float) -> None:
    """Print what 8-bit convolutions cost."""
    print(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")
    print(f"mean Dice {after:.4f}, {before:.4f} before")


def report(results: "Iterable[Done | Kept | Failed]", total: int, as_json: bool) -> Counter[str]:
    """Print results as they come and failures on standard error.

    Returns:
        How many were `done`, `kept` and `failed`.
    """
    from nephoscope.outputs.batch import Done, Failed

    counts: Counter[str] = Counter(done=0, kept=0, failed=0)
    with _progress(total) as step:
        for result in results:
            if isinstance(result, Failed):
                counts["failed"] += 1
                complain(result.reason)
                if as_json:
                    print(json.dumps({"scene": result.name, "error": result.reason}, ensure_ascii=False))
            elif isinstance(result, Done):
                counts["done"] += 1
                print(_json_line(result) if as_json else _line(result))
                for warning in result.summary["warnings"]:
                    complain(f"{result.name}: {warning}")
            else:
                counts["kept"] += 1
                kept = {"scene": result.name, "kept": [str(path) for path in result.kept]}
                print(
                    json.dumps(kept, ensure_ascii=False)
                    if as_json
                    else f"{_named(result.name)}  kept as it was"
                )
            sys.stdout.flush()
            step()
    return counts


def closing(counts: Counter[str], folder: Path, seconds: float) -> None:
    """Say on standard error what was done and where it lies."""
    parts = [f"{counts['done']} done"]
    if counts["kept"]:
        parts.append(f"{counts['kept']} kept (--overwrite makes them anew)")
    if counts["failed"]:
        parts.append(f"{counts['failed']} failed")
    print(f"{', '.join(parts)} in {seconds:.1f} s: {folder}", file=sys.stderr)


def evaluation(result: "Evaluation") -> None:
    """Print a score with its pattern values and what it was measured on."""
    print(f"mean Dice {result.mean:.4f}")
    for name in DEFAULT_NAMES:
        print(f"  {name:<8}{result.by_pattern[name]:.4f}")
    grids = [f"{height}x{width}" for height, width in (result.predicted_grid, result.truth_grid)]
    print(f"{result.scored} scenes on 350x525; read from {grids[0]} (answers) and {grids[1]} (labels)")
    if result.unanswered:
        print(f"{result.unanswered} labelled scenes have no answer and are not scored")


def judged(numbers: dict[str, Any], card: "Card") -> None:
    """Print how a model did beside the baselines, and beside people where they can be compared."""
    dice = numbers["dice"]
    short = {"everything present": "all full"}  # narrow terminals are common
    names = [short.get(name, name) for name in dice]
    print(f"{'mean Dice':<10}{names[0]:>7}  {'95 %':<11}" + "".join(f"{name:>11}" for name in names[1:]))
    for pattern in ("all", *DEFAULT_NAMES):
        rows = [row if pattern == "all" else row["patterns"][pattern] for row in dice.values()]
        low, high = rows[0]["interval"]
        others = "".join(f"{row['mean']:>11.3f}" for row in rows[1:])
        print(f"{pattern:<10}{rows[0]['mean']:>7.4f}  {low:.3f}-{high:.3f}{others}")
    print(f"on {numbers['scenes']:,} scenes of {numbers['days']:,} days; the 95 % interval resamples days")
    if rules := card.training.get("rules"):
        print(f"its card says of its rules: {rules}")
    if people := numbers.get("people"):
        model, empty = (people["candidates"][name] for name in ("model", "all empty"))
        print("people it agrees with at least as well as other people do:")
        for what, words in (("contest", "by the contest's Dice"), ("drawn", "where either drew something")):
            print(
                f"  {words:<28}{model[what]['as_well']} of {model[what]['of_people']}"
                f" (an empty answer: {empty[what]['as_well']})"
            )


def explored(numbers: dict[str, Any]) -> None:
    """Print the first things to know of labelled scenes."""
    print(f"{numbers['scenes']:,} scenes")
    for name in DEFAULT_NAMES:
        print(f"  {name:<8}in {numbers['patterns'][name]['presence']:.1%}")
    counts = numbers["problems"]["counts"]
    for kind, times in counts.items():
        print(f"{times:,} x {kind}")
    if not counts:
        print("no problem in the labels")


def model_line(name: str, card: "Card", size: int) -> None:
    """Print one line about a model."""
    print(f"{name:<12}{size / 1e6:5.1f} MB  {card.description}")


def exported(path: Path, parity: "Parity") -> None:
    """Print what was exported and how near it is to its network."""
    print(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")
    print(f"parity with PyTorch: probabilities within {parity.largest:.1e},")
    print(f"  {parity.differing} of {parity.pixels:,} mask pixels differ")
    print(f"half precision moved probabilities by up to {parity.rounding:.1e}")
    if not parity.calibrated:
        print("its rules are those of one part of it: nephoscope calibrate finds its own")


def _line(result: "Done") -> str:
    patterns = result.summary["patterns"]
    assert isinstance(patterns, dict)
    present = [pattern for pattern in DEFAULT_PATTERNS if patterns[pattern.name]["present"]]
    texts = [f"{pattern.name} {patterns[pattern.name]['cover']:.0%}" for pattern in present] or ["no pattern"]
    begin = f"{_named(result.name)}  {result.seconds:5.2f} s"
    if not sys.stdout.isatty():
        return "  ".join([begin, *texts])
    fits = len("  ".join([begin, *texts])) < shutil.get_terminal_size().columns
    colours = [
        _coloured(text, pattern.colour) for text, pattern in zip(texts, present, strict=False)
    ] or texts
    return begin + ("  " if fits else "\n  ") + "  ".join(colours)


def _json_line(result: "Done") -> str:
    files = [str(path) for path in result.files]
    content = {**result.summary, "seconds": round(result.seconds, 3), "files": files}
    if result.kept:
        content["kept"] = [str(path) for path in result.kept]
    return json.dumps(content, ensure_ascii=False)


def _named(name: str) -> str:
    """A name at one width; on a terminal never a wider one, and on a narrow terminal a narrower one."""
    if not sys.stdout.isatty():
        return f"{name:<{_NAME_WIDTH}}"
    width = min(_NAME_WIDTH, max(12, shutil.get_terminal_size().columns // 3))
    if len(name) > width:
        name = brief_name(name)
    if len(name) > width:
        name = f"{name[: width // 2 - 1]}…{name[-(width - width // 2) :]}"
    return f"{name:<{width}}"


def _coloured(text: str, colour: tuple[int, int, int]) -> str:
    red, green, blue = colour
    return f"\x1b[38;2;{red};{green};{blue}m{text}\x1b[0m"


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    """A step to call after each picture: it moves a bar on a terminal that has more than one to show."""
    if total < 2 or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console  # only a terminal waits for it
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn())
    progress = Progress(
        *columns, console=Console(stderr=True), transient=True, redirect_stdout=sys.stdout.isatty()
    )
    with progress:
        task = progress.add_task("", total=total, rate="")
        started, steps = time.perf_counter(), count(1)

        def step() -> None:
            rate = next(steps) / (time.perf_counter() - started)
            progress.update(task, advance=1, rate=f"{rate:.1f} scenes/s")

        yield step
