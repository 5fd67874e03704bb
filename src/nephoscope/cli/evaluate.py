"""The commands `explore` and `evaluate`."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from typer import Argument, Option

from nephoscope.cli import console, figures, options
from nephoscope.cli.app import app, fail, needs, usage_errors

if TYPE_CHECKING:
    from nephoscope.datasets.labels import Labels


@app.command()
def explore(
    data: options.Data, folder: options.Folder = Path("nephoscope-explore"), strict: options.Strict = False
) -> None:
    """Report on labelled scenes: pattern frequencies, sizes, positions, brightness, and label problems."""
    with needs("report"):
        from nephoscope.evaluation.report.exploration import write_report
    from nephoscope.datasets.dataset import read_dataset

    with usage_errors():
        dataset = read_dataset(data, strict=strict, progress=console.progress_bar("reading labels"))
        _print_notes(dataset.labels)
        path, numbers = write_report(dataset, folder, console.progress_bar("measuring scenes"))
        figures.print_exploration(numbers)
        console.info(str(path))


def _print_notes(labels: "Labels") -> None:
    for note in labels.notes:
        console.info(f"{labels.path}: {note}")


@app.command()
def evaluate(
    model: Annotated[
        str | None, Argument(metavar="MODEL", help="Name or file of a model.", show_default=False)
    ] = None,
    data: options.OptionalData = None,
    csv: Annotated[
        tuple[Path, Path] | None,
        Option(metavar="PREDICTED TRUTH", help="Score a submission: two files in the contest's form."),
    ] = None,
    folder: options.Folder = Path("nephoscope-evaluation"),
    part: Annotated[
        Literal["val", "train", "all"], Option("--split", help="Scenes to use: val, train or all.")
    ] = "val",
    folds: options.Folds = None,
    fold: options.Fold = 0,
    fold_by: options.FoldBy = "day",
    rules: options.Rules = "contest",
    tta: options.Tta = False,
    device: options.Device = "auto",
) -> None:
    """Evaluate a model on labelled scenes against baselines and people, or score a submission."""
    with usage_errors():
        if csv and model is None and data is None:
            from nephoscope.evaluation.submission import evaluate_csv

            figures.print_score(evaluate_csv(*csv))
            return
        if csv or model is None or data is None:
            fail("give MODEL and DATA, or --csv PREDICTED TRUTH")
        with needs("report"):
            from nephoscope.evaluation.report.evaluation import Options, write_report
        from nephoscope.core.io import available_cpus
        from nephoscope.datasets.dataset import read_dataset
        from nephoscope.datasets.splits import Folds
        from nephoscope.inference.model import Model

        loaded = Model.load(model, threads=1, device=device)
        loaded = replace(loaded, card=loaded.card.with_rules(rules))
        dataset = read_dataset(data, progress=console.progress_bar("reading labels"))
        _print_notes(dataset.labels)
        chosen = Options(part, Folds(folds, fold, fold_by), tta, available_cpus())
        progress = console.progress_bar("evaluating scenes")
        path, numbers = write_report(loaded, dataset, folder, chosen, progress)
        figures.print_evaluation(numbers, loaded.card)
        console.info(str(path))
