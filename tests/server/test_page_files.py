"""Downloads of the page equal what it shows, also after changes of rules and places."""

import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import nephoscope
from browsing import PLACED, browser, choose, download, expect, pixels, ruled, scenes, settled, slide, visit
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.datasets.labels import format_labels
from nephoscope.inference.segmentation import Segmentation
from nephoscope.outputs import FORMATS
from nephoscope.outputs.csv import rows
from nephoscope.outputs.overlay import draw

pytestmark = pytest.mark.browser


def test_downloads_equal_what_is_shown(visit, scenes, model):
    xarray = pytest.importorskip("xarray", reason="the extra geo is not installed")
    pytest.importorskip("h5netcdf", reason="the extra geo is not installed")
    page = visit()
    choose(page, scenes[0])
    page.get_by_label("Also show patterns whose presence score is too low").check()
    slide(page, "Fish", "Pixel threshold", 80)
    slide(page, "Sugar", "Minimum area", 1000)
    changes: dict[str, dict[str, Any]] = {name: {"presence": 0, "least_cover": 0} for name in DEFAULT_NAMES}
    changes["Fish"]["threshold"] = 0.4
    changes["Sugar"]["minimum_area"] = 1000
    segmentation: Segmentation = nephoscope.segment(scenes[0], ruled(model, changes))

    def get(kind: str) -> bytes:
        buttons = (
            page.locator("#downloads button").filter(has_not_text="Covers").filter(has_not_text="Figure")
        )
        return download(page, buttons.filter(has=page.get_by_text(kind, exact=True)))

    shown = {name: pixels(page, name) for name in DEFAULT_NAMES}
    assert shown == {
        name: int(np.count_nonzero(segmentation.masks[index])) for index, name in enumerate(DEFAULT_NAMES)
    }
    expected = json.loads(FORMATS["json"].render(segmentation)[0])
    assert json.loads(get("JSON"))["scenes"] == [expected]
    assert get("CSV") == format_labels(rows(segmentation))
    overlay = cv2.imdecode(np.frombuffer(get("PNG"), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert np.array_equal(overlay, draw(segmentation))
    with zipfile.ZipFile(io.BytesIO(get("ZIP"))) as archive:
        for name in DEFAULT_NAMES:
            content = archive.read(f"{Path(PLACED).stem}_{name}.png")
            mask = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
            assert np.array_equal(mask, segmentation.mask(name, segmentation.scene.size))
    assert json.loads(get("GeoJSON")) == json.loads(FORMATS["geojson"].render(segmentation)[0])
    dataset = xarray.load_dataset(io.BytesIO(get("NetCDF")), engine="h5netcdf", decode_times=False)
    bits = sum(mask.astype(np.int8) << index for index, mask in enumerate(segmentation.masks))
    assert np.array_equal(dataset["mask"].values[0], bits)


def test_downloads_of_all_pictures_are_merged(visit, scenes, model):
    page = visit()
    choose(page, *scenes)
    expect(page.locator(".strip .progress")).to_contain_text("3 pictures")
    slide(page, "Fish", "Pixel threshold", 90)
    page.route("**/api/**", lambda route: route.abort())  # the server is away: the page has all it needs
    changed = ruled(model, {"Fish": {"threshold": 0.45}})
    segmentations = [nephoscope.segment(path, changed) for path in scenes]
    buttons = page.locator("#all-downloads button")
    assert download(page, buttons.filter(has_text="Contest")) == format_labels(
        [row for each in segmentations for row in rows(each)]
    )
    document = json.loads(download(page, buttons.filter(has_text="Regions")))
    for scene, each in zip(document["scenes"], segmentations, strict=True):
        assert_same_scene(scene, json.loads(FORMATS["json"].render(each)[0]))


def assert_same_scene(scene: dict[str, Any], expected: dict[str, Any]) -> None:
    """The page has probabilities in steps of 1/200, and its outlines follow the edges of pixels exactly."""
    regions, expected_regions = scene.pop("regions"), expected.pop("regions")
    assert scene == expected
    for region, known in zip(regions, expected_regions, strict=True):
        assert region.pop("mean_probability") == pytest.approx(known.pop("mean_probability"), abs=0.004)
        ((outer, *holes),) = region.pop("outline")
        ((_, *known_holes),) = known.pop("outline")
        assert len(holes) == len(known_holes)
        enclosed = area(outer) - sum(map(area, holes))
        assert enclosed == pytest.approx(region["area"], rel=1e-4)
        for corner in ("box", "centroid", "area"):
            assert region.pop(corner) == pytest.approx(known.pop(corner), abs=2e-4)
        assert region == known


def area(ring: list[list[float]]) -> float:
    x, y = np.array(ring).T
    return abs(float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))) / 2


def test_changed_rules_are_shown_and_reset_with_the_last_picture(visit, scenes):
    page = visit()
    choose(page, scenes[1])
    expect(page.locator("#rules-note")).to_be_empty()
    slide(page, "Fish", "Pixel threshold", 80)
    expect(page.locator("#rules-note")).to_contain_text("for all pictures and in all files")
    page.get_by_role("button", name="Remove picture", exact=True).click()
    choose(page, scenes[1])
    expect(page.locator("#rules-note")).to_be_empty()


def test_pictures_of_the_same_name_are_renamed(visit, scenes):
    page = visit()
    choose(page, scenes[1])
    choose(page, scenes[1])
    expect(page.locator("#picture-name")).to_have_text("second-2.jpg")


def test_no_place_is_stated_without_a_choice(visit, scenes):
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
    segmentation = nephoscope.segment(
        scenes[1],
        model,
        bounds=nephoscope.core.geo.Bounds(-71, 10, -50, 24),
        day=nephoscope.core.geo.parse_day("2020-02-01"),
    )
    assert json.loads(download(page, outlines)) == json.loads(FORMATS["geojson"].render(segmentation)[0])
