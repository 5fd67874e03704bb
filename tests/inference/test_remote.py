"""A segmentation by a server equals one on this machine."""

import io
import json
import os
import pickle
import tracemalloc
import zipfile
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import nephoscope
from asking import elsewhere
from conftest import encoded, serving
from nephoscope.core.errors import DownloadError, ModelError, PayloadError, SceneError, ServerError
from nephoscope.core.geo import parse_bounds
from nephoscope.imagery import http
from nephoscope.imagery.reading import open_scene
from nephoscope.inference import remote
from nephoscope.inference.payload import Payload, pack, quantize_probabilities, unpack
from nephoscope.inference.remote import RemoteModel
from nephoscope.outputs import FORMATS
from nephoscope.server.limits import Limits
from nephoscope.server.settings import Settings


def assert_same(there, here):
    for name in ("probabilities", "valid_mask", "components"):
        np.testing.assert_array_equal(getattr(there, name), getattr(here, name))
    assert (there.scores, there.area_fractions, there.regions) == (
        here.scores,
        here.area_fractions,
        here.regions,
    )
    assert (there.card, there.prediction.tta, there.join) == (here.card, here.prediction.tta, here.join)
    assert (there.scene.bounds, there.scene.day) == (here.scene.bounds, here.scene.day)


@pytest.mark.slow
def test_every_kind_of_picture_is_segmented_alike(server, jpeg, picture):
    for given_picture in (jpeg, str(jpeg), jpeg.read_bytes(), picture):
        there, here = nephoscope.segment(given_picture, server=server), nephoscope.segment(given_picture)
        assert_same(there, here)
        assert FORMATS["overlay"].render(there) == FORMATS["overlay"].render(here)
        assert FORMATS["json"].render(there) == FORMATS["json"].render(here)


@pytest.mark.slow
def test_transparent_pixels_stay_no_data(server, picture):
    alpha = np.full(picture.shape[:2], 255, np.uint8)
    alpha[:, :20] = 0
    scene = open_scene(np.dstack([picture, alpha]), name="scene")
    assert_same(nephoscope.segment(scene, server=server), nephoscope.segment(scene))


@pytest.mark.slow
def test_pixels_without_data_are_sent_unchanged(server, picture):
    dark = np.where(picture.max(axis=2, keepdims=True) == 0, np.arange(240)[None, :, None] % 9, picture)
    scene = open_scene(encoded(dark.astype(np.uint8), ".png"))
    assert scene.read().pixels[~scene.read().valid_mask].any()  # nearly black, as JPEG leaves gaps
    assert_same(nephoscope.segment(scene, server=server), nephoscope.segment(scene))


@pytest.mark.slow
def test_bounds_of_a_scene_override_its_name(server, jpeg):
    named = open_scene(jpeg.read_bytes(), name="Aqua_CorrectedReflectance20090122_-61--40_10-24.jpeg")
    scene = replace(named, bounds=None)
    assert named.bounds is not None
    assert_same(nephoscope.segment(scene, server=server), nephoscope.segment(scene))


@pytest.mark.slow
def test_a_name_that_is_no_text_can_be_sent(server, jpeg):
    path = jpeg.with_name(os.fsdecode(b"sc\xe9ne.jpg"))
    path.write_bytes(jpeg.read_bytes())
    assert_same(nephoscope.segment(path, server=server), nephoscope.segment(path))


@pytest.mark.slow
def test_bounds_day_join_and_tta_with_a_server(server, jpeg):
    stated = {"bounds": parse_bounds("170,-10,-179,0"), "day": nephoscope.core.geo.parse_day("2020-02-01")}
    for options in (stated, {"join": 20}, {"tta": True}):
        assert_same(nephoscope.segment(jpeg, server=server, **options), nephoscope.segment(jpeg, **options))


@pytest.mark.slow
def test_a_world_file_beside_the_picture_counts(server, jpeg):
    jpeg.with_suffix(".jgw").write_text("0.05\n0\n0\n-0.05\n-60\n20\n")
    there = nephoscope.segment(jpeg, server=server)
    assert there.scene.bounds is not None
    assert_same(there, nephoscope.segment(jpeg))


def test_the_address_carries_the_token(tiny_model, jpeg):
    with serving(Settings(models=(str(tiny_model()),), token="abc")) as address:
        assert nephoscope.segment(jpeg, "tiny", server=f"{address}/#token=abc").card.name == "tiny"
        for wrong in (address, f"{address}/#token=abd"):
            with pytest.raises(ServerError, match="token"):
                nephoscope.segment(jpeg, "tiny", server=wrong)


def test_refusals_say_why(server, jpeg, model, tmp_path):
    with pytest.raises(ModelError, match="name of one of the server's"):
        nephoscope.segment(jpeg, model, server=server)
    with pytest.raises(ModelError, match="unknown model 'unknown'"):
        nephoscope.segment(jpeg, "unknown", server=server)
    with pytest.raises(ModelError, match="unknown model 'unknown'; available: default"):
        remote.RemoteModel(server, "unknown").card  # noqa: B018
    (tmp_path / "text.jpg").write_text("no picture")
    with pytest.raises(SceneError, match=r"text\.jpg"):
        nephoscope.segment(tmp_path / "text.jpg", server=server)
    with pytest.raises(SceneError, match="follow the picture's end"):
        nephoscope.segment(jpeg.read_bytes() + b"<html>" * 100, server=server)
    for address in ("ftp://host/", "host:8000", "http://[", "http://127.0.0.1:9/"):
        with pytest.raises(ServerError, match=address.rstrip("/").replace("[", r"\[")):
            nephoscope.segment(jpeg, server=address)
    with pytest.raises(ServerError, match="not-a-page|404|nothing"):
        nephoscope.segment(jpeg, server=f"{server}/nothing")


def test_a_token_goes_to_no_other_address(jpeg):
    with elsewhere(200, {}) as second:
        location = {"Location": f"{second.address}/"}
        with (
            elsewhere(302, location) as first,
            pytest.raises(ServerError, match="answered 302"),
        ):
            nephoscope.segment(jpeg, server=f"{first.address}/#token=abc")
        assert len(first.asked) == 1
    assert second.asked == []


@pytest.mark.parametrize(
    ("status", "content"),
    [(200, b"<html>"), (200, b""), (404, b"no"), (500, b"[]"), (400, b'{"detail": "x"}')],
)
def test_other_servers_are_recognised(jpeg, status, content):
    with elsewhere(status, {}, content) as other, pytest.raises(ServerError, match=other.address):
        nephoscope.segment(jpeg, server=other.address)


@pytest.mark.slow
def test_requests_follow_the_servers_workers_and_limit(start):
    for workers, limit, expected in ((3, 32, 6), (3, 4, 4)):
        with start(Limits(requests=limit), workers=workers) as address:
            assert RemoteModel(address).connections == expected
    with (
        elsewhere(200, {}, b"{}") as other,
        pytest.raises(ServerError, match="not a response of nephoscope"),
    ):
        _ = RemoteModel(other.address).connections


@pytest.mark.slow
def test_a_busy_server_is_asked_again_while_patience_lasts(tiny_model, jpeg, monkeypatch):
    busy = Settings(models=(str(tiny_model()),), limits=Limits(requests=0))
    monkeypatch.setattr(remote, "RETRY", remote.RETRY._replace(patience=2.0))
    with serving(busy) as address, pytest.raises(ServerError, match=r"busy.*\(asked 2 times\)"):
        nephoscope.segment(jpeg, "tiny", server=address)


@pytest.mark.parametrize(
    ("kind", "error"),
    [("picture", SceneError), ("too-large", SceneError), ("model", ModelError), ("value", ServerError)],
)
def test_errors_are_told_apart_by_the_kind_of_problem(jpeg, kind, error):
    problem = {"type": f"/api/v1/problems/{kind}", "detail": "any words"}
    with elsewhere(422, {}, json.dumps(problem).encode()) as other, pytest.raises(error, match="any words"):
        nephoscope.segment(jpeg, server=other.address)


def test_words_of_a_server_cannot_command_a_terminal(jpeg):
    problem = json.dumps({"detail": "red \x1b[31m\r\nalert\x07 " + "x" * 9999}).encode()
    with elsewhere(500, {}, problem) as other, pytest.raises(ServerError, match="red _.31m alert_") as caught:
        nephoscope.segment(jpeg, server=other.address)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 2000


def test_a_busy_server_is_not_asked_at_once_though_it_says_so(monkeypatch):
    clock, asked = [0.0], []

    def busy():
        asked.append(clock[0])
        raise DownloadError("http://a/", "busy", "busy", 429, 0.0)

    monkeypatch.setattr(http, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    with pytest.raises(DownloadError):
        remote.RETRY.run(busy, lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    assert min(np.diff(asked)) >= 0.5
    assert 5 < len(asked) < 25


steps = st.integers(1, 255)
shares = st.floats(0, 1, width=32)


@pytest.mark.slow
@given(steps, st.data())
@settings(deadline=None, max_examples=60)
def test_steps_keep_every_threshold_of_whole_steps(most, data):
    edges = (np.arange(most + 1) / most).astype(np.float32)
    near = [np.nextafter(edges, np.float32(side)) for side in (-1, 2)]
    drawn = data.draw(arrays(np.float32, 20, elements=shares))
    values = np.clip(np.concatenate([edges, *near, drawn]), 0, 1)
    whole = quantize_probabilities(values, most)
    for step in range(most):
        np.testing.assert_array_equal(whole > step, values > np.float32(step / most))


@given(arrays(np.float32, (4, 3, 5), elements=shares), arrays(np.bool_, (3, 5)), st.booleans())
@settings(deadline=None, max_examples=30)
def test_what_is_packed_comes_out_again(card_of_default, probabilities, valid, tta):
    heads = np.array([0.1, 0.2, 0.3, 0.4], np.float32)
    answered = Payload(card_of_default, probabilities, valid, heads, tta)
    again = unpack(pack(answered, {"any": "thing"}))
    assert (again.card, again.tta) == (card_of_default, tta)
    np.testing.assert_array_equal(again.head_probabilities, heads)
    np.testing.assert_array_equal(again.probabilities, probabilities)
    np.testing.assert_array_equal(again.valid_mask, valid)


@pytest.fixture(scope="module")
def card_of_default(model):
    return model.card


def test_a_payload_that_would_grow_is_refused_before_it_does(model):
    zeros = Payload(model.card, np.zeros((4, 600, 900), np.float32), np.ones((600, 900), bool), None, False)
    bomb = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(pack(zeros, {}))) as stored,
        zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as deflated,
    ):
        for name in stored.namelist():
            deflated.writestr(name, stored.read(name))
    tracemalloc.start()
    try:
        with pytest.raises(PayloadError, match="bytes would become 9,"):
            unpack(bomb.getvalue())
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_damaged_payloads_are_refused(model):
    answered = Payload(model.card, np.zeros((4, 3, 5), np.float32), np.ones((3, 5), bool), None, False)
    whole = pack(answered, {})
    outside, flat = np.full((4, 3, 5), 1.5, np.float32), np.zeros((4, 5), np.float32)
    no_head = model.card.with_rules({"Fish": {"evidence": "head"}})
    for damaged in (
        pack(answered._replace(probabilities=outside), {}),
        pack(answered._replace(probabilities=outside * np.nan), {}),
        pack(answered._replace(probabilities=flat, valid_mask=np.ones(5, bool)), {}),
        pack(answered._replace(head_probabilities=np.zeros(3, np.float32)), {}),
        pack(answered._replace(card=no_head), {}),
        b"",
        b"text",
        whole[:-40],
        pack(answered, {}, steps=200),
        encoded(np.zeros((9, 9)), ".png"),
    ):
        with pytest.raises(PayloadError):
            unpack(damaged)


def test_a_pickled_remote_model_has_its_address_and_token():
    model = remote.RemoteModel("http://127.0.0.1:9/#token=abc", "tiny")
    copy = pickle.loads(pickle.dumps(model))
    assert vars(copy) == vars(model)
    assert repr(copy) == "<RemoteModel tiny of http://127.0.0.1:9>"
