"""The command `cross-validate`."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from nephoscope.cli import console, figures
from nephoscope.cli.app import app, fail, needs, usage_errors


@app.command()
def cross_validate(
    runs: Annotated[
        list[Path], Argument(metavar="RUN...", help="Folders of finished runs, one for every fold.")
    ],
    model: Annotated[
        str | None, Option(help="A model of the same recipe, to write the rules and figures into.")
    ] = None,
    output: Annotated[
        Path | None, Option("--output", "-o", help="The model file to write. Default: the model itself.")
    ] = None,
) -> None:
    """Measure a recipe on folds that neither its weights nor its rules have seen."""
    with needs("train"):
        from nephoscope.training.calibration import write_card
        from nephoscope.training.cross_validation import cross_validate as measure
        from nephoscope.training.cross_validation import cross_validated
    from nephoscope.inference.model import Model
    from nephoscope.inference.model_files import model_file, shipped

    if output is not None and model is None:
        fail("-o FILE names the model file to write; --model MODEL names the model")
    if model in shipped() and output is None:
        fail(f"{model}: built-in models are not overwritten; -o FILE names the model file to write")
    with usage_errors():
        card = Model.load(model, threads=1).card if model else None
        result = measure(runs, console.progress_bar)
        figures.print_cross_validation(result)
        if card and model:
            write_card(model, cross_validated(card, result), output or model_file(model))
            console.info(f"{output or model}")
