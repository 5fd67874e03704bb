"""Label Studio's backend API, as Label Studio asks it."""

import sys
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

import nephoscope
from conftest import encoded
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.datasets.exchange import brush
from nephoscope.inference.model import Model
from nephoscope.inference.postprocess import Rule

sys.path.insert(0, str(Path(__file__).parents[2] / "contrib" / "label-studio-backend"))
from label_studio_nephoscope import make_app

RULE = Rule(threshold=0.5, top_k=100, presence=0.6, least_cover=0, minimum_area=50)
INTERFACE = """
<View><!-- patterns -->
  <Image name="picture" value="$url" zoom="true"/>
  <Choices name="seen" toName="picture"><Choice value="yes"/></Choices>
  <BrushLabels name="patterns" toName="picture">
    <Label value="fish"/><Label value="Flowers" background="#cc79a7"/><Label value="Cumulonimbus"/>
  </BrushLabels>
</View>
"""


@pytest.fixture
def bright(tiny_model):
    """A model for which a pattern is where its colour is bright."""
    return Model.load(tiny_model(rules=dict.fromkeys(DEFAULT_NAMES, RULE)))


@pytest.fixture
def folder(tmp_path):
    """A folder of two pictures, with a third one beside it."""
    pixels = np.full((140, 210, 3), 60, np.uint8)
    pixels[20:60, 30:80, 1] = pixels[80:120, 100:200, 1] = pixels[90:130, 150:205, 2] = 240
    for name in ("in/scene.png", "in/day one/inner.png", "secret.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(pixels, ".png"))
    (tmp_path / "in" / "link.png").symlink_to(tmp_path / "secret.png")
    (tmp_path / "in" / "broken.png").write_bytes(b"no picture")
    return tmp_path / "in"


@pytest.fixture
def client(folder, bright):
    return TestClient(make_app(folder, bright))


def predict(client, *addresses, interface=INTERFACE):
    tasks = [{"id": number, "data": {"url": address}} for number, address in enumerate(addresses, 1)]
    body = {"tasks": tasks, "project": "3.1600000000", "label_config": interface, "params": {"context": None}}
    return client.post("/predict", json=body)


def test_it_is_up(client):
    for address in ("/", "/health"):
        assert client.get(address).json()["status"] == "UP"


def test_a_project_is_connected(client, bright):
    body = {"project": "3.1600000000", "schema": INTERFACE, "hostname": "http://127.0.0.1:8080"}
    assert client.post("/setup", json=body).json() == {"model_version": bright.card.name}


@pytest.mark.parametrize(
    "interface",
    [
        "",
        "<View",
        "<View><Text name='t' value='$text'/></View>",
        INTERFACE.replace("BrushLabels", "PolygonLabels"),
        '<!DOCTYPE x [<!ENTITY a "b">]><View>&a;</View>',
    ],
)
def test_an_interface_without_brush_labels_is_refused(client, interface):
    refused = client.post("/setup", json={"project": "3", "schema": interface})
    assert refused.status_code == 400
    assert "labelling interface" in refused.json()["detail"]
    assert predict(client, "scene.png", interface=interface).status_code == 400


def test_predictions_are_the_masks_of_the_interfaces_labels(client, bright, folder):
    answer = predict(client, "/data/upload/3/0a1b2c3d-scene.png").json()
    expected = nephoscope.segment(folder / "scene.png", bright)
    assert expected.present == ["Flower", "Gravel"]
    (prediction,) = answer["results"]
    assert answer["model_version"] == prediction["model_version"] == bright.card.name
    (region,) = prediction["result"]  # the interface has no Gravel
    assert (region["from_name"], region["to_name"], region["type"]) == ("patterns", "picture", "brushlabels")
    assert region["value"]["brushlabels"] == ["Flowers"]
    assert (region["original_width"], region["original_height"]) == (210, 140)
    assert prediction["score"] == region["score"] == pytest.approx(expected.scores["Flower"], abs=1e-4)
    mask = brush.decode(region["value"]["rle"], (140, 210))
    assert np.array_equal(mask, expected.mask("Flower", (140, 210)))


@pytest.mark.parametrize("address", ["/data/local-files/?d=day%20one/inner.png", "scene.png", "/x/scene.png"])
def test_pictures_are_found_in_the_folder(client, address):
    assert "result" in predict(client, address).json()["results"][0]


@pytest.mark.parametrize(
    "address",
    [
        "/data/local-files/?d=../secret.png",
        "/data/local-files/?d=%2e%2e%2fsecret.png",
        "../secret.png",
        "secret.png",
        "link.png",
        "missing.png",
        "http://127.0.0.1:9/secret.png",
        "file:///etc/passwd",
        "day one",
        "/data/local-files/?d=a%00b/scene2.png",
        "a\0b.png",
        "x" * 300 + ".png",
        "sample",
        "worldview:Terra/2020-02-01/barbados",
        "",
        None,
        7,
    ],
)
def test_nothing_else_is_read(client, address):
    (result,) = predict(client, address).json()["results"]
    assert set(result) == {"error"}


def test_an_absolute_path_is_one_in_the_folder(client, folder):
    (result,) = predict(client, f"/data/local-files/?d={folder.parent / 'secret.png'}").json()["results"]
    assert set(result) == {"error"}


def test_one_picture_that_cannot_be_read_leaves_the_others(client):
    results = predict(client, "broken.png", "scene.png").json()["results"]
    assert [set(each) for each in results] == [{"error"}, {"result", "score", "model_version"}]
    assert "broken.png" in results[0]["error"]


def test_addresses_are_fetched_only_where_stated(folder, bright, monkeypatch):
    asked = []

    def segment(picture, model):
        asked.append(str(picture))
        return real(folder / "scene.png", model)

    real = nephoscope.segment
    monkeypatch.setattr(nephoscope, "segment", segment, raising=False)
    client = TestClient(make_app(folder, bright, ["https://labels.example.org/data/"]))
    good, other = "https://labels.example.org/data/1.png", "https://labels.example.org.other/data/2.png"
    results = predict(client, good, other).json()["results"]
    assert ["result" in each for each in results] == [True, False]
    assert asked == [good]
    with pytest.raises(ValueError, match="last /"):
        make_app(folder, bright, ["https://labels.example.org"])
