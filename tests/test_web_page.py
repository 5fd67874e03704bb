"""The page in a browser: it shows what Python says, to hands, keys, phones and screen readers alike."""

import base64
import io
import json
import os
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

import nephoscope
from conftest import CLOUDS, encoded, offline, serving
from nephoscope.labels import label_file
from nephoscope.model import Model
from nephoscope.outputs import FORMATS
from nephoscope.outputs.csv import rows
from nephoscope.outputs.overlay import draw
from nephoscope.patterns import NAMES
from nephoscope.postprocess import Rule, find_groups
from nephoscope.segmentation import Segmentation
from nephoscope.synthetic import make_scene

CHROMIUM = "/usr/bin/chromium" if Path("/usr/bin/chromium").exists() else shutil.which("chromium")
if CHROMIUM is None:
    pytest.skip("no Chromium to show the page with", allow_module_level=True)
api = pytest.importorskip("playwright.sync_api", reason="no Playwright to steer a browser with")
pytest.importorskip("fastapi", reason="the extra web is not installed")
expect = api.expect
expect.set_options(timeout=20_000)

PLACED = "Aqua_CorrectedReflectance20090122_-61--40_10-24.jpeg"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
WIDE, PHONE = {"width": 1400, "height": 900}, {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def visit(browser: Any, server: str) -> Iterator[Callable[..., Any]]:
    """Opens the page; at the end there may have been no error in the console but those a test expects."""
    contexts, errors = [], []

    def open_page(
        address: str = server,
        expected: str = "$^",
        before: Callable[[Any], None] | None = None,
        **options: Any,
    ) -> Any:
        context = browser.new_context(**{"viewport": WIDE, "accept_downloads": True, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on(
            "console",
            lambda said: (
                said.type in ("error", "warning")
                and not re.search(f"{expected}|willReadFrequently", said.text)  # tests read canvases
                and errors.append(said.text)
            ),
        )
        if before:
            before(page)
        page.goto(address)
        expect(page.locator("#legend li")).to_have_count(4)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three scenes, real ones where there are any, the first under a name that tells place and day."""
    folder = tmp_path_factory.mktemp("scenes")
    real = [CLOUDS / "train_images" / f"{name}.jpg" for name in ("002be4f", "0091591", "00dec6a")]
    paths = [folder / name for name in (PLACED, "second.jpg", "third.jpg")]
    for seed, (source, path) in enumerate(zip(real, paths, strict=True)):
        made = encoded(make_scene(seed, (320, 480)).pixels, ".jpg")
        path.write_bytes(source.read_bytes() if source.is_file() else made)
    return paths


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "broken.jpg"
    path.write_bytes(b"\xff\xd8\xff no picture")
    return path


def choose(page: Any, *paths: Path) -> None:
    page.set_input_files("#files", [str(path) for path in paths])
    settled(page)


def settled(page: Any) -> None:
    """Wait until the picture that is shown has its answer."""
    expect(page.locator("#summary")).to_have_text(re.compile("%|No "))


def files_for(page: Any, *paths: Path) -> Any:
    """A DataTransfer with files, as a hand brings them."""
    contents = [(path.name, base64.b64encode(path.read_bytes()).decode()) for path in paths]
    return page.evaluate_handle(
        """(contents) => {
          const carried = new DataTransfer();
          for (const [name, content] of contents) {
            const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
            carried.items.add(new File([bytes], name, { type: 'image/jpeg' }));
          }
          return carried;
        }""",
        contents,
    )


def cover_words(share: float) -> str:
    if not share:
        return "not found"
    return "<\u202f1\u202f%" if share < 0.005 else f"{int(share * 100 + 0.5)}\u202f%"


def pattern(page: Any, name: str) -> Any:
    return page.locator("#patterns > li").nth(NAMES.index(name))


def slide(page: Any, name: str, which: str, value: int) -> None:
    """Move a pattern's slider: its threshold in steps of 1/200, or its area in pixels."""
    row = pattern(page, name)
    if row.locator("details").get_attribute("open") is None:
        row.locator("summary").click()
    row.get_by_label(which).fill(str(value))


def pixels(page: Any, name: str) -> int:
    title = pattern(page, name).locator(".cover").get_attribute("title")
    return int(title.split(" of ")[0].replace(",", ""))


def ruled(model: Model, changes: dict[str, dict[str, Any]]) -> Model:
    return replace(model, card=model.card.with_rules(changes))


# What it shows is what Python says


def test_a_dropped_scene_shows_its_covers(visit, scenes, model):
    page = visit()
    page.dispatch_event("body", "drop", {"dataTransfer": files_for(page, scenes[0])})
    settled(page)
    found = nephoscope.segment(scenes[0], model)
    expect(page.locator(".cover")).to_have_text([cover_words(found.covers[name]) for name in NAMES])
    expect(page.locator("#summary")).to_have_text(
        ", ".join(f"{name} {cover_words(found.covers[name])}" for name in found.present) or "No pattern found"
    )
    expect(page.locator("#picture-name")).to_have_text("Aqua, 22 January 2009")
    expect(page.locator("#regions tbody tr")).to_have_count(len(found.regions))
    # Another one, onto a page that already shows a picture.
    page.dispatch_event("#viewer", "drop", {"dataTransfer": files_for(page, scenes[1])})
    found = nephoscope.segment(scenes[1], model)
    expect(page.locator("#picture-name")).to_have_text("second.jpg")
    expect(page.locator(".cover")).to_have_text([cover_words(found.covers[name]) for name in NAMES])


def smooth(rng: np.random.Generator, size: tuple[int, int], width: float) -> np.ndarray:
    field = cv2.GaussianBlur(rng.normal(size=size).astype(np.float32), (0, 0), width)
    return np.asarray((field - field.min()) / (field.max() - field.min()), np.float32)


def test_rules_in_the_browser_are_those_of_python(visit):
    rng = np.random.default_rng(4)
    cases = []
    for size, width in (((60, 91), 1.0), ((61, 90), 2.5), ((120, 181), 6.0), ((350, 525), 9.0)):
        field = smooth(rng, size, width)
        for join in (0, 1, 2, 5, 12):
            for threshold, area in ((0.5, 0), (0.55, 1), (0.6, 40), (0.345, 9)):
                least = int(rng.integers(0, field.size // 2))
                cases.append((field, Rule(threshold, 50, float(rng.uniform(0.8, 1)), least, area, join)))
    dust = smooth(rng, (81, 122), 0.3)  # hundreds of groups of one area: which of them is the first?
    cases += [(dust, Rule(0.75, 50, 0, 0, 0, join)) for join in (0, 1, 3)]
    cases.append((np.zeros((9, 9), np.float32), Rule(0.5, 10, 0, 0, 0, 3)))
    page = visit()
    present = 0
    for field, rule in cases:
        groups, score = find_groups(field, rule)
        steps = np.ceil(field * np.float32(200)).astype(np.uint8)
        answer = page.evaluate(
            """async ([content, width, height, rule, score]) => {
              const { findGroups } = await import('/page/rules.js');
              const values = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
              const { numbers, areas } = findGroups(values, width, height, rule, score);
              let text = '';
              for (const byte of new Uint8Array(numbers.buffer)) text += String.fromCharCode(byte);
              return { numbers: btoa(text), areas };
            }""",
            [base64.b64encode(steps.tobytes()).decode(), *field.shape[::-1], vars(rule), score],
        )
        numbers = np.frombuffer(base64.b64decode(answer["numbers"]), np.int32).reshape(field.shape)
        assert np.array_equal(numbers, groups), rule
        assert answer["areas"] == np.bincount(groups.ravel())[1:].tolist()
        present += groups.any()
    assert 10 < present < len(cases) - 10


def test_sliders_move_the_mask_as_python_would_and_ask_nobody(visit, scenes, model):
    page = visit()
    choose(page, scenes[0])
    found = nephoscope.segment(scenes[0], model)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    def check(name: str, **changes: Any) -> None:
        index = NAMES.index(name)
        rule = replace(model.card.rules[name], **changes)
        head = (
            None
            if found.prediction.presence_probabilities is None
            else float(found.prediction.presence_probabilities[index])
        )
        expected = int(np.count_nonzero(find_groups(found.probabilities[index], rule, head=head)[0]))
        expect(pattern(page, name).locator(".cover")).to_have_attribute(
            "title", re.compile(f"^{expected:,} ")
        )

    name = max(found.covers, key=found.covers.__getitem__)
    check(name)
    for steps in (20, 61, 119, 150, 177):
        slide(page, name, "Pixel threshold", steps)
        check(name, threshold=steps / 200)
    for area in (0, 500, 30000):
        slide(page, name, "Minimum area", area)
        check(name, threshold=177 / 200, minimum_area=area)
    page.get_by_label("Also count patterns the model holds for absent").check()
    for other in NAMES:
        if other != name:
            check(other, presence=0, least_cover=0)
    page.locator("#reset").click()
    for each in NAMES:
        check(each)
    expect(page.locator("#reset")).to_be_disabled()
    page.locator("#opacity").fill("60")
    assert asked == []


def test_an_outline_is_where_python_has_it(visit, scenes, model):
    """Filled and read back, outlines cover the mask, but for the edge, where they pass between pixels."""
    page = visit(viewport={"width": 1000, "height": 700})
    choose(page, scenes[0])
    found = nephoscope.segment(scenes[0], model)
    name = max(found.covers, key=found.covers.__getitem__)
    for other in NAMES:
        if other != name:
            pattern(page, other).get_by_role("checkbox").uncheck()
    page.locator("#opacity").fill("100")
    height, width = found.valid_mask.shape
    drawn = page.evaluate(
        """async ([width, height]) => {
          // The picture as it lies on the stage, brought back onto the grid.
          const { canvas } = document.querySelector('#marks').getContext('2d');
          const [wide, high] = [canvas.clientWidth, canvas.clientHeight];
          const margin = wide < 600 ? 0 : 32;
          const scale = Math.min((wide - margin) / width, (high - margin) / height);
          const [left, top] = [(wide - width * scale) / 2, (high - height * scale) / 2];
          const pen = new OffscreenCanvas(width, height).getContext('2d');
          pen.imageSmoothingEnabled = false;
          pen.drawImage(canvas, left, top, width * scale, height * scale, 0, 0, width, height);
          const { data } = pen.getImageData(0, 0, width, height);
          return Array.from({ length: width * height }, (_, index) => (data[4 * index + 3] > 127 ? 1 : 0));
        }""",
        [width, height],
    )
    drawn_mask = np.array(drawn, np.uint8).reshape(height, width)
    mask = found.masks[NAMES.index(name)].view(np.uint8)
    disc = np.ones((7, 7), np.uint8)
    surely_in = cv2.erode(mask, disc) > 0
    surely_out = (cv2.dilate(mask, disc) == 0) & (cv2.erode(found.valid_mask.view(np.uint8), disc) > 0)
    assert drawn_mask[surely_in].all()
    assert not drawn_mask[surely_out].any()
    assert surely_in.sum() > 1000
    assert surely_out.sum() > 1000


def test_gaps_are_hatched(visit, tmp_path):
    picture = make_scene(2, (320, 480)).pixels.copy()
    picture[:, 200:300] = 0
    path = tmp_path / "gap.png"
    path.write_bytes(encoded(picture, ".png"))
    page = visit(viewport={"width": 1000, "height": 700})
    choose(page, path)
    for name in NAMES:
        pattern(page, name).get_by_role("checkbox").uncheck()
    shares = page.evaluate(
        """() => {
          const canvas = document.querySelector('#marks');
          const pen = canvas.getContext('2d');
          const share = (from, to) => {
            const begin = canvas.width / 2 + from;
            const { data } = pen.getImageData(begin, canvas.height / 2 - 50, to - from, 100);
            return data.filter((value, index) => index % 4 === 3 && value > 0).length / data.length * 4;
          };
          return [share(-30, 30), share(160, 260)];
        }"""
    )
    assert 0.05 < shares[0] < 0.6
    assert shares[1] == 0


def test_regions_tell_what_they_are(visit, scenes, model):
    page = visit()
    choose(page, scenes[0])
    found = nephoscope.segment(scenes[0], model)
    feature = json.loads(FORMATS["geojson"].render(found)[0])["features"][0]["properties"]
    region = found.regions[0]
    button = page.locator("#regions .region").filter(has_text=region.pattern).first
    said = button.get_attribute("aria-label")
    assert f"{region.pattern}, {cover_words(region.cover)} of the picture" in said
    told = float(re.search(r"([\d,]+)\u202fkm²", said)[1].replace(",", ""))
    assert told == pytest.approx(feature["area_km2"], rel=0.01)
    probability = float(re.search(r"mean probability (\d\.\d+)", said)[1])
    assert probability == pytest.approx(region.mean_probability, abs=0.011)

    def fingerprint() -> str:
        return page.evaluate("() => document.querySelector('#marks').toDataURL()")

    before = fingerprint()
    button.focus()
    assert fingerprint() != before  # pointed out
    stage = page.locator("#viewer").bounding_box()
    for x in range(60, int(stage["width"]), 60):
        page.mouse.move(stage["x"] + x, stage["y"] + stage["height"] / 2)
        if page.locator("#tip").is_visible():
            break
    expect(page.locator("#tip")).to_contain_text(
        re.compile(r"(Fish|Flower|Gravel|Sugar)\d+.% of the picture · .*km²")
    )


# Files


def download(page: Any, button: Any) -> bytes:
    with page.expect_download() as waiting:
        button.click()
    return Path(waiting.value.path()).read_bytes()


def test_every_file_says_what_is_seen(visit, scenes, model):
    xarray = pytest.importorskip("xarray", reason="the extra geo is not installed")
    pytest.importorskip("h5netcdf", reason="the extra geo is not installed")
    page = visit()
    choose(page, scenes[0])
    page.get_by_label("Also count patterns the model holds for absent").check()
    slide(page, "Fish", "Pixel threshold", 80)
    slide(page, "Sugar", "Minimum area", 1000)
    changes: dict[str, dict[str, Any]] = {name: {"presence": 0, "least_cover": 0} for name in NAMES}
    changes["Fish"]["threshold"] = 0.4
    changes["Sugar"]["minimum_area"] = 1000
    found: Segmentation = nephoscope.segment(scenes[0], ruled(model, changes))

    def get(kind: str) -> bytes:
        return download(page, page.locator("#downloads button", has=page.get_by_text(kind, exact=True)))

    shown = {name: pixels(page, name) for name in NAMES}
    assert shown == {name: int(np.count_nonzero(found.masks[index])) for index, name in enumerate(NAMES)}
    expected = json.loads(FORMATS["json"].render(found)[0])
    assert json.loads(get("JSON"))["scenes"] == [expected]
    assert get("CSV") == label_file(rows(found))
    overlay = cv2.imdecode(np.frombuffer(get("PNG"), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert np.array_equal(overlay, draw(found))
    with zipfile.ZipFile(io.BytesIO(get("ZIP"))) as archive:
        for name in NAMES:
            content = archive.read(f"{Path(PLACED).stem}_{name}.png")
            mask = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
            assert np.array_equal(mask, found.mask(name, found.scene.size))
    assert json.loads(get("GeoJSON")) == json.loads(FORMATS["geojson"].render(found)[0])
    dataset = xarray.load_dataset(io.BytesIO(get("NetCDF")), engine="h5netcdf", decode_times=False)
    bits = sum(mask.astype(np.int8) << index for index, mask in enumerate(found.masks))
    assert np.array_equal(dataset["mask"].values[0], bits)


def test_all_pictures_make_one_file(visit, scenes, model):
    def few(route: Any) -> None:
        answer = route.fetch()
        told = answer.json()
        told["limits"]["pictures"] = 2  # three pictures take two requests
        route.fulfill(response=answer, json=told)

    page = visit(before=lambda page: page.route("**/api/v1/server", few))
    choose(page, *scenes)
    expect(page.locator(".strip .progress")).to_contain_text("3 pictures")
    slide(page, "Fish", "Pixel threshold", 90)
    changed = ruled(model, {"Fish": {"threshold": 0.45}})
    found = [nephoscope.segment(path, changed) for path in scenes]
    buttons = page.locator("#all-downloads button")
    assert download(page, buttons.filter(has_text="CSV")) == label_file(
        [row for each in found for row in rows(each)]
    )
    told = json.loads(download(page, buttons.filter(has_text="JSON")))
    assert told["scenes"] == [json.loads(FORMATS["json"].render(each)[0]) for each in found]


def test_changed_rules_are_told_and_go_with_the_last_picture(visit, scenes):
    page = visit()
    choose(page, scenes[1])
    expect(page.locator("#rules-note")).to_be_empty()
    slide(page, "Fish", "Pixel threshold", 80)
    expect(page.locator("#rules-note")).to_contain_text("for all pictures and in all files")
    page.get_by_role("button", name="Remove", exact=True).click()
    choose(page, scenes[1])
    expect(page.locator("#rules-note")).to_be_empty()


def test_two_pictures_of_one_name_are_told_apart(visit, scenes):
    page = visit()
    choose(page, scenes[1])
    choose(page, scenes[1])
    expect(page.locator("#picture-name")).to_have_text("second-2.jpg")


def test_a_place_is_stated_by_who_chose_one(visit, scenes):
    page = visit()
    choose(page, scenes[1])
    page.locator("#stating summary").click()
    page.get_by_role("button", name="Use for this picture").click()
    settled(page)
    expect(page.locator("#picture-facts")).not_to_contain_text("°")


def test_place_and_day_can_be_stated(visit, scenes, model):
    page = visit(expected="422")
    choose(page, scenes[1])
    outlines = page.locator("#downloads button").filter(has_text="GeoJSON")
    expect(outlines).to_be_disabled()
    expect(page.locator("#downloads-note")).to_contain_text(
        "GeoJSON and NetCDF need the picture's place and day"
    )
    page.locator("#stating summary").click()
    form = page.locator("#place")
    form.get_by_label("Region").select_option("other")
    form.get_by_label("West, south, east, north").fill("-50, 40, -71, 10")
    form.get_by_role("button").click()
    expect(page.locator("#place-state")).to_contain_text("no box on Earth")
    expect(page.locator(".cover").first).not_to_have_text("–")  # what was found stays
    form.get_by_label("West, south, east, north").fill("-71, 10, -50, 24")
    form.get_by_label("Day").fill("2020-02-01")
    form.get_by_role("button").click()
    expect(outlines).to_be_enabled()
    expect(page.locator("#picture-facts")).to_contain_text("1 February 2020 · 10–24°")
    found = nephoscope.segment(
        scenes[1],
        model,
        bounds=nephoscope.place.Bounds(-71, 10, -50, 24),
        day=nephoscope.place.parse_day("2020-02-01"),
    )
    assert json.loads(download(page, outlines)) == json.loads(FORMATS["geojson"].render(found)[0])


# Ways in


def test_pasting(visit, scenes):
    page = visit()
    page.evaluate(
        "(carried) => document.dispatchEvent(new ClipboardEvent('paste', { clipboardData: carried }))",
        files_for(page, scenes[1]),
    )
    settled(page)
    expect(page.locator("#picture-name")).to_have_text("second.jpg")


def test_a_tiff_is_shown_though_browsers_cannot(visit, tmp_path, scenes, model):
    path = tmp_path / "scene.tif"
    Image.open(scenes[1]).save(path)
    page = visit()
    choose(page, path)
    found = nephoscope.segment(path, model)
    expect(page.locator(".cover")).to_have_text([cover_words(found.covers[name]) for name in NAMES])
    expect(page.locator("#viewer")).not_to_have_class(re.compile("empty"))


def test_a_turned_picture_is_turned(visit, tmp_path, scenes, model):
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned to the right
    Image.open(scenes[1]).rotate(90, expand=True).save(path, exif=exif, quality=95)
    page = visit()
    choose(page, path)
    found = nephoscope.segment(path, model)
    assert found.scene.size == (320, 480)
    expect(page.locator(".cover")).to_have_text([cover_words(found.covers[name]) for name in NAMES])
    # As wide as the stage, less its margins: upright, it would be a third of that.
    seen = page.evaluate(
        """() => {
          const canvas = document.querySelector('#picture');
          const { data } = canvas.getContext('2d').getImageData(0, canvas.height / 2, canvas.width, 1);
          return data.filter((value, index) => index % 4 === 3 && value > 0).length / canvas.width;
        }"""
    )
    assert seen > 0.9


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


def test_one_of_three_fails_and_says_why(visit, scenes, broken):
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


def test_a_busy_server_is_waited_for(visit, scenes):
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


def test_a_server_that_is_gone_may_come_back(visit, scenes):
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


def test_a_server_that_is_there_again_is_found(visit, scenes):
    page = visit(expected="ERR_FAILED")
    page.route("**/api/v1/segment?*", lambda route: route.abort())
    page.set_input_files("#files", scenes[1])
    expect(page.locator("#notice")).to_be_visible()
    page.unroute("**/api/v1/segment?*")
    settled(page)
    expect(page.locator("#notice")).to_be_hidden()


def test_nothing_can_be_zoomed_where_nothing_is_seen(visit, broken):
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
        found = nephoscope.segment(scenes[1], Model.load(other))
        settled(page)
        for name in NAMES:
            expect(pattern(page, name).locator(".cover")).to_have_text(cover_words(found.covers[name]))
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
        expect(page.locator("#token-words")).to_have_text("That token was not taken.")
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


# Everybody, everywhere


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
    told = json.loads(Path(waiting.value.path()).read_bytes())
    assert told["scenes"][0]["scene"] == "synthetic_sample.jpg"
    expect(page.locator("#download-state")).to_have_text("Downloaded synthetic_sample.json")


def test_zooming_by_wheel_keeps_what_is_under_the_pointer(visit, scenes):
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


def test_half_a_window_is_enough(visit, scenes):
    """A window of 1400x900 at 200 %."""
    page = visit(viewport={"width": 700, "height": 450})
    choose(page, *scenes)
    assert no_sideways_scroll(page)
    page.locator("#downloads button").first.scroll_into_view_if_needed()
    expect(page.locator("#downloads button").first).to_be_in_viewport()


def test_dark_where_the_system_is(visit):
    def brightness(page: Any) -> float:
        colour = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
        return float(np.mean([float(part) for part in re.findall(r"[\d.]+", colour)[:3]]))

    assert brightness(visit(color_scheme="light")) > 200
    assert brightness(visit(color_scheme="dark")) < 60


def show_error(page: Any, scenes: list[Path], broken: Path) -> None:
    page.set_input_files("#files", [broken, scenes[0]])
    expect(page.get_by_role("alert").filter(has_text="broken.jpg")).to_be_visible()
    expect(page.locator(".strip .progress")).to_contain_text("1 failed")


STATES: dict[str, tuple[dict[str, Any], Callable[[Any, list[Path], Path], None]]] = {
    "empty": ({}, lambda page, scenes, broken: None),
    "wide": ({}, lambda page, scenes, broken: choose(page, scenes[0])),
    "strip": ({}, lambda page, scenes, broken: choose(page, *scenes)),
    "phone": ({"viewport": PHONE}, lambda page, scenes, broken: choose(page, *scenes)),
    "dark": ({"color_scheme": "dark"}, lambda page, scenes, broken: choose(page, *scenes)),
    "error": ({}, show_error),
}


@pytest.mark.parametrize("state", STATES)
def test_no_barrier(visit, scenes, broken, state, tmp_path):
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
    page.screenshot(path=folder / f"{state}.png", full_page=state == "phone")
    for opener, dialog in (("#add", "#adding"), ("#model", "#card")):
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
