"""The command line: output, errors and exit codes."""

import hashlib
import importlib.metadata
import json
import logging
import os
import platform
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
from nephoscope.core.extras import EXTRAS, install_command, modules_of
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.imagery.synthetic import make_scene
from nephoscope.inference.model_files import shipped

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
        (folder / f"{number}.png").write_bytes(encoded(make_scene(number + 4, (320, 480)).pixels, ".png"))
    return folder


@pytest.mark.slow
def test_default_outputs_are_overlay_and_json(scenes, tmp_path):
    done = nephoscope("segment", scenes / "0.png", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "nephoscope-output").iterdir()) == [
        ".nephoscope.jsonl",
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
    assert len(list((tmp_path / "out").glob("*.json"))) == 3
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
        (["--device", "tpu"], "available: auto, cpu"),
        (["-o", __file__], "is not a folder"),
        (["--threshold", "much"], "'much' is not a threshold such as 0.4 or Fish=0.4"),
        (["--threshold", "Fsh=0.4"], "unknown pattern 'Fsh'; available: Fish"),
        (["--threshold", "Fish=1.4"], "Fish: threshold must be"),
        (["--server", "http://127.0.0.1:9/"], "http://127.0.0.1:9: "),
        (["--server", "http://127.0.0.1:9/", "--device", "cpu"], "--device is for this machine"),
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


@pytest.fixture
def log_level():
    """Restores the level of the log, which every command sets."""
    logger = logging.getLogger("nephoscope")
    before = logger.level
    yield logger
    logger.setLevel(before)


def test_quiet_prints_errors_and_what_programs_read(scenes, tmp_path, tiny_model, log_level):
    (scenes / "1.png").write_text("no picture")
    words = ("segment", scenes, "-o", tmp_path / "out", "--format", "json", "--model", tiny_model())
    done = invoke("-q", *words)
    assert done.exit_code == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("nephoscope: 1.png: ")
    assert len(invoke("--quiet", *words, "--json").stdout.splitlines()) == 3
    assert invoke("-q", "-v", "info").exit_code == 2


def test_verbose_says_what_is_done_to_each_picture(scenes, tmp_path, tiny_model, caplog, log_level):
    words = ("segment", scenes / "0.png", "-o", tmp_path, "--overwrite", "--model", tiny_model())
    invoke(*words)
    assert not caplog.messages
    invoke("-v", *words, "--threshold", "Fish=0.3")
    decoded, rules = caplog.messages
    assert decoded == "0.png: 320x480 px, decoded at 320x480, segmented at 320x480 on cpu"
    assert rules.startswith("0.png: rules of tiny, Fish above 0.3, Flower above ")
    caplog.clear()
    invoke("-vv", *words)
    assert any(f"wrote {tmp_path / '0.json'}" in message for message in caplog.messages)


def test_thresholds_change_masks_and_are_stated(scenes, tmp_path, tiny_model):
    def segmented(*words):
        command = ("segment", scenes / "0.png", "-o", tmp_path, "--overwrite", "--format", "json")
        assert invoke(*command, "--model", path, *words).exit_code == 0
        return json.loads((tmp_path / "0.json").read_text())

    path = tiny_model()
    plain = segmented()
    changed = segmented("--threshold", "0.9", "--threshold", "Fish=0.05")
    thresholds = {name: changed["rules"][name]["threshold"] for name in DEFAULT_NAMES}
    assert thresholds == {"Fish": 0.05, "Flower": 0.9, "Gravel": 0.9, "Sugar": 0.9}
    assert changed["rules"]["chosen"] == "stated by the user"
    assert plain["rules"]["chosen"] != "stated by the user"
    assert changed["patterns"]["Fish"]["cover"] > plain["patterns"]["Fish"]["cover"]
    assert segmented("--threshold", f"Fish={plain['rules']['Fish']['threshold']}") == plain


@pytest.mark.slow
def test_segment_on_a_server_writes_the_same_files(scenes, tmp_path, tiny_model, start):
    (scenes / "1.png").write_text("no picture")
    with start() as address:
        for out, words in (("there", ["--server", address, "--model", "tiny"]), ("here", ["--model"])):
            model = [] if out == "there" else [tiny_model()]
            options = ("-o", tmp_path / out, "--format", "json", "--threshold", "Fish=0.2")
            done = invoke("segment", scenes, *options, *words, *model)
            assert done.exit_code == 1
            assert "2 done, 1 failed" in done.stderr
            assert "nephoscope: 1.png: " in done.stderr
    for name in ("0.json", "2.json"):
        assert (tmp_path / "there" / name).read_text() == (tmp_path / "here" / name).read_text()


@pytest.mark.slow
def test_info_describes_the_installation(tmp_path, monkeypatch, tiny_model):
    monkeypatch.setenv("NEPHOSCOPE_MODELS", str(tmp_path))
    path = tiny_model("trades.onnx")
    about = json.loads(invoke("info", "--json").stdout)
    assert about["python"] == platform.python_version()
    assert about["libraries"]["onnxruntime"] == importlib.metadata.version("onnxruntime")
    assert "cpu" in about["devices"]
    assert set(about["extras"]) == set(EXTRAS)
    hashes = {each["name"]: each["sha256"] for each in about["models"]}
    assert hashes["trades"] == hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr("nephoscope.core.extras.find_spec", lambda name: None)
    shown = invoke("info").stdout
    assert re.search(rf"^  report +{re.escape(install_command('report'))}$", shown, re.M)
    assert hashes["default"] in shown


def test_models_of_ones_own_are_used_by_name(scenes, tmp_path, monkeypatch, tiny_model):
    monkeypatch.setenv("NEPHOSCOPE_MODELS", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert "--model trades" in invoke("models", "add", tiny_model(), "--name", "trades").stderr
    assert [each["name"] for each in json.loads(invoke("models", "--json").stdout)] == [*shipped(), "trades"]
    words = ("segment", scenes / "0.png", "-o", tmp_path / "out", "--format", "json", "--model", "trades")
    assert invoke(*words).exit_code == 0
    assert invoke("models", "trades").stdout == invoke("models", "show", "trades").stdout
    refused = invoke("models", "add", tiny_model(), "--name", "default")
    assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)
    assert invoke("models", "remove", "trades").exit_code == 0
    assert invoke(*words).exit_code == 2


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("nephoscope segment x --model d", ["default"]),
        ("nephoscope models show d", ["default"]),
        ("nephoscope segment x --format overlay,geo", ["overlay,geojson", "overlay,geotiff"]),
    ],
)
def test_the_shell_completes_models_and_formats(words, completed):
    environment = {
        "_NEPHOSCOPE_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    done = CliRunner().invoke(app, [], env=environment, prog_name="nephoscope")
    assert done.stdout.split() == completed


@pytest.mark.slow
def test_reports_need_no_pytorch(tmp_path, tiny_model):
    """`explore` and `evaluate` run where only the extra `report` is installed."""
    absent = sorted(modules_of("train") - modules_of("report"))
    small = tiny_model(input_size=(32, 48), grid=(35, 52))
    code = f"""
import sys
sys.modules.update(dict.fromkeys({absent!r}))
from nephoscope.cli import app
from nephoscope.datasets.build import write_synthetic_dataset
write_synthetic_dataset(__import__("pathlib").Path("data"), 6, size=(64, 96))
app(["explore", "data"], standalone_mode=False)
app(["evaluate", {str(small)!r}, "data", "--split", "all"], standalone_mode=False)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "6 scenes" in done.stdout
    assert "mean Dice" in done.stdout


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


def test_bands_scale_and_extent_are_options(tmp_path):
    pixels = make_scene(4, (160, 240)).pixels
    (tmp_path / "dark.png").write_bytes(encoded(pixels.astype(np.uint16) * 16, ".png"))
    words = ["segment", tmp_path / "dark.png", "-o", tmp_path, "--format", "json", "--json", "--overwrite"]
    summary = json.loads(invoke(*words).stdout)
    assert summary["assumed_extent"] == {"width": 21, "height": 14}
    assert "values from" in summary["warnings"][0]
    stated = json.loads(invoke(*words, "--scale", "0,4080", "--extent", "20").stdout)
    assert stated["assumed_extent"] is None
    assert not any("values from" in warning for warning in stated["warnings"])
    for option, value, reason in (
        ("--scale", "dim", "unknown scale"),
        ("--bands", "1,2", "give three"),
        ("--extent", "0", "at most 360 degrees"),
    ):
        done = invoke(*words, option, value)
        assert (done.exit_code, reason in done.stderr) == (2, True)
    assert "no band 9" in invoke(*words, "--bands", "9").stderr
