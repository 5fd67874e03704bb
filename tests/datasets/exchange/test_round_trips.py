"""Labels leave a data set in every format and come back to the pixel."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import PACIFIC, PLACED, box, drawn_in, make_dataset, masks_in, random_masks

from nephoscope.core.errors import DatasetError, OutputConflictError
from nephoscope.datasets.exchange.exporting import export_labels
from nephoscope.datasets.exchange.importing import UNNAMED, import_labels
from nephoscope.datasets.exchange.registry import FORMATS

WRITTEN = [each.name for each in FORMATS.values() if each.is_written]
NAMES = (PLACED, PACIFIC)


def test_every_format_but_one_is_written():
    assert set(FORMATS) - set(WRITTEN) == {"zooniverse"}


@pytest.mark.slow
@pytest.mark.parametrize("name", WRITTEN)
@settings(max_examples=2, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_labels_come_back(name, seed):
    masks = {image: random_masks(seed + n, disjoint=name == "mask-index") for n, image in enumerate(NAMES)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        data = make_dataset(path / "data", {(image, "Ada"): each for image, each in masks.items()})
        exported = export_labels(data, path / "out", name)
        assert (exported.scenes, exported.problems) == (2, [])
        back = import_labels(path / "out", path / "back", pictures=data)
        assert (back.format, back.scenes, back.problems) == (name, 2, [])
        for image in NAMES:
            assert np.array_equal(masks_in(path / "back", image), masks[image])
        people = {person for _, person in drawn_in(path / "back")}
        assert people == ({"Ada"} if FORMATS[name].people else {UNNAMED})
        assert (
            (path / "back/scenes.csv").read_bytes() == (data / "scenes.csv").read_bytes()
            if (data / "scenes.csv").exists()
            else True
        )


def test_label_studio_keeps_who_drew_what(tmp_path):
    drawn = {
        (PLACED, "Ada"): box("Fish", 2, 3, 10, 20),
        (PLACED, "Bo"): box("Fish", 5, 5, 20, 40) | box("Sugar", 0, 0, 4, 4),
        (PACIFIC, "Bo"): box("Fish", 0, 0, 0, 0),
    }
    data = make_dataset(tmp_path / "data", drawn)
    assert export_labels(data, tmp_path / "out", "label-studio").people == {"Ada", "Bo"}
    assert import_labels(tmp_path / "out", tmp_path / "back", pictures=data).people == {"Ada", "Bo"}
    back = drawn_in(tmp_path / "back")
    assert back.keys() == drawn.keys()
    assert all(np.array_equal(back[key], drawn[key]) for key in drawn)


@pytest.mark.parametrize("name", ["geojson", "json", "coco", "mask"])
def test_one_persons_drawings(tmp_path, name):
    drawn = {(PLACED, "Ada"): box("Fish", 2, 3, 10, 20), (PLACED, "Bo"): box("Gravel", 5, 5, 20, 40)}
    drawn[PACIFIC, "Ada"] = box("Sugar", 5, 5, 20, 40)
    data = make_dataset(tmp_path / "data", drawn)
    assert export_labels(data, tmp_path / "out", name, annotator="Bo").scenes == 1
    import_labels(tmp_path / "out", tmp_path / "back", pictures=data)
    ((key, masks),) = drawn_in(tmp_path / "back").items()
    assert key == (PLACED, UNNAMED if name == "mask" else "Bo")
    assert np.array_equal(masks, drawn[PLACED, "Bo"])
    with pytest.raises(DatasetError, match=r"'Cy'.*Ada, Bo"):
        export_labels(data, tmp_path / "elsewhere", name, annotator="Cy")


def test_corrected_labels_come_back_into_their_own_data_set(tmp_path):
    data = make_dataset(tmp_path / "data", {(PLACED, "Ada"): box("Fish", 2, 3, 10, 20)})
    export_labels(data, tmp_path / "out", "mask")
    (tmp_path / "out" / f"{Path(PLACED).stem}_Fish.png").rename(
        tmp_path / "out" / f"{Path(PLACED).stem}_Gravel.png"
    )
    result = import_labels(tmp_path / "out", data, annotator="Ada")
    assert result.problems == []
    assert np.array_equal(masks_in(data, PLACED), box("Gravel", 2, 3, 10, 20))


def test_pixels_that_an_index_mask_cannot_hold_are_counted(tmp_path):
    both = box("Fish", 0, 0, 10, 10) | box("Sugar", 5, 5, 20, 20)
    data = make_dataset(tmp_path / "data", {(PLACED, "Ada"): both})
    result = export_labels(data, tmp_path / "out", "mask-index")
    (problem,) = result.problems
    assert problem.where == f"{PLACED}: 25 pixels of a later class"


def test_pictures_of_one_stem_keep_their_files_apart(tmp_path):
    drawn = {(name, "Ada"): box("Fish", 2, 3, 10, 20 + n) for n, name in enumerate(("a.jpg", "a.jpeg"))}
    data = make_dataset(tmp_path / "data", drawn)
    export_labels(data, tmp_path / "out", "mask")
    assert import_labels(tmp_path / "out", tmp_path / "back", pictures=data).problems == []
    assert all(np.array_equal(masks_in(tmp_path / "back", name), each) for (name, _), each in drawn.items())


@pytest.mark.parametrize(
    ("name", "file"), [("mask", "b_Sugar.png"), ("json", "b.json"), ("geojson-pixels", "b_pixels.geojson")]
)
def test_nothing_is_written_where_a_file_exists(tmp_path, name, file):
    data = make_dataset(
        tmp_path / "data", {(n, "Ada"): box("Fish", 2, 3, 10, 20) for n in ("a.jpg", "b.jpg")}
    )
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / file).write_bytes(b"mine")
    with pytest.raises(OutputConflictError, match=file):
        export_labels(data, tmp_path / "out", name)
    assert [path.read_bytes() for path in (tmp_path / "out").iterdir()] == [b"mine"]


def test_what_cannot_be_exported(tmp_path):
    data = make_dataset(tmp_path / "data", {(n, "Ada"): box("Fish", 2, 3, 10, 20) for n in (PLACED, "b.jpg")})
    result = export_labels(data, tmp_path / "out", "geojson")
    assert [each.where for each in result.problems] == ["b.jpg"]
    with pytest.raises(OutputConflictError, match="--overwrite"):
        export_labels(data, tmp_path / "out", "geojson")
    export_labels(data, tmp_path / "out", "geojson", overwrite=True)
    with pytest.raises(OutputConflictError, match="the data set itself"):
        export_labels(data, data, "csv", overwrite=True)
    with pytest.raises(DatasetError, match="did you mean geojson"):
        export_labels(data, tmp_path / "out", "geojsn")
    with pytest.raises(DatasetError, match="cannot be exported"):
        export_labels(data, tmp_path / "out", "zooniverse")
