"""The installed package: its size, its model and its requirements."""

import importlib.metadata
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import nephoscope
from nephoscope.inference.model_files import shipped

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel as it would be published."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        folder,
        ROOT,
    ]
    subprocess.run(command, check=True, capture_output=True, text=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.mark.slow
def test_the_wheel_holds_the_model_and_little_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
    models = {name: size for name, size in sizes.items() if name.endswith(".onnx")}
    assert set(models) == {f"nephoscope/models/{name}.onnx" for name in shipped()}
    assert sum(models.values()) < 20_000_000
    page = {name: size for name, size in sizes.items() if name.startswith("nephoscope/page/")}
    assert "nephoscope/page/index.html" in page
    of_a_server = {name for name in page if not name.startswith("nephoscope/page/browser/")}
    assert sum(page[name] for name in of_a_server) < 300_000  # a site's page: tests/site/test_site.py
    assert sum(size for name, size in sizes.items() if name not in models | page) < 1_650_000
    assert any(name.endswith("LICENSE") for name in sizes)
    assert "nephoscope/py.typed" in sizes
    assert all(name.startswith(("nephoscope/", "nephoscope-")) for name in sizes)  # no paper, recipe, contrib


def test_the_base_needs_seven_libraries():
    requirements = [Requirement(text) for text in importlib.metadata.requires("nephoscope") or []]
    base = {requirement.name.lower() for requirement in requirements if not requirement.marker}
    assert base == {"filelock", "onnxruntime", "numpy", "pillow", "opencv-python-headless", "typer", "rich"}


def test_one_version_everywhere():
    assert importlib.metadata.version("nephoscope") == nephoscope.__version__  # others: docs/test_metadata.py


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    """The source distribution, unpacked."""
    folder = tmp_path_factory.mktemp("sdist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", folder]
    subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    (path,) = folder.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        archive.extractall(folder, filter="data")
    return folder / path.name.removesuffix(".tar.gz")


@pytest.mark.slow
@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="only git tells which files are tracked")
def test_the_sdist_holds_every_tracked_file(sdist):
    tracked = subprocess.run(["git", "ls-files"], check=True, capture_output=True, text=True, cwd=ROOT).stdout
    held = {str(path.relative_to(sdist)) for path in sdist.rglob("*") if path.is_file()}
    assert set(tracked.splitlines()) <= held
    assert os.access(sdist / "scripts" / "new-venv", os.X_OK)  # `make demo` runs it


@pytest.mark.slow
def test_links_of_the_readme_are_absolute_where_an_index_shows_it(sdist):
    described = (sdist / "PKG-INFO").read_text()
    links = re.findall(r"\]\(([^)]+)\)", described)
    assert len(links) >= 20
    assert [link for link in links if not link.startswith("https://")] == []
    own = [link for link in links if "/nephoscope/nephoscope/" in link]
    for link in own:
        assert (ROOT / link.split(f"/v{nephoscope.__version__}/")[1].split("#")[0]).exists(), link
    assert any(link.startswith("https://raw.githubusercontent.com/") for link in own)  # pictures


def test_every_public_name_is_there():
    assert set(dir(nephoscope)) == set(nephoscope.__all__)
    for name in set(nephoscope.__all__) - {"__version__"}:
        assert getattr(nephoscope, name).__name__ == name
