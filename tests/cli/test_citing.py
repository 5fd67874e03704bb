"""`nephoscope info --cite`: the software, its models, papers and imagery."""

import hashlib
import re
from importlib.metadata import PackageNotFoundError

import pytest
from typer.testing import CliRunner

from nephoscope.cli import app
from nephoscope.core import citation
from nephoscope.core.version import __version__
from nephoscope.inference.model_files import model_files, shipped


def cite(*words: str) -> str:
    done = CliRunner().invoke(app, ["info", "--cite", *words])
    assert done.exit_code == 0, done.stderr
    return done.stdout


def test_it_names_all_that_a_result_rests_on():
    text = cite()
    assert f"Version {__version__}." in text
    for name in shipped():
        digest = hashlib.sha256(model_files()[name].read_bytes()).hexdigest()
        assert re.search(rf"^{name} +SHA-256 {digest}$", text, re.M)
    for article in citation.ARTICLES:
        assert f"doi:{article.doi}\n" in text
    assert f"Imagery: {citation.IMAGERY}." in text


def test_its_bibtex_is_whole():
    entries = re.findall(r"^@(\w+)\{(\w+),\n(.*?)^\}$", cite(), re.M | re.S)
    assert [(kind, key) for kind, key, _ in entries] == [
        ("software", "nephoscope"),
        *(("article", article.key) for article in citation.ARTICLES),
    ]
    for _, _, fields in entries:
        lines = fields.splitlines()
        assert all(re.fullmatch(r"  \w+ += \{.+\},", line) for line in lines)
        assert all(line.count("{") == line.count("}") for line in lines)
    assert re.search(rf"version += \{{{re.escape(__version__)}\}}", entries[0][2])


def test_few_authors_are_named_and_many_are_not():
    assert citation.LABELS.text().startswith("Rasp, S., Schulz, H., Bony, S. and Stevens, B. (2020): ")
    assert citation.PATTERNS.text().startswith("Stevens, B. et al. (2020): ")


def test_the_address_is_that_of_the_installed_metadata(monkeypatch):
    class Metadata:
        def get_all(self, name: str) -> list[str]:
            return ["Homepage, https://example.org", "Repository, https://example.org/code"]

    monkeypatch.setattr(citation, "metadata", lambda name: Metadata())
    assert citation.software_text().endswith(". https://example.org/code")
    assert "url      = {https://example.org/code}" in citation.software_bibtex()


def test_without_metadata_there_is_no_address(monkeypatch):
    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(citation, "metadata", missing)
    assert citation.software_text().endswith(f"Version {__version__}.")
    assert "url " not in citation.software_bibtex()


@pytest.mark.parametrize("order", [["--cite", "--json"], ["--json", "--cite"]])
def test_json_is_refused(order):
    assert CliRunner().invoke(app, ["info", *order]).exit_code == 2
