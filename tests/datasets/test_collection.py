"""Labels that are saved one by one: complete data sets, whoever saves, and however it ends."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nephoscope.core.errors import DatasetError, LabelError
from nephoscope.core.geo import Bounds
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.core.types import LABEL_GRID
from nephoscope.datasets import collection
from nephoscope.datasets.annotations import FILE, read_annotations
from nephoscope.datasets.catalogue import Record
from nephoscope.datasets.collection import Collection, LabelledScene, on_label_grid
from nephoscope.datasets.dataset import read_dataset
from nephoscope.datasets.labels import write_labels
from nephoscope.datasets.rle import decode, encode
from nephoscope.imagery.synthetic import encode_jpeg, make_scene

SIZE = (28, 42)
JPEG = encode_jpeg(make_scene(1, SIZE).pixels)
OTHER_JPEG = encode_jpeg(make_scene(2, SIZE).pixels)


def box(pattern: str, top: int, left: int, bottom: int, right: int) -> np.ndarray:
    """Masks of four patterns, one of which has a box."""
    masks = np.zeros((4, *SIZE), np.bool_)
    masks[DEFAULT_NAMES.index(pattern), top:bottom, left:right] = True
    return masks


def scene(masks: np.ndarray, annotator: str = "Ada", name: str = "a.jpg", **entries: object) -> LabelledScene:
    return LabelledScene(name, JPEG, annotator, masks, **entries)


def masks_in(folder: Path, image: str = "a.jpg") -> np.ndarray:
    return read_dataset(folder, strict=True).masks(image, SIZE)


def test_a_save_makes_a_data_set(tmp_path):
    fish = box("Fish", 2, 3, 10, 20)
    assert Collection(tmp_path / "new").save(scene(fish)) == "a.jpg"
    assert np.array_equal(masks_in(tmp_path / "new"), fish)
    assert (tmp_path / "new/train_images/a.jpg").read_bytes() == JPEG


def test_the_label_is_the_union_of_its_annotators(tmp_path):
    one, other = box("Fish", 2, 3, 10, 20), box("Fish", 5, 10, 20, 40) | box("Sugar", 0, 0, 4, 4)
    labels = Collection(tmp_path)
    labels.save(scene(one))
    labels.save(scene(other, "Bo"))
    assert np.array_equal(masks_in(tmp_path), one | other)
    by_person = {each.annotator: each.masks(DEFAULT_NAMES, SIZE) for each in labels.annotations()}
    assert np.array_equal(by_person["Ada"], one)
    assert np.array_equal(by_person["Bo"], other)


def test_the_last_drawing_of_a_person_counts(tmp_path):
    labels = Collection(tmp_path)
    labels.save(scene(box("Fish", 2, 3, 10, 20)))
    labels.save(scene(box("Gravel", 2, 3, 10, 20)))
    assert np.array_equal(masks_in(tmp_path), box("Gravel", 2, 3, 10, 20))


def test_drawing_nothing_is_an_answer(tmp_path):
    labels = Collection(tmp_path)
    labels.save(scene(box("Fish", 0, 0, 0, 0)))
    assert not masks_in(tmp_path).any()
    assert [(each.annotator, each.texts) for each in labels.annotations("Ada")] == [("Ada", {})]
    assert labels.annotations("Bo") == []


def test_another_picture_of_that_name_gets_another_name(tmp_path):
    labels = Collection(tmp_path)
    first, second = box("Fish", 2, 3, 10, 20), box("Sugar", 2, 3, 10, 20)
    labels.save(scene(first))
    name = labels.save(LabelledScene("a.jpg", OTHER_JPEG, "Ada", second))
    assert name == "a-2.jpg"
    assert np.array_equal(masks_in(tmp_path, "a.jpg"), first)
    assert np.array_equal(masks_in(tmp_path, "a-2.jpg"), second)


def test_labels_of_other_scenes_are_kept(tmp_path):
    old = encode(on_label_grid(box("Fish", 4, 4, 9, 9))[0])
    rows = [("old.jpg", name, old if name == "Fish" else "") for name in DEFAULT_NAMES]
    write_labels(tmp_path / "train.csv", rows)
    labels = Collection(tmp_path)
    labels.save(scene(box("Fish", 2, 3, 10, 20)))
    labels.save(LabelledScene("old.jpg", OTHER_JPEG, "Ada", box("Sugar", 2, 3, 10, 20)))
    assert np.array_equal(masks_in(tmp_path, "old.jpg"), box("Sugar", 2, 3, 10, 20))


def test_day_and_place_are_kept(tmp_path):
    bounds = Bounds(-61.0, 10.0, -40.0, 24.0)
    record = Record("whatever.jpg", day=date(2020, 2, 1), bounds=bounds)
    Collection(tmp_path).save(scene(box("Fish", 2, 3, 10, 20), record=record))
    (read,) = read_dataset(tmp_path).records
    assert (read.image, read.day, read.bounds) == ("a.jpg", date(2020, 2, 1), bounds)


def test_many_scenes_are_saved_with_one_write(tmp_path, monkeypatch):
    writes = []
    written = collection.write_labels
    monkeypatch.setattr(collection, "write_labels", lambda *each: writes.append(each) or written(*each))
    labels = Collection(tmp_path)
    drawn = {(name, person): box("Fish", 2, 3, 10, 20) for name in ("a.jpg", "b.jpg") for person in "AB"}
    saved = labels.save_all(scene(masks, person, name) for (name, person), masks in drawn.items())
    assert saved == (["a.jpg", "a.jpg", "b.jpg", "b.jpg"], 0)
    assert {(each.image, each.annotator) for each in labels.annotations()} == drawn.keys()
    assert len(writes) == 1
    assert labels.save_all([]) == ([], 0)


def test_ragged_masks_are_read_again(tmp_path):
    """Their run lengths are longer than the 128 KiB that Python's CSV reader allows by default."""
    ragged = np.random.default_rng(1).random((4, 350, 525)) < 0.5
    Collection(tmp_path).save(scene(ragged))
    (drawn,) = Collection(tmp_path).annotations()
    assert len(drawn.texts["Fish"]) > 128 * 1024
    assert np.array_equal(drawn.masks(DEFAULT_NAMES, (350, 525)), ragged)


def test_an_interrupted_save_is_completed(tmp_path, monkeypatch):
    labels = Collection(tmp_path)
    labels.save(scene(box("Fish", 2, 3, 10, 20)))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(collection, "write_labels", killed)
    with pytest.raises(KeyboardInterrupt):
        labels.save(scene(box("Sugar", 2, 3, 10, 20)))
    monkeypatch.undo()
    assert np.array_equal(masks_in(tmp_path), box("Fish", 2, 3, 10, 20))
    Collection(tmp_path)
    assert np.array_equal(masks_in(tmp_path), box("Sugar", 2, 3, 10, 20))


def test_a_later_save_completes_one_that_failed(tmp_path, monkeypatch):
    labels = Collection(tmp_path)
    labels.save(scene(box("Fish", 2, 3, 10, 20)))

    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(collection, "write_labels", full)
    with pytest.raises(OSError, match="no space"):
        labels.save(scene(box("Sugar", 2, 3, 10, 20)))
    monkeypatch.undo()
    labels.save(scene(box("Fish", 0, 0, 5, 5), name="b.jpg"))
    assert np.array_equal(masks_in(tmp_path), box("Sugar", 2, 3, 10, 20))


@pytest.mark.slow
def test_two_processes_lose_nothing(tmp_path):
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, context) as pool:
        list(pool.map(save_ten, [tmp_path] * 2, ["Ada", "Bo"]))
    drawn = read_annotations(tmp_path / FILE)
    assert len(drawn) == len({(each.image, each.annotator) for each in drawn}) == 20
    assert len(read_dataset(tmp_path, strict=True).records) == 10


def save_ten(folder: Path, annotator: str) -> None:
    labels = Collection(folder)
    for number in range(10):
        labels.save(scene(box("Fish", 0, 0, 9, 1 + number), annotator, f"{number}.jpg"))


def test_what_is_refused(tmp_path):
    with pytest.raises(DatasetError, match=r"a\.nc"):
        Collection(tmp_path / "new").save(scene(box("Fish", 0, 0, 1, 1), name="a.nc"))
    assert not (tmp_path / "new").exists()
    (tmp_path / "train.csv").write_text("Image_Label,EncodedPixels\na.jpg_Cumulus,1 3\n")
    with pytest.raises(LabelError, match="Cumulus"):
        Collection(tmp_path)
    (tmp_path / "train.csv").unlink()
    (tmp_path / "train.csv.xz").write_bytes(b"")
    with pytest.raises(DatasetError, match="unpack"):
        Collection(tmp_path)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ("a.jpg,,Fish,1 3", "no annotator"),
        ("a.jpg,Ada,Cumulus,1 3", "Cumulus"),
        ("a.jpg,Ada,Fish,1 3\na.jpg,Ada,Fish,1 4", "second row"),
    ],
)
def test_wrong_annotations_name_their_line(tmp_path, rows, reason):
    (tmp_path / FILE).write_text(f"image,annotator,pattern,EncodedPixels\n{rows}\n")
    with pytest.raises(DatasetError, match=rf"line \d.*{reason}"):
        read_annotations(tmp_path / FILE, DEFAULT_NAMES)


@given(st.integers(1, 1400), st.integers(1, 2100), st.integers(0, 2**32))
def test_masks_of_any_size_come_back(height, width, seed):
    rng = np.random.default_rng(seed)
    mask = np.zeros((height, width), np.bool_)
    y, x = np.sort(rng.integers(0, height + 1, 2)), np.sort(rng.integers(0, width + 1, 2))
    mask[y[0] : y[1], x[0] : x[1]] = True
    mask[rng.integers(0, height, 9), rng.integers(0, width, 9)] = True
    text = encode(on_label_grid(mask[None])[0])
    assert np.array_equal(decode(text, LABEL_GRID, (height, width)), mask)


@pytest.mark.parametrize(
    "name", ['"x.jpg', " x.jpg", "x\r.jpg", "\u2028x.jpg", "\udcff.jpg", "\u96f2" * 70 + ".jpg"]
)
def test_names_that_a_label_file_cannot_hold_are_refused(tmp_path, name):
    labels = Collection(tmp_path)
    labels.save(scene(box("Fish", 2, 3, 10, 20)))
    with pytest.raises(DatasetError, match="name of a picture"):
        labels.save(scene(box("Fish", 0, 0, 9, 9), name=name))
    with pytest.raises(DatasetError, match="name of an annotator"):
        labels.save(scene(box("Fish", 0, 0, 9, 9), annotator=name))
    assert np.array_equal(masks_in(tmp_path), box("Fish", 2, 3, 10, 20))
