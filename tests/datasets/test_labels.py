"""Label files: plain or compressed, on either grid; errors name the row."""

import gzip
import io
import zipfile

import numpy as np
import pytest

from nephoscope.core.errors import LabelError
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.core.types import LABEL_GRID, SCORE_GRID
from nephoscope.datasets.labels import read_labels, stored_names, write_labels
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


FEW = [
    *(("a.jpg", name, "7 5" if name == "Fish" else "") for name in DEFAULT_NAMES),
    *(("b.jpg", name, "" if name == "Fish" else "1 3 9 2") for name in DEFAULT_NAMES),
]
COLUMNS = ("Image_Label", "EncodedPixels")


def table(*, separator=",", quote="", empty="", end="\n", columns=COLUMNS, rows=FEW) -> str:
    """A label file's text in a dialect of CSV; of other columns than the contest's, the values are 0."""
    lines = [columns]
    for image, pattern, text in rows:
        values = {"Image_Label": f"{image}_{pattern}", "EncodedPixels": text or empty}
        lines.append([values.get(column, "0") for column in columns])
    return "".join(separator.join(f"{quote}{value}{quote}" for value in line) + end for line in lines)


def zipped(content: bytes, *others: str) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("train.csv", content)
        for name in others:
            file.writestr(name, b"")
    return archive.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        table(quote='"').encode(),
        f"{','.join(COLUMNS)}\n{table(quote=chr(34)).partition(chr(10))[2]}".encode(),
        table(separator=";").encode(),
        table(end="\r\n").encode("utf-8-sig"),
        table(end="\r").encode(),
        table().encode("utf-16"),
        table(columns=("", *COLUMNS, "fold")).encode(),
        table(columns=COLUMNS[::-1]).encode(),
        table(empty="nan").encode(),
        table(empty="-1").encode(),
        table(empty="None", quote='"').encode(),
        table(rows=[row for row in FEW if row[2]]).encode(),
        gzip.compress(table().encode()),
        zipped(table().encode(), "__MACOSX/._train.csv"),
    ],
)
def test_every_dialect_means_the_same(tmp_path, content):
    path = tmp_path / "train.csv"
    path.write_bytes(content)
    labels = read_labels(path)
    assert labels.patterns == DEFAULT_NAMES
    assert labels.images == ["a.jpg", "b.jpg"]
    for image, pattern, text in FEW:
        assert labels.texts[image, pattern] == text


def test_notes_count_what_is_read_in_another_form(tmp_path):
    for content, notes in (
        (table(), ()),
        (table(empty="NaN"), ("4 empty masks are written as NaN",)),
        (
            table(rows=[row for row in FEW if row[2]]),
            ("4 rows are missing, and no row is empty: they are read as empty masks",),
        ),
    ):
        (tmp_path / "labels.csv").write_text(content)
        assert read_labels(tmp_path / "labels.csv").notes == notes


def test_missing_rows_beside_empty_ones_stay_missing(tmp_path):
    (tmp_path / "labels.csv").write_text(table(rows=FEW[:-1]))
    labels = read_labels(tmp_path / "labels.csv")
    with pytest.raises(LabelError, match=r"no row b\.jpg_Sugar"):
        labels.mask("b.jpg", "Sugar")


def test_own_patterns_of_a_file_with_rows_only_where_one_is(tmp_path):
    rows = [(f"{n}.jpg", name, "1 2") for n in range(40) for name in ("open", "Closed")[n % 2 :]]
    (tmp_path / "labels.csv").write_text(table(rows=[*rows, ("0.jpg", "opened", "1 2")]))
    problems = []
    labels = read_labels(tmp_path / "labels.csv", problems=problems)
    assert labels.patterns == ("open", "Closed")
    assert [problem.kind for problem in problems] == ["unknown pattern"]
    assert not labels.mask("1.jpg", "open").any()


def test_a_mask_longer_than_the_csv_module_expects(tmp_path):
    text = " ".join(f"{start} 1" for start in range(1, 60_000, 3))
    (tmp_path / "labels.csv").write_text(table(quote='"', rows=[("a.jpg", "Fish", text)]))
    assert read_labels(tmp_path / "labels.csv").mask("a.jpg", "Fish").sum() == 20_000


def test_an_archive_of_several_files_is_refused(tmp_path):
    (tmp_path / "train.csv.zip").write_bytes(zipped(table().encode(), "other.csv"))
    with pytest.raises(LabelError, match="a ZIP archive of 2 files; it must hold one"):
        read_labels(tmp_path / "train.csv.zip")


def test_names_that_differ_in_capitals_alone(tmp_path):
    (tmp_path / "labels.csv").write_text(table())
    labels = read_labels(tmp_path / "labels.csv").named_as(["a.JPG", "b.jpg", "B.JPG"])
    assert labels.images == ["a.JPG", "b.jpg"]
    assert labels.mask("a.JPG", "Fish").sum() == 5
    assert labels.notes == ("1 names differ from the rows in capital letters, such as a.JPG (a.jpg)",)
    assert stored_names(["a.jpg", "A.jpg"], ["a.JPG"]) == {}  # which of the two?


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "first line"),
        ("image,mask\n", "first line"),
        (
            "Image_Label,EncodedPixels\na.jpg_Fisch,1 2\na.jpg_Fish,\nb.jpg_Fish,\nc.jpg_Fish,\n",
            "line 2: a.jpg_Fisch: unknown pattern: available: Fish",
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
