"""Terminal output: aligned lines and progress bars on a terminal, plain lines elsewhere, or JSON."""

import json
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

    from nephoscope.evaluation.submission import Evaluation
    from nephoscope.inference.card import Card
    from nephoscope.outputs.batch import Done, Failed, Kept
    from nephoscope.training.calibration import Calibration
    from nephoscope.training.cross_validation import CrossValidation
    from nephoscope.training.export import Parity

_NAME_WIDTH = 30
_INTERVAL = 30.0  # s between progress lines where there is no terminal


def error(message: str) -> None:
    """Print an error on standard error, in one line."""
    print("nephoscope: " + " ".join(message.split()), file=sys.stderr)


def hint(message: str) -> None:
    """Print a suggestion on standard error, if it is a terminal."""
    if sys.stderr.isatty():
        print(message, file=sys.stderr)


def info(message: str) -> None:
    """Print a message on standard error; wrapped between words on a terminal."""
    if sys.stderr.isatty():
        width = max(20, shutil.get_terminal_size().columns)
        message = textwrap.fill(
            message, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
        )
    print(message, file=sys.stderr, flush=True)


def progress_bar(description: str) -> Callable[[int, int], None]:
    """A progress bar for one piece of work, called with the count done and in all; for terminals only."""
    if not sys.stderr.isatty():
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

    if not sys.stderr.isatty():

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
                print(_json_line(result) if as_json else _line(result, patterns))
                for warning in result.summary["warnings"]:
                    error(f"{result.name}: {warning}")
            else:
                counts["kept"] += 1
                kept = {"scene": result.name, "kept": [str(path) for path in result.kept]}
                print(_json(kept) if as_json else f"{_padded(result.name)}  kept")
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
    print(f"{', '.join(parts)} in {seconds:.1f} s: {folder}", file=sys.stderr)


def print_calibration(result: "Calibration") -> None:
    """Print calibrated rules and their Dice."""
    in_sample, before = (sum(each.values()) / len(each) for each in (result.in_sample_dice, result.before))
    print(f"mean Dice {result.mean:.4f} on days that were not used to choose the rules")
    print(f"          {in_sample:.4f} on the days that were used: optimistic")
    print(f"          {before:.4f} there with the previous rules")
    evidence = {"top_k": "top {k}", "head": "presence head", "product": "presence head x top {k}"}
    width = _name_width(result.rules)
    print(f"{'':<{width}}{'Dice':>7}{'above':>7}{'area':>7}{'join':>6}  present from")
    for name, rule in result.rules.items():
        by = evidence[rule.evidence].format(k=f"{rule.top_k:,}")
        numbers = f"{result.dice[name]:>7.3f}{rule.threshold:>7.2f}{rule.minimum_area:>7,}{rule.join:>6}"
        print(f"{name:<{width}}{numbers}  {rule.presence:.3f} of {by}")
    print(f"{result.scenes:,} scenes of {result.days:,} days")
    if result.unread:
        print(f"{result.unread:,} more scenes cannot be read; 'nephoscope explore' lists them")


def print_cross_validation(result: "CrossValidation") -> None:
    """Print the Dice of a recipe on folds that it has not seen."""
    print(f"mean Dice {result.mean:.4f} on {len(result.scenes)} folds not seen, {result.folds.kind}")
    print(f"          {result.spread:.4f} standard deviation between folds")
    if result.keep == "best":
        print("          optimistic: the best epoch was chosen on the fold; train with --keep last")
    width = _name_width(result.dice)
    print(
        f"{'':<{width}}{'mean':>7}" + "".join(f"{f'fold {index}':>8}" for index in range(len(result.scenes)))
    )
    for name, dice in {"all": result.by_fold, **result.dice}.items():
        print(f"{name:<{width}}{sum(dice) / len(dice):>7.3f}" + "".join(f"{value:>8.3f}" for value in dice))
    print(f"{'scenes':<{width}}{sum(result.scenes):>7,}" + "".join(f"{count:>8,}" for count in result.scenes))


def print_quantization(path: Path, before: float, after: float) -> None:
    """Print what 8-bit convolutions cost."""
    print(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")
    print(f"mean Dice {after:.4f}, {before:.4f} before")


def print_score(result: "Evaluation") -> None:
    """Print the contest's score of a submission."""
    print(f"mean Dice {result.mean:.4f}")
    width = _name_width(result.by_pattern)
    for name, dice in result.by_pattern.items():
        print(f"  {name:<{width}}{dice:.4f}")
    grids = [f"{height}x{width}" for height, width in (result.predicted_grid, result.truth_grid)]
    print(f"{result.scored} scenes on 350x525; read from {grids[0]} (predictions) and {grids[1]} (labels)")
    if result.unanswered:
        print(f"{result.unanswered} labelled scenes have no prediction and are not scored")


def print_evaluation(numbers: dict[str, Any], card: "Card") -> None:
    """Print a model's Dice beside the baselines, and its agreement with people where it can be compared."""
    from nephoscope.inference.card import UNSEEN, UNSEEN_SPREAD

    dice = numbers["dice"]
    short = {"everything present": "all full"}  # for narrow terminals
    names = [short.get(name, name) for name in dice]
    width = max(10, _name_width(card.patterns))
    print(f"{'mean Dice':<{width}}{names[0]:>7}  {'95 %':<11}" + "".join(f"{name:>11}" for name in names[1:]))
    for pattern in ("all", *card.patterns):
        rows = [row if pattern == "all" else row["patterns"][pattern] for row in dice.values()]
        low, high = rows[0]["interval"]
        others = "".join(f"{row['mean']:>11.3f}" for row in rows[1:])
        print(f"{pattern:<{width}}{rows[0]['mean']:>7.4f}  {low:.3f}-{high:.3f}{others}")
    print(f"on {numbers['scenes']:,} scenes of {numbers['days']:,} days; the 95 % interval resamples days")
    if rules := card.training.get("rules"):
        print(f"rules of the model card: {rules}")
    for figure in card.figures:
        if figure["what"] in (UNSEEN, UNSEEN_SPREAD):
            print(f"{figure['what']}, of the model card: {figure['value']:.4f}")
    if people := numbers.get("people"):
        model, empty = (people["candidates"][name] for name in ("model", "all empty"))
        print("people with whom it agrees at least as well as other people do:")
        for key, words in (("contest", "by the contest's Dice"), ("drawn", "where either drew something")):
            print(
                f"  {words:<28}{model[key]['as_well']} of {model[key]['of_people']}"
                f" (an empty prediction: {empty[key]['as_well']})"
            )


def print_exploration(numbers: dict[str, Any]) -> None:
    """Print how often each pattern occurs, and the problems in the labels."""
    print(f"{numbers['scenes']:,} scenes")
    width = _name_width(numbers["patterns"])
    for name, entry in numbers["patterns"].items():
        print(f"  {name:<{width}}in {entry['presence']:.1%}")
    counts = numbers["problems"]["counts"]
    for kind, times in counts.items():
        print(f"{times:,} x {kind}")
    if not counts:
        print("no problem in the labels")


def print_export(path: Path, parity: "Parity") -> None:
    """Print the size of an exported model and its parity with the network."""
    print(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")
    print(f"parity with PyTorch: probabilities within {parity.largest:.1e},")
    print(f"  {parity.differing} of {parity.pixels:,} mask pixels differ")
    print(f"half precision changed probabilities by up to {parity.rounding:.1e}")
    if not parity.calibrated:
        print("its rules come from one of its parts; run 'nephoscope calibrate'")


def _name_width(names: Iterable[str]) -> int:
    return max(map(len, names)) + 2


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
