"""How tests use the page in a browser: its fixtures, and what hands do. Skips where there is no Chromium."""

import base64
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conftest import CLOUDS, encoded
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.imagery.synthetic import make_scene
from nephoscope.inference.model import Model

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
        patterns: int = 4,
        **options: Any,
    ) -> Any:
        context = browser.new_context(**{"viewport": WIDE, "accept_downloads": True, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on(
            "console",
            lambda message: (
                message.type in ("error", "warning")
                and not re.search(f"{expected}|willReadFrequently", message.text)  # tests read canvases
                and errors.append(message.text)
            ),
        )
        if before:
            before(page)
        page.goto(address)
        expect(page.locator("#legend li")).to_have_count(patterns)
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
    return f"covers {percent_words(share)}" if share else "not found"


def percent_words(share: float) -> str:
    return "<\u202f1\u202f%" if share < 0.005 else f"{int(share * 100 + 0.5)}\u202f%"


def pattern(page: Any, name: str) -> Any:
    return page.locator("#patterns > li").nth(DEFAULT_NAMES.index(name))


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


def download(page: Any, button: Any) -> bytes:
    with page.expect_download() as waiting:
        button.click()
    return Path(waiting.value.path()).read_bytes()
