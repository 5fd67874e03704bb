"""Frames of a brush stroke on the page, on a picture of 2100x1400: `python -m benchmarks.drawing`.

Chromium without a screen draws on the processor. The mouse moves for some seconds; the times between frames
that the page gets are printed, and the longest task while drawing and after the end of the stroke.
"""

import math
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import sync_playwright

from benchmarks.server import server
from nephoscope.core.types import LABEL_GRID
from nephoscope.imagery.synthetic import encode_jpeg, make_scene

SECONDS = 4
_WATCH = """() => {
  window.frames_ = [];
  window.tasks_ = [];
  const frame = (time) => { window.frames_.push(time); requestAnimationFrame(frame); };
  requestAnimationFrame(frame);
  new PerformanceObserver((list) => list.getEntries().forEach(({ duration }) => window.tasks_.push(duration)))
    .observe({ type: 'longtask' });
}"""


def main(folder: Path) -> None:
    """Draw a stroke, and print its frames."""
    picture = folder / "picture.jpg"
    picture.write_bytes(encode_jpeg(make_scene(0, LABEL_GRID).pixels))
    with server() as (address, _), sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = chromium.new_page(viewport={"width": 1400, "height": 900})
        page.goto(address)
        page.set_input_files("#files", str(picture))
        page.locator("#regions tbody tr, #summary:has-text('No')").first.wait_for()
        page.locator("#draw").click()
        page.keyboard.press("b")
        page.evaluate(_WATCH)
        stroke(page)
        frames, tasks = page.evaluate("[window.frames_, window.tasks_]")
        page.wait_for_timeout(500)
        after = page.evaluate("window.tasks_")[len(tasks) :]
        chromium.close()
    between = np.diff(frames[5:])
    print(f"a stroke of {SECONDS} s: {1000 / between.mean():.1f} frames a second")
    print(f"between frames: median {np.median(between):.1f}, p95 {np.percentile(between, 95):.1f} ms")
    print(f"tasks above 50 ms: {len(tasks)} while drawing; {max(after, default=0):.0f} ms after its end")


def stroke(page: Any) -> None:
    """Draw loops with the mouse."""
    box = page.locator("#viewer").bounding_box()
    end, step = time.monotonic() + SECONDS, 0
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    while time.monotonic() < end:
        step += 1
        x = box["width"] * (0.5 + 0.35 * math.sin(step / 17))
        y = box["height"] * (0.5 + 0.35 * math.sin(step / 29))
        page.mouse.move(box["x"] + x, box["y"] + y)
    page.mouse.up()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        main(Path(made))
