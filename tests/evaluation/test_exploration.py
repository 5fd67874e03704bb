"""The report on labelled data: numbers counted by hand, named problems, a self-contained page."""

import json
import re

import cv2
import numpy as np
import pytest

from conftest import encoded
from nephoscope.core.errors import DatasetError
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.core.types import LABEL_GRID, SCORE_GRID
from nephoscope.datasets.build import write_synthetic_dataset
from nephoscope.datasets.dataset import read_dataset
from nephoscope.datasets.labels import write_labels
from nephoscope.datasets.rle import encode
from nephoscope.evaluation.exploration import SPECK, explore
from nephoscope.evaluation.groups import group_scenes
from nephoscope.evaluation.report.exploration import write_report
from nephoscope.evaluation.report.exploration_numbers import numbers
from nephoscope.plotting import charts

# Masks are columns in fifths of the width; 0.01 of the height makes a speck.
SCENES = {
    "a.png": {"Fish": [(0, 3)], "Flower": [(1, 2)]},
    "b.png": {"Fish": [(0, 1), (2, 3)]},
    "c.png": {},
    "d.png": {"Gravel": [(3, 5)], "Sugar": [(0, 5)]},
    "e.png": {"Sugar": [(0, 1)]},
}
DARK, BRIGHT = 50, 200
EVERY_PIXEL = SCORE_GRID[0] * SCORE_GRID[1]

CATALOGUE = """image,split,satellite,date,west,south,east,north
a.png,train,Terra,2012-12-05,-61,10,-40,24
b.png,train,Aqua,2013-04-01,-61,10,-40,24
d.png,val,Aqua,2013-06-01,159,8,-180,22
"""


def runs(fifths):
    mask = np.zeros(LABEL_GRID, bool)
    for left, right in fifths:
        mask[:, left * 420 : right * 420] = True
    return encode(mask)


def picture():
    """The left three fifths bright, the rest dark, the last tenth without data."""
    pixels = np.full((140, 210, 3), DARK, np.uint8)
    pixels[:, :126] = BRIGHT
    pixels[:, 189:] = 0
    return encoded(pixels, ".png")


@pytest.fixture
def clean(tmp_path):
    """Five scenes of which all is known, and nothing wrong."""
    folder = tmp_path / "clean"
    (folder / "train_images").mkdir(parents=True)
    for image in SCENES:
        (folder / "train_images" / image).write_bytes(picture())
    rows = [
        (image, name, runs(masks.get(name, []))) for image, masks in SCENES.items() for name in DEFAULT_NAMES
    ]
    write_labels(folder / "train.csv", rows)
    return folder


@pytest.fixture
def spoilt(clean):
    """The same with one problem of each kind, and an unreadable picture."""
    pictures = clean / "train_images"
    (pictures / "e.png").write_bytes(b"no picture")
    (pictures / "unlabelled.png").write_bytes(picture())
    (pictures / "far.png").write_bytes(picture())
    (pictures / "part.png").write_bytes(picture())
    with (clean / "train.csv").open("a") as file:
        file.write("a.png_Cirrus,1 2\na.png_Fish,1 2\npart.png_Fish,1 2\n")
        for name in DEFAULT_NAMES:
            file.write(f"gone.png_{name},\nfar.png_{name},{'2939999 5' if name == 'Fish' else ''}\n")
    return clean


def test_presence_area_and_cooccurrence(clean):
    result = explore(read_dataset(clean))
    assert result.present.mean(axis=0).tolist() == pytest.approx([2 / 5, 1 / 5, 1 / 5, 2 / 5])
    assert result.area_fractions[:, 0].tolist() == pytest.approx([0.6, 0.4, 0, 0, 0])
    assert result.area_fractions[3].tolist() == pytest.approx([0, 0, 0.4, 1])
    assert result.cooccurrence.tolist() == [[2, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 2]]
    assert result.overlap[0, 1] == pytest.approx(0.2)  # Flower takes a fifth of Fish's five...
    assert result.overlap[1, 0] == pytest.approx(1)  # ... and lies within it
    stats = numbers(result)
    assert stats["patterns_per_scene"] == {"0": 1, "1": 2, "2": 2, "3": 0, "4": 0}
    assert stats["patterns"]["Fish"]["cover_where_present"]["mean"] == pytest.approx(0.5)
    assert stats["patterns"]["Fish"]["cover_of_all_scenes"] == pytest.approx(0.2)
    assert stats["problems"] == {"counts": {}, "all": {}}


def test_objects_and_specks(clean, tmp_path):
    labels = (clean / "train.csv").read_text()
    speck = np.zeros(LABEL_GRID, bool)
    speck[:40, :40] = True  # 10 x 10 pixels of 350x525
    (clean / "train.csv").write_text(labels.replace("c.png_Fish,", f"c.png_Fish,{encode(speck)}"))
    result = explore(read_dataset(clean))
    assert result.counts()[:, 0].tolist() == [1, 2, 0, 0, 0]
    assert result.counts(specks=True)[:, 0].tolist() == [0, 0, 1, 0, 0]
    stats = numbers(result)["patterns"]["Fish"]
    assert stats["object_pixels"]["count"] == 3
    assert stats["object_pixels"]["largest"] == 0.6 * EVERY_PIXEL
    assert stats["specks"] == stats["scenes_with_specks"] == 1
    assert stats["speck_share_of_mask"] == pytest.approx(100 / (EVERY_PIXEL + 100))
    assert SPECK > 100


def test_position_brightness_and_nodata(clean):
    result = explore(read_dataset(clean))
    assert result.mean_masks.shape == (4, *SCORE_GRID)
    assert result.mean_masks[0, 100, [50, 150, 250, 400]].tolist() == pytest.approx([2 / 5, 1 / 5, 2 / 5, 0])
    assert result.nodata.tolist() == pytest.approx([0.1] * 5)
    assert result.brightness_inside[0, 0] == BRIGHT
    assert result.brightness_outside[0, 0] == DARK  # the gap counts nowhere
    assert result.brightness[0] == pytest.approx((6 * BRIGHT + 3 * DARK) / 9)
    assert np.isnan(result.brightness_inside[0, 3])
    assert np.isnan(result.brightness_outside[3, 3])  # Sugar takes the whole scene
    assert result.nodata_inside[3].tolist() == pytest.approx([0, 0, 0.1, 0.1])
    stats = numbers(result)
    assert stats["patterns"]["Gravel"]["share_of_mask_without_data"] == pytest.approx(0.25)
    assert np.shape(stats["patterns"]["Sugar"]["mean_mask"]) == (14, 21)


def test_problems_are_named_and_the_rest_is_measured(spoilt):
    steps = []
    result = explore(read_dataset(spoilt), lambda *step: steps.append(step))
    assert [record.image for record in result.records] == list(SCENES)
    problems = numbers(result)["problems"]
    assert problems["counts"] == {
        "unknown pattern": 1,
        "a second row": 1,
        "a scene without a picture": 1,
        "a picture without rows": 1,
        "a scene without all its rows": 1,
        "wrong run lengths": 1,
        "a picture that cannot be read": 1,
    }
    assert "a.png_Cirrus" in problems["all"]["unknown pattern"][0]
    assert "far.png_Fish" in problems["all"]["wrong run lengths"][0]
    assert "e.png" in problems["all"]["a picture that cannot be read"][0]
    assert result.present[4].tolist() == [False, False, False, True]  # its masks count
    assert np.isnan(result.nodata[4])
    assert steps[-1] == (6, 6)


def test_no_valid_mask_at_all(clean):
    labels = (clean / "train.csv").read_text()
    (clean / "train.csv").write_text(re.sub("Sugar,.*", "Sugar,1 2 3", labels))
    with pytest.raises(DatasetError, match="valid masks"):
        explore(read_dataset(clean))


def test_groups_of_scenes(clean):
    (clean / "scenes.csv").write_text(CATALOGUE)
    result = explore(read_dataset(clean))
    assert group_scenes(result.records, "season") == {
        "DJF": [0],
        "MAM": [1],
        "JJA": [3],
        "unknown": [2, 4],
    }
    by = numbers(result)["by"]
    assert list(by["year"]) == ["2013", "unknown"]  # December counts to the next
    assert by["satellite"]["Aqua"]["presence"] == {"Fish": 0.5, "Flower": 0, "Gravel": 0.5, "Sugar": 0.5}
    assert by["region"]["61°W-40°W 10°N-24°N"]["median_cover_where_present"]["Fish"] == pytest.approx(0.5)


def test_examples_show_each_kind_and_are_always_the_same(clean):
    result = explore(read_dataset(clean))
    examples = result.examples()
    assert examples["Fish alone"] == [1]
    assert examples["Sugar alone"] == [4]
    assert examples["two patterns"] == [0, 3]
    assert examples["no pattern"] == [2]
    assert len(examples["wide swath gap"]) == 2
    assert {"Gravel alone", "three patterns", "four patterns"}.isdisjoint(examples)
    assert result.examples() == examples


@pytest.mark.slow
def test_the_page_needs_nothing_else(spoilt, tmp_path):
    (spoilt / "scenes.csv").write_text(CATALOGUE)
    path, stats = write_report(read_dataset(spoilt), tmp_path / "out")
    html = path.read_text()
    assert not re.search(r"<script|<link|(src|href)=\"(?!data:|#)", html)
    for heading in ("Regions", "Seasons", "Years", "Satellites", "Scenes of each kind", "Label problems"):
        assert f">{heading}</h2>" in html
    assert "a.png_Cirrus" in html
    assert json.loads((tmp_path / "out" / "explore.json").read_text()) == stats
    figures = sorted((tmp_path / "out").glob("*.png"))
    assert {"explore_presence.png", "explore_region.png", "explore_scenes_fish_alone.png"} <= {
        figure.name for figure in figures
    }
    assert all(cv2.imread(str(figure)) is not None for figure in figures)
    assert html.count("<img ") == len(figures)


@pytest.mark.slow
def test_the_same_data_give_the_same_files(clean, tmp_path):
    for name in ("one", "two"):
        write_report(read_dataset(clean), tmp_path / name)
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()


@pytest.mark.slow
def test_unknown_groups_have_no_section(clean, tmp_path):
    (clean / "scenes.csv").write_text(CATALOGUE.splitlines()[0] + "\na.png,train,,,,,,\n")
    path, stats = write_report(read_dataset(clean), tmp_path / "out")
    html = path.read_text()
    assert stats["by"] == {"region": {}, "season": {}, "year": {}, "satellite": {}}
    assert "Regions" not in html
    assert "No scene states its region or season or year or satellite" in html
    assert not list((tmp_path / "out").glob("explore_region*"))


@pytest.mark.slow
def test_pictures_none_of_which_can_be_read(clean, tmp_path):
    for image in SCENES:
        (clean / "train_images" / image).write_bytes(b"no picture")
    path, stats = write_report(read_dataset(clean), tmp_path / "out")
    assert stats["brightness"]["count"] == stats["gaps"]["count"] == 0
    assert stats["examples"] == {}
    assert "No picture could be read" in path.read_text()


@pytest.mark.slow
def test_many_problems_of_a_kind_are_counted_in_the_page_and_all_in_json(clean, tmp_path):
    with (clean / "train.csv").open("a") as file:
        file.writelines(f"x{number}.png_Fish,\n" for number in range(30))
    path, stats = write_report(read_dataset(clean), tmp_path / "out")
    assert len(stats["problems"]["all"]["a scene without a picture"]) == 30
    assert "and 10 more" in path.read_text()


@pytest.mark.slow
def test_synthetic_scenes(tmp_path):
    write_synthetic_dataset(tmp_path / "data", 6, size=(160, 240))
    path, stats = write_report(read_dataset(tmp_path / "data"), tmp_path / "out")
    assert stats["scenes"] == 6
    assert stats["problems"]["counts"] == {}
    assert path.is_file()


@pytest.mark.slow
def test_charts_accept_missing_values(tmp_path):
    """Names that are not patterns, values that are NaN, nothing at all to count."""
    drawn = [
        charts.bars({"one": 0.5, "Fish": 0}, "share", share=True),
        charts.grouped_bars(["x", "y"], {"one": [1, np.nan], "two": [2, 1000.5]}, "things"),
        charts.histograms({"one": [], "two": [np.nan], "Sugar": [1.0]}, [0, 1, 2], "things", "scenes"),
        charts.heat_map(["x"], ["y", "z"], [[np.nan, 0]], "rows", "columns"),
        charts.maps({"one": np.zeros((4, 6)), "two": np.ones((4, 6)), "Fish": np.ones((4, 6))}, "share"),
    ]
    for png in drawn:
        assert cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR) is not None


@pytest.mark.slow
def test_real_scenes_have_the_known_presence(clouds):
    """All rows tell presence; every eighth scene is measured."""
    dataset = read_dataset(clouds)
    assert len(dataset.records) == 5041
    assert not dataset.problems
    result = explore(dataset.select(range(0, len(dataset.records), 8)))
    shares = [
        np.mean([bool(dataset.labels.texts[record.image, name]) for record in dataset.records])
        for name in DEFAULT_NAMES
    ]
    assert shares == pytest.approx([0.50, 0.43, 0.53, 0.68], abs=0.01)
    assert result.present.mean(axis=0).tolist() == pytest.approx(shares, abs=0.05)
    medians = [np.median(result.area_fractions[result.present[:, i], i]) for i in range(len(DEFAULT_NAMES))]
    assert all(0.18 < median < 0.32 for median in medians)
    assert not [problem for problem in result.problems if "run" in problem.kind]
