"""The reference of commands, made from their own help."""

from collections.abc import Iterator
from typing import Any

import typer

from nephoscope.cli import app


def markdown() -> str:
    """A section for each command: what it does, its arguments and its options."""
    return "\n".join(_sections("nephoscope", typer.main.get_command(app), None))


def _sections(name: str, command: Any, parent: typer.Context | None) -> Iterator[str]:
    context = typer.Context(command, info_name=name.split()[-1], parent=parent)
    commands = getattr(command, "commands", {})
    yield f"## {name}\n\n{command.help}\n" if parent else f"{command.help}\n"
    rows = [record for each in command.params if (record := each.get_help_record(context))]
    if rows:
        words = " ".join(command.collect_usage_pieces(context))
        yield f"```text\n{name} {words}\n```\n"
        yield "\n".join(
            ["| | |", "|---|---|", *(f"| `{_cell(left)}` | {_cell(right)} |" for left, right in rows)]
        )
        yield ""
    for inner in sorted(commands):
        yield from _sections(f"{name} {inner}", commands[inner], context)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
