"""Label files: plain or compressed, on either grid; errors name the row."""

import numpy as np
import pytest

from nephoscope.core.errors import LabelError
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.core.types import LABEL_GRID, SCORE_GRID
from nephoscope.datasets.labels import read_labels, write_labels
from nephoscope.datasets.rle import centres, encode

MASK = np.zeros(LABEL_GRID, bool)
MASK[200:900, 300:1700] = True
ROWS = [("a_b.jpg", name, encode(MASK) if name == "Fish" else "") for name in DEFAULT_NAMES]


@pytest.mark.parametrize("ending", ["", ".gz", ".xz"])
def test_what_is_written_is_read(tmp_path, ending):
    path = tmp_path / f"train.csv{ending}"
    write_labels(path, ROWS)
    labels = read_labels(path)
    assert labels.images == ["a_b.jpg"]
    assert labels.grid == LABEL_GRID
    assert np.array_equal(labels.mask("a_b.jpg", "Fish"), MASK)
    assert not labels.mask("a_b.jpg", "Sugar").any()


def test_masks_are_decoded_directly_onto_the_score_grid(tmp_path):
    write_labels(tmp_path / "train.csv", ROWS)
    coarse = read_labels(tmp_path / "train.csv").mask("a_b.jpg", "Fish", SCORE_GRID)
    assert np.array_equal(coarse, MASK[np.ix_(centres(1400, 350), centres(2100, 525))])


def test_the_default_grid_follows_from_the_last_pixel(tmp_path):
    write_labels(tmp_path / "few.csv", [("a.jpg", "Fish", "1 10")])
    assert read_labels(tmp_path / "few.csv").grid == SCORE_GRID
    assert read_labels(tmp_path / "few.csv", LABEL_GRID).grid == LABEL_GRID


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "first line"),
        ("image,mask\n", "first line"),
        (
            "Image_Label,EncodedPixels\na.jpg_Fisch,1 2\na.jpg_Fish,\nb.jpg_Fish,\nc.jpg_Fish,\n",
            "line 2: a.jpg_Fisch.*available: Fish: unknown pattern",
        ),
        ("Image_Label,EncodedPixels\na.jpg_Fish\n", "line 2"),
        ("Image_Label,EncodedPixels\n_Fish,1 2\n", "line 2"),
        ("Image_Label,EncodedPixels\na.jpg_Fish,1 2\na.jpg_Fish,\n", "line 3: a.jpg_Fish: a second row"),
        ("Image_Label,EncodedPixels\na.jpg_Fish,1 2 3\n", "a.jpg_Fish: an odd count"),
    ],
)
def test_files_in_another_form_are_refused(tmp_path, content, reason):
    path = tmp_path / "labels.csv"
    path.write_text(content)
    with pytest.raises(LabelError, match=reason) as caught:
        read_labels(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", ["labels.csv.gz", "labels.csv.xz", "labels.csv"])
def test_damaged_files_are_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"\xff\x00 not a label file")
    with pytest.raises(LabelError, match="damaged"):
        read_labels(tmp_path / name)


def test_names_may_hold_commas(tmp_path):
    write_labels(tmp_path / "labels.csv", [("a, b.jpg", "Fish", "1 5"), ("a, b.jpg", "Sugar", "")])
    labels = read_labels(tmp_path / "labels.csv")
    assert labels.images == ["a, b.jpg"]
    assert labels.mask("a, b.jpg", "Fish").sum() == 5


def test_damaged_gzip_is_refused(tmp_path):
    path = tmp_path / "labels.csv.gz"
    write_labels(path, ROWS)
    content = bytearray(path.read_bytes())
    content[20:60] = bytes(40)
    path.write_bytes(content)
    with pytest.raises(LabelError, match="damaged"):
        read_labels(path)


def test_a_wrong_mask_is_named_when_it_is_decoded(tmp_path):
    write_labels(tmp_path / "labels.csv", [("a.jpg", "Fish", "0 5")])
    with pytest.raises(LabelError, match=r"a.jpg_Fish: a run starts at 0"):
        read_labels(tmp_path / "labels.csv").mask("a.jpg", "Fish")
    with pytest.raises(LabelError, match=r"no row a.jpg_Sugar"):
        read_labels(tmp_path / "labels.csv").mask("a.jpg", "Sugar")
