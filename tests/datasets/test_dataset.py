"""Folders of labelled scenes: problems are counted and named, and the rest is used."""

import os

import numpy as np
import pytest

from nephoscope.core.errors import DatasetError, LabelError
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.core.types import SCORE_GRID
from nephoscope.datasets.build import write_synthetic_dataset
from nephoscope.datasets.dataset import (
    count_problems,
    pack_masks,
    read_dataset,
    unpack_masks,
)
from nephoscope.datasets.labels import read_labels, write_labels


@pytest.fixture
def folder(tmp_path):
    write_synthetic_dataset(tmp_path, 6, size=(70, 105))
    return tmp_path


def spoil(folder, *lines, drop=""):
    path = folder / "train.csv"
    kept = [line for line in path.read_text().splitlines() if not (drop and line.startswith(drop))]
    path.write_text("\n".join([*kept, *lines]) + "\n")


def test_a_clean_folder_has_no_problems(folder):
    dataset = read_dataset(folder, strict=True)
    assert [record.image for record in dataset.records] == [f"synthetic_{n:05d}.jpg" for n in range(6)]
    assert dataset.problems == ()


def test_masks_of_all_patterns_are_packed_in_one_byte(folder):
    dataset = read_dataset(folder)
    problems = []
    for index, bits in dataset.map(lambda record: dataset.bits(record.image, SCORE_GRID), problems):
        image = dataset.records[index].image
        expected = [dataset.labels.mask(image, name, SCORE_GRID) for name in DEFAULT_NAMES]
        assert np.array_equal(unpack_masks(bits, len(DEFAULT_NAMES)), expected)
        assert np.array_equal(dataset.masks(image, SCORE_GRID), expected)
    assert index == 5
    assert problems == []


@pytest.mark.parametrize("count", [1, 2, 6, 8])
def test_unpacked_masks_are_those_that_were_packed(count):
    masks = np.random.default_rng(count).random((count, 5, 7)) < 0.5
    packed = pack_masks(masks)
    assert (packed.dtype, packed.shape) == (np.uint8, (5, 7))
    assert np.array_equal(unpack_masks(packed, count), masks)


@pytest.mark.parametrize("count", [2, 6])
def test_patterns_and_styles_are_those_of_the_folder(folder, count):
    names = tuple(f"kind-{number}" for number in range(count))
    rows = [(f"synthetic_0000{n}.jpg", name, f"{n + 1} 2000000") for n in range(6) for name in names]
    write_labels(folder / "train.csv", rows)
    (folder / "patterns.json").write_text('{"kind-1": {"colour": [1, 2, 3], "meaning": "rolls"}}')
    dataset = read_dataset(folder, strict=True)
    assert dataset.patterns == names
    style = dataset.styled_patterns[1]
    assert (style.colour, style.meaning) == ((1, 2, 3), "rolls")
    assert dataset.masks("synthetic_00000.jpg", SCORE_GRID).shape == (count, *SCORE_GRID)


def test_nine_patterns_are_refused(folder):
    rows = [(f"synthetic_0000{n}.jpg", f"kind-{k}", "1 2000000") for n in range(6) for k in range(9)]
    write_labels(folder / "train.csv", rows)
    with pytest.raises(DatasetError, match="9 patterns; at most 8"):
        read_dataset(folder)


def test_every_problem_is_counted_and_named(folder):
    spoil(
        folder,
        "synthetic_00001.jpg_Fisch,1 2",
        "synthetic_00001.jpg_Fish,1 2",
        "gone.jpg_Fish,1 2",
        "nonsense",
        "synthetic_00005.jpg_Fish,2940000 2",
        drop="synthetic_00005.jpg_Fish",
    )
    (folder / "train_images" / "alone.jpg").write_bytes(b"")
    spoil(folder, drop="synthetic_00003.jpg_Sugar")
    dataset = read_dataset(folder)
    problems = list(dataset.problems)
    read = [index for index, _ in dataset.map(lambda each: dataset.bits(each.image, (70, 105)), problems)]
    assert count_problems(problems) == {
        "unknown pattern": 1,
        "a second row": 1,
        "not PICTURE_PATTERN,RUNS": 1,
        "a scene without a picture": 1,
        "a picture without rows": 1,
        "a scene without all its rows": 1,
        "wrong run lengths": 1,
    }
    places = " ".join(problem.where for problem in problems)
    for name in (
        "Fisch",
        "gone.jpg",
        "alone.jpg",
        "synthetic_00003.jpg: no Sugar",
        "nonsense",
        "past the end",
    ):
        assert name in places
    assert [dataset.records[index].image[-7:-4] for index in read] == ["000", "001", "002", "004"]
    with pytest.raises(DatasetError, match=r"unknown pattern \(1, first: line 24"):
        read_dataset(folder, strict=True)


def test_labels_on_the_submission_grid_are_refused(folder):
    """Read as if on 1400x2100, every mask would lie in a wrong place."""
    rows = [
        (f"synthetic_0000{n}.jpg", name, "100 50" if n % 2 else "")
        for n in range(6)
        for name in DEFAULT_NAMES
    ]
    write_labels(folder / "train.csv", rows)
    with pytest.raises(DatasetError, match="all runs lie within 350x525"):
        read_dataset(folder)


def test_a_catalogue_of_other_scenes_is_noticed(folder):
    (folder / "scenes.csv").write_text(
        "image,split,satellite,date,west,south,east,north\nsynthetic_00001,train,,,,,,\n"
    )
    assert count_problems(read_dataset(folder).problems) == {"a catalogue's row without a scene": 1}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_pipes_and_broken_links_are_not_pictures(folder):
    path = folder / "train_images" / "synthetic_00001.jpg"
    path.unlink()
    os.mkfifo(path)  # whoever opens it waits for ever
    (folder / "train_images" / "synthetic_00002.jpg").unlink()
    (folder / "train_images" / "synthetic_00002.jpg").symlink_to(folder / "gone.jpg")
    assert count_problems(read_dataset(folder).problems) == {"a scene without a picture": 2}


def test_hidden_files_are_no_pictures(folder):
    (folder / "train_images" / "._synthetic_00000.jpg").write_bytes(b"macOS keeps attributes here")
    assert len(read_dataset(folder, strict=True).records) == 6


def test_capitals_of_names_do_not_matter(folder):
    write_catalogue = (folder / "scenes.csv").write_text
    write_catalogue("image,split,satellite,date,west,south,east,north\nsynthetic_00000.jpg,val,,,,,,\n")
    for path in (folder / "train_images").iterdir():
        path.rename(path.with_suffix(".JPG"))
    dataset = read_dataset(folder, strict=True)
    assert [record.image for record in dataset.records] == [f"synthetic_{n:05d}.JPG" for n in range(6)]
    assert dataset.records[0].split == "val"
    assert dataset.scene("synthetic_00000.JPG").size == (70, 105)


def test_the_first_of_two_rows_is_kept(folder):
    before = read_labels(folder / "train.csv").texts["synthetic_00001.jpg", "Fish"]
    spoil(folder, "synthetic_00001.jpg_Fish,1 2")
    assert read_dataset(folder).labels.texts["synthetic_00001.jpg", "Fish"] == before
    with pytest.raises(LabelError, match="a second row"):
        read_labels(folder / "train.csv")


def test_progress_ends_at_the_whole(folder):
    steps = []
    read_dataset(folder, progress=lambda *step: steps.append(step))
    list(read_dataset(folder).map(lambda record: None, [], progress=lambda *step: steps.append(step)))
    assert steps[-1] == (6, 6)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda folder: (folder / "train.csv").unlink(), "no label file"),
        (lambda folder: (folder / "train.csv.gz").write_bytes(b""), "several label files"),
        (lambda folder: (folder / "train_images").rename(folder / "other"), "no folder train_images"),
        (lambda folder: spoil(folder, drop="synthetic"), "no scene"),
    ],
)
def test_folders_in_another_layout_are_refused(folder, change, reason):
    change(folder)
    with pytest.raises(DatasetError, match=reason) as caught:
        read_dataset(folder)
    assert str(folder) in str(caught.value)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DatasetError, match="no such folder"):
        read_dataset(tmp_path / "none")


@pytest.mark.slow
def test_real_labels_are_clean_and_split_by_date(clouds):
    from nephoscope.datasets.splits import split

    dataset = read_dataset(clouds, strict=True)
    assert len(dataset.records) == 5041
    training, validation = split(dataset.records)
    assert (len(training), len(validation)) == (4627, 414)
    assert not {dataset.records[i].group for i in training} & {dataset.records[i].group for i in validation}
    assert {dataset.records[i].season_year for i in validation} == {"2016"}
