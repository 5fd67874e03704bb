"""The page in a browser equals Python: area fractions, rules, outlines, nodata and regions."""

import base64
import json
import re
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest

import nephoscope
from browsing import (
    browser,
    choose,
    cover_words,
    expect,
    files_for,
    pattern,
    percent_words,
    scenes,
    settled,
    slide,
    visit,
)
from conftest import encoded
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.imagery.synthetic import make_scene
from nephoscope.inference.postprocess import Rule, segment_pattern
from nephoscope.outputs import FORMATS

pytestmark = pytest.mark.browser


def test_a_dropped_scene_shows_its_area_fractions(visit, scenes, model):
    page = visit()
    page.dispatch_event("body", "drop", {"dataTransfer": files_for(page, scenes[0])})
    settled(page)
    segmentation = nephoscope.segment(scenes[0], model)
    expect(page.locator(".cover")).to_have_text(
        [cover_words(segmentation.area_fractions[name]) for name in DEFAULT_NAMES]
    )
    expect(page.locator("#summary")).to_have_text(
        ", ".join(f"{name} {cover_words(segmentation.area_fractions[name])}" for name in segmentation.present)
        or "No pattern found"
    )
    expect(page.locator("#picture-name")).to_have_text("Aqua, 22 January 2009")
    expect(page.locator("#regions tbody tr")).to_have_count(len(segmentation.regions))
    # Another one, onto a page that already shows a picture.
    page.dispatch_event("#viewer", "drop", {"dataTransfer": files_for(page, scenes[1])})
    segmentation = nephoscope.segment(scenes[1], model)
    expect(page.locator("#picture-name")).to_have_text("second.jpg")
    expect(page.locator(".cover")).to_have_text(
        [cover_words(segmentation.area_fractions[name]) for name in DEFAULT_NAMES]
    )


def smooth(rng: np.random.Generator, size: tuple[int, int], width: float) -> np.ndarray:
    field = cv2.GaussianBlur(rng.normal(size=size).astype(np.float32), (0, 0), width)
    return np.asarray((field - field.min()) / (field.max() - field.min()), np.float32)


def test_rules_in_the_browser_equal_python(visit):
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
        groups, score = segment_pattern(field, rule)
        steps = np.ceil(field * np.float32(200)).astype(np.uint8)
        answer = page.evaluate(
            """async ([content, width, height, rule, score]) => {
              const { segmentPattern } = await import('/page/rules.js');
              const values = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
              const { numbers, areas } = segmentPattern(values, width, height, rule, score);
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


def test_sliders_equal_python_and_send_no_request(visit, scenes, model):
    page = visit()
    choose(page, scenes[0])
    segmentation = nephoscope.segment(scenes[0], model)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    def check(name: str, **changes: Any) -> None:
        index = DEFAULT_NAMES.index(name)
        rule = replace(model.card.rules[name], **changes)
        head = (
            None
            if segmentation.prediction.head_probabilities is None
            else float(segmentation.prediction.head_probabilities[index])
        )
        expected = int(
            np.count_nonzero(
                segment_pattern(segmentation.probabilities[index], rule, head_probability=head)[0]
            )
        )
        expect(pattern(page, name).locator(".cover")).to_have_attribute(
            "title", re.compile(f"^{expected:,} ")
        )

    name = max(segmentation.area_fractions, key=segmentation.area_fractions.__getitem__)
    check(name)
    for steps in (20, 61, 119, 150, 177):
        slide(page, name, "Pixel threshold", steps)
        check(name, threshold=steps / 200)
    for area in (0, 500, 30000):
        slide(page, name, "Minimum area", area)
        check(name, threshold=177 / 200, minimum_area=area)
    page.get_by_label("Also show patterns whose presence score is too low").check()
    for other in DEFAULT_NAMES:
        if other != name:
            check(other, presence=0, least_cover=0)
    page.locator("#reset").click()
    for each in DEFAULT_NAMES:
        check(each)
    expect(page.locator("#reset")).to_be_disabled()
    page.locator("#opacity").fill("60")
    assert asked == []


def test_outlines_equal_the_mask(visit, scenes, model):
    """Filled and read back, outlines cover the mask, but for the edge, where they pass between pixels."""
    page = visit(viewport={"width": 1000, "height": 700})
    choose(page, scenes[0])
    segmentation = nephoscope.segment(scenes[0], model)
    name = max(segmentation.area_fractions, key=segmentation.area_fractions.__getitem__)
    for other in DEFAULT_NAMES:
        if other != name:
            pattern(page, other).get_by_role("checkbox").uncheck()
    page.locator("#opacity").fill("100")
    height, width = segmentation.valid_mask.shape
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
    mask = segmentation.masks[DEFAULT_NAMES.index(name)].view(np.uint8)
    disc = np.ones((7, 7), np.uint8)
    surely_in = cv2.erode(mask, disc) > 0
    surely_out = (cv2.dilate(mask, disc) == 0) & (cv2.erode(segmentation.valid_mask.view(np.uint8), disc) > 0)
    assert drawn_mask[surely_in].all()
    assert not drawn_mask[surely_out].any()
    assert surely_in.sum() > 1000
    assert surely_out.sum() > 1000


def test_nodata_is_hatched(visit, tmp_path):
    picture = make_scene(2, (320, 480)).pixels.copy()
    picture[:, 200:300] = 0
    path = tmp_path / "gap.png"
    path.write_bytes(encoded(picture, ".png"))
    page = visit(viewport={"width": 1000, "height": 700})
    choose(page, path)
    for name in DEFAULT_NAMES:
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


def test_regions_describe_themselves(visit, scenes, model):
    page = visit()
    choose(page, scenes[0])
    segmentation = nephoscope.segment(scenes[0], model)
    feature = json.loads(FORMATS["geojson"].render(segmentation)[0])["features"][0]["properties"]
    region = segmentation.regions[0]
    button = page.locator("#regions .region").filter(has_text=region.pattern).first
    label = button.get_attribute("aria-label")
    assert f"{region.pattern}, {percent_words(region.area_fraction)} of the picture" in label
    area = float(re.search(r"([\d,]+)\u202fkm²", label)[1].replace(",", ""))
    assert area == pytest.approx(feature["area_km2"], rel=0.01)
    probability = float(re.search(r"mean probability (\d\.\d+)", label)[1])
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
