"""Which pictures to label next: the ranking, and the command."""

import csv
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from conftest import encoded
from nephoscope.cli import app
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.inference.input_check import distance
from nephoscope.inference.model import Model
from nephoscope.inference.pipeline import segment
from nephoscope.inference.probability import PatternCalibration, Platt
from nephoscope.inference.suggestion import Candidate, candidate_of, suggest

SIZE = (64, 96)
RNG = np.random.default_rng(0)
CALIBRATION = dict.fromkeys(DEFAULT_NAMES, PatternCalibration(Platt(), Platt(), "top_k", 1))


def candidate(source, doubt, *, day="", unlike=(), thumbnail=None, **changes):
    values = RNG.normal(size=384) if thumbnail is None else thumbnail
    values = values - values.mean()
    return Candidate(
        source=source,
        day=day,
        presence={"Fish": 0.5, "Sugar": 0.5},
        doubts={"Fish": doubt, "Sugar": doubt},
        unlike=tuple(unlike),
        distance=changes.get("distance", 0.0),
        thumbnail=(values / np.linalg.norm(values)).astype(np.float32),
    )


def sources(suggestions):
    return [suggestion.candidate.source for suggestion in suggestions]


def test_doubt_and_unlikeness_decide_the_order():
    few = [
        candidate("sure", 0.1),
        candidate("open", 0.9),
        candidate("strange", 0.5, unlike=["too grainy"], distance=1.0),
    ]
    suggestions = suggest(few, 10)
    assert sources(suggestions) == ["strange", "open", "sure"]
    assert suggestions[0].score == pytest.approx(1.0)
    assert suggestions[0].reason == "little doubt; unlike the training pictures: too grainy"
    assert suggestions[1].reason == "in doubt: Fish, Sugar"
    assert sources(suggest(few, 1)) == ["strange"]
    assert suggest([], 5) == []


def test_pictures_of_one_day_give_way_to_others():
    same = [candidate(f"same{number}", 0.9, day="2020-01-01") for number in range(20)]
    others = [candidate(f"other{number}", 0.6, day=f"2020-02-{number + 1:02d}") for number in range(5)]
    suggestions = suggest([*same, *others], 6)
    assert sources(suggestions) == ["same0", *(f"other{number}" for number in range(5))]
    more = suggest([*same, *others], 8)
    assert more[6].reason == "in doubt: Fish, Sugar; 1 of its day and region before it"
    assert more[7].score == pytest.approx(0.9 / 4)


def test_nearly_the_same_picture_comes_last():
    picture = RNG.normal(size=384)
    again = picture + 0.05 * RNG.normal(size=384)
    suggestions = suggest(
        [
            candidate("first", 0.9, thumbnail=picture),
            candidate("again", 0.89, thumbnail=again),
            candidate("other", 0.1),
        ],
        3,
    )
    assert sources(suggestions) == ["first", "other", "again"]
    assert suggestions[-1].reason.endswith("nearly the same as first")
    assert suggestions[-1].score == 0


def test_a_presence_score_at_the_cut_is_the_most_doubtful(tiny_model):
    model = Model.load(tiny_model(input_size=SIZE))
    cut = model.card.rules["Flower"].presence
    doubts = {}
    for level in (0.1, cut, 0.95):
        pixels = np.full((*SIZE, 3), round(255 * level), np.uint8)
        pixels[0, 0] += 1
        one = candidate_of("picture", segment(pixels, model))
        assert one.presence == {}
        doubts[level] = one.doubts["Flower"]
    assert doubts[cut] > 0.99
    assert max(doubts[0.1], doubts[0.95]) < 0.8


def test_days_and_missing_data_are_known(tiny_model):
    model = Model.load(tiny_model(input_size=SIZE, calibration=CALIBRATION))
    black = candidate_of("black", segment(np.zeros((*SIZE, 3), np.uint8), model))
    assert black.score == 0
    assert suggest([black], 1)[0].reason == "no data"
    pixels = RNG.integers(30, 250, (*SIZE, 3), dtype=np.uint8)
    dated = segment(pixels, model, bounds=(-61, 10, -40, 24), day=date(2020, 2, 1))
    assert candidate_of("dated", dated).day == "2020-02-01 -61 10 -40 24"
    assert set(candidate_of("dated", dated).presence) == set(model.card.patterns)


def test_distance_is_in_widths_of_the_range():
    usual = {"contrast": (20.0, 40.0), "red": (0.0, 0.1)}
    assert distance({"contrast": 30.0, "red": 0.05}, usual) == 0
    assert distance({"contrast": 50.0, "red": 0.05}, usual) == pytest.approx(0.5)
    assert distance({"contrast": 10.0, "red": 0.2}, usual) == pytest.approx(1.0)
    assert distance({}, usual) == 0


def test_the_command_ranks_pictures_and_names_those_that_cannot_be_read(tmp_path, tiny_model):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(3):
        pixels = RNG.integers(30, 250, (*SIZE, 3), dtype=np.uint8)
        (folder / f"{number}.png").write_bytes(encoded(pixels, ".png"))
    (folder / "broken.png").write_bytes(b"broken")
    words = [folder, folder / "1.png", "-o", tmp_path / "list.csv", "--count", 2]
    words = ["suggest", *words, "--model", tiny_model(input_size=SIZE, calibration=CALIBRATION)]
    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exit_code == 1
    assert done.stderr.count("broken.png") == 1
    assert "2 of 3 pictures suggested" in done.stderr
    with (tmp_path / "list.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["rank", "source", "score", "reason", "Fish", "Flower", "Gravel", "Sugar"]
    assert [row["rank"] for row in rows] == ["1", "2"]
    assert len({row["source"] for row in rows}) == 2
    assert all(row["source"].startswith(str(folder)) for row in rows)
    assert float(rows[0]["score"]) >= float(rows[1]["score"])
    assert 0 <= float(rows[0]["Fish"]) <= 1
    (tmp_path / "next").mkdir()
    (tmp_path / "next" / Path(rows[0]["source"]).name).write_bytes(b"another picture")
    words += ["--copy", tmp_path / "next"]
    done = CliRunner().invoke(app, list(map(str, words)))
    assert (done.exit_code, "--overwrite" in done.stderr) == (2, True)
    done = CliRunner().invoke(
        app, [str(word) for word in (*words, "--overwrite", "--copy", tmp_path / "next")]
    )
    assert "2 of them copied" in done.stderr
    assert {path.read_bytes() for path in (tmp_path / "next").iterdir()} == {
        b"another picture",
        *(Path(row["source"]).read_bytes() for row in rows),
    }
    done = CliRunner().invoke(app, ["suggest", str(folder), "-o", str(folder)])
    assert done.exit_code == 2
    assert "is a folder" in done.stderr


def test_an_older_list_stays_where_no_picture_can_be_read(tmp_path, tiny_model):
    older = tmp_path / "list.csv"
    older.write_text("older\n")
    words = ["suggest", str(tmp_path / "none.png"), "-o", str(older), "--overwrite"]
    words += ["--model", str(tiny_model())]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 1
    assert "is not written" in done.stderr
    assert older.read_text() == "older\n"
