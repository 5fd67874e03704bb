"""The cache of decoded scenes: reused, decoded again after a change, never left incomplete."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import numpy as np
import pytest

from nephoscope.core.errors import DatasetError
from nephoscope.core.types import SCORE_GRID
from nephoscope.datasets.build import write_synthetic_dataset
from nephoscope.datasets.dataset import read_dataset
from nephoscope.datasets.splits import Folds, split
from nephoscope.imagery.reading import open_scene
from nephoscope.imagery.resize import resize
from nephoscope.training.batches import SceneBatchSampler, batches
from nephoscope.training.cache import open_scenes

SIZE = (64, 96)


@pytest.fixture
def folder(tmp_path):
    write_synthetic_dataset(tmp_path / "data", 5, size=(128, 192))
    return tmp_path / "data"


def test_decoded_scenes_equal_the_files(tmp_path, folder):
    scenes = open_scenes(folder, SIZE, cache=tmp_path / "cache")
    dataset = read_dataset(folder)
    for index, record in enumerate(scenes.records):
        expected = resize(open_scene(dataset.picture(record.image)).read().pixels, SIZE)
        assert np.array_equal(scenes.pictures[index], expected)
        assert np.array_equal(scenes.masks[index], dataset.bits(record.image, SIZE))
    assert len(scenes.labels_sha256) == 64


def test_the_cache_is_reused_until_a_file_changes(tmp_path, folder):
    messages = []
    first = open_scenes(folder, SIZE, cache=tmp_path / "cache", log=messages.append)
    assert len(messages) == 1
    assert "5 scenes" in messages[0]
    assert "MB in" in messages[0]
    open_scenes(folder, SIZE, cache=tmp_path / "cache", log=messages.append)
    assert len(messages) == 1
    picture = folder / "train_images" / first.records[0].image
    shutil.copy(folder / "train_images" / first.records[1].image, picture)
    os.utime(picture, ns=(1, 1))
    again = open_scenes(folder, SIZE, cache=tmp_path / "cache", log=messages.append)
    assert "has changed" in messages[1]
    assert np.array_equal(again.pictures[0], again.pictures[1])
    write_synthetic_dataset(folder, 6, size=(128, 192))
    assert len(open_scenes(folder, SIZE, cache=tmp_path / "cache").records) == 6


def test_of_two_simultaneous_readers_one_decodes(tmp_path, folder):
    messages = []
    with ThreadPoolExecutor(2) as pool:
        opened = pool.map(
            lambda _: open_scenes(folder, SIZE, cache=tmp_path / "cache", log=messages.append), range(2)
        )
        assert [len(scenes.records) for scenes in opened] == [5, 5]
    assert len(messages) == 1


def test_two_sizes_are_cached_side_by_side(tmp_path, folder):
    for size in (SIZE, (32, 64)):
        assert open_scenes(folder, size, cache=tmp_path / "cache").pictures.shape == (5, *size, 3)
    assert len([path for path in (tmp_path / "cache").iterdir() if path.is_dir()]) == 2


def test_unreadable_scenes_are_left_out_and_reported(tmp_path, folder):
    (folder / "train_images" / "synthetic_00001.jpg").write_bytes(b"\xff\xd8 cut short")
    labels = folder / "train.csv"
    text = labels.read_text().splitlines()
    text[-1] = "synthetic_00004.jpg_Sugar,5 0"
    labels.write_text("\n".join(text) + "\n")
    scenes = open_scenes(folder, SIZE, cache=tmp_path / "cache")
    assert [record.image[10:15] for record in scenes.records] == ["00000", "00002", "00003"]
    assert len(scenes.pictures) == len(scenes.masks) == 3
    assert {problem.kind for problem in scenes.problems} == {
        "a picture that cannot be read",
        "wrong run lengths",
    }
    dataset = read_dataset(folder)
    assert np.array_equal(scenes.masks[1], dataset.bits("synthetic_00002.jpg", SIZE))
    with pytest.raises(DatasetError, match="cannot be read"):
        open_scenes(folder, SIZE, cache=tmp_path / "cache", strict=True)


def test_a_damaged_cache_is_decoded_again(tmp_path, folder):
    whole = open_scenes(folder, SIZE, cache=tmp_path / "cache")
    (place,) = (path for path in (tmp_path / "cache").iterdir() if path.is_dir())
    for name, content in (("masks.npy", b""), ("pictures.npy", b"\x93NUMPY"), ("scenes.json", b"[]")):
        (place / name).write_bytes(content)
        again = open_scenes(folder, SIZE, cache=tmp_path / "cache")
        assert np.array_equal(again.pictures, whole.pictures)


@pytest.mark.slow
def test_a_picture_that_cannot_be_read_does_not_change_the_split(tmp_path, folder):
    """A later evaluation splits the listed scenes: those trained on must not be validated on."""
    write_synthetic_dataset(folder, 20, size=(64, 96))
    before = open_scenes(folder, SIZE, cache=tmp_path / "cache")
    held_out = {before.records[index].image for index in before.split(Folds(4, 1))[1]}
    (folder / "train_images" / "synthetic_00003.jpg").write_bytes(b"broken")
    after = open_scenes(folder, SIZE, cache=tmp_path / "cache")
    training, validation = after.split(Folds(4, 1))
    assert {after.records[index].image for index in validation} == held_out - {"synthetic_00003.jpg"}
    assert not {after.records[index].image for index in training} & held_out
    listed = read_dataset(folder).records
    assert {listed[index].image for index in split(listed, Folds(4, 1))[1]} == held_out


def test_an_interrupted_decode_leaves_nothing(tmp_path, folder):
    def stop(what):
        if what == "decoding scenes":
            raise KeyboardInterrupt
        return lambda *_: None

    with pytest.raises(KeyboardInterrupt):
        open_scenes(folder, SIZE, cache=tmp_path / "cache", progress=stop)
    assert not [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]
    assert len(open_scenes(folder, SIZE, cache=tmp_path / "cache").records) == 5


def test_a_full_disk_is_reported_before_decoding(tmp_path, folder, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(DatasetError, match=r"--cache DIR names another folder"):
        open_scenes(folder, SIZE, cache=tmp_path / "cache")


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_processes_share_the_scenes_of_every_step(processes):
    shares = [
        list(SceneBatchSampler(range(37), 8, shuffle=True, seed=3, share=(rank, processes)))
        for rank in range(processes)
    ]
    alone = list(SceneBatchSampler(range(37), 8, shuffle=True, seed=3))
    assert len(alone) == len(SceneBatchSampler(range(37), 8, shuffle=True)) == 4
    for step, scenes in enumerate(alone):
        assert sorted(scenes) == sorted(index for share in shares for index in share[step])


def test_the_parts_of_a_step_are_its_scenes():
    whole, parted = (list(SceneBatchSampler(range(20), 8, parts, shuffle=True)) for parts in (1, 2))
    assert [parted[0] + parted[1], parted[2] + parted[3]] == whole
    assert len(SceneBatchSampler(range(20), 8, 2, shuffle=True)) == 4


def test_every_epoch_has_its_own_order():
    order = SceneBatchSampler(range(64), 8, shuffle=True)
    first = list(order)
    order.set_epoch(1)
    second = list(order)
    order.set_epoch(0)
    assert list(order) == first != second
    assert sorted(chain(*first)) == list(range(64))


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_validation_covers_every_scene_once(processes):
    drawn = [
        index
        for rank in range(processes)
        for part in SceneBatchSampler(range(10), 4, shuffle=False, share=(rank, processes))
        for index in part
    ]
    assert sorted(drawn) == list(range(10))


def test_batches_hold_the_scenes_of_the_sampler(tmp_path, folder):
    scenes = open_scenes(folder, SIZE, cache=tmp_path / "cache")
    batch = next(iter(batches(scenes, SceneBatchSampler([3, 1], 2, shuffle=False), on_gpu=False)))
    assert batch.indices.tolist() == [3, 1]
    assert np.array_equal(batch.pictures[1].numpy(), scenes.pictures[1])
    assert np.array_equal(batch.masks[0].numpy(), scenes.masks[3])


@pytest.mark.slow
def test_real_masks_on_a_training_grid_are_the_labels(clouds, tmp_path):
    dataset = read_dataset(clouds).select(range(0, 5041, 500))
    for record in dataset.records:
        coarse = dataset.bits(record.image, SCORE_GRID)
        fine = dataset.bits(record.image, (1400, 2100))
        assert abs((coarse > 0).mean() - (fine > 0).mean()) < 0.01
