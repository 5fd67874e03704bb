"""The server collects labels: complete data sets, whoever saves at once, and however it ends."""

import errno
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asking import FORM, Answer, ask, form, refused
from conftest import encoded, offline, serving, tiny_models
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.core.types import LABEL_GRID
from nephoscope.datasets import collection
from nephoscope.datasets.annotations import FILE, read_annotations
from nephoscope.datasets.dataset import read_dataset
from nephoscope.imagery.synthetic import make_scene

LABELS = "/api/v1/labels"
FISH = {"Fish": "1 3 1401 3"}
JPEG = encoded(make_scene(3, (96, 144)).pixels, ".jpg")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("labels") / "set"


@pytest.fixture(scope="module")
def collecting(tmp_path_factory, card, folder) -> Iterator[str]:
    """The address of a server that collects labels in the folder."""
    model = tiny_models(tmp_path_factory.mktemp("tiny"), card)()
    with serving(replace(offline(), models=(str(model),), labels=str(folder))) as address:
        yield address


def save(
    address: str,
    labels: Any,
    name: str = "scene.jpg",
    content: bytes = JPEG,
    query: str = "annotator=Ada",
) -> Answer:
    body = form(
        (f'form-data; name="picture"; filename="{name}"', content),
        (
            'form-data; name="labels"; filename="labels.json"',
            labels if isinstance(labels, bytes) else json.dumps(labels).encode(),
        ),
    )
    return ask(address, f"{LABELS}?{query}", body, Content_Type=FORM)


def test_labels_become_a_data_set(collecting, folder):
    assert save(collecting, FISH, "first.jpg").json == {"image": "first.jpg"}
    save(collecting, {"Fish": "7 1", "Sugar": "1 1400"}, "first.jpg", query="annotator=Bo")
    masks = read_dataset(folder).masks("first.jpg", LABEL_GRID)
    fish = masks[DEFAULT_NAMES.index("Fish")]
    assert np.argwhere(fish).tolist() == [[0, 0], [0, 1], [1, 0], [1, 1], [2, 0], [2, 1], [6, 0]]
    assert masks[DEFAULT_NAMES.index("Sugar")][:, 0].all()
    answer = ask(collecting, f"{LABELS}?annotator=Bo&image=first.jpg").json
    assert answer == {"pictures": 1, "own": 1, "labels": {"Fish": "7 1", "Sugar": "1 1400"}}
    assert ask(collecting, f"{LABELS}?annotator=Cy&image=first.jpg").json["labels"] is None
    assert ask(collecting, "/api/v1/server").json["labels"] is True


def test_place_and_day_are_kept(collecting, folder):
    save(collecting, {}, "placed.jpg", query="annotator=Ada&bounds=-61,10,-40,24&day=2020-02-01")
    record = next(each for each in read_dataset(folder).records if each.image == "placed.jpg")
    assert str(record.day) == "2020-02-01"
    assert tuple(record.bounds) == (-61, 10, -40, 24)


def test_names_stay_in_the_folder(collecting, folder):
    image = save(collecting, FISH, "../../../outside.jpg").json["image"]
    assert image == "outside.jpg"
    assert (folder / "train_images/outside.jpg").is_file()
    assert not (folder.parent / "outside.jpg").exists()


def test_names_have_one_form(collecting, folder):
    """Capital letters count; spaces at the ends and the two ways to write an accent in Unicode do not."""
    save(collecting, FISH, "Wolke\u0308.jpg", query="annotator=Zoe%CC%88%20")
    answer = ask(collecting, f"{LABELS}?annotator=%20Zo%C3%AB&image=Wolk%C3%AB.jpg").json
    assert (answer["own"], answer["labels"]) == (1, FISH)
    assert (folder / "train_images/Wolk\u00eb.jpg").is_file()


def test_pictures_that_are_cut_short_are_refused(collecting, folder):
    assert "cut short" in refused(save(collecting, FISH, "cut.jpg", JPEG[: len(JPEG) // 2]), "picture")
    assert not (folder / "train_images/cut.jpg").exists()


def test_what_is_too_long_is_refused(collecting):
    assert "shorter" in refused(save(collecting, FISH, "\u96f2" * 80 + ".jpg"), "value")
    assert "limit" in refused(save(collecting, b'{"Fish": "' + b"1 1 " * 3_000_000 + b'"}'), "too-large")


def test_a_full_disk_is_said(collecting, monkeypatch):
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(collection, "atomic_write", full)
    answer = save(collecting, FISH, "full.jpg")
    assert answer.status == 507
    assert "No space left" in refused(answer, "storage")


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (b"{", "invalid JSON"),
        ([1], "run lengths by pattern"),
        ({"Fish": 3}, "run lengths by pattern"),
        ({"Cumulus": "1 3"}, "Cumulus"),
        ({"Fish": "1"}, "odd count"),
        ({"Fish": "2939999 3"}, "past the end"),
        ({"Fish": "1 99999999999999999999999"}, "not an integer"),
        ({"Fish": "nan nan"}, "not an integer"),
    ],
)
def test_wrong_labels_are_one_line(collecting, folder, labels, reason):
    assert reason in refused(save(collecting, labels, "wrong.jpg"), "value")
    assert not (folder / "train_images/wrong.jpg").exists()


def test_other_wrong_requests(collecting, server):
    assert "annotator" in refused(save(collecting, FISH, query=""), "value")
    refused(save(collecting, FISH, query="annotator=%20"), "value")
    refused(save(collecting, FISH, query="annotator=a%0Ab"), "value")
    refused(save(collecting, FISH, content=b"no picture"), "not-a-picture")
    assert "kinds" in refused(save(collecting, FISH, "scene.gif"), "value")
    refused(save(collecting, FISH, query="annotator=Ada&bounds=1,2"), "value")
    body = form(('form-data; name="picture"; filename="a.jpg"', JPEG))
    assert "labels" in refused(ask(collecting, f"{LABELS}?annotator=Ada", body, Content_Type=FORM), "request")
    refused(ask(collecting, f"{LABELS}?annotator=Ada", JPEG, Content_Type="image/jpeg"), "not-a-picture")
    assert "--labels" in refused(save(server, FISH), "not-found")
    assert ask(server, "/api/v1/server").json["labels"] is False


def test_two_at_once_lose_nothing(collecting, folder):
    def work(number: int) -> int:
        return save(collecting, FISH, f"both{number % 5}.jpg", query=f"annotator=P{number}").status

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(work, range(20))) == {200}
    drawn = [each for each in read_annotations(folder / FILE) if each.image.startswith("both")]
    assert {each.annotator for each in drawn} == {f"P{number}" for number in range(20)}


@pytest.mark.slow
def test_a_killed_server_keeps_what_it_confirmed(tmp_path, tiny_model):
    folder, confirmed = tmp_path / "set", set()
    for round_ in range(3):
        words = ["serve", "--port", "0", "--model", str(tiny_model()), "--labels", str(folder)]
        process = subprocess.Popen(
            [sys.executable, "-m", "nephoscope", *words], stderr=subprocess.PIPE, text=True
        )
        assert process.stderr is not None
        address = process.stderr.readline().split()[-1]

        def send(number: int, address: str = address, round_: int = round_) -> None:
            name = f"{round_}-{number}.jpg"
            if save(address, FISH, name).status == 200:
                confirmed.add(name)

        with ThreadPoolExecutor(2) as pool:
            sent = [pool.submit(send, number) for number in range(200)]
            while len(confirmed) < 4 * (round_ + 1):
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            for each in sent:
                each.cancel()
        process.wait()
        process.stderr.close()
    dataset = read_dataset(folder)
    assert confirmed <= {record.image for record in dataset.records}
    assert confirmed <= {each.image for each in read_annotations(folder / FILE)}
    assert dataset.masks(min(confirmed), LABEL_GRID)[0].sum() == 6
