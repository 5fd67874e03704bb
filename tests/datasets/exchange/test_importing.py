"""What label files of other tools say, and what of them is left out."""

import gzip
import json
import unicodedata

import cv2
import numpy as np
import pytest
from made import (
    JPEG,
    PACIFIC,
    PLACED,
    SIZE,
    box,
    drawn_in,
    make_dataset,
    masks_in,
    write_json,
    write_pictures,
)
from PIL import Image as PilImage
from pycocotools import mask as pycoco

from nephoscope.core.errors import DatasetError
from nephoscope.core.geo import Bounds
from nephoscope.core.io import csv_text
from nephoscope.core.outline import outline
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.core.types import LABEL_GRID, SCORE_GRID
from nephoscope.datasets.collection import Collection, on_label_grid
from nephoscope.datasets.dataset import read_dataset
from nephoscope.datasets.exchange import importing, reading
from nephoscope.datasets.exchange.exporting import export_labels
from nephoscope.datasets.exchange.importing import import_labels
from nephoscope.datasets.labels import format_labels, read_labels
from nephoscope.datasets.rle import encode

HEIGHT, WIDTH = SIZE
FISH = box("Fish", 2, 3, 10, 20)
RING = [[3, 2], [20, 2], [20, 10], [3, 10]]


@pytest.fixture
def folder(tmp_path):
    """A folder with three pictures."""
    return write_pictures(tmp_path / "labels", "a.jpg", "b.jpg", PLACED)


@pytest.fixture
def data(tmp_path):
    return tmp_path / "data"


def kinds(result) -> set[str]:
    return {problem.kind for problem in result.problems}


def test_segments_own_folder_comes_in(folder, data, tmp_path, tiny_model):
    """In every format that people correct, whatever else lies beside."""
    from nephoscope import segment
    from nephoscope.inference.model import Model
    from nephoscope.outputs.registry import FORMATS as OUTPUTS

    model = Model.load(tiny_model(), threads=1)
    result = segment(folder / PLACED, model)
    stem = PLACED.removesuffix(".jpg")
    for name in ("mask", "geojson", "geotiff", "json", "csv"):
        out = tmp_path / name
        out.mkdir()
        (out / f"{stem}_panel.png").write_bytes(OUTPUTS["panel"].render(result)[0])
        chosen = OUTPUTS[name]
        endings = (
            [chosen.file_name]
            if chosen.per_run
            else [f"{stem}{e}" for e in chosen.file_endings(model.card.patterns)]
        )
        for ending, content in zip(endings, chosen.render(result), strict=True):
            (out / ending).write_bytes(content)
        read = import_labels(out, tmp_path / f"{name}-data", pictures=folder)
        assert (read.format, read.problems) == (name, []), name
        grid = SIZE if name in ("mask", "geotiff") else SCORE_GRID  # outlines are on the grid of the rules
        back = read_dataset(tmp_path / f"{name}-data").masks(PLACED, grid)
        expected = np.stack([result.mask(pattern, grid) for pattern in model.card.patterns])
        assert expected.any()
        assert np.array_equal(back, expected), name


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "I;16"])
def test_masks_of_any_kind_of_png(folder, data, mode):
    values = FISH[0].astype(np.uint16) * 255
    if mode == "I;16":
        image = PilImage.fromarray(values)
    else:
        image = PilImage.fromarray(values.astype(np.uint8)).convert(mode)
    image.save(folder / "a_fish.png")
    assert import_labels(folder, data, format_name="mask").problems == []
    assert np.array_equal(masks_in(data, "a.jpg"), FISH)


def test_class_numbers_follow_the_classes(folder, data):
    PilImage.fromarray(FISH[0].astype(np.uint8) * 2).save(folder / "a.png")
    result = import_labels(folder / "a.png", data, format_name="mask-index", classes=("Sugar", "Fish"))
    assert result.problems == []
    assert np.array_equal(masks_in(data, "a.jpg"), FISH)


def test_coco_of_all_shapes(folder, data):
    upright = FISH[0]
    packed = pycoco.encode(np.asfortranarray(upright.view(np.uint8)))
    counts = [2 + 3 * HEIGHT, *[8, HEIGHT - 8] * 16, 8]
    shapes = {
        "Fish": [[each for point in RING for each in point]],
        "Flower": {"size": list(SIZE), "counts": packed["counts"].decode()},
        "Gravel": {"size": list(SIZE), "counts": counts},
        "Sugar": [],
    }
    names = list(shapes)
    content = {
        "images": [{"id": 7, "file_name": "some/where/a.jpg", "height": HEIGHT, "width": WIDTH},
                   {"id": 8, "file_name": "b.jpg"}],
        "categories": [{"id": 10 + n, "name": name.lower()} for n, name in enumerate(names)],
        "annotations": [
            {"id": n, "image_id": 7, "category_id": 10 + n, "segmentation": shapes[name], "iscrowd": n % 2,
             "bbox": [3, 2, 17, 8]}
            for n, name in enumerate(names)
        ],
    }  # fmt: skip
    result = import_labels(write_json(folder / "x.json", content), data, annotator="Ada")
    assert (result.format, result.scenes, result.problems, result.people) == ("coco", 2, [], {"Ada"})
    assert all(np.array_equal(mask, upright) for mask in masks_in(data, "a.jpg"))
    assert not masks_in(data, "b.jpg").any()  # annotated, without a region


def test_coco_leaves_out_what_is_wrong(folder, data):
    wrong = {
        "fewer than 3 points": [[1, 1, 2, 2]],
        "a point that is not finite": [[1, 1, 2, 2, 3, float("nan")]],
        "a point far from the picture": [[1, 1, 2, 2, 3, 1e200]],
        "run lengths past the end of the grid": {"size": list(SIZE), "counts": [1, 10**6]},
        "run lengths below 0": {"size": list(SIZE), "counts": [5, -3]},
        "run lengths that are no letters of COCO": {"size": list(SIZE), "counts": "\x00"},
        "run lengths that are no whole numbers": {"size": list(SIZE), "counts": [1.5]},
        "a canvas of more than 100,000,000 pixels": {"size": [10**6, 10**6], "counts": [1, 1]},
        "a canvas of another aspect than its picture": {"size": [10, 10], "counts": [1, 1]},
        "a malformed entry": 7,
    }
    annotations = [{"image_id": 1, "category_id": 1, "segmentation": each} for each in wrong.values()]
    annotations += [
        {"image_id": 1, "category_id": 1, "segmentation": [["a", 1, 2, 2, 3, 3]]},
        {"image_id": 1, "category_id": 2, "segmentation": [[1, 1, 9, 1, 9, 9]]},
        {"image_id": 9, "category_id": 1, "segmentation": []},
        {"image_id": 1, "category_id": 1, "bbox": [3, 2, 17, 8]},
        "nothing",
    ]
    images = [
        {"id": 1, "file_name": "a.jpg"},
        {"id": 2, "file_name": "c.jpg"},
        {"id": 3, "file_name": "../../.."},
        {"id": 4, "file_name": "b.jpg", "width": 300, "height": 300},
        {"id": 5},
    ]
    categories = [{"id": 1, "name": "Fish"}, {"id": 2, "name": "Cumulus"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    result = import_labels(write_json(folder / "x.json", content), data)
    assert kinds(result) == {
        *wrong,
        "an unknown class",
        "an annotation of an unlisted image",
        "a label without a picture",
        "an unusable file name",
    }
    assert len(result.problems) == len(wrong) + 8
    assert np.array_equal(masks_in(data, "a.jpg"), FISH)
    assert sorted(path.name for path in (data / "train_images").iterdir()) == ["a.jpg"]


def label_studio_region(kind: str, value: dict, size=SIZE) -> dict:
    return {
        "type": kind,
        "original_width": size[1],
        "original_height": size[0],
        "value": {**value, kind: value.get(kind, ["Fish"])},
    }


def percent(x: float, y: float) -> tuple[float, float]:
    return x / WIDTH * 100, y / HEIGHT * 100


def test_label_studio_of_several_people(folder, data):
    polygon = {"points": [percent(*point) for point in RING], "closed": True}
    x, y = percent(3, 2)
    rectangle = dict(zip(("x", "y", "width", "height", "rotation"), (x, y, *percent(17, 8), 0), strict=True))
    x, y = percent(20, 2)
    turned = {"x": x, "y": y, "width": 8 / WIDTH * 100, "height": 17 / HEIGHT * 100, "rotation": 90}
    tasks = [
        {
            "data": {"image": "/data/upload/1/0123abcd-a.jpg"},
            "annotations": [
                {"completed_by": 3, "updated_at": "2024-01-01", "result": []},
                {"completed_by": 3, "updated_at": "2024-01-02",
                 "result": [label_studio_region("polygonlabels", polygon),
                            {"type": "choices", "value": {"choices": ["x"]}}]},
                {"completed_by": {"id": 4, "email": "bo@example.org"},
                 "result": [label_studio_region("rectanglelabels", rectangle)]},
                {"completed_by": 5, "was_cancelled": True, "result": []},
            ],
            "predictions": [{"result": [label_studio_region("rectanglelabels", rectangle)]}],
        },
        {"data": {"image": "/data/local-files/?d=some%2Fb.jpg"},
         "annotations": [{"result": [label_studio_region("rectanglelabels", turned)]}]},
        {"data": {"image": "https://example.org/c.jpg?x=1"}, "annotations": []},
    ]  # fmt: skip
    result = import_labels(write_json(folder / "x.json", tasks), data, annotator="Cy")
    assert result.format == "label-studio"
    assert [(each.kind, each.where) for each in result.problems] == [
        ("another drawing of the same person", "a.jpg: 3")
    ]
    drawn = drawn_in(data)
    assert drawn.keys() == {("a.jpg", "3"), ("a.jpg", "bo@example.org"), ("b.jpg", "Cy")}
    assert all(np.array_equal(masks, FISH) for masks in drawn.values())


def test_percent_polygons_are_within_a_pixel(folder, data):
    mask = cv2.ellipse(np.zeros(SIZE, np.uint8), (40, 30), (25, 12), 20, 0, 360, 1, -1).view(np.bool_)
    ((ring,),) = outline(mask)
    points = [tuple(np.round(percent(*point), 1)) for point in ring]
    region = label_studio_region("polygonlabels", {"points": points})
    tasks = [{"data": {"image": "a.jpg"}, "annotations": [{"result": [region]}]}]
    import_labels(write_json(folder / "x.json", tasks), data)
    back = masks_in(data, "a.jpg")[0].view(np.uint8)
    square = np.ones((3, 3), np.uint8)
    assert (cv2.erode(mask.view(np.uint8), square) <= back).all()
    assert (back <= cv2.dilate(mask.view(np.uint8), square)).all()


def test_label_studio_leaves_out_what_is_wrong(folder, data):
    regions = [
        label_studio_region("brushlabels", {"format": "rle", "rle": [0, 0, 0]}),
        label_studio_region("brushlabels", {"format": "rle", "rle": [0] * 12}),
        label_studio_region("brushlabels", {"format": "rle", "rle": [300]}),
        label_studio_region("rectanglelabels", {"x": 1, "y": 1, "width": 0, "height": 2}),
        label_studio_region("rectanglelabels", {"x": 1, "y": 1, "width": 1e308, "height": 2}),
        label_studio_region("rectanglelabels", {"x": 1}),
        label_studio_region("rectanglelabels", {"x": 1, "y": 1, "width": 5, "height": 5}, (99, 99)),
        label_studio_region("polygonlabels", {"points": [], "polygonlabels": ["Cumulus"]}),
        {"type": "polygonlabels", "value": {"points": []}},
    ]
    nothing_drawn = {"data": {"image": "b.jpg"}, "annotations": [{"result": []}]}
    tasks = [
        {"data": {"image": "a.jpg"}, "annotations": [{"result": regions}]},
        nothing_drawn,
        {"data": 1},
        3,
    ]
    result = import_labels(write_json(folder / "x.json", tasks), data)
    assert read_dataset(data).labels.images == ["b.jpg"]
    assert kinds(result) == {
        "a drawing without a usable region",
        "brush run lengths that end too early",
        "brush run lengths of another size",
        "brush run lengths that are no bytes",
        "fewer than 3 points",
        "a rectangle far from the picture",
        "a malformed entry",
        "a canvas of another aspect than its picture",
        "an unknown class",
        "a region without a class",
    }
    assert len(result.problems) == 12


def zooniverse(*rows) -> str:
    header = ("user_name", "user_ip", "metadata", "annotations", "subject_data", "subject_ids")
    return csv_text(header, [(*each[:2], *map(json.dumps, each[2:]), 1) for each in rows])


def drew(label: str | None, tool: int = 0, **corners: float) -> list:
    mark = {"x": 3, "y": 2, "width": 17, "height": 8, "tool": tool, "frame": 0, "details": []} | corners
    return [
        {"task": "T0", "value": [mark | ({"tool_label": label} if label else {})]},
        {"task": "T1", "value": "Yes"},
    ]


def test_zooniverse(folder, data):
    subject = {"123": {"retired": None, "Filename": "a.jpg", "licence": "none.txt"}}
    size = {"subject_dimensions": [{"naturalWidth": WIDTH, "naturalHeight": HEIGHT, "clientWidth": 9}]}
    rows = [
        ("ada", "", size, drew("Fish"), subject),
        ("ada", "", size, drew("Sugar"), subject),  # not independent of the first
        ("not-logged-in-0123", "", size, drew(None, tool=2), subject),
        ("", "5f6e", {}, drew("Flowers", x=20, width=-17), subject),
        ("bo", "", size, [], subject),
        ("bo", "", size, drew("Cumulus"), {"1": {"f": "b.jpg"}}),
        ("bo", "", size, drew(None, tool=9), {"1": {"f": "../b.jpg"}}),
        ("bo", "", size, drew("Fish", x=float("nan")), {"1": {"f": PLACED}}),
        ("bo", "", size, drew("Fish"), {"1": {"f": "c.jpg"}}),
        ("bo", "", size, drew("Fish"), {"1": {"f": 3}}),
        ("bo", "", size, {"no": "list"}, subject),
    ]
    (folder / "x.csv").write_text(zooniverse(*rows))
    result = import_labels(folder / "x.csv", data, classes=("Sugar", "Flower", "Fish", "Gravel"))
    assert result.format == "zooniverse"
    drawn = drawn_in(data)
    for person in ("ada", "not-logged-in-0123"):
        assert np.array_equal(drawn["a.jpg", person], FISH)
    assert np.array_equal(drawn["a.jpg", "5f6e"], box("Flower", 2, 3, 10, 20))
    assert not drawn["a.jpg", "bo"].any()
    assert kinds(result) == {
        "another drawing of the same person",
        "an unknown class",
        "a label without a picture",
        "an entry without a picture's name",
        "a drawing without a usable region",
        "a rectangle far from the picture",
        "a malformed entry",
    }


def geojson(*features, **members) -> dict:
    return {"type": "FeatureCollection", "features": list(features), **members}


def feature(coordinates, kind="Polygon", **properties) -> dict:
    return {
        "type": "Feature",
        "geometry": {"type": kind, "coordinates": coordinates},
        "properties": {"pattern": "Fish", **properties},
    }


def in_degrees(bounds: Bounds, x: float, y: float) -> list[float]:
    return [bounds.west + x / WIDTH * bounds.width, bounds.north - y / HEIGHT * bounds.height]


@pytest.mark.parametrize("turn", [0, -360])
def test_geojson_across_the_antimeridian_uncut(folder, data, turn):
    """Longitudes past 180 degrees, or below -180, as some tools write them."""
    write_pictures(folder, PACIFIC)
    bounds = Bounds(170, 8, -169, 22)
    ring = [in_degrees(bounds, x, y) for x, y in [(3, 2), (80, 2), (80, 10), (3, 10)]]
    content = geojson(feature([[[x + turn, y] for x, y in ring]], scene=PACIFIC))
    result = import_labels(write_json(folder / "x.geojson", content), data)
    assert result.problems == []
    assert np.array_equal(masks_in(data, PACIFIC), box("Fish", 2, 3, 10, 80))


def test_geojson_with_holes_and_several_polygons(folder, data):
    bounds = Bounds(-61, 10, -40, 24)
    outer = [in_degrees(bounds, *point) for point in RING]
    hole = [in_degrees(bounds, *point) for point in [(5, 4), (8, 4), (8, 6), (5, 6)]]
    other = [in_degrees(bounds, *point) for point in [(50, 40), (60, 40), (60, 50), (50, 50)]]
    content = geojson(feature([[outer, hole], [other]], "MultiPolygon", scene=PLACED, annotator="Ada"))
    import_labels(write_json(folder / "x.geojson", content), data)
    expected = (FISH & ~box("Fish", 4, 5, 6, 8)) | box("Fish", 40, 50, 50, 60)
    assert np.array_equal(drawn_in(data)[PLACED, "Ada"], expected)


def test_geojson_of_a_picture_of_unknown_location(folder, data):
    bounds = Bounds(-61, 10, -40, 24)
    content = geojson(feature([[in_degrees(bounds, *point) for point in RING]], scene="a.jpg"))
    path = write_json(folder / "x.geojson", content)
    with pytest.raises(DatasetError, match="unknown location"):
        import_labels(path, data)
    import_labels(path, data, bounds=bounds)
    assert np.array_equal(masks_in(data, "a.jpg"), FISH)


def test_geojson_leaves_out_what_is_wrong(folder, data):
    bad = [
        feature([RING], scene="c.jpg"),
        feature([RING], "LineString", scene=PLACED),
        feature([RING], scene=PLACED, pattern="Cumulus"),
        feature([], scene=PLACED),
        feature([[[-50, 20], [-50, float("inf")], [0, 0]]], scene=PLACED),
        {"type": "Feature", "geometry": None, "properties": {"scene": PLACED, "pattern": "Fish"}},
        7,
    ]
    with pytest.raises(DatasetError, match="without a usable region"):
        import_labels(write_json(folder / "x.geojson", geojson(*bad)), data)
    good = feature([[[-61, 24], [-40, 24], [-40, 17], [-61, 17]]], scene=PLACED)
    result = import_labels(write_json(folder / "x.geojson", geojson(good, *bad)), data)
    assert len(result.problems) == len(bad)
    assert np.array_equal(masks_in(data, PLACED), box("Fish", 0, 0, HEIGHT // 2, WIDTH))


def test_rows_of_the_contest(folder, data):
    rows = [
        ("a.jpg", name, "1 3" if name == "Fish" else "") for name in ("Fish", "Flower", "Gravel", "Sugar")
    ]
    rows += [("b.jpg", "Fish", "1 3 9"), ("c.jpg", "Fish", "1 3"), ("b.jpg", "Cumulus", "1 3")]
    (folder / "mine.csv").write_bytes(format_labels(rows))
    result = import_labels(folder / "mine.csv", data)
    assert (result.format, result.scenes) == ("csv", 1)
    assert kinds(result) == {
        *("wrong run lengths", "a label without a picture", "unknown pattern"),
        "a drawing without a usable region",
    }


@pytest.mark.parametrize(("name", "height"), [("train.csv", 1400), ("mine.csv", 350)])
def test_few_rows_of_the_contest_are_on_the_grid_of_their_file(folder, data, name, height):
    """Run lengths that fit into the grid of submissions may also be drawn at the label grid's left edge."""
    top_left = " ".join(f"{1 + height * column} {height // 2}" for column in range(100))
    (folder / name).write_bytes(format_labels([("a.jpg", "Fish", top_left)]))
    result = import_labels(folder / name, data)
    width = 84 * 100 // (2100 if height == 1400 else 525)
    assert np.array_equal(masks_in(data, "a.jpg"), box("Fish", 0, 0, HEIGHT // 2, width))
    assert ("rename the file to train.csv" in " ".join(result.notes)) == (height == 350)


def test_packed_rows_are_bounded_unpacked(folder, data, monkeypatch):
    content = format_labels([("a.jpg", "Fish", "1 3" + " " * 10_000)])
    (folder / "mine.csv.gz").write_bytes(gzip.compress(content))
    import_labels(folder / "mine.csv.gz", data)
    monkeypatch.setattr(reading, "MAX_BYTES", 5_000)
    with pytest.raises(DatasetError, match="a file of more than"):
        import_labels(folder / "mine.csv.gz", data)


@pytest.mark.parametrize(
    "name", ["0123abcd-a.jpg", "50%25 #1?.jpg", "%41.jpg", "a.b.jpg", "Wolke\u0308.jpg", "Wolk\u00eb.jpg"]
)
def test_names_survive_label_studio(tmp_path, folder, name):
    """Its addresses are quoted, and its uploads have eight digits before their name."""
    drawn = make_dataset(tmp_path / "drawn", {(name, "Ada"): FISH})
    export_labels(drawn, tmp_path / "out", "label-studio")
    (file,) = (tmp_path / "out").iterdir()
    result = import_labels(file, tmp_path / "again", pictures=drawn)
    assert result.problems == []
    assert drawn_in(tmp_path / "again").keys() == drawn_in(drawn).keys()
    assert np.array_equal(drawn_in(tmp_path / "again")[unicodedata.normalize("NFC", name), "Ada"], FISH)


def test_names_of_another_unicode_form_lead_to_their_picture(tmp_path, folder, data):
    write_pictures(folder, "Wolke\u0308.jpg")
    content = {"scene": "Wolk\u00eb.jpg", "width": WIDTH, "height": HEIGHT, "regions": []}
    assert import_labels(write_json(folder / "x.json", content), data).problems == []


def test_pictures_that_are_cut_short_are_left_out(folder, data):
    (folder / "b.jpg").write_bytes(JPEG[: len(JPEG) // 2])
    for name in "ab":
        PilImage.fromarray(FISH[0]).save(folder / f"{name}_Fish.png")
    assert kinds(import_labels(folder, data)) == {"a picture that cannot be read"}
    assert [path.name for path in (data / "train_images").iterdir()] == ["a.jpg"]


@pytest.mark.parametrize(
    "patterns",
    [
        tuple("abcdefghi"),
        ("Ci_rrus",),
        ("Cirrus", "cirrus"),
        ("a,b",),
        ("../x",),
        ("",),
        (" Cirrus",),
        ("x" * 300,),
    ],
)
def test_names_of_patterns_that_rows_cannot_hold_are_refused(folder, data, patterns):
    PilImage.fromarray(FISH[0]).save(folder / "a_Fish.png")
    with pytest.raises(DatasetError, match="pattern"):
        import_labels(folder, data, patterns=patterns)
    assert not data.exists()


def test_labels_of_nobody_are_kept_when_they_are_replaced(folder, data):
    """A contest's data set whose scene is corrected: what was drawn before can be had again."""
    old = box("Sugar", 20, 30, 40, 60)
    write_pictures(data / "train_images", "a.jpg", "b.jpg")
    rows = [
        (image, name, encode(on_label_grid(mask[None])[0]))
        for image in ("a.jpg", "b.jpg")
        for name, mask in zip(DEFAULT_NAMES, old, strict=True)
    ]
    (data / "train.csv").write_bytes(format_labels(rows))
    PilImage.fromarray(FISH[0]).save(folder / "a_Fish.png")
    result = import_labels(folder, data)
    assert result.notes == [
        "1 of these scenes had labels of no annotator: they are in train.replaced.csv now"
    ]
    assert np.array_equal(masks_in(data, "a.jpg"), FISH)
    assert np.array_equal(masks_in(data, "b.jpg"), old)
    kept = read_labels(data / "train.replaced.csv", LABEL_GRID)
    assert np.array_equal(kept.mask("a.jpg", "Sugar", SIZE), old[3])
    assert import_labels(folder, data).notes == []  # what an annotator drew is in annotations.csv


def test_labels_that_were_changed_by_hand_stay(folder, data):
    PilImage.fromarray(FISH[0]).save(folder / "a_Fish.png")
    import_labels(folder, data)
    text = (data / "train.csv").read_text()
    (data / "train.csv").write_text(text.replace("a.jpg_Fish,", "a.jpg_Fish,1 1 "))
    changed = (data / "train.csv").read_bytes()
    Collection(data)
    assert (data / "train.csv").read_bytes() == changed
    assert import_labels(folder, data).notes
    assert read_labels(data / "train.replaced.csv", LABEL_GRID).mask("a.jpg", "Fish")[0, 0]


def test_projected_rasters_are_warped(folder, data):
    rasterio = pytest.importorskip("rasterio")
    from rasterio.warp import calculate_default_transform, reproject

    bounds = (-61, 10, -40, 24)
    source = rasterio.transform.from_bounds(*bounds, 2100, 1400)
    mask = np.zeros((1400, 2100), np.uint8)
    mask[200:900, 300:1700] = 1
    transform, width, height = calculate_default_transform("EPSG:4326", "EPSG:3857", 2100, 1400, *bounds)
    warped = np.zeros((height, width), np.uint8)
    there = {"dst_transform": transform, "dst_crs": "EPSG:3857"}
    reproject(mask, warped, src_transform=source, src_crs="EPSG:4326", **there)
    path = folder / (PLACED.removesuffix(".jpg") + ".tif")
    grid = {"height": height, "width": width, "count": 1, "crs": "EPSG:3857", "transform": transform}
    with rasterio.open(path, "w", driver="GTiff", dtype="uint8", **grid) as file:
        file.write(warped, 1)
    result = import_labels(path, data, classes=("Fish", "Sugar"))
    assert result.problems == []
    back = masks_in(data, PLACED)[0]
    assert (back != (mask[12::25, 12::25] > 0)).mean() < 0.01


def test_sizes_are_bounded(folder, data, monkeypatch):
    PilImage.new("1", (12000, 9000)).save(folder / "a_Fish.png")
    PilImage.fromarray(FISH[0]).save(folder / "b_Fish.png")
    assert kinds(import_labels(folder, data)) == {
        *("a canvas of more than 100,000,000 pixels", "a drawing without a usable region")
    }
    monkeypatch.setattr(reading, "MAX_BYTES", 10)
    with pytest.raises(DatasetError, match="a file of more than"):
        import_labels(folder, data)


def test_a_broken_file_does_not_stop_the_others(folder, data):
    PilImage.fromarray(FISH[0]).save(folder / "a_Fish.png")
    (folder / "b_Fish.png").write_bytes(b"no PNG")
    assert kinds(import_labels(folder, data)) == {
        *("a mask that cannot be read", "a drawing without a usable region")
    }


def test_pictures_that_cannot_be_used(folder, data):
    write_json(folder / "a.json", {"scene": "a.jpg", "width": WIDTH, "height": HEIGHT, "regions": []})
    write_json(folder / "b.json", {"scene": "b.jpg", "width": WIDTH, "height": HEIGHT, "regions": []})
    write_json(folder / "c.json", {"scene": "c", "width": WIDTH, "height": HEIGHT, "regions": []})
    (folder / "d.json").write_text("{")
    (folder / "b.jpg").write_bytes(b"no picture")
    for name in ("c.jpg", "c.jpeg"):
        (folder / name).write_bytes(JPEG)
    result = import_labels(folder, data)
    assert kinds(result) == {
        "a picture that cannot be read",
        "several pictures of one name",
        "a file of no known format",
    }


def test_what_is_no_source(folder, data, tmp_path):
    with pytest.raises(DatasetError, match="no such file"):
        import_labels(tmp_path / "nope", data)
    with pytest.raises(DatasetError, match="no label file of a known format"):
        import_labels(folder, data)
    with pytest.raises(DatasetError, match="unknown label format 'cocoo'; did you mean coco"):
        import_labels(folder, data, format_name="cocoo")
    with pytest.raises(DatasetError, match="no file of the format coco"):
        import_labels(folder, data, format_name="coco")
    (folder / "x.csv").write_bytes(format_labels([("a.jpg", "Fish", "1 3")]))
    PilImage.fromarray(FISH[0]).save(folder / "a_Fish.png")
    with pytest.raises(DatasetError, match="several formats; choose one by --format: mask, csv"):
        import_labels(folder, data)
    (folder / "x.csv").write_bytes(format_labels([("c.jpg", "Fish", "1 3")]))
    with pytest.raises(DatasetError, match=r"nothing can be imported: a label without a picture \(1, first"):
        import_labels(folder, data, format_name="csv")
    assert not data.exists()


def test_patterns_of_ones_own(folder, data):
    PilImage.fromarray(FISH[0]).save(folder / "a_Cumulus.png")
    import_labels(folder, data, patterns=("Cumulus", "Cirrus"), format_name="mask")
    assert (data / "train.csv").read_text().count("a.jpg_C") == 2
    PilImage.fromarray(FISH[0]).save(folder / "b_Cirrus.png")
    assert import_labels(folder, data, format_name="mask").scenes == 2


def test_an_interrupted_import_leaves_the_labels_as_they_were(folder, data, monkeypatch):
    make_dataset(data, {("a.jpg", "Ada"): FISH})
    before = {path.name: path.read_bytes() for path in data.glob("*.csv")}
    for name in ("a", "b"):
        PilImage.fromarray(FISH[0]).save(folder / f"{name}_Sugar.png")
    made = importing._labelled

    def interrupted(drawing, name):
        if drawing.picture.path.stem == "b":
            raise KeyboardInterrupt
        return made(drawing, name)

    monkeypatch.setattr(importing, "_labelled", interrupted)
    with pytest.raises(KeyboardInterrupt):
        import_labels(folder, data)
    assert {path.name: path.read_bytes() for path in data.glob("*.csv")} == before
