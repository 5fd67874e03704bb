"""Figures of the documents are of the model that is shipped."""

import importlib.util

import pytest
from pages import ROOT

spec = importlib.util.spec_from_file_location("make_figures", ROOT / "scripts" / "make_figures.py")
assert spec is not None
assert spec.loader is not None
make_figures = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make_figures)


@pytest.mark.parametrize("page", make_figures.pages(), ids=lambda page: page.name)
def test_every_block_of_figures_is_of_the_shipped_model(page):
    found = {match["command"]: match["model"] for match in make_figures.BLOCK.finditer(page.read_text())}
    assert found
    stale = [command for command, model in found.items() if model != make_figures.model_hash()]
    assert not stale, "made for another model; make figures DATA=... makes them again"


def test_the_documents_with_the_most_figures_have_blocks():
    assert {"climatology.md", "model-card.md", "README.md"} <= {page.name for page in make_figures.pages()}


def test_a_block_is_replaced_with_its_fence_and_hash(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text(
        "before\n<!-- figures: python -c print(7) (model 0) -->\n```text\n5\n```\n<!-- figures: end -->\n"
        "<!-- figures: python -c print(7) (model 0) -->\n\n5\n\n<!-- figures: end -->\nafter\n"
    )
    monkeypatch.setattr(make_figures, "model_hash", lambda: "abc")
    make_figures.main("data", [page])
    assert page.read_text() == (
        "before\n<!-- figures: python -c print(7) (model abc) -->\n```text\n7\n```\n<!-- figures: end -->\n"
        "<!-- figures: python -c print(7) (model abc) -->\n\n7\n\n<!-- figures: end -->\nafter\n"
    )
