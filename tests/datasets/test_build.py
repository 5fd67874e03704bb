"""Rectangles become training data, by the command that users type."""

import csv
import gzip
import lzma
from datetime import date
from itertools import islice

import numpy as np
import pytest
from typer.testing import CliRunner

from nephoscope.cli import app
from nephoscope.core.geo import ATLANTIC, Bounds, Overpass
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.core.types import LABEL_GRID, SCORE_GRID
from nephoscope.datasets.catalogue import read_catalogue
from nephoscope.datasets.dataset import read_dataset
from nephoscope.datasets.labels import read_labels, write_labels
from nephoscope.datasets.rectangles import FOLDER, masks_of, read_rectangles
from nephoscope.datasets.splits import Folds, split
from nephoscope.evaluation.metrics import dice
from nephoscope.imagery.reading import open_scene
from nephoscope.imagery.scene import find_nodata
from nephoscope.testing.worldview_server import WorldviewServer


@pytest.fixture
def server():
    with WorldviewServer() as server:
        yield server


HEADER = "satellite,date,region,x0,y0,x1,y1,pattern"
ROWS = (
    "Terra,2010-01-03,1,100,200,900,1100,Fish",
    "Terra,2010-01-03,1,500,200,1300,700,Fish",
    "Terra,2010-01-03,1,-50,900,2200,1500,Sugar",
    "Aqua,2010-01-03,2,0,0,1000,1400,Gravel",
    'Aqua,2010-01-04,"-61,10,-40,24",1200,300,1900,800,Flower',
    "Aqua,2010-01-05,barbados,,,,,",
)
DRAWN = {  # top, bottom, left, right
    "Terra_CorrectedReflectance20100103_-61--40_10-24.jpeg": {
        "Fish": [(200, 1100, 100, 900), (200, 700, 500, 1300)],
        "Sugar": [(900, 1400, 0, 2100)],
    },
    "Aqua_CorrectedReflectance20100103_159-180_8-22.jpeg": {"Gravel": [(0, 1400, 0, 1000)]},
    "Aqua_CorrectedReflectance20100104_-61--40_10-24.jpeg": {"Flower": [(300, 800, 1200, 1900)]},
    "Aqua_CorrectedReflectance20100105_-62--41_6-20.jpeg": {},
}


@pytest.fixture
def boxes(tmp_path):
    path = tmp_path / "boxes.csv"
    path.write_text("\n".join([HEADER, *ROWS]) + "\n")
    return path


def rebuild(server, boxes, data):
    words = ["fetch", "labels", str(boxes), "-o", str(data), "--archive", server.address]
    return CliRunner().invoke(app, words)


class TestLabels:
    @pytest.mark.slow
    def test_rectangles_become_training_data(self, server, boxes, tmp_path):
        done = rebuild(server, boxes, tmp_path / "data")
        assert done.exit_code == 0, done.stderr
        dataset = read_dataset(tmp_path / "data", strict=True)
        assert [record.image for record in dataset.records] == sorted(DRAWN)
        gaps = 0
        for image, rectangles in DRAWN.items():
            scene = open_scene(dataset.picture(image))
            assert scene.size == LABEL_GRID
            gap = find_nodata(scene.read().pixels)
            gaps += gap.any()
            for name in DEFAULT_NAMES:
                expected = np.zeros(LABEL_GRID, bool)
                for top, bottom, left, right in rectangles.get(name, []):
                    expected[top:bottom, left:right] = True
                assert np.array_equal(dataset.labels.mask(image, name), expected & ~gap)
        assert gaps  # else nothing was left out

    @pytest.mark.slow
    def test_the_catalogue_says_where_and_when_and_can_be_split(self, server, boxes, tmp_path):
        rebuild(server, boxes, tmp_path / "data")
        records = read_catalogue(tmp_path / "data" / "scenes.csv")
        first = records["Aqua_CorrectedReflectance20100103_159-180_8-22.jpeg"]
        assert (first.split, first.satellite, first.day) == ("", "Aqua", date(2010, 1, 3))
        assert first.bounds == Bounds(159, 8, 180, 22)
        trained, held_out = split(list(records.values()), Folds(2))
        assert sorted(trained + held_out) == [0, 1, 2, 3]

    @pytest.mark.slow
    def test_a_scene_that_fails_is_left_out_and_comes_the_next_time(self, boxes, tmp_path):
        bad = Overpass("Aqua", date(2010, 1, 4), ATLANTIC)
        with WorldviewServer(lambda overpass, _: "404" if overpass == bad else None) as server:
            done = rebuild(server, boxes, tmp_path / "data")
        assert done.exit_code == 1
        assert "Aqua_CorrectedReflectance20100104_-61--40_10-24.jpeg: 127.0.0.1" in done.stderr
        assert len(read_dataset(tmp_path / "data", strict=True).records) == 3
        with WorldviewServer() as server:
            assert rebuild(server, boxes, tmp_path / "data").exit_code == 0
        assert server.total == 1
        assert len(read_dataset(tmp_path / "data", strict=True).records) == 4

    @pytest.mark.parametrize(("ending", "pack"), [(".gz", gzip.compress), (".xz", lzma.compress)])
    def test_packed_rectangles(self, boxes, tmp_path, ending, pack):
        packed = tmp_path / f"boxes.csv{ending}"
        packed.write_bytes(pack(boxes.read_bytes()))
        assert read_rectangles(packed) == read_rectangles(boxes)

    @pytest.mark.parametrize("name", ["train.csv", "train.csv.xz"])
    def test_other_labels_are_not_lost(self, server, boxes, tmp_path, name):
        write_labels(tmp_path / "data" / name, [("other.jpg", pattern, "") for pattern in DEFAULT_NAMES])
        before = (tmp_path / "data" / name).read_bytes()
        done = rebuild(server, boxes, tmp_path / "data")
        assert done.exit_code == 2
        assert f"{name}: has labels of other scenes" in done.stderr
        assert (tmp_path / "data" / name).read_bytes() == before
        assert server.total == 0

    @pytest.mark.parametrize(
        ("row", "message"),
        [
            (
                'Aqua,2010-01-04,"-61,10,-50,24",0,0,9,9,Fish',
                "1100 x 1400 px; rectangles need 2100 x 1400",
            ),
            ("Viking,2010-01-04,1,0,0,9,9,Fish", "unknown satellite 'Viking'"),
            ("Aqua,2010-01-04,9,0,0,9,9,Fish", "line 8: unknown region '9'"),
        ],
    )
    def test_rectangles_that_cannot_be_used(self, server, boxes, tmp_path, row, message):
        boxes.write_text("\n".join([HEADER, *ROWS, row]) + "\n")
        done = rebuild(server, boxes, tmp_path / "data")
        assert done.exit_code == 2
        assert message in done.stderr
        assert server.total == 0

    def test_no_such_file(self, server, tmp_path):
        done = rebuild(server, tmp_path / "none.csv", tmp_path / "data")
        assert done.exit_code == 2
        assert "none.csv: No such file" in done.stderr


@pytest.mark.slow
def test_real_rectangles_make_the_contests_masks(clouds, tmp_path):
    scenes = 12
    with lzma.open(clouds / "train.csv.xz", "rt") as file:
        rows = list(islice(file, 1 + 80 * len(DEFAULT_NAMES)))
    (tmp_path / "some.csv").write_text("".join(rows))
    truth = read_labels(tmp_path / "some.csv", LABEL_GRID)
    all_drawn = read_rectangles(clouds / FOLDER)
    records = read_catalogue(clouds / "scenes.csv")
    wanted = {}
    for image in truth.images:
        record = records.get(image)
        if record and record.day and record.bounds:
            overpass = Overpass(record.satellite, record.day, record.bounds)
            if overpass in all_drawn and len(wanted) < scenes:
                wanted[overpass] = image
    with (tmp_path / "boxes.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER.split(","))
        for satellite, day, bounds in wanted:
            region = ",".join(f"{edge:g}" for edge in bounds)
            writer.writerow([satellite, day, region, "", "", "", "", ""])
            for box in all_drawn[Overpass(satellite, day, bounds)]:
                writer.writerow([satellite, day, region, *box])
    with WorldviewServer(pictures=clouds) as server:
        done = rebuild(server, tmp_path / "boxes.csv", tmp_path / "data")
    assert done.exit_code == 0, done.stderr
    assert "no coverage" not in done.stdout
    made = read_dataset(tmp_path / "data", strict=True)
    scores = []
    for record in made.records:
        overpass = Overpass(record.satellite, record.day, record.bounds)
        whole = masks_of(all_drawn[overpass], SCORE_GRID)
        for name, covered in zip(DEFAULT_NAMES, whole, strict=True):
            label = truth.mask(wanted[overpass], name, SCORE_GRID)
            if label.any() and np.count_nonzero(label & ~covered) <= 0.01 * np.count_nonzero(label):
                scores.append(dice(made.labels.mask(record.image, name, SCORE_GRID), label))
    assert len(scores) >= scenes
    assert np.mean(np.array(scores) >= 0.99) > 0.9, scores
