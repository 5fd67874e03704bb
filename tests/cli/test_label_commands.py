"""The commands `labels import` and `labels export`."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage
from typer.testing import CliRunner

from nephoscope.cli import app
from nephoscope.datasets.dataset import read_dataset
from nephoscope.imagery.synthetic import encode_jpeg, make_scene

SIZE = (56, 84)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs a command beside `labels/a.jpg` and a mask of it; returns code and messages."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "labels"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(encode_jpeg(make_scene(1, SIZE).pixels))
    mask = np.zeros(SIZE, np.uint8)
    mask[2:20, 3:30] = 255
    PilImage.fromarray(mask).save(folder / "a_Fish.png")

    def run(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["labels", *words])
        assert not result.exception or isinstance(result.exception, SystemExit), result.exception
        return result.exit_code, result.stderr

    return run


def test_labels_go_in_and_out(run):
    code, messages = run("import", "labels", "-o", "data", "--annotator", "Ada")
    assert (code, messages) == (0, "1 scene by Ada (mask): data\n")
    code, messages = run("export", "data", "-o", "out", "--format", "coco")
    assert (code, messages) == (0, "1 scene by Ada (coco): out\n")
    assert run("import", "out", "-o", "back", "--pictures", "labels")[0] == 0
    masks = [read_dataset(name).masks("a.jpg", SIZE) for name in ("data", "back")]
    assert masks[0].any()
    assert np.array_equal(*masks)


def test_what_is_left_out_is_named(run):
    for number in range(7):
        Path(f"labels/b{number}_Fish.png").write_bytes(Path("labels/a_Fish.png").read_bytes())
    code, messages = run("import", "labels", "-o", "data")
    assert code == 1
    assert messages.count(": a label without a picture: b") == 5
    assert "nephoscope: 2 more: a label without a picture\n" in messages
    assert messages.endswith("1 scene by imported (mask), 7 entries left out: data\n")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("import nope -o data", "nope: no such file or folder"),
        ("import labels -o data --format cocoa", "did you mean coco?"),
        ("import labels -o data --bounds nowhere", "unknown region"),
        ("export data -o out --format mask", "data: no such folder"),
        ("export data -o out --format zooniverse", "cannot be exported"),
    ],
)
def test_nothing_can_be_used(run, words, reason):
    code, messages = run(*words.split())
    assert code == 2
    assert reason in messages
