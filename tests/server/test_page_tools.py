"""Tools of the page: comparison, heat maps, degrees, scale, days, covers, recipes, and a reload."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import cv2
import numpy as np
import pytest

import nephoscope
from browsing import (
    PHONE,
    PLACED,
    browser,
    choose,
    cover_words,
    download,
    expect,
    percent_words,
    pixels,
    scenes,
    settled,
    slide,
    visit,
)
from conftest import offline, serving
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.imagery.worldview import WorldviewClient
from nephoscope.testing.worldview_server import WorldviewServer

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def with_archive() -> Iterator[str]:
    """A server's address, whose archive is on this machine."""
    with WorldviewServer() as archive:
        client = WorldviewClient(archive.address, fallback=None, degrees=0.05)
        with serving(replace(offline(), archive=client)) as address:
            yield address


def marks(page: Any) -> np.ndarray:
    """The upper part of the picture with its patterns, as it is seen; no tool lies on it."""
    shot = page.locator("#viewer").screenshot()
    return cv2.imdecode(np.frombuffer(shot, np.uint8), cv2.IMREAD_COLOR).astype(int)[60:300]


def test_the_picture_alone_by_holding_and_by_a_divider(visit, scenes):
    page = visit()
    choose(page, scenes[0])
    page.locator("#fill, #opacity").first.fill("80")
    page.mouse.move(5, 5)
    shown = marks(page)
    page.locator("#viewer").focus()
    page.keyboard.down("h")
    alone = marks(page)
    page.keyboard.up("h")
    assert np.abs(marks(page) - shown).mean() < 1
    assert np.abs(alone - shown).mean() > 5
    page.get_by_role("button", name="Compare").click()
    page.get_by_label("Divider").fill("50")
    page.mouse.move(5, 5)
    divided = marks(page)
    middle, margin = shown.shape[1] // 2, 60
    assert np.abs(divided - alone)[:, : middle - margin].mean() < 1
    assert np.abs(divided - shown)[:, middle + margin :].mean() < 1
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_label("Divider")).to_be_hidden()


def test_probabilities_in_colour(visit, scenes, model):
    page = visit()
    choose(page, scenes[0])
    page.get_by_label("Colour").select_option(label="probability of Flower")
    expect(page.locator("#heat-legend")).to_be_visible()
    strength = page.evaluate(
        """async () => {
          const { heatMap } = await import('/page/heat.js');
          const values = Uint8Array.from({ length: 200 }, (_, index) => index);
          const { data } = heatMap(values, 20, 10, '#cc79a7').getContext('2d').getImageData(0, 0, 20, 10);
          return Array.from(values, (_, index) => data[4 * index + 3]);
        }"""
    )
    assert strength[0] == 0
    assert strength == sorted(strength)
    assert strength[-1] > 200
    page.get_by_label("Colour").select_option(label="patterns")
    expect(page.locator("#heat-legend")).to_be_hidden()


def test_degrees_are_shown_where_the_place_is_known(visit, scenes):
    page = visit()
    choose(page, scenes[1])
    expect(page.get_by_label("Grid")).to_be_hidden()
    choose(page, scenes[0])
    box = page.locator("#viewer").bounding_box()
    before = marks(page)
    page.get_by_label("Grid").check()
    assert np.abs(marks(page) - before).mean() > 0.5
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    words = page.locator("#coordinates").inner_text()
    latitude, longitude = (float(number) for number in re.findall(r"[\d.]+", words))
    assert latitude == pytest.approx(17, abs=0.2)
    assert longitude == pytest.approx(50.5, abs=0.2)
    assert words.endswith("W")


def test_the_assumed_scale_is_stated_and_can_be_changed(visit, scenes, model):
    page = visit()
    choose(page, scenes[1])
    expect(page.locator("#scale-words")).to_have_text("Place unknown: taken to show 21° × 14°.")
    page.get_by_role("button", name="Change").click()
    extent = page.get_by_label("Degrees from west to east")
    expect(extent).to_be_focused()
    extent.fill("14")
    page.get_by_role("button", name="Use for this picture").click()
    expect(page.locator("#scale-words")).to_have_text("Place unknown: stated to show 14° × 9.33°.")
    segmentation = nephoscope.segment(scenes[1], model, extent=14)
    expect(page.locator(".cover")).to_have_text(
        [cover_words(segmentation.area_fractions[name]) for name in DEFAULT_NAMES]
    )
    expect(page.locator("#as-command")).to_have_text("nephoscope segment second.jpg --extent 14")
    page.get_by_role("button", name="Forget what was stated").click()
    expect(page.locator("#scale-words")).to_have_text("Place unknown: taken to show 21° × 14°.")
    expect(page.locator("#as-command")).to_have_text("nephoscope segment second.jpg")


def test_no_region_is_chosen_for_the_user(visit, scenes):
    """Also after another picture was given one."""
    page = visit()
    choose(page, scenes[1])
    choose(page, scenes[2])
    page.locator("#stating summary").click()
    region = page.locator("#place").get_by_label("Region")
    expect(region).to_have_value("")
    region.select_option("barbados")
    page.get_by_role("button", name="Use for this picture").click()
    expect(page.locator("#picture-facts")).to_contain_text("6–20° N")
    expect(region).to_have_value("")
    page.locator("#strip .thumbnail").first.click()
    expect(region).to_have_value("")
    page.locator("#place").get_by_label("Day").fill("2020-02-01")
    page.get_by_role("button", name="Use for this picture").click()
    expect(page.locator("#picture-facts")).to_contain_text("1 February 2020")
    expect(page.locator("#picture-facts")).not_to_contain_text("N,")


def test_days_before_and_after_and_a_link_to_them(with_archive, visit):
    page = visit(with_archive)
    form = page.locator("#worldview")
    form.get_by_label("Day").fill("2020-02-01")
    form.get_by_role("button", name="Fetch").click()
    settled(page)
    page.get_by_role("button", name="Day after").click()
    expect(page.locator("#picture-name")).to_have_text("Terra, 2 February 2020")
    page.get_by_role("button", name="Day before").click()  # is there already
    expect(page.locator("#picture-name")).to_have_text("Terra, 1 February 2020")
    page.get_by_role("button", name="Day before").click()
    expect(page.locator("#picture-name")).to_have_text("Terra, 31 January 2020")
    days = page.locator("#strip .day")
    expect(days).to_have_text(["2020-01-31", "2020-02-01", "2020-02-02"])
    expect(page.locator("#strip .bars")).to_have_count(3)
    slide(page, "Fish", "Pixel threshold", 90)
    page.evaluate("() => { window.prompt = (_, link) => { window.asked = link; }; }")
    page.evaluate("() => { navigator.clipboard.writeText = async (link) => { window.asked = link; }; }")
    page.get_by_role("button", name="Copy link").click()
    expect(page.locator("#copy-link")).to_have_text("Link copied")
    link = page.evaluate("window.asked")
    asked = parse_qs(urlsplit(link).fragment)
    assert asked["scene"] == [f"Terra/{day}/atlantic" for day in ("2020-01-31", "2020-02-01", "2020-02-02")]
    assert json.loads(asked["rules"][0]) == {"Fish": {"threshold": 0.45}}
    other = visit(link)
    settled(other)
    expect(other.locator("#strip .day")).to_have_text(["2020-01-31", "2020-02-01", "2020-02-02"])
    expect(other.locator("#patterns .brief").first).to_contain_text("pixels above 0.45")
    assert "#" not in other.url


def test_covers_in_the_strip_and_in_a_table(visit, scenes, model):
    page = visit()
    choose(page, *scenes)
    expect(page.locator("#strip .bars")).to_have_count(3)
    segmentations = {path.name: nephoscope.segment(path, model) for path in scenes}
    label = page.locator("#strip .thumbnail").nth(1).get_attribute("aria-label")
    for name in segmentations["second.jpg"].present:
        assert f"{name} {cover_words(segmentations['second.jpg'].area_fractions[name])}" in label
    page.get_by_role("button", name="Table of covers").click()
    table = page.locator("#cover-table")
    expect(table.locator("tbody tr")).to_have_count(3)
    table.get_by_role("button", name="Flower").click()
    expect(table.locator("th").nth(3)).to_have_attribute("aria-sort", "descending")
    flower = [segmentations[path.name].area_fractions["Flower"] for path in scenes]
    cells = [cell.inner_text() for cell in table.locator("tbody td:nth-child(4)").all()]
    assert cells == [
        cover_words(share).removeprefix("covers ") if share else "–" for share in sorted(flower)[::-1]
    ]
    table.get_by_role("button", name="Flower").click()
    expect(table.locator("th").nth(3)).to_have_attribute("aria-sort", "ascending")
    table.get_by_role("button", name="third.jpg").click()
    expect(page.locator("#picture-name")).to_have_text("third.jpg")


@pytest.mark.slow
def test_the_recipes_give_what_the_page_shows(visit, scenes):
    page = visit()
    choose(page, scenes[1])
    slide(page, "Fish", "Pixel threshold", 60)
    slide(page, "Sugar", "Minimum area", 1000)
    python = page.locator("#as-python")
    expect(python).to_contain_text("minimum_area")
    expect(page.locator("#copied")).to_have_text("The command has no option for the other rules of Sugar.")
    code = f"{python.text_content()}\nprint([int(mask.sum()) for mask in result.masks])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=scenes[1].parent, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [pixels(page, name) for name in DEFAULT_NAMES]
    page.get_by_role("button", name="Reset to the model's rules").click()
    expect(page.locator("#as-command")).to_have_text("nephoscope segment second.jpg")


def test_an_example_of_each_pattern_is_found(visit):
    for name in DEFAULT_NAMES:
        page = visit()
        page.get_by_role("button", name=f"Open a made-up scene of {name}").click()
        settled(page)
        expect(page.locator("#summary")).to_contain_text(f"{name} covers")


def test_pictures_and_rules_survive_a_reload(visit, scenes):
    page = visit()
    choose(page, scenes[0])
    choose(page, scenes[1])
    slide(page, "Fish", "Pixel threshold", 70)
    expect(page.locator("#rules-note")).not_to_be_empty()
    shown = page.locator("#summary").inner_text()
    expect(page.locator("#as-command")).to_contain_text("Fish=0.35")
    page.get_by_label("Colour").select_option(label="probability of Sugar")
    page.route("**/api/v1/segment**", lambda route: route.abort())  # nothing is computed again
    page.reload()
    expect(page.locator("#picture-name")).to_have_text("second.jpg")
    expect(page.locator("#summary")).to_have_text(shown)
    expect(page.locator("#patterns .brief").first).to_contain_text("pixels above 0.35")
    expect(page.get_by_label("Colour")).to_have_value("Sugar")
    page.get_by_role("button", name="Remove picture", exact=True).click()
    expect(page.locator("#picture-name")).to_have_text("Aqua, 22 January 2009")
    page.reload()
    expect(page.locator("#picture-name")).to_have_text("Aqua, 22 January 2009")
    expect(page.locator("#strip")).to_be_hidden()  # one picture is left


def test_a_result_of_another_model_is_not_kept(visit, scenes):
    page = visit()
    choose(page, scenes[1])

    def renamed(route: Any) -> None:
        answer = route.fetch()
        (card,) = answer.json()["models"]
        card["rules"]["Fish"]["threshold"] = 0.9
        route.fulfill(response=answer, json={"models": [card]})

    page.route("**/api/v1/models", renamed)
    with page.expect_request("**/api/v1/segment**"):
        page.reload()
    settled(page)


def test_damaged_links_and_storage_do_no_harm(visit, server, scenes):
    page = visit()
    choose(page, scenes[0])
    page.evaluate(
        """async () => {
          sessionStorage.setItem('nephoscope-settings', '{"rules": {"Fish": null}, "current": ');
          const open = indexedDB.open('nephoscope');
          await new Promise((resolve) => { open.onsuccess = resolve; });
          const store = open.result.transaction('pictures', 'readwrite').objectStore('pictures');
          const all = store.getAll();
          await new Promise((resolve) => { all.onsuccess = resolve; });
          const [kept] = all.result;
          store.put({ ...kept, number: 1, file: null });
          store.put({ ...kept, number: 2, result: { ...kept.result, valid: new Uint8Array(3) } });
          store.put({ ...kept, number: 3, result: {} });
          await new Promise((resolve) => { store.transaction.oncomplete = resolve; });
        }"""
    )
    page.reload()
    settled(page)
    expect(page.locator("#picture-name")).to_have_text("Aqua, 22 January 2009")
    for rules in (
        "{",
        "null",
        '{"Fish": null, "Sugar": {"threshold": "x", "evidence": "head"}}',
        '{"__proto__": {}}',
    ):
        other = visit(f"{server}/#scene=Terra/2020-02-01/nowhere&rules={rules}", expected="502|422")
        expect(other.locator("#stage-note p").first).to_contain_text("unknown region")
        expect(other.locator("#rules-note")).to_be_empty()


def test_the_figure_has_degrees_and_a_scale(visit, scenes):
    page = visit()
    choose(page, scenes[0])
    content = download(page, page.locator("#downloads button").filter(has_text="Figure"))
    figure = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert figure.shape == (80 + 1067 + 190, 110 + 1600 + 40, 3)
    margins = {"degrees": figure[80:1147, :100], "title": figure[:70], "legend": figure[1230:1290]}
    for name, margin in margins.items():
        assert 0.002 < (margin < 128).any(axis=2).mean() < 0.3, name


def test_tools_fit_a_phone(visit, scenes):
    page = visit(viewport=PHONE)
    choose(page, scenes[0], scenes[1])
    page.locator("#strip .thumbnail").first.click()
    page.get_by_label("Grid").check()
    page.get_by_role("button", name="Compare").click()
    page.get_by_label("Colour").select_option(label="probability of Fish")
    assert page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
    page.get_by_role("button", name="Table of covers").click()
    assert page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
