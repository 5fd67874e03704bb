"""The contest's data through the real kagglehub, whose own switch for tests leads it to a server here."""

import io
import os
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from typer.testing import CliRunner

from conftest import encoded
from nephoscope.cli import app
from nephoscope.core.extras import install_command
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.datasets.dataset import read_dataset


def fetch(folder):
    return CliRunner().invoke(app, ["fetch", "kaggle", "-o", str(folder)])


@pytest.fixture
def kaggle(tmp_path, monkeypatch):
    environment = pytest.importorskip("kagglesdk.kaggle_env")
    for name in [name for name in os.environ if name.startswith("KAGGLE")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "TEST")
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path / "no-account"))
    monkeypatch.setenv("HOME", str(tmp_path))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("train_images/a.jpg", encoded(np.full((32, 48, 3), 90, np.uint8), ".jpg"))
        archive.writestr("train_images/._a.jpg", b"not wanted")
        archive.writestr("test_images/b.jpg", b"not wanted")
        archive.writestr(
            "train.csv",
            "".join(["Image_Label,EncodedPixels\n", *(f"a.jpg_{name},\n" for name in DEFAULT_NAMES)]),
        )

    class Handler(BaseHTTPRequestHandler):
        status, body = 200, packed.getvalue()

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(self.status)
            self.send_header("Content-Length", str(len(self.body)))
            self.end_headers()
            self.wfile.write(self.body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setitem(environment._env_to_endpoint, environment.KaggleEnv.TEST, address)
    yield Handler
    server.shutdown()
    server.server_close()


@pytest.fixture
def account(monkeypatch):
    monkeypatch.setenv("KAGGLE_USERNAME", "somebody")
    monkeypatch.setenv("KAGGLE_KEY", "made up")


@pytest.mark.slow
def test_pictures_and_labels_are_laid_into_the_folder(kaggle, account, tmp_path):
    for _ in range(2):  # the second time all is there
        done = fetch(tmp_path / "data")
        assert done.exit_code == 0, done.output
    assert len(read_dataset(tmp_path / "data", strict=True).records) == 1
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["train.csv", "train_images"]
    assert [path.name for path in (tmp_path / "data" / "train_images").iterdir()] == ["a.jpg"]


@pytest.mark.slow
def test_without_links_files_are_copied(kaggle, account, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("no links here")

    monkeypatch.setattr("os.link", refuse)
    assert fetch(tmp_path / "data").exit_code == 0
    assert len(read_dataset(tmp_path / "data", strict=True).records) == 1


@pytest.mark.slow
def test_another_file_is_left_alone(kaggle, account, tmp_path):
    (tmp_path / "train.csv").write_text("mine")
    done = fetch(tmp_path)
    assert done.exit_code == 2
    assert "train.csv: a different file exists" in done.stderr
    assert (tmp_path / "train.csv").read_text() == "mine"


@pytest.mark.slow
def test_without_an_account(kaggle, tmp_path):
    done = fetch(tmp_path / "data")
    assert done.exit_code == 2
    assert "Kaggle needs an account" in done.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (401, b"{}", "Kaggle rejected the token"),
        (403, b"{}", "https://www.kaggle.com/c/understanding_cloud_organization/rules"),
        (404, b"{}", "404"),
        (500, b"{}", "500"),
        (200, b"neither zip nor anything", "understanding_cloud_organization"),
    ],
)
def test_responses_of_kaggle_that_are_errors(kaggle, account, tmp_path, status, body, message):
    kaggle.status, kaggle.body = status, body
    done = fetch(tmp_path / "data")
    assert done.exit_code == 2
    assert message in done.stderr
    assert not (tmp_path / "data").exists()


def test_kagglehub_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    done = fetch(tmp_path)
    assert done.exit_code == 2
    assert f"kagglehub is missing: {install_command('kaggle')}" in done.stderr
