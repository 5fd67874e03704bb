"""The commands for training and evaluation: output, files and errors."""

import json

import pytest
from typer.testing import CliRunner

from nephoscope.cli import app
from nephoscope.datasets.build import write_synthetic_dataset


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_synthetic_dataset(folder, 12, size=(160, 240))
    return folder


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.mark.slow
def test_explore_reports_on_a_folder(tmp_path, data):
    done = run("explore", data, "-o", tmp_path / "report")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("12 scenes\n")
    assert "no problem in the labels" in done.stdout
    assert str(tmp_path / "report" / "explore.html") in done.stderr
    assert json.loads((tmp_path / "report" / "explore.json").read_text())["scenes"] == 12


@pytest.mark.slow
def test_explore_counts_problems_and_strict_stops(tmp_path, data):
    spoilt = tmp_path / "spoilt"
    write_synthetic_dataset(spoilt, 3, size=(64, 96))
    with (spoilt / "train.csv").open("a") as file:
        file.write("synthetic_00001.jpg_Fisch,1 2\n")
    done = run("explore", spoilt, "-o", tmp_path / "report")
    assert done.exit_code == 0
    assert "1 x unknown pattern" in done.stdout
    done = run("explore", spoilt, "-o", tmp_path / "other", "--strict")
    assert done.exit_code == 2
    assert "unknown pattern (1, first: line 14" in done.stderr
    assert not (tmp_path / "other").exists()


@pytest.mark.slow
def test_evaluate_prints_and_writes_scores(tmp_path, data):
    done = run("evaluate", "default", data, "-o", tmp_path / "report", "--split", "all")
    assert done.exit_code == 0, done.stderr
    head, *rows = done.stdout.splitlines()
    assert "model" in head
    assert "all empty" in head
    assert "mean mask" not in head  # there is nobody else's
    assert [row.split()[0] for row in rows[:5]] == ["all", "Fish", "Flower", "Gravel", "Sugar"]
    assert max(map(len, rows[:5])) <= 60
    assert "people with whom it agrees" not in done.stdout
    numbers = json.loads((tmp_path / "report" / "evaluation.json").read_text())
    assert f"{numbers['dice']['model']['mean']:.4f}" in done.stdout
    assert (tmp_path / "report" / "evaluation.html").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["explore", "none"], "none: no such folder"),
        (["evaluate", "default", "none"], "none: no such folder"),
        (["evaluate", "defualt", "DATA"], "did you mean default?"),
        (["evaluate"], "give MODEL and DATA, or --csv"),
        (["evaluate", "default"], "give MODEL and DATA, or --csv"),
        (["evaluate", "default", "DATA", "--csv", "a", "b"], "give MODEL and DATA, or --csv"),
        (["calibrate", "default", "DATA"], "-o FILE names the model file"),
        (["export", "none.safetensors"], "none.safetensors: No such file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_usage_errors_are_one_line(data, words, message):
    done = run(*[data if word == "DATA" else word for word in words])
    assert done.exit_code == 2
    assert done.stderr.startswith("nephoscope: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
