"""The command line: output, errors and exit codes."""

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from conftest import encoded
from nephoscope.cli import app
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.imagery.synthetic import make_scene

README = Path(__file__).parents[2] / "README.md"


def nephoscope(*words, **options):
    command = [sys.executable, "-m", "nephoscope", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)


def invoke(*words):
    """The same within this process, where no process of its own is the point: a second quicker."""
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def scenes(tmp_path):
    folder = tmp_path / "scenes"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.png").write_bytes(encoded(make_scene(number + 4, (160, 240)).pixels, ".png"))
    return folder


@pytest.mark.slow
def test_default_outputs_are_overlay_and_json(scenes, tmp_path):
    done = nephoscope("segment", scenes / "0.png", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "nephoscope-output").iterdir()) == [
        "0.json",
        "0_overlay.jpg",
    ]
    assert re.match(r"0\.png +\d+\.\d\d s  ", done.stdout)
    assert "1 done" in done.stderr


@pytest.mark.slow
def test_a_pipe_gets_plain_lines_and_no_bar(scenes, tmp_path):
    done = nephoscope("segment", scenes, "-o", tmp_path / "out")
    assert done.stdout.count("\n") == 3
    assert "\x1b" not in done.stdout + done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("columns", [40, 100])
def test_a_terminal_gets_a_bar_and_lines_that_fit(scenes, tmp_path, columns):
    shown = in_terminal("segment", scenes, "-o", tmp_path / "out", "--format", "json", columns=columns)
    assert "scenes/s" in shown
    assert "\x1b[" in shown
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown)
    assert all(f"{number}.png" in plain for number in range(3))
    lines = [line for line in re.split(r"[\r\n]+", plain) if " done in " not in line]
    assert max(map(len, lines)) <= max(columns, 48)  # four patterns side by side take 48


def in_terminal(*words, columns):
    """Run the command in a pseudo-terminal and return what it showed."""
    main, other = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm-256color"}
    command = [sys.executable, "-m", "nephoscope", *map(str, words)]
    with subprocess.Popen(command, stdin=other, stdout=other, stderr=other, env=environment) as process:
        os.close(other)
        shown = b""
        while True:
            try:
                piece = os.read(main, 4096)
            except OSError:
                break
            if not piece:
                break
            shown += piece
        os.close(main)
    assert process.returncode == 0
    return shown.decode()


@pytest.mark.slow
def test_one_json_line_per_picture(scenes, tmp_path):
    (scenes / "1.png").write_text("no picture")
    done = invoke("segment", scenes, "-o", tmp_path / "out", "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["scene"] for line in lines] == ["0.png", "1.png", "2.png"]
    assert set(lines[0]["patterns"]) == set(DEFAULT_NAMES)
    assert all(Path(name).exists() for name in lines[0]["files"])
    assert "not a JPEG" in lines[1]["error"]
    assert done.exit_code == 1


@pytest.mark.slow
def test_each_bad_picture_is_one_error_line(scenes, tmp_path):
    (scenes / "empty.jpg").touch()
    (scenes / "text.jpg").write_text("no picture")
    whole = encoded(make_scene(0, (160, 240)).pixels, ".jpg")
    (scenes / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (scenes / "dot.png").write_bytes(encoded(np.zeros((1, 1, 3), np.uint8), ".png"))
    missing = scenes / "missing.jpg"
    done = nephoscope("segment", scenes, missing, "http://127.0.0.1:9/x.jpg", "-o", tmp_path / "out")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    named = ("empty.jpg", "text.jpg", "cut.jpg", "dot.png", str(missing), "http://127.0.0.1:9/x.jpg")
    for name in named:
        assert sum(line.startswith(f"nephoscope: {name}: ") for line in lines) == 1, name
    assert lines[-1].startswith("3 done, 6 failed")
    assert len(lines) == 7


@pytest.mark.slow
def test_a_black_picture_warns_and_has_empty_masks(tmp_path):
    (tmp_path / "black.png").write_bytes(encoded(np.zeros((100, 150, 3), np.uint8), ".png"))
    done = invoke(
        "segment", tmp_path / "black.png", "-o", tmp_path, "--format", "mask,overlay,json,csv,panel"
    )
    assert done.exit_code == 0
    assert "nephoscope: black.png: no data" in done.stderr
    for name in DEFAULT_NAMES:
        assert not cv2.imread(str(tmp_path / f"black_{name}.png")).any()
    assert (tmp_path / "submission.csv").read_text().splitlines()[1:] == [
        f"black.png_{name}," for name in DEFAULT_NAMES
    ]


@pytest.mark.slow
def test_standard_input(scenes, tmp_path):
    command = [sys.executable, "-m", "nephoscope", "segment", "-", "-o", str(tmp_path), "--format", "json"]
    done = subprocess.run(command, input=(scenes / "0.png").read_bytes(), capture_output=True, timeout=60)
    assert done.returncode == 0
    assert json.loads((tmp_path / "stdin.json").read_text())["scene"] == "stdin"


@pytest.mark.slow
def test_a_pipe_as_a_file(scenes, tmp_path):
    pipe = f"<(cat {scenes / '0.png'})"
    command = f"{sys.executable} -m nephoscope segment {pipe} -o {tmp_path} --format overlay,json"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("*_overlay.jpg"))) == 1


@pytest.mark.slow
def test_closed_standard_output_does_not_affect_files(scenes, tmp_path):
    command = f"{sys.executable} -m nephoscope segment {scenes} -o {tmp_path / 'out'} --format json >&-"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "out").iterdir())) == 3
    command = command.replace(">&-", "--overwrite >/dev/full")
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--format", "overlya"], "did you mean overlay"),
        (["--model", "defualt"], "did you mean default"),
        (["--model", "missing.onnx"], "no such model file"),
        (["--device", "tpu"], "available: auto, cpu, cuda"),
        (["-o", __file__], "is not a folder"),
    ],
)
def test_usage_errors_come_before_reading_pictures(tmp_path, words, reason):
    done = invoke("segment", tmp_path / "missing.jpg", "-o", tmp_path / "out", *words)
    assert done.exit_code == 2
    assert done.stderr.startswith("nephoscope: ")
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_invalid_models_are_refused_before_reading_pictures(scenes, tmp_path, tiny_model):
    for path in (tiny_model("bare.onnx", raw_card=None), tiny_model("odd.onnx", outputs=3)):
        done = invoke("segment", scenes, "-o", tmp_path / "out", "--model", path)
        assert done.exit_code == 2
        assert done.stderr.count("\n") == 1
        assert str(path) in done.stderr


def test_unknown_options_are_refused():
    done = invoke("segment", "x.jpg", "--overwite")
    assert done.exit_code == 2
    assert "--overwrite" in done.stderr


@pytest.mark.slow
def test_models_are_listed_and_their_cards_printed():
    assert re.search(r"^default +\d+\.\d MB  ", invoke("models").stdout)
    assert json.loads(invoke("models", "default").stdout)["name"] == "default"
    assert invoke("models", "nothing").exit_code == 2


@pytest.mark.slow
def test_submissions_are_scored_against_labels(tmp_path):
    assert invoke("sample", "-o", tmp_path, "--scenes", 2).exit_code == 0
    truth = tmp_path / "train.csv"
    done = invoke("segment", tmp_path / "train_images", "-o", tmp_path, "--format", "csv")
    assert done.exit_code == 0
    done = invoke("evaluate", "--csv", tmp_path / "submission.csv", truth)
    assert re.match(r"mean Dice 0\.\d{4}\n  Fish +\d", done.stdout)
    assert "2 scenes on 350x525; read from 350x525 (predictions) and 1400x2100 (labels)" in done.stdout
    assert invoke("evaluate", "--csv", truth, truth).stdout.startswith("mean Dice 1.0000")
    for missing in ([tmp_path / "no.csv", truth], [truth, README]):
        done = invoke("evaluate", "--csv", *missing)
        assert done.exit_code == 2
        assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_a_closed_pipe_is_not_an_error(scenes, tmp_path):
    command = (
        f"{sys.executable} -m nephoscope segment {scenes} -o {tmp_path / 'out'} --format json | head -n 1"
    )
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr
    assert done.stdout.startswith("0.png")


@pytest.mark.slow
def test_segment_does_not_import_training_libraries(scenes, tmp_path):
    code = (
        "import sys; from nephoscope.cli import app\n"
        f"try: app(['segment', {str(scenes)!r}, '-o', {str(tmp_path / 'out')!r}])\n"
        "except SystemExit as stop: assert not stop.code\n"
        "print(sorted({'torch', 'onnx', 'timm', 'torchvision', 'matplotlib', 'scipy'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
