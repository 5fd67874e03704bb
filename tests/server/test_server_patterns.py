"""Models with patterns of their own, two and six, through the API and on the page."""

import io
import json
import shutil
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import cv2
import numpy as np
import pytest

import nephoscope
from asking import ask, post
from conftest import encoded, offline, serving, tiny_models
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.imagery.synthetic import make_scene
from nephoscope.inference.model import Model
from nephoscope.inference.payload import unpack
from nephoscope.inference.postprocess import Rule

NAMES = {2: ("Open-cell", "Closed-cell"), 6: ("Street", "Ring", "Sugar", "Comma", "Wave", "Vortex")}
PLACED = "?name=scene.jpg&bounds=barbados&day=2020-02-01"
PAGE = Path(nephoscope.__file__).parent / "page"


@pytest.fixture(scope="module", params=NAMES, ids=lambda count: f"{count} patterns")
def model(request, tmp_path_factory, card):
    names = NAMES[request.param]
    make = tiny_models(tmp_path_factory.mktemp("own"), card)
    path = make(
        outputs=len(names),
        patterns=names,
        rules=dict.fromkeys(names, Rule(0.3, 50, 0.2, 5, 5)),
        styles={names[0]: {"colour": [1, 2, 255], "meaning": "made up for this test"}},
    )
    return path, Model.load(path)


@pytest.fixture(scope="module")
def address(model):
    with serving(replace(offline(), models=(str(model[0]),))) as address:
        yield address


@pytest.fixture(scope="module")
def content():
    return encoded(make_scene(2, (160, 240)).pixels, ".jpg")


def get(address, content, media_type):
    answer = post(address, content, PLACED, Accept=media_type)
    assert (answer.status, answer.headers["Content-Type"].partition(";")[0]) == (200, media_type), answer.body
    return answer.body


def test_server_state_lists_the_patterns_of_the_card(address, model):
    _, loaded = model
    patterns = ask(address, "/api/v1/server").json["patterns"]
    assert [each["name"] for each in patterns] == list(loaded.card.patterns)
    assert (patterns[0]["colour"], patterns[0]["meaning"]) == ("#0102ff", "made up for this test")
    assert len({each["colour"] for each in patterns}) == len(patterns)


@pytest.mark.slow
def test_json(address, content, model):
    (scene,) = json.loads(get(address, content, "application/json"))["scenes"]
    assert list(scene["patterns"]) == list(model[1].card.patterns)
    assert {region["pattern"] for region in scene["regions"]} == set(model[1].card.patterns)


def test_csv(address, content, model):
    lines = get(address, content, "text/csv").decode().splitlines()[1:]
    assert [line.split(",")[0] for line in lines] == [f"scene.jpg_{name}" for name in model[1].card.patterns]


def test_overlay(address, content):
    picture = cv2.imdecode(np.frombuffer(get(address, content, "image/png"), np.uint8), cv2.IMREAD_COLOR)
    assert picture.ndim == 3


def test_masks(address, content, model):
    with zipfile.ZipFile(io.BytesIO(get(address, content, "application/zip"))) as archive:
        assert archive.namelist() == [f"scene_{name}.png" for name in model[1].card.patterns]


@pytest.mark.slow
def test_geojson(address, content, model):
    features = json.loads(get(address, content, "application/geo+json"))["features"]
    assert {feature["properties"]["pattern"] for feature in features} == set(model[1].card.patterns)


def test_netcdf(address, content, model):
    xarray = pytest.importorskip("xarray", reason="the extra geo is not installed")
    netcdf = io.BytesIO(get(address, content, "application/x-netcdf"))
    with xarray.open_dataset(netcdf, engine="h5netcdf") as grid:
        assert len(grid["probability"]) == len(model[1].card.patterns)
        assert grid["mask"].attrs["flag_meanings"].split() == list(model[1].card.patterns)


def test_probabilities(address, content, model):
    packed = unpack(get(address, content, "application/x-npz"))
    assert packed.card.patterns == model[1].card.patterns
    assert len(packed.probabilities) == len(model[1].card.patterns)


def test_rules_of_a_request_name_own_patterns(address, content, model):
    name = model[1].card.patterns[-1]
    rules = quote(json.dumps({name: {"presence": 1.0}}))
    scene = post(address, content, f"{PLACED}&rules={rules}").json["scenes"][0]
    assert not scene["patterns"][name]["present"]
    rules = quote(json.dumps({"Fish": {"presence": 1.0}}))
    assert post(address, content, f"{PLACED}&rules={rules}").kind == "value"


@pytest.mark.slow
def test_patterns_of_several_models_are_listed_once(model):
    with serving(replace(offline(), models=("default", str(model[0])))) as address:
        names = [each["name"] for each in ask(address, "/api/v1/server").json["patterns"]]
    assert names == list(dict.fromkeys((*DEFAULT_NAMES, *model[1].card.patterns)))


# A document with as much of the DOM as the panel uses.
_PANEL = """
class Element {
  constructor(name) {
    Object.assign(this, { name, children: [], listeners: {}, classList: { toggle() {} } });
    this.style = { setProperty() {} };
  }
  append(...children) {
    for (const child of children) {
      this.children.push(child);
      if (child instanceof Element) child.parent = this;
    }
  }
  setAttribute() {}
  addEventListener(name, listener) { this.listeners[name] = listener; }
  cloneNode() { return new Element(this.name); }
  remove() { this.parent.children.splice(this.parent.children.indexOf(this), 1); }
}
globalThis.document = { createElement: (name) => new Element(name) };
const { legendEntry, PatternRow } = await import('./panel.js');
const { card, patterns } = JSON.parse(process.argv[2]);
const pictures = ({ children }) => children.flatMap((child) => (
  child instanceof Element ? [...(child.name === 'img' ? [child] : []), ...pictures(child)] : []
));
const rows = card.patterns.map((name) => new PatternRow(
  patterns.find((pattern) => pattern.name === name), card.rules[name], card.grid[0] * card.grid[1], {},
));
const places = [...patterns.map(legendEntry), ...rows.map((row) => row.element)];
const before = places.map((place) => pictures(place).length);
for (const place of places) pictures(place)[0].listeners.error();
console.log(JSON.stringify({
  before, after: places.map((place) => pictures(place).length), rules: rows.map((row) => row.rule.threshold),
}));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="no Node.js to run the page's modules")
def test_page_shows_own_patterns_without_broken_pictures(address, model, tmp_path):
    folder = shutil.copytree(PAGE, tmp_path / "page")
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "test.js").write_text(_PANEL)
    card = ask(address, "/api/v1/models").json["models"][0]
    patterns = ask(address, "/api/v1/server").json["patterns"]
    command = ["node", str(folder / "test.js"), json.dumps({"card": card, "patterns": patterns})]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    count = len(patterns)
    assert (shown["before"], shown["after"]) == ([1] * 2 * count, [0] * 2 * count)
    assert shown["rules"] == [0.3] * count
