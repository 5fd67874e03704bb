"""The API: every response format is read back and compared with the library's result."""

import io
import json
import zipfile
from dataclasses import replace

import cv2
import numpy as np
import pytest

import nephoscope
from asking import ask, counts, post, post_form
from conftest import encoded, serving
from nephoscope.core.geo import parse_bounds, parse_day
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.imagery.worldview import WorldviewClient
from nephoscope.inference.card import Card
from nephoscope.inference.payload import quantize_probabilities, unpack
from nephoscope.outputs import FORMATS
from nephoscope.outputs.csv import rows
from nephoscope.server.settings import Settings
from nephoscope.testing.worldview_server import WorldviewServer

PLACED = "?name=scene.jpg&bounds=barbados&day=2020-02-01"


@pytest.fixture(scope="module")
def content():
    return encoded(
        nephoscope.imagery.synthetic.make_scene(2, (160, 240), patterns=("Flower", "Sugar")).pixels, ".jpg"
    )


@pytest.fixture(scope="module")
def segmentation(content, model):
    scene = nephoscope.open_scene(content, name="scene.jpg")
    return nephoscope.segment(scene, model, bounds=parse_bounds("barbados"), day=parse_day("2020-02-01"))


def test_json_equals_the_library(server, content, segmentation):
    answer = post(server, content, PLACED)
    assert answer.json["scenes"] == [json.loads(FORMATS["json"].render(segmentation)[0])]
    assert 'filename="scene.json"' in answer.headers["Content-Disposition"]


@pytest.mark.slow
def test_every_format_equals_the_library(server, content, segmentation):
    def get(media_type, query=PLACED):
        answer = post(server, content, query, Accept=media_type)
        assert (answer.status, answer.headers["Content-Type"].partition(";")[0]) == (200, media_type)
        return answer.body

    lines = get("text/csv").decode().splitlines()
    assert lines == [
        "Image_Label,EncodedPixels",
        *(f"{name}_{pattern},{text}" for name, pattern, text in rows(segmentation)),
    ]
    overlay = cv2.imdecode(np.frombuffer(get("image/png"), np.uint8), cv2.IMREAD_COLOR)
    drawn = cv2.imdecode(
        np.frombuffer(FORMATS["overlay"].render(segmentation)[0], np.uint8), cv2.IMREAD_COLOR
    )
    assert overlay.shape == drawn.shape
    assert np.abs(overlay.astype(int) - drawn).mean() < 3  # one of them went through JPEG
    with zipfile.ZipFile(io.BytesIO(get("application/zip"))) as archive:
        assert archive.namelist() == [
            f"scene{ending}" for ending in FORMATS["mask"].file_endings(DEFAULT_NAMES)
        ]
        assert [archive.read(name) for name in archive.namelist()] == FORMATS["mask"].render(segmentation)
    assert json.loads(get("application/geo+json")) == json.loads(FORMATS["geojson"].render(segmentation)[0])
    import xarray as xr

    with xr.open_dataset(io.BytesIO(get("application/x-netcdf")), engine="h5netcdf") as grid:
        np.testing.assert_allclose(
            grid["probability"].values[:, 0][:, segmentation.valid_mask],
            segmentation.probabilities[:, segmentation.valid_mask],
            atol=1e-4,
        )


@pytest.mark.slow
def test_probabilities_are_exact_or_quantized(server, content, segmentation):
    exact = unpack(post(server, content, PLACED, Accept="application/x-npz").body)
    np.testing.assert_array_equal(exact.probabilities, segmentation.probabilities)
    query = f"{PLACED}&steps=200&picture=true"
    coarse = np.load(io.BytesIO(post(server, content, query, Accept="application/x-npz").body))
    np.testing.assert_array_equal(
        coarse["probabilities"], quantize_probabilities(segmentation.probabilities, 200)
    )
    about = json.loads(coarse["about"].tobytes())
    assert {name: entry["score"] for name, entry in about["patterns"].items()} == segmentation.scores
    shown = cv2.imdecode(coarse["picture"], cv2.IMREAD_COLOR)
    assert shown.shape == (160, 240, 3)


def test_a_failed_picture_does_not_affect_the_others(server, content):
    answer = post_form(server, ("a.jpg", content), ("b.jpg", b"no picture"), ("c.jpg", content))
    first, second, third = answer.json["scenes"]
    assert (first["scene"], third["scene"], answer.status) == ("a.jpg", "c.jpg", 200)
    assert first["regions"] == third["regions"]
    assert second["problem"]["type"].endswith("/not-a-picture")
    assert post_form(server, ("b.jpg", b"no picture")).status == 415


@pytest.mark.slow
def test_rules_of_a_request_are_applied(server, content, segmentation, model):
    rules = {"Flower": {"threshold": 0.6, "minimum_area": 1, "presence": 0.0, "least_cover": 0}}
    answer = post(server, content, f"{PLACED}&rules={json.dumps(rules)}".replace(" ", "").replace('"', "%22"))
    changed = nephoscope.segment(segmentation.scene, replace(model, card=model.card.with_rules(rules)))
    patterns = answer.json["scenes"][0]["patterns"]
    assert patterns["Flower"]["cover"] == round(changed.area_fractions["Flower"], 4)
    assert patterns["Sugar"]["cover"] == round(segmentation.area_fractions["Sugar"], 4)
    stated = answer.json["scenes"][0]["rules"]
    assert stated["chosen"] == "stated by the user"
    assert (stated["Flower"]["threshold"], stated["Sugar"]) == (0.6, vars(model.card.rules["Sugar"]))
    own = post(server, content, PLACED).json["scenes"][0]["rules"]
    assert own["chosen"] == model.card.training["rules"]


def test_unknown_parameters_are_refused(server, content):
    answer = post(server, content, f"{PLACED}&rule=x")
    assert (answer.status, answer.kind) == (422, "value")
    assert "'rule'" in answer.json["detail"]


def test_pictures_of_the_same_name_are_renamed(server, content):
    answer = post_form(server, ("a.jpg", content), ("x/a.jpg", content))
    assert [scene["scene"] for scene in answer.json["scenes"]] == ["a.jpg", "a-2.jpg"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("image/*", "image/png"),
        ("text/html, text/csv;q=0.5, application/json;q=0.4", "text/csv"),
        ("application/json;q=0, */*;q=0.1", "text/csv"),
    ],
)
def test_accept_selects_the_format(server, content, accept, media_type):
    assert post(server, content, Accept=accept).headers["Content-Type"].startswith(media_type)


@pytest.mark.slow
def test_impossible_formats_and_values_are_refused(server, content):
    assert post(server, content, Accept="text/html").kind == "format"
    assert post(server, content, Accept="application/geo+json").kind == "place"
    assert post(server, content, "?bounds=barbados", Accept="application/x-netcdf").kind == "place"
    assert post_form(server, ("a.jpg", content), ("b.jpg", content)).status == 200
    several = post_form(server, ("a.jpg", content), ("b.jpg", content), query="", Accept="image/png")
    assert several.kind == "format"
    second_best = "image/png, text/csv;q=0.2, application/json;q=0.1"
    several = post_form(server, ("a.jpg", content), ("b.jpg", content), Accept=second_best)
    assert several.headers["Content-Type"].startswith("text/csv")
    assert post(server, content, "?model=none").kind == "model"
    for query in ("bounds=nowhere", "day=2020-13-01", "steps=0", "tta=perhaps"):
        assert post(server, content, f"?{query}").kind == "value"


def test_state_models_health_and_problems(server, model):
    cards = ask(server, "/api/v1/models").json["models"]
    assert [Card.from_json(json.dumps(card)) for card in cards] == [model.card]
    state = ask(server, "/api/v1/server").json
    assert [pattern["name"] for pattern in state["patterns"]] == list(model.card.patterns)
    assert (state["nephoscope"], state["token_needed"]) == (nephoscope.__version__, False)
    assert state["workers"] >= 1
    assert ask(server, "/api/models").json["models"] == cards
    assert ask(server, "/healthz").status == ask(server, "/readyz").status == 200
    about = ask(server, "/api/v1/problems/full").body.decode()
    assert "429" in about
    assert ask(server, "/api/v1/problems/nothing").kind == "not-found"
    assert ask(server, "/nothing").kind == "not-found"
    assert ask(server, "/api/v1/segment").kind == "method"


def test_metrics_count_pictures(server, content):
    before = counts(server)
    post(server, content)
    post(server, b"no picture")
    after = counts(server)
    moved = {name for name in after if after[name] != before.get(name, 0.0)}
    assert any("pictures_total" in name and "segmented" in name for name in moved)
    assert any("pictures_total" in name and "refused" in name for name in moved)


def test_page_is_cached_and_compressed(server):
    whole = ask(server, "/")
    assert whole.headers["Content-Type"].startswith("text/html")
    again = ask(server, "/", If_None_Match=whole.headers["ETag"])
    assert (again.status, again.body) == (304, b"")
    import gzip

    packed = ask(server, "/", Accept_Encoding="gzip")
    assert gzip.decompress(packed.body) == whole.body
    for unwanted in ("gzip;q=0", "identity, gzip; q=0.0", "br"):
        assert ask(server, "/", Accept_Encoding=unwanted).body == whole.body
    head = ask(server, "/", method="HEAD")
    assert (head.status, head.body) == (200, b"")


@pytest.mark.slow
def test_each_default_pattern_has_a_picture(server, model):
    pictures = [ask(server, f"/patterns/{name}.jpg").body for name in model.card.patterns]
    assert all(cv2.imdecode(np.frombuffer(each, np.uint8), 1).shape == (160, 240, 3) for each in pictures)
    assert len(set(pictures)) == 4
    assert ask(server, "/patterns/Shark.jpg").kind == "not-found"


def test_worldview_picture_by_day_and_region(tiny_model):
    with WorldviewServer() as archive:
        where = WorldviewClient(archive.address, fallback=None, tries=1)
        with serving(Settings(models=(str(tiny_model()),), archive=where)) as address:
            state = ask(address, "/api/v1/worldview").json
            assert (state["available"], state["reason"]) == (True, "")
            assert "barbados" in [region["name"] for region in state["regions"]]
            query = "?satellite=Aqua&day=2020-02-01&place=-61,10,-58,12"
            answer = ask(address, f"/api/v1/worldview/picture{query}")
            assert answer.headers["Content-Type"] == "image/jpeg"
            name = "Aqua_CorrectedReflectance20200201_-61--58_10-12.jpeg"
            assert f'filename="{name}"' in answer.headers["Content-Disposition"]
            scene = post(address, answer.body, f"?name={name}").json["scenes"][0]
            assert (scene["satellite"], scene["date"], scene["width"]) == ("Aqua", "2020-02-01", 300)
            refused = ask(address, "/api/v1/worldview/picture?satellite=Aqua&day=1999-02-01&place=barbados")
            assert (refused.status, refused.kind) == (422, "value")


def test_unreachable_archive_is_reported(server):
    state = ask(server, "/api/v1/worldview").json
    assert state["available"] is False
    assert state["reason"]
    answer = ask(server, "/api/v1/worldview/picture?satellite=Aqua&day=2020-02-01&place=barbados")
    assert (answer.status, answer.kind) == (502, "archive")
