"""What the tests of the documents share: pages, their code blocks, and a shell to run them in."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def blocks(text: str, language: str) -> list[str]:
    """Code blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def section(text: str, title: str) -> str:
    """A page's text from a heading of the second level to the next."""
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def run_commands(commands: str, folder: Path, *, path: str = "", **environment: str) -> str:
    """Run shell commands in a folder; `nephoscope` and `python` are those of the tests. Returns their output.

    Args:
        commands: the first that fails ends them.
        folder: the working directory.
        path: a folder of modules, found before nephoscope's own.
        environment: further variables.
    """
    scripts = folder / "bin"
    scripts.mkdir(exist_ok=True)
    for name, words in (("nephoscope", "-m nephoscope "), ("python", "")):
        (scripts / name).write_text(f'#!/bin/sh\nexec {sys.executable} {words}"$@"\n')
        (scripts / name).chmod(0o755)
    done = subprocess.run(
        ["bash", "-euc", commands],
        cwd=folder,
        env={
            **os.environ,
            "PATH": f"{scripts}:{os.environ['PATH']}",
            "PYTHONPATH": f"{path}:{ROOT / 'src'}",
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
