"""How pictures are added to the page, and its error messages."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image as PilImage

import nephoscope
from browsing import (
    PLACED,
    broken,
    browser,
    choose,
    cover_words,
    download,
    expect,
    files_for,
    pattern,
    scenes,
    settled,
    visit,
)
from conftest import offline, serving
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.inference.model import Model

pytestmark = pytest.mark.browser


def test_pasting(visit, scenes):
    page = visit()
    page.evaluate(
        "(carried) => document.dispatchEvent(new ClipboardEvent('paste', { clipboardData: carried }))",
        files_for(page, scenes[1]),
    )
    settled(page)
    expect(page.locator("#picture-name")).to_have_text("second.jpg")


def test_a_tiff_is_shown(visit, tmp_path, scenes, model):
    path = tmp_path / "scene.tif"
    PilImage.open(scenes[1]).save(path)
    page = visit()
    choose(page, path)
    segmentation = nephoscope.segment(path, model)
    expect(page.locator(".cover")).to_have_text(
        [cover_words(segmentation.area_fractions[name]) for name in DEFAULT_NAMES]
    )
    expect(page.locator("#viewer")).not_to_have_class(re.compile("empty"))


def test_exif_rotation_is_applied(visit, tmp_path, scenes, model):
    path = tmp_path / "turned.jpg"
    exif = PilImage.Exif()
    exif[0x0112] = 6  # to be turned to the right
    PilImage.open(scenes[1]).rotate(90, expand=True).save(path, exif=exif, quality=95)
    page = visit()
    choose(page, path)
    segmentation = nephoscope.segment(path, model)
    assert segmentation.scene.size == (320, 480)
    expect(page.locator(".cover")).to_have_text(
        [cover_words(segmentation.area_fractions[name]) for name in DEFAULT_NAMES]
    )
    # As wide as the stage, less its margins: upright, it would be a third of that.
    share = page.evaluate(
        """() => {
          const canvas = document.querySelector('#picture');
          const { data } = canvas.getContext('2d').getImageData(0, canvas.height / 2, canvas.width, 1);
          return data.filter((value, index) => index % 4 === 3 && value > 0).length / canvas.width;
        }"""
    )
    assert share > 0.9


def test_a_day_from_worldview(visit, scenes, model):
    def state(route: Any) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "available": True, "reason": ""})

    def picture(route: Any) -> None:
        asked.append(route.request.url)
        header = {"Content-Disposition": f'attachment; filename="{PLACED}"', "Content-Type": "image/jpeg"}
        route.fulfill(body=scenes[0].read_bytes(), headers=header)

    asked: list[str] = []

    def before(page: Any) -> None:
        page.route("**/api/v1/worldview", state)
        page.route("**/api/v1/worldview/picture?*", picture)

    page = visit(before=before)
    form = page.locator("#worldview")
    form.get_by_label("Satellite").select_option("Aqua")
    form.get_by_label("Day").fill("2009-01-22")
    form.get_by_label("Region").select_option("other")
    form.get_by_label("West, south, east, north").fill("-61, 10, -40, 24")
    form.get_by_role("button", name="Fetch").click()
    settled(page)
    expect(page.locator("#picture-name")).to_have_text("Aqua, 22 January 2009")
    assert asked[0].endswith("?satellite=Aqua&day=2009-01-22&place=-61%2C10%2C-40%2C24")


def test_without_worldview_the_form_says_why(visit):
    page = visit()
    expect(page.locator("#worldview .why")).to_contain_text(
        "This server cannot reach NASA Worldview (127.0.0.1:9"
    )
    expect(page.locator("#worldview").get_by_role("button", name="Fetch")).to_be_disabled()


# When something is wrong


def test_one_of_three_pictures_fails_with_a_reason(visit, scenes, broken):
    page = visit(expected="4(15|22)")
    page.set_input_files("#files", [scenes[0], broken, scenes[1]])
    expect(page.locator(".strip .progress")).to_contain_text("3 pictures, 1 failed")
    states = page.locator(".strip li")
    assert [states.nth(index).get_attribute("data-state") for index in range(3)] == ["done", "failed", "done"]
    states.nth(1).locator(".thumbnail").click()
    why = page.get_by_role("alert").filter(has_text="broken.jpg")
    expect(why).to_be_visible()
    expect(why.get_by_role("button")).to_have_count(0)  # it would fail again
    states.nth(1).locator(".thumbnail").press("ArrowRight")
    settled(page)
    expect(page.locator("#picture-name")).to_have_text("second.jpg")
    page.keyboard.press("Delete")
    expect(states).to_have_count(2)


def test_requests_to_a_busy_server_are_retried(visit, scenes):
    times: list[float] = []

    def busy(route: Any) -> None:
        times.append(len(times))
        if len(times) < 3:
            status = (429, 503)[len(times) - 1]
            route.fulfill(status=status, headers={"Retry-After": "0.2"}, json={"detail": "full"})
        else:
            route.continue_()

    page = visit(expected="429|503", before=lambda page: page.route("**/api/v1/segment?*", busy))
    choose(page, scenes[1])
    assert len(times) == 3


def test_retry_by_button_when_the_server_does_not_respond(visit, scenes):
    page = visit(expected="ERR_FAILED")
    page.route("**/api/v1/segment?*", lambda route: route.abort())
    page.set_input_files("#files", scenes[:2])
    notice = page.get_by_role("alert").filter(has_text="The server does not answer")
    expect(notice).to_be_visible()
    page.unroute("**/api/v1/segment?*")
    notice.get_by_role("button", name="Try again").click()
    settled(page)
    expect(notice).to_be_hidden()
    expect(page.locator(".strip .progress")).to_contain_text("2 pictures")


def test_automatic_retry_when_the_server_is_back(visit, scenes):
    page = visit(expected="ERR_FAILED")
    page.route("**/api/v1/segment?*", lambda route: route.abort())
    page.set_input_files("#files", scenes[1])
    expect(page.locator("#notice")).to_be_visible()
    page.unroute("**/api/v1/segment?*")
    settled(page)
    expect(page.locator("#notice")).to_be_hidden()


def test_no_zoom_without_a_picture(visit, broken):
    page = visit(expected="4(15|22)")
    page.set_input_files("#files", broken)
    expect(page.get_by_role("alert").filter(has_text="broken.jpg")).to_be_visible()
    expect(page.locator("#zoom-in")).to_be_hidden()


def test_one_of_several_models_is_chosen(visit, scenes, model, tiny_model):
    other = tiny_model()
    with serving(replace(offline(), models=("default", str(other)))) as address:
        page = visit(address)
        choose(page, scenes[1])
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.get_by_role("combobox", name="Model").select_option("tiny")
        segmentation = nephoscope.segment(scenes[1], Model.load(other))
        settled(page)
        for name in DEFAULT_NAMES:
            expect(pattern(page, name).locator(".cover")).to_have_text(
                cover_words(segmentation.area_fractions[name])
            )
        expect(page.locator("#model")).to_have_text("tiny")
        made = json.loads(
            download(page, page.locator("#downloads").get_by_role("button", name="Regions JSON"))
        )
        assert made["scenes"][0]["model"]["name"] == "tiny"
        assert all("model=tiny" in address for address in asked)


def test_a_token_is_asked_for_and_kept(visit, scenes):
    with serving(replace(offline(), token="open sesame")) as address:
        page = visit(address, expected="401")
        page.get_by_role("textbox", name="Token").fill("shut")
        page.keyboard.press("Enter")
        expect(page.locator("#token-words")).to_have_text("The token was refused.")
        page.get_by_role("textbox", name="Token").fill("open sesame")
        page.keyboard.press("Enter")
        choose(page, scenes[1])
        page.reload()
        choose(page, scenes[1])
        late = visit(address, expected="401")
        expect(late.get_by_role("textbox", name="Token")).to_be_visible()
        late.keyboard.press("Escape")
        expect(late.get_by_role("alert").filter(has_text="none was given")).to_be_visible()
        late.set_input_files("#files", scenes[1])
        late.get_by_role("textbox", name="Token").fill("open sesame")
        late.keyboard.press("Enter")
        settled(late)
        expect(late.locator("#notice")).to_be_hidden()
        other = visit(f"{address}/#token=open%20sesame")
        choose(other, scenes[1])
        assert "token" not in other.url
