"""Models of the user's own are checked, kept under a name and found by it."""

import hashlib
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from nephoscope.core.errors import DownloadError, ModelError
from nephoscope.inference.model import Model
from nephoscope.inference.model_files import model_file, model_files, shipped, user_folders
from nephoscope.inference.model_library import add_model, list_models, remove_model


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The user's folder of models."""
    monkeypatch.setenv("NEPHOSCOPE_MODELS", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "own"


@pytest.fixture
def path(tiny_model):
    return tiny_model("trades.onnx", description="a test's")


def test_a_model_is_added_found_and_removed(path, folder):
    assert add_model(str(path)) == folder / "trades.onnx"
    assert model_file("trades").read_bytes() == path.read_bytes()
    assert Model.load("trades").card.description == "a test's"
    assert remove_model("trades") == folder / "trades.onnx"
    assert list(folder.iterdir()) == []
    with pytest.raises(ModelError, match="unknown model 'trades'"):
        model_file("trades")


def test_both_folders_are_searched(path, tmp_path, monkeypatch):
    add_model(str(path), "first")
    monkeypatch.delenv("NEPHOSCOPE_MODELS")
    (added,) = user_folders()
    assert added.is_relative_to(tmp_path)
    add_model(str(path), "second")
    assert set(model_files()) == {*shipped(), "second"}
    monkeypatch.setenv("NEPHOSCOPE_MODELS", str(tmp_path / "own"))
    assert set(model_files()) == {*shipped(), "first", "second"}


def test_names_that_are_taken_or_impossible_are_refused(path, folder):
    add_model(str(path))
    with pytest.raises(ModelError, match="--overwrite"):
        add_model(str(path))
    add_model(str(path), overwrite=True)
    for name in ("../trades", ".hidden", "a b"):
        with pytest.raises(ModelError, match="cannot be a name"):
            add_model(str(path), name)
    for change in (lambda: add_model(str(path), "default", overwrite=True), lambda: remove_model("default")):
        with pytest.raises(ModelError, match="default: is part of nephoscope"):
            change()
    with pytest.raises(ModelError, match="models of your own: trades"):
        remove_model("trade")
    assert [each.name for each in folder.iterdir()] == ["trades.onnx"]


def test_a_file_that_is_no_model_is_not_added(tmp_path, tiny_model, folder):
    (tmp_path / "text.onnx").write_text("no model")
    for source, reason in (
        (tmp_path / "text.onnx", "not an ONNX model"),
        (tiny_model("bare.onnx", raw_card=None), "no card inside"),
        (tmp_path / "missing.onnx", "No such file"),
    ):
        with pytest.raises(ModelError, match=reason):
            add_model(str(source))
    assert not folder.exists()


def test_a_model_shipped_cannot_be_shadowed(path, folder, model):
    folder.mkdir()
    (folder / "default.onnx").write_bytes(path.read_bytes())
    assert Model.load("default").card == model.card


def test_the_list_names_what_cannot_be_used(path, folder):
    add_model(str(path))
    (folder / "broken.onnx").write_text("no model")
    *ours, broken, own = list_models()
    assert [each["name"] for each in ours] == shipped()
    assert all(each["shipped"] for each in ours)
    assert "not an ONNX model" in broken["error"]
    assert own == {
        "name": "trades",
        "file": str(folder / "trades.onnx"),
        "shipped": False,
        "bytes": path.stat().st_size,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "description": "a test's",
    }


@pytest.fixture
def address(path):
    """Address of the folder with the model."""
    handler = partial(SimpleHTTPRequestHandler, directory=path.parent)
    handler.log_message = None
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_model_from_the_network_needs_its_hash(path, address, folder):
    url, digest = f"{address}/trades.onnx", hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(ModelError, match=rf"needs its SHA-256, .*{url}#sha256="):
        add_model(url)
    with pytest.raises(ModelError, match=f"its SHA-256 is {digest}, not {'0' * 64}"):
        add_model(f"{url}#sha256={'0' * 64}")
    with pytest.raises(DownloadError, match="404"):
        add_model(f"{address}/other.onnx#sha256={digest}")
    assert not folder.exists()
    assert add_model(f"{url}#sha256={digest.upper()}", "web").read_bytes() == path.read_bytes()
