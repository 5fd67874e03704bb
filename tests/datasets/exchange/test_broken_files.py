"""Broken label files: whatever they hold, an error that a person can mend, or counted problems."""

import json
import random
import tempfile
import warnings
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import PLACED, box, make_dataset, write_pictures
from test_importing import drew, zooniverse

from nephoscope.core.errors import NephoscopeError
from nephoscope.datasets.exchange import brush, coco_rle
from nephoscope.datasets.exchange.exporting import export_labels
from nephoscope.datasets.exchange.importing import import_labels
from nephoscope.datasets.exchange.registry import FORMATS

ODD = (
    None,
    True,
    -1,
    10**30,
    1e308,
    float("nan"),
    "",
    "x",
    "../../x",
    [],
    {},
    [[]],
    [None],
    {"id": []},
    "\0",
)
NAMES = tuple(FORMATS)


def import_quietly(source: Path, folder: Path, pictures: Path, name: str | None = None) -> None:
    """Import; only errors that a person can mend may come out."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="rasterio|PIL")
        with suppress(NephoscopeError):
            import_labels(source, folder, pictures=pictures, format_name=name)


@pytest.fixture(scope="module")
def valid(tmp_path_factory) -> dict[str, Path]:
    """A valid label file of each format."""
    folder = tmp_path_factory.mktemp("valid")
    masks = box("Fish", 2, 3, 10, 20) | box("Sugar", 20, 3, 30, 20)
    data = make_dataset(folder / "data", {(PLACED, "Ada"): masks})
    files = {}
    for name, chosen in FORMATS.items():
        if chosen.is_written:
            export_labels(data, folder / name, name)
            files[name] = max((folder / name).iterdir(), key=lambda path: "Fish" in path.name)
    (folder / "zooniverse.csv").write_text(
        zooniverse(("ada", "", {"naturalWidth": 84, "naturalHeight": 56}, drew("Fish"), {"1": {"f": PLACED}}))
    )
    return files | {"zooniverse": folder / "zooniverse.csv"}


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_damaged_bytes(valid, name, seed):
    rng = random.Random(seed)
    content = bytearray(valid[name].read_bytes())
    for _ in range(rng.randint(1, 6)):
        content[rng.randrange(len(content))] = rng.randrange(256)
    del content[rng.randrange(len(content)) if rng.random() < 0.3 else len(content) :]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / valid[name].name
        path.write_bytes(content)
        pictures = write_pictures(Path(folder) / "pictures", PLACED)
        import_quietly(path, Path(folder) / "data", pictures, rng.choice([name, None]))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=8, deadline=None)
@given(content=st.binary(max_size=200))
def test_any_bytes(valid, name, content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / valid[name].name
        path.write_bytes(content)
        import_quietly(path, Path(folder) / "data", write_pictures(Path(folder) / "p", PLACED), name)


def mutated(value: object, rng: random.Random, rate: float) -> object:
    """A JSON value, some of whose parts are replaced or left out."""
    if rng.random() < rate:
        return rng.choice(ODD)
    if isinstance(value, dict):
        return {key: mutated(each, rng, rate) for key, each in value.items() if rng.random() > rate / 2}
    if isinstance(value, list) and len(value) < 60:
        return [mutated(each, rng, rate) for each in value if rng.random() > rate / 2]
    return value


@pytest.mark.parametrize("name", [name for name in NAMES if FORMATS[name].endings[-1] == ".json"])
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_mutated_json(valid, name, seed):
    rng = random.Random(seed)
    content = mutated(json.loads(valid[name].read_bytes()), rng, rng.choice((0.02, 0.1)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / valid[name].name
        path.write_text(json.dumps(content))
        import_quietly(path, Path(folder) / "data", write_pictures(Path(folder) / "p", PLACED), name)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_mutated_classifications(seed):
    rng = random.Random(seed)
    row = ({"naturalWidth": 84, "naturalHeight": 56}, drew("Fish"), {"1": {"f": PLACED}})
    rows = [("ada", "", *(mutated(each, rng, 0.1) for each in row)) for _ in range(5)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.csv"
        path.write_text(zooniverse(*rows))
        import_quietly(path, Path(folder) / "data", write_pictures(Path(folder) / "p", PLACED))


@settings(deadline=None)
@given(st.text(max_size=40) | st.lists(st.integers(-3, 99)), st.integers(1, 9), st.integers(1, 9))
def test_any_counts_of_coco(counts, height, width):
    with suppress(NephoscopeError):
        assert coco_rle.decode(counts, (height, width)).shape == (height, width)


@settings(deadline=None)
@given(st.lists(st.integers(0, 255), max_size=60), st.integers(1, 9), st.integers(1, 9))
def test_any_strokes_of_a_brush(values, height, width):
    header = list((4 * height * width).to_bytes(4))
    for content in (values, header + values):
        with suppress(NephoscopeError):
            assert brush.decode(content, (height, width)).shape == (height, width)


def test_json_that_is_nested_too_deeply(tmp_path):
    (tmp_path / "x.json").write_text("[" * 200_000)
    import_quietly(tmp_path / "x.json", tmp_path / "data", tmp_path)
