"""Extras: what they install, who imports it, and the command that a message names."""

import ast
import json
import re
import sys
import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from nephoscope.core import extras
from nephoscope.core.extras import EXTRAS, install_command, missing_modules, modules_of

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "nephoscope"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OPTIONAL = PROJECT["optional-dependencies"]

_MODULES = {"Pillow": "PIL", "opencv-python-headless": "cv2", "mlflow-skinny": "mlflow"}
_WITHIN = {"lightning_fabric": "pytorch_lightning"}  # modules of a distribution of another name

ALWAYS = {
    "atlas": "atlas",
    "evaluation/report": "report",
    "plotting": "report",
    "server": "web",
    "training": "train",
}
"""Packages that import an extra as they are imported themselves."""


def declared(requirements):
    """Modules of requirements, with those of the extras of nephoscope that they name."""
    modules = set()
    for requirement in requirements:
        name, named = re.fullmatch(r"([\w-]+)(?:\[(.*)\])?(?:>=.*)?", requirement).groups()
        if name == "nephoscope":
            for extra in named.split(","):
                modules |= declared(OPTIONAL[extra])
        else:
            modules.add(_MODULES.get(name, name.replace("-", "_")))
    return modules


BASE = declared(PROJECT["dependencies"])


def imports(tree, *, inside=False):
    """Top-level modules of a file's imports, and whether each is in a function or for type checkers only."""
    for node in ast.iter_child_nodes(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [str(node.module)]
        for name in names:
            module = name.partition(".")[0]
            if module not in sys.stdlib_module_names | {"nephoscope"}:
                yield _WITHIN.get(module, module), inside
        lazy = isinstance(node, ast.FunctionDef) or (
            isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        )
        yield from imports(node, inside=inside or lazy)


FILES = {str(path.relative_to(PACKAGE)): ast.parse(path.read_text()) for path in PACKAGE.rglob("*.py")}


def test_the_table_follows_the_project():
    assert {extra: modules_of(extra) for extra in EXTRAS} == {
        extra: declared(requirements) for extra, requirements in OPTIONAL.items() if extra in EXTRAS
    }
    unions = OPTIONAL.keys() - set(EXTRAS)
    assert unions == {"track", "all"}
    assert declared(OPTIONAL["all"]) == set().union(*map(modules_of, EXTRAS))


def test_what_is_imported_is_declared():
    """Where nephoscope is installed without extras, only functions import what it lacks."""
    everything = BASE.union(*map(modules_of, EXTRAS))
    for file, tree in FILES.items():
        at_import = {module for module, lazy in imports(tree) if not lazy}
        allowed = [extra for part, extra in ALWAYS.items() if file.startswith(part)]
        assert at_import <= BASE.union(*map(modules_of, allowed)), file
        assert {module for module, _ in imports(tree)} <= everything, file


def test_what_the_base_needs_is_imported():
    imported = {module for tree in FILES.values() for module, _ in imports(tree)}
    assert imported >= BASE


def test_missing_modules_are_named(monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "jinja2" else name)
    assert missing_modules("report") == ["jinja2"]
    assert missing_modules("train") == ["jinja2"]
    assert missing_modules("web") == []


class Installed:
    """An installed distribution, by the content of its direct_url.json."""

    def __init__(self, origin):
        self.origin = origin

    def read_text(self, name):
        assert name == "direct_url.json"
        return self.origin and json.dumps(self.origin)


@pytest.mark.parametrize(
    ("origin", "command"),
    [
        (None, "pip install 'nephoscope[geo]'"),
        ({"url": "file:///my%20code/x", "dir_info": {}}, "pip install '/my code/x[geo]'"),
        ({"url": "file:///code/x", "dir_info": {"editable": True}}, "pip install -e '/code/x[geo]'"),
        (
            {"url": "file:///x-1-py3-none-any.whl", "archive_info": {}},
            "pip install 'nephoscope[geo] @ file:///x-1-py3-none-any.whl'",
        ),
        (
            {"url": "https://host/x.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            "pip install 'nephoscope[geo] @ git+https://host/x.git@abc'",
        ),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="paths of POSIX")
def test_the_command_names_where_the_installation_came_from(monkeypatch, origin, command):
    monkeypatch.setattr("importlib.metadata.distribution", lambda name: Installed(origin))
    assert install_command("geo") == command


def test_a_source_tree_that_is_not_installed_is_named(monkeypatch):
    def distribution(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.distribution", distribution)
    source = Path(extras.__file__).parents[3]  # where pyproject.toml lies beside src/
    assert install_command("web") == f"pip install '{source}[web]'"


def test_no_message_writes_the_command_itself():
    for file in FILES:
        if file != "core/extras.py":
            assert "pip install 'neph" not in (PACKAGE / file).read_text(), file
