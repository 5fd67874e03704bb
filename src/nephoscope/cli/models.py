"""The commands `models`, `models show`, `models add` and `models remove`."""

import json
from typing import Annotated, Any

import typer
from typer import Argument, Option
from typer.core import TyperGroup

from nephoscope.cli import completion, console, options
from nephoscope.cli.app import app, usage_errors


class ModelsGroup(TyperGroup):
    """Takes `models NAME` for `models show NAME`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that words name."""
        return super().resolve_command(ctx, args if args[0] in self.commands else ["show", *args])


models = typer.Typer(cls=ModelsGroup, invoke_without_command=True)
app.add_typer(models, name="models")


@models.callback()
def list_(
    context: typer.Context,
    as_json: Annotated[bool, Option("--json", help="Print JSON, with files and SHA-256.")] = False,
) -> None:
    """List the models that have a name, show one, or add and remove models of your own."""
    if context.invoked_subcommand:
        return
    from nephoscope.inference.model_library import list_models

    entries = list_models()
    if as_json:
        print(json.dumps(entries, indent=2, ensure_ascii=False))
        return
    for entry in entries:
        if "error" in entry:
            console.error(entry["error"])
        else:
            print(f"{entry['name']:<12}{entry['bytes'] / 1e6:5.1f} MB  {entry['description']}")
    console.hint("'nephoscope models NAME' prints a model's card")


@models.command()
def show(
    model: Annotated[
        str, Argument(metavar="NAME|PATH", autocompletion=completion.models, show_default=False)
    ],
) -> None:
    """Print a model's card; 'nephoscope models NAME' is short for this."""
    from nephoscope.inference.model import Model

    with usage_errors():
        print(Model.load(model, device="cpu").card.to_json(), end="")


@models.command()
def add(
    source: Annotated[
        str,
        Argument(
            metavar="FILE|URL#sha256=...",
            help="A model file, or the address of one with its SHA-256.",
            show_default=False,
        ),
    ],
    name: Annotated[str | None, Option(help="Name to use it by. Default: the file's.")] = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Copy a model into your folder of models, after checking it, to use it by its name."""
    from nephoscope.inference.model_library import add_model

    with usage_errors():
        path = add_model(source, name, overwrite=overwrite)
        console.info(f"{path}: use it by --model {path.stem}")


@models.command()
def remove(name: Annotated[str, Argument(autocompletion=completion.models, show_default=False)]) -> None:
    """Remove a model of your own."""
    from nephoscope.inference.model_library import remove_model

    with usage_errors():
        console.info(f"{remove_model(name)}: removed")
