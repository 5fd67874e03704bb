"""The local stand-in for Worldview: deterministic, and as strict as the original."""

import subprocess
import sys
from datetime import date
from urllib.parse import urlencode

import cv2
import numpy as np
import pytest

from conftest import encoded
from nephoscope.core.errors import DownloadError
from nephoscope.core.geo import ATLANTIC, Overpass
from nephoscope.datasets.catalogue import COLUMNS
from nephoscope.imagery.http import download
from nephoscope.imagery.worldview import WorldviewClient
from nephoscope.testing.worldview_server import WorldviewServer

SCENE = Overpass("Terra", date(2016, 1, 5), ATLANTIC)
GOOD = {
    "REQUEST": "GetSnapshot",
    "TIME": "2016-01-05",
    "BBOX": "10,-61,24,-40",
    "CRS": "EPSG:4326",
    "LAYERS": "MODIS_Terra_CorrectedReflectance_TrueColor",
    "FORMAT": "image/png",
    "WIDTH": 84,
    "HEIGHT": 56,
}
MAP = GOOD | {"SERVICE": "WMS", "VERSION": "1.3.0", "REQUEST": "GetMap", "STYLES": ""}


@pytest.fixture(scope="module")
def server():
    with WorldviewServer() as server:
        yield server


def test_both_services_give_the_same_picture(server):
    snapshot = download(f"{server.address}?{urlencode(GOOD)}")
    assert download(f"{server.map_address}?{urlencode(MAP)}") == snapshot
    assert cv2.imdecode(np.frombuffer(snapshot, np.uint8), cv2.IMREAD_COLOR).shape == (56, 84, 3)


def test_parameter_names_are_case_insensitive(server):
    download(f"{server.address}?{urlencode({name.lower(): value for name, value in GOOD.items()})}")


@pytest.mark.parametrize(
    "wrong",
    [
        {"REQUEST": "GetMap"},
        {"TIME": "yesterday"},
        {"BBOX": "-61,10,-40,24,1"},
        {"BBOX": "24,-61,10,-40"},
        {"BBOX": "10,170,24,-170"},
        {"CRS": "EPSG:3857"},
        {"LAYERS": "Coastlines"},
        {"FORMAT": "image/gif"},
        {"WIDTH": 0},
        {"WIDTH": 100_000},
        {"HEIGHT": "high"},
    ],
)
def test_invalid_requests_are_refused(server, wrong):
    with pytest.raises(DownloadError) as caught:
        download(f"{server.address}?{urlencode(GOOD | wrong)}")
    assert caught.value.status == 400


@pytest.mark.parametrize("lacking", ["SERVICE", "VERSION", "STYLES", "CRS"])
def test_map_requests_need_more_parameters(server, lacking):
    asked = {name: value for name, value in MAP.items() if name != lacking}
    with pytest.raises(DownloadError) as caught:
        download(f"{server.map_address}?{urlencode(asked)}")
    assert caught.value.status == 400


def test_other_paths_are_not_found(server):
    with pytest.raises(DownloadError) as caught:
        download(server.address.replace("/api/v1/snapshot", "/elsewhere"))
    assert caught.value.status == 404


def test_pictures_of_a_folder_are_served(tmp_path, picture):
    (tmp_path / "train_images").mkdir()
    (tmp_path / "train_images" / "a.png").write_bytes(encoded(picture, ".png"))
    rows = [",".join(COLUMNS), "a.png,train,Terra,2016-01-05,-61,10,-40,24", "b.png,train,,,,,,"]
    (tmp_path / "scenes.csv").write_text("\n".join(rows) + "\n")
    with WorldviewServer(pictures=tmp_path) as server:
        asked = WorldviewClient.from_environment(server.address, degrees=21 / 240, format="png")
        there = asked.picture(SCENE)
        other = asked.picture(SCENE._replace(satellite="Aqua"))
    decoded = cv2.imdecode(np.frombuffer(there.content, np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(decoded, picture[..., ::-1])
    assert other.no_coverage


@pytest.mark.slow
def test_it_runs_as_a_program():
    command = [sys.executable, "-m", "nephoscope.testing.worldview_server", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            name, _, address = process.stdout.readline().strip().partition("=")
            first = WorldviewClient.from_environment(address, degrees=0.25).picture(SCENE)
            with WorldviewServer() as here:
                second = WorldviewClient.from_environment(here.address, degrees=0.25).picture(SCENE)
        finally:
            process.terminate()
    assert name == "NEPHOSCOPE_WORLDVIEW"
    assert first.sha256 == second.sha256
