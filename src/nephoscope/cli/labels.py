"""The commands `labels import` and `labels export`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from nephoscope.cli import completion, console, options
from nephoscope.cli.app import labels, usage_errors

if TYPE_CHECKING:
    from nephoscope.datasets.exchange.transfer import Transfer


@labels.command("import")
def import_(
    source: Annotated[Path, Argument(metavar="SOURCE", help="A label file, or a folder of them.")],
    folder: Annotated[Path, Option("--output", "-o", metavar="DATASET", help="The data set; may exist.")],
    pictures: Annotated[
        Path | None,
        Option(metavar="FOLDER", help="Where the pictures are. Default: beside the labels, or in DATASET."),
    ] = None,
    format_name: Annotated[
        str | None,
        Option(
            "--format",
            metavar="NAME",
            help="Format of the label files. Default: by the files.",
            autocompletion=completion.label_formats,
        ),
    ] = None,
    annotator: Annotated[
        str, Option(metavar="NAME", help="Who drew labels that do not say so themselves.")
    ] = "imported",
    patterns: Annotated[
        str | None,
        Option(metavar="NAME,NAME", help="Patterns of a new data set. Default: the contest's four."),
    ] = None,
    classes: Annotated[
        str | None,
        Option(
            metavar="NAME,NAME",
            help="Classes by number, in files that have no names. Default: the patterns.",
        ),
    ] = None,
    bounds: Annotated[
        str | None,
        Option(
            metavar="WEST,SOUTH,EAST,NORTH|REGION",
            help="Bounds of all pictures in degrees. Default: from names, tags, world files or scenes.csv.",
        ),
    ] = None,
) -> None:
    """Add label files of other tools, or of 'nephoscope segment', to a data set."""
    from nephoscope.core.geo import parse_bounds
    from nephoscope.datasets.exchange.importing import import_labels

    with usage_errors():
        result = import_labels(
            source,
            folder,
            pictures=pictures,
            format_name=format_name,
            annotator=annotator,
            patterns=_names(patterns),
            classes=_names(classes),
            bounds=parse_bounds(bounds) if bounds is not None else None,
        )
    _print_transfer(result, folder)


@labels.command()
def export(
    data: options.Data,
    folder: options.Folder,
    format_name: Annotated[
        str,
        Option(
            "--format",
            metavar="NAME",
            help="Format of the label files.",
            autocompletion=completion.label_formats,
        ),
    ],
    annotator: Annotated[
        str | None, Option(metavar="NAME", help="What this person drew. Default: the labels of all.")
    ] = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Write the labels of a data set as files of other tools."""
    from nephoscope.datasets.exchange.exporting import export_labels

    with usage_errors():
        progress = console.progress_bar("exporting scenes")
        result = export_labels(
            data, folder, format_name, annotator=annotator, overwrite=overwrite, progress=progress
        )
    _print_transfer(result, folder)


def _names(text: str | None) -> tuple[str, ...] | None:
    return tuple(name.strip() for name in text.split(",")) if text is not None else None


def _print_transfer(result: "Transfer", folder: Path) -> None:
    """Print what was left out, and the counts; exit with code 1 if anything was left out."""
    for line in result.lines:
        console.error(line)
    for note in result.notes:
        console.info(note)
    people = f" by {', '.join(sorted(result.people))}" if 0 < len(result.people) <= 3 else ""
    people = f" by {len(result.people):,} people" if len(result.people) > 3 else people
    number = len(result.problems)
    left_out = f", {number:,} {'entry' if number == 1 else 'entries'} left out" if number else ""
    scenes = "1 scene" if result.scenes == 1 else f"{result.scenes:,} scenes"
    console.info(f"{scenes}{people} ({result.format}){left_out}: {folder}")
    if result.problems:
        raise typer.Exit(1)
