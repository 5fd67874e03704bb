"""What archives, indexes and builders read says the same as pyproject.toml and the package."""

import importlib.util
import json
import re
import tomllib

import pytest
import yaml
from pages import ROOT
from typer.testing import CliRunner

from nephoscope.cli import app
from nephoscope.core import citation
from nephoscope.core.version import __date__, __version__

spec = importlib.util.spec_from_file_location("write_metadata", ROOT / "scripts" / "write_metadata.py")
assert spec is not None
assert spec.loader is not None
write_metadata = importlib.util.module_from_spec(spec)
spec.loader.exec_module(write_metadata)

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ENDINGS = {".md", ".cff", ".json", ".yaml", ".yml", ".toml", ".py", ".js", ".html", ".ipynb", ".bib"}
PLACES = ("docs", ".github", "paper", "recipe", "scripts", "src", "tests", "benchmarks", "experiments")
ADDRESS = r"(?:https?://)?(?:github\.com/[\w-]+/nephoscope\b|[\w-]+\.github\.io/nephoscope\b)"


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", write_metadata.FILES)
def test_the_file_is_as_the_script_writes_it(name):
    assert read(name) == write_metadata.FILES[name](), "run scripts/write_metadata.py"


def test_one_version_and_one_day():
    cff = yaml.safe_load(read("CITATION.cff"))
    releases = re.findall(r"^## \[(\d\S*)\] - (\S+)$", read("CHANGELOG.md"), re.M)
    assert CliRunner().invoke(app, ["--version"]).stdout == f"nephoscope {__version__}\n"
    assert releases[0] == (__version__, __date__) == (cff["version"], cff["date-released"])
    assert json.loads(read("codemeta.json"))["version"] == __version__
    assert json.loads(read(".zenodo.json"))["version"] == __version__
    assert yaml.safe_load(read("recipe/recipe.yaml"))["context"]["version"] == __version__


def test_authors_and_licence_are_the_projects():
    assert PROJECT["authors"] == [{"name": citation.AUTHORS}]
    assert PROJECT["license"] == citation.LICENCE
    cff = yaml.safe_load(read("CITATION.cff"))
    assert cff["authors"] == PROJECT["authors"]
    assert {each["doi"] for each in cff["references"]} == {each.doi for each in citation.ARTICLES}


def test_the_changelog_has_the_form_of_keep_a_changelog():
    text = read("CHANGELOG.md")
    headings = re.findall(r"^## (.*)$", text, re.M)
    assert headings[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", heading) for heading in headings[1:])
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.*)$", text, re.M)) <= kinds
    names = [heading[1:].partition("]")[0] for heading in headings]
    assert re.findall(r"^\[(.*)\]: http", text, re.M) == names


def test_addresses_are_those_of_pyproject():
    known = (PROJECT["urls"]["Repository"], PROJECT["urls"]["Homepage"].rstrip("/"))
    files = [*ROOT.iterdir(), *(path for place in PLACES for path in (ROOT / place).rglob("*"))]
    for path in (path for path in files if path.suffix in ENDINGS):
        for found in re.finditer(ADDRESS, path.read_text(encoding="utf-8")):
            address = f"https://{found[0].removeprefix('http://').removeprefix('https://')}"
            assert address in known, (path, found[0])


def test_the_recipe_needs_what_the_base_needs():
    recipe = yaml.safe_load(read("recipe/recipe.yaml"))
    python, *needs = recipe["requirements"]["run"]
    assert python.replace("${{ python_min }}", recipe["context"]["python_min"]) == "python >=3.11"
    assert PROJECT["requires-python"] == ">=3.11"
    names = {name: conda.lower() for name, conda in write_metadata.CONDA_NAMES.items()}
    expected = [requirement.split(">=") for requirement in PROJECT["dependencies"]]
    assert needs == [f"{names.get(name, name.lower())} >={least}" for name, least in expected]


def test_the_paper_copies_its_figures_and_references():
    paper = read("paper/paper.md")
    row = r"^\| `(?:default|quick)` .*$"
    assert re.findall(row, paper, re.M) == re.findall(row, read("README.md"), re.M)
    assert 600 <= len(paper.partition("# Summary")[2].split()) <= 900
    entries = set(re.findall(r"^@\w+\{(\w+),", read("paper/paper.bib"), re.M))
    assert set(re.findall(r"@([A-Z]\w+)", paper)) == entries
    assert all(article.bibtex() in read("paper/paper.bib") for article in citation.ARTICLES)


def test_every_step_of_a_workflow_is_a_target_of_make():
    makefile = read("Makefile")
    steps = []
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert workflow["permissions"] == {"contents": "read"}
        steps += [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    assert len(steps) >= 8
    for step in steps:
        command, target, *_ = step.split()
        assert command == "make"
        assert target == "docs" or re.search(rf"^{target}:", makefile, re.M), step


def test_every_classifier_of_python_is_tested():
    workflow = yaml.safe_load(read(".github/workflows/tests.yml"))
    tested = workflow["jobs"]["base"]["strategy"]["matrix"]["python"]
    prefix = "Programming Language :: Python :: 3."
    minors = [each.removeprefix(prefix) for each in PROJECT["classifiers"] if each.startswith(prefix)]
    assert tested == [f"3.{minor}" for minor in minors]
