"""The page in a browser, with a model of two and one of six patterns."""

from dataclasses import replace

import pytest

import nephoscope
from browsing import browser, choose, cover_words, expect, scenes, visit
from conftest import offline, serving
from nephoscope.inference.model import Model
from nephoscope.inference.postprocess import Rule

pytestmark = pytest.mark.browser

OWN = [("Open-cell", "Closed-cell"), ("Street", "Ring", "Shell", "Comma", "Wave", "Vortex")]


@pytest.mark.parametrize("names", OWN, ids=len)
def test_own_patterns(visit, scenes, tiny_model, names):
    rules = dict.fromkeys(names, Rule(0.3, 50, 0.2, 5, 5))
    path = tiny_model(outputs=len(names), patterns=names, rules=rules)
    with serving(replace(offline(), models=(str(path),))) as address:
        page = visit(address, patterns=len(names), expected="404")  # there are no pictures of them
        expect(page.locator("#legend h3")).to_have_text(list(names))
        expect(page.locator("#legend img")).to_have_count(0)
        expect(page.locator("#pattern-names")).to_contain_text(f"or {names[-1]}")
        choose(page, scenes[0])
        result = nephoscope.segment(scenes[0], Model.load(path))
        expect(page.locator(".cover")).to_have_text(
            [cover_words(result.area_fractions[name]) for name in names]
        )
        expect(page.locator("#patterns img")).to_have_count(0)
        page.locator("#patterns > li").last.locator("summary").click()
        page.locator("#patterns > li").last.get_by_label("Pixel threshold").fill("199")
        expect(page.locator("#rules-note")).to_contain_text("for all pictures and in all files")
