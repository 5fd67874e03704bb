"""The application, exit codes, and errors in one line."""

import logging
import os
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, NoReturn

import typer
from typer import Option

from nephoscope.cli import console
from nephoscope.core.errors import NephoscopeError
from nephoscope.core.extras import install_command, modules_of
from nephoscope.core.version import __version__

INTERNAL_ERROR = 70
"""Exit code of a bug: EX_SOFTWARE of BSD's sysexits."""

app = typer.Typer(
    name="nephoscope",
    help="Find patterns of shallow clouds, such as Fish, Flower, Gravel and Sugar, in satellite pictures.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

fetch = typer.Typer(help="Download satellite pictures and labels from public archives.", no_args_is_help=True)
atlas = typer.Typer(help="Process years of scenes: plan, run, summarise and plot.", no_args_is_help=True)
labels = typer.Typer(help="Exchange labels with other tools: import and export.", no_args_is_help=True)
app.add_typer(fetch, name="fetch")
app.add_typer(labels, name="labels")
app.add_typer(atlas, name="atlas")


def main() -> None:
    """Run the command and exit.

    Exit codes: 0 success, 1 something failed, 2 wrong usage, 70 a bug in nephoscope, 130 interrupted.
    """
    warnings.simplefilter("ignore")  # what libraries warn about a damaged picture is in our own error line
    for stream in ("stdout", "stderr"):
        if getattr(sys, stream) is None:  # closed by the parent process
            setattr(sys, stream, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
        getattr(sys, stream).reconfigure(errors="backslashreplace")
    _log_to_stderr()
    try:
        app()
    except SystemExit as stop:
        if stop.code == 130:  # Typer's exit code for an interrupt
            console.error("interrupted; the files written so far are complete")
        raise
    except OSError as error:
        console.error(f"standard output: {error.strerror or error}")
        sys.exit(1)
    except Exception:
        traceback.print_exc()
        console.error("internal error: please report it with the traceback above")
        sys.exit(INTERNAL_ERROR)


def _log_to_stderr() -> None:
    """Send the package's log, with tracebacks, to standard error and to no other handler."""
    logger = logging.getLogger("nephoscope")
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("nephoscope: %(message)s"))
        logger.addHandler(handler)
        logger.propagate = False


def fail(message: object) -> NoReturn:
    """Print an error and exit with code 2."""
    console.error(str(message))
    raise typer.Exit(2)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"nephoscope {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[  # noqa: ARG001 (its callback has acted)
        bool, Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    verbose: Annotated[
        int,
        Option(
            *("--verbose", "-v"),
            count=True,
            show_default=False,
            help="Log what is done to each picture; -vv logs more.",
        ),
    ] = 0,
    quiet: Annotated[bool, Option("--quiet", "-q", help="Print errors and what was asked for only.")] = False,
) -> None:
    if quiet and verbose:
        fail("--quiet and --verbose exclude each other")
    levels = (logging.WARNING, logging.INFO, logging.DEBUG)
    logging.getLogger("nephoscope").setLevel(logging.ERROR if quiet else levels[min(verbose, 2)])


@contextmanager
def usage_errors() -> Iterator[None]:
    """Turn errors that the user can fix into one line and exit code 2."""
    try:
        yield
    except NephoscopeError as error:
        fail(error)
    except OSError as error:
        fail(f"{error.filename}: {error.strerror or error}" if error.filename else error.strerror or error)


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Print what to install if a library of an extra is missing.

    Any other module that cannot be imported is a bug, and its error propagates.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in modules_of(extra):
            raise
        fail(f"{error.name} is missing: {install_command(extra)}")
