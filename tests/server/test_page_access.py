"""Accessibility of the page: keyboard, wheel, phones, dark mode, screen readers; and its size."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from browsing import PHONE, broken, browser, choose, expect, scenes, settled, slide, visit

pytestmark = pytest.mark.browser


def reach(page: Any, selector: str) -> None:
    """Go to an element by the Tab key alone."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            return
    pytest.fail(f"no Tab leads to {selector}")


def test_by_keyboard_from_nothing_to_a_file(visit):
    page = visit()
    reach(page, "#sample")
    page.keyboard.press("Enter")
    settled(page)
    reach(page, "#viewer")
    expect(page.locator("#zoom-out")).to_be_disabled()
    page.keyboard.press("+")
    expect(page.locator("#zoom-out")).to_be_enabled()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("0")
    expect(page.locator("#zoom-out")).to_be_disabled()
    reach(page, "#absent")
    page.keyboard.press("Space")
    expect(page.locator("#summary")).to_contain_text("%")
    reach(page, ".region")
    reach(page, "#downloads li:nth-child(3) button")
    with page.expect_download() as waiting:
        page.keyboard.press("Enter")
    document = json.loads(Path(waiting.value.path()).read_bytes())
    assert document["scenes"][0]["scene"] == "synthetic_sample.jpg"
    expect(page.locator("#download-state")).to_have_text("Downloaded synthetic_sample.json")


def test_wheel_zoom_keeps_the_point_under_the_pointer(visit, scenes):
    page = visit()
    choose(page, scenes[0])
    at = {"x": 400, "y": 350}
    page.mouse.move(at["x"], at["y"])
    before = page.locator("#tip").text_content()
    for _ in range(4):
        page.mouse.wheel(0, -240)
    expect(page.locator("#zoom-out")).to_be_enabled()
    page.mouse.move(at["x"] + 1, at["y"])
    assert page.locator("#tip").text_content() == before
    page.mouse.dblclick(at["x"], at["y"])
    expect(page.locator("#zoom-out")).to_be_disabled()


def no_sideways_scroll(page: Any) -> bool:
    return page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")


def test_a_phone_needs_no_sideways_scrolling(visit, scenes):
    page = visit(viewport=PHONE)
    assert no_sideways_scroll(page)
    choose(page, *scenes)
    slide(page, "Fish", "Pixel threshold", 50)
    page.locator("#stating summary").click()
    assert no_sideways_scroll(page)
    for button in ("#add", "#model"):
        page.locator(button).click()
        assert no_sideways_scroll(page)
        page.keyboard.press("Escape")


def test_the_page_works_at_200_percent_zoom(visit, scenes):
    """A window of 1400x900 at 200 %."""
    page = visit(viewport={"width": 700, "height": 450})
    choose(page, *scenes)
    assert no_sideways_scroll(page)
    page.locator("#downloads button").first.scroll_into_view_if_needed()
    expect(page.locator("#downloads button").first).to_be_in_viewport()


def test_dark_mode_follows_the_system(visit):
    def brightness(page: Any) -> float:
        colour = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
        return float(np.mean([float(part) for part in re.findall(r"[\d.]+", colour)[:3]]))

    assert brightness(visit(color_scheme="light")) > 200
    assert brightness(visit(color_scheme="dark")) < 60


def show_error(page: Any, scenes: list[Path], broken: Path) -> None:
    page.set_input_files("#files", [broken, scenes[0]])
    expect(page.get_by_role("alert").filter(has_text="broken.jpg")).to_be_visible()
    expect(page.locator(".strip .progress")).to_contain_text("1 failed")


def use_tools(page: Any, scenes: list[Path], broken: Path) -> None:
    choose(page, *scenes)
    page.locator("#strip .thumbnail").first.click()
    page.get_by_label("Grid").check()
    page.get_by_label("Colour").select_option(label="probability of Fish")
    page.get_by_role("button", name="Compare").click()
    page.locator("summary", has_text="As a command").click()


def use_drawing(page: Any, scenes: list[Path], broken: Path) -> None:
    choose(page, *scenes)
    page.get_by_role("button", name="Draw", exact=True).click()
    page.keyboard.press("s")
    page.keyboard.press(".")
    page.locator("summary", has_text="Keys").click()
    page.locator("#accept").click()


STATES: dict[str, tuple[dict[str, Any], Callable[[Any, list[Path], Path], None]]] = {
    "empty": ({}, lambda page, scenes, broken: None),
    "wide": ({}, lambda page, scenes, broken: choose(page, scenes[0])),
    "strip": ({}, lambda page, scenes, broken: choose(page, *scenes)),
    "phone": ({"viewport": PHONE}, lambda page, scenes, broken: choose(page, *scenes)),
    "dark": ({"color_scheme": "dark"}, lambda page, scenes, broken: choose(page, *scenes)),
    "error": ({}, show_error),
    "tools": ({}, use_tools),
    "tools-phone": ({"viewport": PHONE}, use_tools),
    "tools-dark": ({"color_scheme": "dark"}, use_tools),
    "drawing": ({}, use_drawing),
    "drawing-phone": ({"viewport": PHONE}, use_drawing),
    "drawing-dark": ({"color_scheme": "dark"}, use_drawing),
}


@pytest.mark.parametrize("state", STATES)
def test_no_accessibility_violations(visit, scenes, broken, state, tmp_path):
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="no axe to look for barriers with"
    )
    options, prepare = STATES[state]
    page = visit(expected="4(15|22)", **options)
    prepare(page, scenes, broken)
    if state == "wide":
        slide(page, "Fish", "Pixel threshold", 50)
        page.locator("#stating summary").click()
    results = axe.Axe().run(page)
    assert results.violations_count == 0, results.generate_report()
    folder = Path(os.environ.get("NEPHOSCOPE_SCREENSHOTS", tmp_path))
    page.screenshot(path=folder / f"{state}.png", full_page=state.endswith("phone"))
    for opener, dialog in (("#add", "#adding"), ("#model", "#card"), ("#show-covers", "#covers")):
        if page.locator(opener).is_visible():
            page.locator(opener).click()
            results = axe.Axe().run(page, context=dialog)
            assert results.violations_count == 0, results.generate_report()
            page.keyboard.press("Escape")


def test_the_page_is_light(visit, server):
    sizes: dict[str, int] = {}

    def note(answer: Any) -> None:
        sizes[answer.url.removeprefix(server)] = len(answer.body())

    page = visit(before=lambda page: page.on("response", note))
    page.wait_for_load_state("networkidle")
    assert {"/", "/page/main.js", "/page/style.css", "/patterns/Fish.jpg"} <= sizes.keys()
    assert sum(sizes.values()) < 300_000, sizes
    policy = page.request.get(server).headers["content-security-policy"]
    assert "script-src 'self'" in policy
