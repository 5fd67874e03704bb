"""The site in a browser: the same answers as Python, without a server and without a network."""

import io
import json
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image as PilImage

import nephoscope
from browsing import PLACED, browser, choose, download, expect, pixels, ruled, settled, slide, visit
from conftest import encoded
from nephoscope.core.errors import DownloadError
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.datasets.labels import format_labels
from nephoscope.imagery.synthetic import SAMPLE_NAME, make_scene
from nephoscope.inference import payload
from nephoscope.outputs import FORMATS
from nephoscope.outputs.csv import rows
from nephoscope.site.build import write_site
from nephoscope.site.runtime import read_runtime

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        runtime = read_runtime()
    except DownloadError as error:
        pytest.skip(f"no ONNX Runtime Web: {error}")
    root = tmp_path_factory.mktemp("host")
    write_site(root / "some" / "where", ["default"], runtime)
    return root


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def host(folder: Path) -> Iterator[ThreadingHTTPServer]:
    """A plain file server, with the site in a folder below its root."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def server(host: ThreadingHTTPServer) -> str:
    """The site's address; what `visit` opens."""
    return f"http://127.0.0.1:{host.server_port}/some/where/"


SIZES = [
    (320, 480), (321, 479), (350, 525), (467, 700), (640, 960), (700, 1050), (901, 1333), (1400, 2100),
    (200, 300), (300, 900), (900, 300), (480, 480), (160, 240), (500, 1400), (333, 333), (1000, 1500),
    (64, 96), (720, 1080), (410, 615), (350, 525),
]  # fmt: skip

MADE_SIZES = [(320, 480), (700, 1050), (350, 525), (233, 350), (400, 1200), (600, 600)]


def real_pictures(clouds: Path, folder: Path) -> list[Path]:
    """Twenty real scenes at all sizes, as JPEG, PNG and WebP; some under names that tell the place."""
    names = sorted(path.name for path in (clouds / "train_images").glob("*.jpg"))[:: 5041 // 20]
    paths = []
    for number, (name, size) in enumerate(zip(names, SIZES, strict=False)):
        scene = cv2.imread(str(clouds / "train_images" / name))
        resized = cv2.resize(scene, size[::-1], interpolation=cv2.INTER_CUBIC)
        ending = (".jpg", ".jpg", ".png", ".webp")[number % 4]
        placed = f"Terra_CorrectedReflectance201502{number + 1:02}_-61--40_10-24_{number}"
        paths.append(folder / f"{placed if number % 5 == 4 else f'real{number}'}{ending}")
        cv2.imwrite(str(paths[-1]), resized)
    return paths


def made_pictures(folder: Path) -> list[Path]:
    """Ten made-up scenes: of several sizes, with no data, transparent, grey, rotated by EXIF."""
    contents = {
        f"made{seed}.{'jpg' if seed % 2 else 'png'}": encoded(
            make_scene(seed, size).pixels, ".jpg" if seed % 2 else ".png"
        )
        for seed, size in enumerate(MADE_SIZES)
    }
    scene = make_scene(7, (400, 600)).pixels
    opacity = np.full((400, 600, 1), 255, np.uint8)
    opacity[:, 420:] = 0
    contents["clear.png"] = encoded(np.concatenate([scene, opacity], axis=2), ".png")
    contents["grey.png"] = encoded(cv2.cvtColor(scene, cv2.COLOR_RGB2GRAY), ".png")
    contents["black.png"] = encoded(np.where(np.arange(600)[:, None] < 200, np.uint8(0), scene), ".png")
    rotated, exif = io.BytesIO(), PilImage.Exif()
    exif[0x0112] = 6
    PilImage.fromarray(make_scene(8, (600, 400)).pixels).save(rotated, "JPEG", quality=95, exif=exif)
    contents["turned.jpg"] = rotated.getvalue()
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in contents]


def masks_in(content: bytes) -> dict[str, np.ndarray]:
    """Masks of 0 and 1 by file name."""
    masks = {}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for name in archive.namelist():
            with PilImage.open(io.BytesIO(archive.read(name))) as image:
                assert image.mode == "P"
                masks[name] = np.asarray(image) > 0
    return masks


def dice(one: np.ndarray, other: np.ndarray) -> float:
    total = int(one.sum() + other.sum())
    return 2 * int((one & other).sum()) / total if total else 1.0


def all_masks(page: Any) -> dict[str, np.ndarray]:
    return masks_in(download(page, page.locator("#all-downloads button").filter(has_text="Masks")))


@pytest.mark.timeout(600)
def test_the_same_masks_as_python(visit, model, request, tmp_path):
    """Also the same presence, area fractions and warnings."""
    made = made_pictures(tmp_path)
    try:
        pictures = [*real_pictures(request.getfixturevalue("clouds"), tmp_path), *made]
    except pytest.skip.Exception:
        pictures = made
    page = visit()
    page.set_default_timeout(120_000)  # the masks of all pictures are one file
    choose(page, *pictures)
    expect(page.locator(".strip .progress")).to_have_text(f"{len(pictures)} pictures", timeout=300_000)
    masks = all_masks(page)
    scenes = json.loads(download(page, page.locator("#all-downloads button").filter(has_text="Regions")))
    worst = 1.0
    for path, scene in zip(pictures, scenes["scenes"], strict=True):
        segmentation = nephoscope.segment(path, model)
        assert scene["scene"] == path.name
        assert [scene["height"], scene["width"]] == list(segmentation.scene.size)
        assert bool(scene["warnings"]) == bool(segmentation.warnings), path.name
        for name in DEFAULT_NAMES:
            mask = masks[f"{path.stem}_{name}.png"]
            agreement = dice(mask, segmentation.mask(name, segmentation.scene.size))
            assert agreement >= 0.99, (path.name, name, agreement)
            worst = min(worst, agreement)
            found = scene["patterns"][name]
            assert found["present"] == (name in segmentation.present)
            assert found["score"] == pytest.approx(segmentation.scores[name], abs=0.01)
            assert found["cover"] == pytest.approx(segmentation.area_fractions[name], abs=0.01)
            probability = segmentation.presence_probabilities[name]
            assert found["probability"] == pytest.approx(probability, abs=0.01)
    print(f"least Dice of {len(pictures)} pictures: {worst:.4f}")


def test_downloads_equal_python(visit, model, tmp_path):
    path = tmp_path / PLACED
    path.write_bytes(encoded(make_scene(3, (320, 480)).pixels, ".jpg"))
    page = visit()
    choose(page, path)
    slide(page, "Fish", "Pixel threshold", 90)
    changed = ruled(model, {"Fish": {"threshold": 0.45}})
    segmentation = nephoscope.segment(path, changed)
    buttons = page.locator("#downloads button")
    assert pixels(page, "Fish") == pytest.approx(np.count_nonzero(segmentation.masks[0]), rel=0.01, abs=5)

    outlines = json.loads(download(page, buttons.filter(has_text="Outlines")))
    expected = json.loads(FORMATS["geojson"].render(segmentation)[0])
    assert outlines["provenance"] == expected["provenance"]
    assert len(outlines["features"]) == len(expected["features"])
    for feature, known in zip(outlines["features"], expected["features"], strict=True):
        own, other = feature["properties"], known["properties"]
        assert own.pop("area_km2") == pytest.approx(other.pop("area_km2"), rel=0.01)
        for name in ("cover", "mean_probability"):
            assert own.pop(name) == pytest.approx(other.pop(name), abs=0.005)
        assert own == other
        assert feature["geometry"]["type"] == known["geometry"]["type"]
        assert feature["bbox"] == pytest.approx(known["bbox"], abs=0.1)
    header, row, *rest = download(page, buttons.filter(has_text="Covers")).decode().splitlines()
    covers = dict(zip(header.split(","), row.split(","), strict=True))
    assert not rest
    assert covers["scene"] == PLACED
    assert covers["date"] == "2009-01-22"
    for name in DEFAULT_NAMES:
        assert float(covers[f"{name} cover"]) == pytest.approx(segmentation.area_fractions[name], abs=0.005)
    contest = download(page, buttons.filter(has_text="Contest")).decode().splitlines()
    assert [line.split(",")[0] for line in contest] == [
        line.split(",")[0] for line in format_labels(rows(segmentation)).decode().splitlines()
    ]
    packed = payload.unpack(download(page, buttons.filter(has_text="Fields")))
    assert np.abs(packed.probabilities - segmentation.probabilities).mean() < 1e-3
    assert packed.card == model.card
    overlay = cv2.imdecode(np.frombuffer(download(page, buttons.filter(has_text="Overlay")), np.uint8), 1)
    assert overlay.shape == (511, 700, 3)


def test_it_works_without_a_network_once_it_was_seen(visit, host):
    page = visit()
    page.evaluate("navigator.serviceWorker.ready")
    host.shutdown()
    host.server_close()
    page.reload()
    expect(page.locator("#legend li")).to_have_count(len(DEFAULT_NAMES))
    assert page.evaluate("crossOriginIsolated")  # so the runtime may use threads
    page.get_by_role("button", name="Try the sample").click()
    settled(page)
    expect(page.locator("#picture-name")).to_have_text(SAMPLE_NAME)


def test_one_bad_picture_does_not_stop_the_others(visit, tmp_path):
    contents = {
        "broken.jpg": b"\xff\xd8\xff no picture",
        "empty.png": b"",
        "scan.tif": b"II*\0 no picture",
        "tiny.png": encoded(np.zeros((8, 8, 3), np.uint8), ".png"),
        "good.png": encoded(make_scene(1, (320, 480)).pixels, ".png"),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    page = visit()
    page.set_input_files("#files", [str(tmp_path / name) for name in contents])
    expect(page.locator(".strip .progress")).to_have_text("5 pictures, 4 failed")
    reasons = {
        "broken.jpg": "not a readable JPEG, PNG or WebP picture, or damaged",
        "empty.png": "the file is empty",
        "scan.tif": "browsers do not read TIFF",
        "tiny.png": "8 x 8 px is too small",
    }
    for name, reason in reasons.items():
        page.get_by_role("button", name=name).first.click()
        expect(page.locator("#stage-note p").first).to_contain_text(reason)
        expect(page.get_by_role("button", name="Try again")).to_be_hidden()  # it would fail again
    page.get_by_role("button", name="good.png").first.click()
    settled(page)


def test_nothing_leaves_the_site(visit, server, tmp_path):
    """Also where the place is stated: no request goes to another host, and none carries a picture."""
    requests: list[Any] = []
    page = visit(before=lambda page: page.on("request", lambda request: requests.append(request)))
    path = tmp_path / "scene.png"
    path.write_bytes(encoded(make_scene(1, (320, 480)).pixels, ".png"))
    choose(page, path)
    page.locator("#stating summary").click()
    page.locator("#place").get_by_label("Region").select_option("barbados")
    page.locator("#place").get_by_label("Day").fill("2020-02-01")
    page.get_by_role("button", name="Use for this picture").click()
    expect(page.locator("#picture-facts")).to_contain_text("1 February 2020")
    assert all(request.url.startswith((server, "blob:", "data:")) for request in requests)
    assert all(request.method == "GET" for request in requests)
    expect(page.locator("#privacy")).to_contain_text("stay on this device")
    expect(page.get_by_role("link", name="API")).to_have_count(0)


def test_a_name_that_claims_the_globe_is_refused_and_blocks_nothing(visit, tmp_path):
    content = encoded(make_scene(1, (320, 480)).pixels, ".jpg")
    for name in ("Aqua_CorrectedReflectance20200101_-180-180_-90-90.jpg", "good.jpg", "good.png"):
        (tmp_path / name).write_bytes(content)
    page = visit()
    page.set_input_files("#files", sorted(map(str, tmp_path.iterdir())))
    expect(page.locator(".strip .progress")).to_have_text("3 pictures, 1 failed")
    expect(page.locator("#stage-note p").first).to_contain_text("the limit is 24")
    page.get_by_role("button", name="good.jpg").first.click()
    archive = download(page, page.locator("#all-downloads button").filter(has_text="Masks"))
    assert len(masks_in(archive)) == 2 * len(DEFAULT_NAMES)  # also where names differ by their ending alone


def test_a_worker_that_fails_is_started_again(visit, tmp_path):
    (tmp_path / "good.jpg").write_bytes(encoded(make_scene(1, (320, 480)).pixels, ".jpg"))

    def before(page: Any) -> None:
        page.route("**/browser/tiles.js", lambda route: route.abort(), times=1)

    page = visit(expected="ERR_FAILED", before=before)
    page.set_input_files("#files", str(tmp_path / "good.jpg"))
    settled_or_failed = page.locator("#stage-note[data-state=failed], #summary:not(:empty)")
    expect(settled_or_failed.first).to_be_visible()
    if page.get_by_role("button", name="Try again").first.is_visible():
        page.get_by_role("button", name="Try again").first.click()
    settled(page)
