"""What the commands share: the application, its exit codes, and errors in one line."""

import logging
import os
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from nephoscope import __version__
from nephoscope.cli import console
from nephoscope.cli.extras import modules_of
from nephoscope.core.errors import NephoscopeError

INTERNAL_ERROR = 70
"""Exit code of a bug: EX_SOFTWARE of BSD's sysexits."""

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
    """Run the command and exit.

    Exit codes: 0 all done, 1 something failed, 2 wrong usage, 70 a bug in nephoscope, 130 interrupted.
    """
    # What a library mutters about a damaged picture is said once, in our own line.
    warnings.simplefilter("ignore")
    for stream in ("stdout", "stderr"):
        if getattr(sys, stream) is None:  # closed by whoever started us
            setattr(sys, stream, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
        getattr(sys, stream).reconfigure(errors="backslashreplace")
    _log_to_stderr()
    try:
        app()
    except SystemExit as stop:
        if stop.code == 130:  # what Typer makes of an interrupt
            console.complain("interrupted; the files written so far are whole")
        raise
    except OSError as error:
        console.complain(f"standard output: {error.strerror or error}")
        sys.exit(1)
    except Exception:
        traceback.print_exc()
        console.complain("internal error: please report it with the traceback above")
        sys.exit(INTERNAL_ERROR)


def _log_to_stderr() -> None:
    """Send what the package logs, with tracebacks, to standard error; no other handler sees it."""
    logger = logging.getLogger("nephoscope")
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("nephoscope: %(message)s"))
        logger.addHandler(handler)
        logger.propagate = False


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
    except NephoscopeError as error:
        refuse(error)
    except OSError as error:
        refuse(f"{error.filename}: {error.strerror or error}" if error.filename else error.strerror or error)


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Say what to install where a library of an extra is missing.

    Any other module that cannot be imported is a bug, and its error propagates.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in modules_of(extra):
            raise
        refuse(f"{error.name} is missing: pip install 'nephoscope[{extra}]'")
