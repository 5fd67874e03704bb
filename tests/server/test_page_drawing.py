"""Drawing on the page: shapes by mouse, keys and touch; undo; a reload; saving; what Python reads of it."""

import io
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from browsing import PHONE, browser, choose, download, expect, scenes, visit
from conftest import offline, serving
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.core.types import LABEL_GRID
from nephoscope.datasets.annotations import FILE, read_annotations
from nephoscope.datasets.dataset import read_dataset
from nephoscope.imagery.reading import open_scene
from nephoscope.inference.pipeline import segment
from nephoscope.inference.suggestion import candidate_of

pytestmark = pytest.mark.browser

SUGAR = DEFAULT_NAMES.index("Sugar")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "labels"


@pytest.fixture
def collecting(folder: Path) -> Iterator[str]:
    """A server that takes labels; a test asks for it before `visit`, so that it outlives the pages."""
    with serving(replace(offline(), labels=str(folder))) as address:
        yield address


def draw(page: Any, *paths: Path, empty: bool = True) -> None:
    """Open pictures and begin to draw, by default on nothing."""
    choose(page, *paths)
    page.get_by_role("button", name="Draw", exact=True).click()
    expect(page.locator("#viewer")).to_be_focused()
    if empty:
        page.get_by_role("button", name="Erase all").click()
        page.locator("#viewer").focus()


def at(page: Any, x: float, y: float) -> tuple[float, float]:
    """Where a place of the picture, as shares of its width and height, is on the screen."""
    left, top, width, height = page.evaluate(
        """() => {
          const { left, top, width, height } = document.querySelector('#viewer').getBoundingClientRect();
          const margin = width < 600 ? 0 : 32;
          const scale = Math.min((width - margin) / 480, (height - margin) / 320);
          return [left + width / 2 - 240 * scale, top + height / 2 - 160 * scale, 480 * scale, 320 * scale];
        }"""
    )
    return left + x * width, top + y * height


def drag(page: Any, *places: tuple[float, float]) -> None:
    """Draw along places with the mouse."""
    page.mouse.move(*at(page, *places[0]))
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*at(page, *place), steps=4)
    page.mouse.up()


def draw_rectangle(page: Any, pattern: str, *corners: tuple[float, float]) -> None:
    """Draw a rectangle of a pattern, given by its key."""
    page.keyboard.press(pattern)
    page.keyboard.press("r")
    drag(page, *corners)


def saved(page: Any) -> np.ndarray:
    """What is drawn now: masks of the labels in the downloaded archive, on the label grid."""
    page.locator("#accept").click()
    content = download(page, page.locator("#save-labels"))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(target := Path(page.labels_folder))
    (record, *_) = read_dataset(target, strict=True).records
    return read_dataset(target).masks(record.image, LABEL_GRID)


@pytest.fixture
def page(visit: Callable[..., Any], scenes: list[Path], tmp_path: Path) -> Any:
    """A page with an empty drawing on one picture."""
    opened = visit()
    opened.labels_folder = tmp_path / "set"
    draw(opened, scenes[1])
    return opened


def box(masks: np.ndarray, name: str) -> tuple[float, ...]:
    """Left, top, right and bottom of what is drawn of a pattern, as shares of the picture."""
    rows, columns = np.nonzero(masks[DEFAULT_NAMES.index(name)])
    height, width = LABEL_GRID
    edges = columns.min() / width, rows.min() / height, (columns.max() + 1) / width, (rows.max() + 1) / height
    return tuple(round(edge, 2) for edge in edges)


def test_the_drawing_starts_with_the_models_regions(visit, scenes, tmp_path, model):
    page = visit()
    page.labels_folder = tmp_path / "set"
    draw(page, scenes[0], empty=False)
    masks = saved(page)
    expected = segment(scenes[0], model).masks
    coarse = read_dataset(tmp_path / "set").masks(scenes[0].name, expected.shape[1:])
    assert np.mean(coarse != expected) < 0.002  # its answers come in steps of 1/200
    assert masks.any()


def test_shapes_by_mouse(page):
    draw_rectangle(page, "4", (0.2, 0.3), (0.4, 0.6))
    page.keyboard.press("2")
    page.keyboard.press("l")
    drag(page, (0.6, 0.2), (0.8, 0.2), (0.8, 0.4), (0.6, 0.4))
    page.keyboard.press("1")
    page.keyboard.press("b")
    drag(page, (0.5, 0.8), (0.9, 0.8))
    masks = saved(page)
    assert box(masks, "Sugar") == pytest.approx((0.2, 0.3, 0.4, 0.6), abs=0.011)
    sugar = masks[SUGAR]
    assert sugar.sum() == pytest.approx(0.2 * 0.3 * sugar.size, rel=0.05)
    assert box(masks, "Flower") == pytest.approx((0.6, 0.2, 0.8, 0.4), abs=0.011)
    width = 60 / 2100
    assert box(masks, "Fish") == pytest.approx(
        (0.5 - width / 2, 0.8 - 30 / 1400, 0.9 + width / 2, 0.8 + 30 / 1400), abs=0.011
    )


def test_eraser_undo_and_redo(page):
    draw_rectangle(page, "4", (0.2, 0.2), (0.6, 0.6))
    whole = saved(page)[SUGAR].sum()
    page.locator("#viewer").focus()
    page.keyboard.press("e")
    drag(page, (0.4, 0.1), (0.4, 0.7))
    cut = saved(page)[SUGAR].sum()
    assert cut < whole
    page.locator("#viewer").focus()
    page.keyboard.press("Control+z")
    assert saved(page)[SUGAR].sum() == whole
    page.locator("#viewer").focus()
    page.keyboard.press("Control+y")
    assert saved(page)[SUGAR].sum() == cut
    page.locator("#viewer").focus()
    for _ in range(4):
        page.keyboard.press("u")
    expect(page.locator("#undo")).to_be_disabled()
    page.get_by_role("button", name="Redo").click()
    expect(page.locator("#undo")).to_be_enabled()


def test_a_region_is_moved_renamed_and_deleted(page):
    draw_rectangle(page, "4", (0.1, 0.1), (0.3, 0.3))
    page.keyboard.press("s")
    drag(page, (0.2, 0.2), (0.5, 0.6))
    assert box(saved(page), "Sugar") == pytest.approx((0.4, 0.5, 0.6, 0.7), abs=0.011)
    page.mouse.click(*at(page, 0.5, 0.6))
    page.keyboard.press("1")
    masks = saved(page)
    assert not masks[SUGAR].any()
    assert box(masks, "Fish") == pytest.approx((0.4, 0.5, 0.6, 0.7), abs=0.011)
    page.locator("#viewer").focus()
    page.keyboard.press("Delete")
    assert not saved(page).any()


def test_shapes_by_keys_alone(page):
    page.keyboard.press("4")
    page.keyboard.press("r")
    page.keyboard.press("Space")
    for _ in range(10):
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    left, top, right, bottom = box(saved(page), "Sugar")
    assert (left, top) == pytest.approx((0.5, 0.5), abs=0.011)
    assert right > 0.55
    assert bottom > 0.55
    page.locator("#viewer").focus()
    page.keyboard.press("s")
    page.keyboard.press(".")
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
    moved = box(saved(page), "Sugar")
    assert moved[0] < left - 0.02
    assert moved[1] == top
    page.locator("#viewer").focus()
    page.keyboard.press("Escape")
    page.keyboard.press("2")
    page.keyboard.press("b")
    page.keyboard.press("]")
    page.keyboard.press("Space")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Space")
    assert saved(page)[DEFAULT_NAMES.index("Flower")].any()


def test_shapes_by_touch(visit, scenes, tmp_path):
    page = visit(viewport=PHONE, has_touch=True)
    page.labels_folder = tmp_path / "set"
    draw(page, scenes[1])
    page.get_by_role("button", name="Gravel").tap()
    page.get_by_role("button", name="Rectangle").tap()
    session = page.context.new_cdp_session(page)

    def touch(kind: str, *places: tuple[float, float]) -> None:
        points = [dict(zip("xy", at(page, *place), strict=True)) for place in places]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", (0.25, 0.25))
    touch("touchMove", (0.5, 0.5))
    touch("touchMove", (0.75, 0.75))
    touch("touchEnd")
    assert box(saved(page), "Gravel") == pytest.approx((0.25, 0.25, 0.75, 0.75), abs=0.02)
    touch("touchStart", (0.3, 0.3))
    touch("touchStart", (0.3, 0.3), (0.5, 0.5))  # a second finger zooms and draws nothing
    touch("touchMove", (0.2, 0.2), (0.7, 0.7))
    touch("touchEnd")
    expect(page.locator("#zoom-out")).to_be_enabled()
    assert box(saved(page), "Gravel") == pytest.approx((0.25, 0.25, 0.75, 0.75), abs=0.02)


def test_the_models_region_is_taken_by_a_key(visit, scenes, tmp_path, model):
    page = visit()
    page.labels_folder = tmp_path / "set"
    answer = segment(scenes[0], model)
    (row, column) = np.argwhere(answer.components[answer.masks.any(axis=(1, 2)).argmax()] == 1)[0]
    height, width = answer.valid_mask.shape
    draw(page, scenes[0])
    page.mouse.move(*at(page, (column + 0.5) / width, (row + 0.5) / height))
    page.keyboard.press("a")
    coarse = saved(page)[:, 2::4, 2::4]
    taken = np.isin(answer.components, answer.components[:, row, column]) & (answer.components > 0)
    for index, components in enumerate(answer.components):
        number = components[row, column]
        expected = (components == number) & (number > 0)
        assert np.mean(coarse[index] != expected) < 0.002
    assert taken.any()


def test_drawings_survive_a_reload(page):
    draw_rectangle(page, "4", (0.2, 0.3), (0.4, 0.6))
    before = saved(page)
    page.wait_for_timeout(1000)
    page.reload()
    expect(page.locator("#summary")).to_have_text(re.compile("%|No "))
    expect(page.get_by_role("button", name="Draw", exact=True)).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#labels-done")).to_have_text("1 of 1 accepted")
    assert np.array_equal(saved(page), before)


def test_the_archive_says_who_drew(page, tmp_path):
    page.get_by_label("Your name").fill("Ada, the first")
    page.locator("#viewer").focus()
    page.keyboard.press("r")
    drag(page, (0.2, 0.3), (0.4, 0.6))
    saved(page)
    (drawn,) = read_annotations(tmp_path / "set" / FILE)
    assert drawn.annotator == "Ada, the first"


def test_two_browsers_save_to_one_folder(collecting, visit, scenes, folder):
    pages = [visit(collecting), visit(collecting)]
    for page, name in zip(pages, ("Ada", "Bo"), strict=True):
        draw(page, *scenes)
        page.locator("#accept").click()
        expect(page.locator("#labels-state")).to_contain_text("name")
        page.get_by_label("Your name").fill(name)
    for _ in scenes:
        for page in pages:
            page.locator("#viewer").focus()
            page.keyboard.press("r")
            drag(page, (0.2, 0.3), (0.4, 0.6))
        titles = [page.locator("#picture-name").text_content() for page in pages]
        for page in pages:
            page.locator("#accept").click()
        for page, title in zip(pages, titles, strict=True):
            if title != scenes[-1].name:
                expect(page.locator("#picture-name")).not_to_have_text(title)
    for page in pages:
        expect(page.locator("#labels-done")).to_contain_text("has 3, 3 of them by you")
    dataset = read_dataset(folder, strict=True)
    assert {record.image for record in dataset.records} == {path.name for path in scenes}
    assert len(read_annotations(folder / FILE)) == 6
    assert (folder / "train_images" / scenes[0].name).read_bytes() == scenes[0].read_bytes()
    known = open_scene(scenes[0])
    record = next(each for each in dataset.records if each.image == scenes[0].name)
    assert (record.day, record.bounds) == (known.day, known.bounds)


@pytest.mark.slow
def test_a_network_trains_on_what_was_drawn(page, tmp_path):
    pytest.importorskip("torch", reason="the extra train is not installed")
    from nephoscope.training.config import make_recipe
    from nephoscope.training.run import begin
    from nephoscope.training.settings import Settings

    page.keyboard.press("r")
    drag(page, (0.2, 0.3), (0.4, 0.6))
    saved(page)
    pictures = tmp_path / "set/train_images"
    (name,) = [path.name for path in pictures.iterdir()]
    lines = (tmp_path / "set/train.csv").read_text().splitlines()
    (tmp_path / "set" / FILE).unlink()
    for number in range(9):
        copy = f"copy{number}.jpg"
        (pictures / copy).write_bytes((pictures / name).read_bytes())
        lines += [line.replace(name, copy) for line in lines[1:5]]
    (tmp_path / "set/train.csv").write_text("\n".join(lines) + "\n")
    recipe = make_recipe(
        encoder="tu-test_efficientnet",
        encoder_weights="none",
        size="64x96",
        batch=4,
        epochs=1,
        precision="fp32",
    )
    best = begin(Settings(str(tmp_path / "set"), recipe, folds=2), tmp_path / "run", cache=tmp_path / "cache")
    assert best.is_file()


def test_the_most_doubtful_picture_comes_first(visit, scenes, model):
    page = visit()
    draw(page, *scenes, empty=False)
    expect(page.locator("#strip .bars")).to_have_count(3)
    page.get_by_role("button", name="Doubtful first").click()
    order = page.locator(".thumbnail").evaluate_all("(all) => all.map(({ title }) => title.split(':')[0])")
    candidates = [candidate_of(path.name, segment(path, model)) for path in scenes]
    doubts = {each.source: np.mean(list(each.doubts.values())) for each in candidates}
    assert order == sorted(doubts, key=doubts.__getitem__, reverse=True)
    expect(page.locator(".thumbnail").first).to_have_attribute("aria-current", "true")
    expect(page.locator("#labels-state")).to_contain_text("least sure of the first")


def test_saved_labels_come_back_in_another_browser(collecting, visit, scenes):
    first, second = visit(collecting), visit(collecting)
    draw(first, scenes[1])
    first.get_by_label("Your name").fill("Ada")
    first.locator("#viewer").focus()
    draw_rectangle(first, "4", (0.2, 0.3), (0.4, 0.6))
    first.get_by_label("Your name").press("Enter")
    expect(first.locator("#labels-state")).to_have_text("All pictures are accepted.")
    draw(second, scenes[1], empty=False)
    second.get_by_label("Your name").fill("Ada")
    second.locator("#viewer").focus()
    expect(second.locator("#labels-state")).to_contain_text("you have saved")
    expect(second.locator("#labels-done")).to_contain_text("1 of 1 accepted")
    second.locator("#accept").click()
    expect(second.locator("#labels-state")).to_have_text("All pictures are accepted.")
    drawn = second.request.get(f"{collecting}/api/v1/labels?annotator=Ada&image=second.jpg").json()
    assert set(drawn["labels"]) == {"Sugar"}


def hold_saves(page: Any) -> list[Any]:
    """Requests to save wait here until a test lets them go on."""
    held: list[Any] = []
    page.route(
        "**/api/v1/labels?*",
        lambda route: held.append(route) if route.request.method == "POST" else route.continue_(),
    )
    return held


def wait_for(page: Any, held: list[Any]) -> None:
    for _ in range(200):
        if held:
            return
        page.wait_for_timeout(50)
    pytest.fail("nothing was saved")


def test_an_edit_during_a_save_is_not_taken_for_saved(collecting, visit, scenes):
    page = visit(collecting)
    draw(page, *scenes[1:])
    page.get_by_label("Your name").fill("Ada")
    held = hold_saves(page)
    page.locator("#viewer").focus()
    draw_rectangle(page, "4", (0.2, 0.3), (0.4, 0.6))
    page.keyboard.press("Enter")
    wait_for(page, held)
    draw_rectangle(page, "1", (0.5, 0.3), (0.6, 0.6))
    held.pop().continue_()
    expect(page.locator("#labels-state")).to_contain_text("changed while they were saved")
    expect(page.locator("#labels-done")).to_contain_text("0 of 2 accepted")
    expect(page.locator("#picture-name")).to_have_text(scenes[1].name)


def test_a_second_enter_during_a_save_skips_no_picture(collecting, visit, scenes):
    page = visit(collecting)
    draw(page, *scenes)
    page.get_by_label("Your name").fill("Ada")
    held = hold_saves(page)
    page.locator("#viewer").focus()
    for _ in range(3):
        page.keyboard.press("Enter")
    wait_for(page, held)
    page.wait_for_timeout(300)
    assert len(held) == 1
    held.pop().continue_()
    expect(page.locator("#picture-name")).to_have_text(scenes[1].name)
    expect(page.locator("#labels-done")).to_contain_text("1 of 3 accepted")


@pytest.mark.parametrize("tool", ["r", "l"])
def test_zooming_does_not_move_what_is_being_drawn(page, tool):
    page.keyboard.press("4")
    page.keyboard.press(tool)
    page.mouse.move(*at(page, 0.2, 0.3))
    page.mouse.down()
    if tool == "l":
        page.mouse.move(*at(page, 0.4, 0.3), steps=4)
    page.mouse.move(*at(page, 0.4, 0.6), steps=4)
    page.mouse.wheel(0, -300)
    page.wait_for_timeout(300)
    x, y = at(page, 0.4, 0.6)
    page.mouse.move(x - 1, y - 1)
    page.mouse.up()
    assert box(saved(page), "Sugar") == pytest.approx((0.2, 0.3, 0.4, 0.6), abs=0.011)


def test_a_region_stays_in_the_picture(page):
    draw_rectangle(page, "4", (0.05, 0.3), (0.2, 0.6))
    before = saved(page)[SUGAR].sum()
    page.locator("#viewer").focus()
    page.keyboard.press("s")
    page.keyboard.press(".")
    for _ in range(12):
        page.keyboard.press("ArrowLeft")
    masks = saved(page)
    assert masks[SUGAR].sum() == before
    assert box(masks, "Sugar")[0] == 0
    expect(page.locator("#delete-region")).to_be_enabled()


def test_a_region_that_moves_by_single_pixels_stays_selected(page):
    draw_rectangle(page, "4", (0.4, 0.4), (0.5, 0.5))
    before = saved(page)[SUGAR]
    page.locator("#viewer").focus()
    page.keyboard.press("s")
    page.keyboard.press(".")
    for _ in range(9):
        page.keyboard.press("Shift+ArrowUp")
    expect(page.locator("#delete-region")).to_be_enabled()
    after = saved(page)[SUGAR]
    assert after.sum() == before.sum()
    assert np.nonzero(before)[0].min() - np.nonzero(after)[0].min() >= 9


def test_an_edit_is_kept_though_another_picture_follows_at_once(visit, scenes):
    page = visit()
    draw(page, scenes[1], scenes[2])
    draw_rectangle(page, "4", (0.2, 0.3), (0.4, 0.6))
    page.keyboard.press("n")
    draw_rectangle(page, "1", (0.5, 0.3), (0.6, 0.6))
    page.wait_for_timeout(1000)
    page.reload()
    expect(page.locator("#summary")).to_have_text(re.compile("%|No "))
    expect(page.locator("#viewer")).to_be_focused()
    page.keyboard.press("p")
    expect(page.locator("#picture-name")).to_have_text("second.jpg")
    page.keyboard.press("s")
    page.mouse.click(*at(page, 0.3, 0.45))
    sugar = page.locator("#draw-patterns button", has_text="Sugar")
    expect(sugar).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#delete-region")).to_be_enabled()


def test_a_region_is_deleted_while_it_is_dragged(page):
    draw_rectangle(page, "4", (0.2, 0.3), (0.4, 0.6))
    page.keyboard.press("s")
    page.mouse.move(*at(page, 0.3, 0.45))
    page.mouse.down()
    page.mouse.move(*at(page, 0.5, 0.5))
    page.keyboard.press("Delete")
    page.mouse.up()
    assert not saved(page).any()
