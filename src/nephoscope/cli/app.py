"""What the commands share: the application, its exit codes, and errors told in one line."""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from nephoscope import __version__, console

app = typer.Typer(
    name="nephoscope",
    help="Find how shallow clouds organise: Fish, Flower, Gravel and Sugar in satellite pictures.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

fetch = typer.Typer(help="Get satellite pictures and labels from public archives.", no_args_is_help=True)
atlas = typer.Typer(help="Years of scenes: plan, run, summarise and plot.", no_args_is_help=True)
app.add_typer(fetch, name="fetch")
app.add_typer(atlas, name="atlas")

Folder = Annotated[Path, typer.Option("--output", "-o", help="Where outputs go.")]


def main() -> None:
    """Run the command and exit: 0 all done, 1 something failed, 2 wrong usage, 130 interrupted."""
    # What a library mutters about a damaged picture is said once, in our own line.
    warnings.simplefilter("ignore")
    for stream in ("stdout", "stderr"):
        if getattr(sys, stream) is None:  # closed by whoever started us
            setattr(sys, stream, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
        getattr(sys, stream).reconfigure(errors="backslashreplace")
    try:
        app()
    except SystemExit as stop:
        if stop.code == 130:  # what Typer makes of an interrupt
            console.complain("interrupted; the files written so far are whole")
        raise
    except OSError as error:
        console.complain(f"standard output: {error.strerror or error}")
        sys.exit(1)


def refuse(message: object) -> NoReturn:
    """Say why, and stop with exit code 2."""
    console.complain(str(message))
    raise typer.Exit(2)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"nephoscope {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn what a person can mend into one line and exit code 2."""
    try:
        yield
    except ValueError as error:  # all of ours are
        refuse(error)
    except OSError as error:
        refuse(f"{error.filename}: {error.strerror or error}" if error.filename else error.strerror or error)


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Say what to install where a library of an extra is missing."""
    try:
        yield
    except ImportError as error:
        refuse(f"{error.name} is missing: pip install 'nephoscope[{extra}]'")
