"""The notebooks of the documents run from their first to their last cell, and the site is made of them."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pages import ROOT, blocks

DOCS = ROOT / "docs"
# That of training takes minutes. `make docs` runs it, and tests of training give the same commands.
TUTORIALS = sorted(
    path for path in DOCS.rglob("*.md") if "file_format: mystnb" in path.read_text() and path.stem != "train"
)


def run(notebook: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a notebook in a folder; what it printed."""
    nbclient = pytest.importorskip("nbclient", reason="no nbclient to run notebooks with")
    pytest.importorskip("torch", reason="the extra train is not installed")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("MPLBACKEND", "agg")
    client = nbclient.NotebookClient(
        notebook, timeout=280, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    client.execute()
    return "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", ()))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("path", sorted(DOCS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebooks_run(path, tmp_path, monkeypatch):
    nbformat = pytest.importorskip("nbformat", reason="no nbformat to read notebooks with")
    printed = run(nbformat.read(path, as_version=4), tmp_path, monkeypatch)
    assert "mean Dice before" in printed
    assert "error" not in printed.lower()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_tutorials_run(path, tmp_path, monkeypatch):
    """Their cells are blocks of a page: MyST's notebooks in Markdown."""
    v4 = pytest.importorskip("nbformat", reason="no nbformat to read notebooks with").v4
    cells = blocks(path.read_text(), r"\{code-cell\}")
    assert cells
    code = [re.sub(r"\A(:.*\n)+", "", cell) for cell in cells]
    printed = run(v4.new_notebook(cells=[v4.new_code_cell(cell) for cell in code]), tmp_path, monkeypatch)
    assert not re.search(r"^(usage|error|nephoscope:)", printed, re.IGNORECASE | re.MULTILINE), printed


@pytest.mark.slow
def test_the_site_is_made_without_a_warning(tmp_path):
    """Its notebooks are left out here, as the tests above run them."""
    pytest.importorskip("sphinx", reason="no Sphinx to make the site with")
    words = ["--fail-on-warning", "--keep-going", "-D", "nb_execution_mode=off"]
    words += ["-D", "suppress_warnings=myst.header,myst-nb.lexer"]  # the language is known once a kernel ran
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *words, str(DOCS), str(tmp_path / "site")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    commands = (tmp_path / "site" / "reference" / "commands.html").read_text()
    assert all(name in commands for name in ("nephoscope segment", "nephoscope atlas run", "--threshold"))
    assert "segment_many" in (tmp_path / "site" / "reference" / "api.html").read_text()
    assert (tmp_path / "site" / "searchindex.js").is_file()
