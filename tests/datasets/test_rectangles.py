"""Rectangles on grids, in cases counted by hand, and against real labels."""

import lzma
from datetime import date

import cv2
import numpy as np
import pytest

from nephoscope.core.errors import DatasetError
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.core.types import LABEL_GRID, SCORE_GRID
from nephoscope.datasets.dataset import read_dataset
from nephoscope.datasets.rectangles import (
    BOXES,
    FOLDER,
    PRACTICE_BOXES,
    PRACTICE_CLASSIFICATIONS,
    REGIONS,
    Overpass,
    Rectangle,
    masks_of,
    read_practice,
    read_rectangles,
)
from nephoscope.evaluation.metrics import dice
from nephoscope.imagery.reading import open_scene

BOXES_HEADER = "satellite,date,region,x0,y0,x1,y1,pattern"
PRACTICE_HEADER = "classification,annotator,image,satellite,date,region"


def write(path, *lines):
    path.write_bytes(lzma.compress(("\n".join(lines) + "\n").encode()))


def test_a_mask_is_the_union_of_rectangles_without_nodata():
    rectangles = [Rectangle(0, 0, 840, 560, "Fish"), Rectangle(420, 280, 1260, 1400, "Fish")]
    valid = np.ones(SCORE_GRID, bool)
    valid[:, :10] = False
    masks = masks_of(rectangles, SCORE_GRID, valid)
    expected = np.zeros(SCORE_GRID, bool)
    expected[:140, :210] = expected[70:, 105:315] = True
    assert (masks[0] == (expected & valid)).all()
    assert not masks[1:].any()


@pytest.mark.parametrize("grid", [LABEL_GRID, SCORE_GRID, (70, 105), (320, 480)])
def test_a_rectangle_past_the_edges_fills_any_grid(grid):
    assert masks_of([Rectangle(-200, -50, 2300, 1500, "Sugar")], grid)[3].all()


def test_a_rectangle_outside_the_scene_is_empty():
    assert not masks_of([Rectangle(2200, 0, 2400, 700, "Sugar")], SCORE_GRID).any()


def test_rectangles_are_read_by_overpass_and_a_row_without_corners_adds_none(tmp_path):
    write(
        tmp_path / BOXES,
        BOXES_HEADER,
        "Aqua,2015-02-05,3,31,541,1072,1384,Sugar",
        "Aqua,2015-02-05,3,,,,,",
        "Terra,2015-02-05,1,,,,,",
    )
    rectangles = read_rectangles(tmp_path)
    aqua = Overpass("Aqua", date(2015, 2, 5), REGIONS["3"])
    terra = Overpass("Terra", date(2015, 2, 5), REGIONS["1"])
    assert rectangles == {aqua: [Rectangle(31, 541, 1072, 1384, "Sugar")], terra: []}


def test_of_two_answers_of_one_person_the_first_counts(tmp_path):
    write(
        tmp_path / PRACTICE_CLASSIFICATIONS,
        PRACTICE_HEADER,
        "7,u1,a.jpg,Aqua,20150131,1",
        "8,u2,a.jpg,Aqua,20150131,1",
        "9,u1,a.jpg,Aqua,20150131,1",
    )
    write(
        tmp_path / PRACTICE_BOXES,
        "classification,annotator,image,satellite,date,region,x,y,width,height,pattern",
        "7,u1,a.jpg,Aqua,20150131,1,10.5,20,100,200,Fish",
        "8,u2,a.jpg,Aqua,20150131,1,,,,,",
        "9,u1,a.jpg,Aqua,20150131,1,0,0,50,50,Sugar",
    )
    (scene,) = read_practice(tmp_path)
    assert (scene.image, scene.overpass.day) == ("a.jpg", date(2015, 1, 31))
    assert scene.answers == {"u1": (Rectangle(10.5, 20, 110.5, 220, "Fish"),), "u2": ()}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("Aqua,2015-02-05,4,0,0,9,9,Fish", "line 2: unknown region '4'"),
        ("Aqua,yesterday,1,0,0,9,9,Fish", "line 2: .*yesterday"),
        ("Aqua,2015-02-05,1,0,0,9,9,Fisch", "line 2: unknown pattern 'Fisch'"),
        ("Aqua,2015-02-05,1,0,zero,9,9,Fish", "line 2: .*zero"),
        ("Aqua,2015-02-05,1,0,0", "line 2: too few values"),
    ],
)
def test_an_error_names_the_line(tmp_path, row, message):
    write(tmp_path / BOXES, BOXES_HEADER, row)
    with pytest.raises(DatasetError, match=message):
        read_rectangles(tmp_path)


def test_a_file_in_another_form_is_refused(tmp_path):
    write(tmp_path / BOXES, "x,y")
    with pytest.raises(DatasetError, match="missing columns: satellite, date"):
        read_rectangles(tmp_path)
    (tmp_path / BOXES).write_bytes(b"\xfd7zXZ\x00 and no more")
    with pytest.raises(DatasetError, match="damaged"):
        read_rectangles(tmp_path)


def test_a_rectangle_of_no_answer_is_refused(tmp_path):
    write(tmp_path / PRACTICE_CLASSIFICATIONS, PRACTICE_HEADER, "7,u1,,Aqua,20150131,1")
    write(tmp_path / PRACTICE_BOXES, "classification,x,y,width,height,pattern", "8,0,0,9,9,Fish")
    with pytest.raises(DatasetError, match=f"{PRACTICE_CLASSIFICATIONS} has no answer 8"):
        read_practice(tmp_path)


@pytest.mark.slow
def test_rectangles_make_the_real_labels(clouds):
    """Where rectangles cover a label, they differ from it only where the picture has no data."""
    rectangles = read_rectangles(clouds / FOLDER)
    dataset = read_dataset(clouds)
    scores = []
    for record in [record for record in dataset.records if record.day][::200]:
        drawn = rectangles[Overpass(record.satellite, record.day, record.bounds)]
        valid = open_scene(dataset.picture(record.image)).read().valid_mask.view(np.uint8)
        valid = cv2.resize(valid, SCORE_GRID[::-1], interpolation=cv2.INTER_NEAREST).view(bool)
        for name, mask in zip(DEFAULT_NAMES, masks_of(drawn, SCORE_GRID, valid), strict=True):
            label = dataset.labels.mask(record.image, name, SCORE_GRID)
            if (label & ~mask).sum() <= 0.01 * label.sum():  # else the file lacks some of its rectangles
                scores.append(dice(mask, label))
    assert len(scores) > 60
    assert np.mean(scores) > 0.99
