"""The registry of output formats, and formats of other packages."""

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from asking import ask, post, post_form
from conftest import serving
from nephoscope.imagery.sources import find_sources
from nephoscope.inference.model import Model
from nephoscope.outputs import FORMATS, registry
from nephoscope.outputs.batch import Done, Failed, Job, run
from nephoscope.outputs.registry import formats, markdown_table
from nephoscope.server import responses
from nephoscope.server.settings import Settings

ROOT = Path(__file__).parents[2]
BEGIN, END = (
    "<!-- formats: begin (made by outputs.registry.markdown_table; a test compares) -->\n",
    "<!-- formats: end -->",
)

MODULE = """
from nephoscope.outputs import Format

def line(segmentation):
    return [(segmentation.scene.name + "\\n").encode()]

NAMES = Format(
    name="names", description="Names", media_type="text/x-name", render=line, endings=("_name.txt",)
)
LISTING = Format(
    name="listing", description="All names", media_type="text/x-listing", render=line, merge=b"".join,
    file_name="listing.txt",
)
JSON = Format(name="json", description="Another", media_type="text/x-json", render=line, endings=(".j",))
"""
ENTRIES = """[nephoscope.outputs]
names = other_formats:NAMES
listing = other_formats:LISTING
json = other_formats:JSON
broken = other_formats_missing:NAMES
"""


@pytest.fixture
def others(tmp_path, monkeypatch):
    """A folder with an installed distribution whose formats are known during the test."""
    site = tmp_path / "site"
    about = site / "other_formats-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: other-formats\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(ENTRIES)
    (site / "other_formats.py").write_text(MODULE)
    monkeypatch.syspath_prepend(site)
    clear()
    yield site
    clear()
    sys.modules.pop("other_formats", None)


def clear():
    formats.cache_clear()
    responses.response_formats.cache_clear()


def test_the_document_has_the_registrys_table():
    text = (ROOT / "docs" / "formats.md").read_text()
    table = text.partition(BEGIN)[2].partition(END)[0]
    assert table == markdown_table(FORMATS.values())


def test_media_types_of_the_server_are_in_their_order():
    own = [form.media_type for form in responses.response_formats()]
    assert own == [
        "application/json",
        "text/csv",
        "image/png",
        "application/zip",
        "application/geo+json",
        "application/x-netcdf",
        "application/x-npz",
    ]


def test_other_packages_formats_are_known_and_bad_ones_named(others, caplog):
    with caplog.at_level(logging.WARNING, "nephoscope"):
        assert list(formats()) == [*FORMATS, "listing", "names"]
    assert formats()["json"] is FORMATS["json"]
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2
    assert "'broken' of other-formats: cannot be loaded: ModuleNotFoundError" in lines[0]
    assert "'json' of other-formats: ignored: the name is taken" in lines[1]


def test_they_work_in_a_batch(others, jpeg, tmp_path, tiny_model):
    second = tmp_path / "second.jpg"
    second.write_bytes(jpeg.read_bytes())
    job = Job(Model.load(tiny_model()), tmp_path / "out", ("names", "listing", "csv"))
    results = list(run(find_sources([str(jpeg), str(second)]), job))
    assert all(isinstance(result, Done) for result in results)
    assert (job.folder / "scene_name.txt").read_text() == "scene.jpg\n"
    assert (job.folder / "listing.txt").read_text() == "scene.jpg\nsecond.jpg\n"
    assert sorted(path.name for path in job.folder.glob("[!.]*")) == [
        "listing.txt",
        "scene_name.txt",
        "second_name.txt",
        "submission.csv",
    ]


def test_a_bug_in_merging_fails_that_file(others, jpeg, tmp_path, tiny_model, monkeypatch):
    def broken(parts):
        raise TypeError("a planted bug")

    object.__setattr__(formats()["listing"], "merge", broken)
    job = Job(Model.load(tiny_model()), tmp_path / "out", ("listing", "csv"))
    done, failed = run(find_sources([str(jpeg)]), job)
    assert isinstance(done, Done)
    assert isinstance(failed, Failed)
    assert failed.reason == "listing.txt: internal error: TypeError: a planted bug"
    assert (job.folder / "submission.csv").is_file()


@pytest.mark.slow
def test_they_work_by_command(others, jpeg, tmp_path, tiny_model, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"{others}:{ROOT / 'src'}")

    def command(*words):
        run = [sys.executable, "-m", "nephoscope", "segment", *map(str, words)]
        return subprocess.run(run, capture_output=True, text=True, timeout=120, check=False)

    done = command(jpeg, "-o", tmp_path / "out", "--format", "names,listing", "--model", tiny_model())
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "out").glob("[!.]*")) == ["listing.txt", "scene_name.txt"]
    assert done.stderr.count("cannot be loaded") == 1
    assert "Traceback" not in done.stderr
    shown = " ".join(command("--help").stdout.replace("│", " ").split())
    assert "organisation, listing, names." in shown


def test_they_work_on_the_server(others, jpeg, tiny_model):
    content = jpeg.read_bytes()
    with serving(Settings((str(tiny_model()),))) as address:
        one = post(address, content, "?name=a.jpg", Accept="text/x-name")
        assert one.body == b"a.jpg\n"
        assert 'filename="a_name.txt"' in one.headers["Content-Disposition"]
        several = post_form(address, ("a.jpg", content), ("b.jpg", content), Accept="text/x-listing")
        assert several.body == b"a.jpg\nb.jpg\n"
        assert 'filename="listing.txt"' in several.headers["Content-Disposition"]
        offered = ask(address, "/api/v1/server").json["formats"]
    assert [each["name"] for each in offered] == [
        *("overlay", "mask", "json", "csv", "geojson", "netcdf", "listing", "names")
    ]
    assert [each["name"] for each in offered if each["file_name"]] == ["json", "csv", "listing"]


def test_a_format_is_per_scene_or_per_run():
    with pytest.raises(ValueError, match="endings, or merge and file_name"):
        registry.Format(name="x", description="", media_type="", render=lambda _: [], endings=())
    assert [name for name, each in FORMATS.items() if each.per_run] == ["csv"]
