"""The contest's score, in cases counted by hand."""

import numpy as np
import pytest

from nephoscope.core.errors import LabelError
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.core.types import LABEL_GRID, SCORE_GRID
from nephoscope.datasets.labels import write_labels
from nephoscope.datasets.rle import encode
from nephoscope.evaluation.submission import evaluate_csv


def block(grid, left, right):
    """The columns between two shares of the width."""
    mask = np.zeros(grid, bool)
    mask[:, round(left * grid[1]) : round(right * grid[1])] = True
    return encode(mask)


def write(path, scenes):
    write_labels(
        path,
        [(image, name, texts.get(name, "")) for image, texts in scenes.items() for name in DEFAULT_NAMES],
    )
    return path


def test_a_submission_on_one_grid_labels_on_the_other(tmp_path):
    truth = {"a.jpg": {"Fish": block(LABEL_GRID, 0, 1), "Flower": block(LABEL_GRID, 0.2, 0.4)}, "b.jpg": {}}
    answers = {
        "a.jpg": {"Fish": block(SCORE_GRID, 0, 0.2), "Flower": block(SCORE_GRID, 0.2, 0.4)},
        "b.jpg": {"Sugar": block(SCORE_GRID, 0.4, 1)},
    }
    result = evaluate_csv(write(tmp_path / "p.csv", answers), write(tmp_path / "t.csv.gz", truth))
    fish = 2 * 0.2 / 1.2
    assert result.by_pattern == pytest.approx(
        {"Fish": (fish + 1) / 2, "Flower": 1, "Gravel": 1, "Sugar": 0.5}
    )
    assert result.mean == pytest.approx(sum(result.by_pattern.values()) / 4)
    assert (result.predicted_grid, result.truth_grid) == (SCORE_GRID, LABEL_GRID)
    assert (result.scored, result.unanswered) == (2, 0)


def test_a_submission_in_another_dialect_has_the_same_score(tmp_path):
    truth = {"a.jpg": {"Fish": block(LABEL_GRID, 0, 1)}, "b.jpg": {"Sugar": block(LABEL_GRID, 0.2, 0.4)}}
    answers = {"a.JPG": {"Fish": block(SCORE_GRID, 0, 0.2)}, "b.JPG": {"Fish": block(SCORE_GRID, 0.4, 1)}}
    labels = write(tmp_path / "t.csv", truth)
    plain = write(tmp_path / "p.csv", {name.lower(): texts for name, texts in answers.items()})
    other = write(tmp_path / "other.csv", answers)
    other.write_text("".join(line for line in other.open() if not line.endswith(",\n")))
    result, expected = evaluate_csv(other, labels), evaluate_csv(plain, labels)
    assert (result.by_pattern, result.mean) == (expected.by_pattern, expected.mean)
    assert result.mean == pytest.approx((2 * 0.2 / 1.2 + 3 + 0 + 2 + 0) / 8)
    assert [note.partition(": ")[0] for note in result.notes] == [str(other)] * 2
    assert expected.notes == ()


def test_missing_scenes_are_counted_not_scored(tmp_path):
    truth = {"a.jpg": {}, "b.jpg": {"Fish": block(LABEL_GRID, 0, 1)}}
    result = evaluate_csv(write(tmp_path / "p.csv", {"a.jpg": {}}), write(tmp_path / "t.csv", truth))
    assert (result.mean, result.scored, result.unanswered) == (1, 1, 1)


def test_a_submission_of_unknown_scenes_is_refused(tmp_path):
    with pytest.raises(LabelError, match=r"1 of 1 scenes are not in .*the first is c.jpg"):
        evaluate_csv(write(tmp_path / "p.csv", {"c.jpg": {}}), write(tmp_path / "t.csv", {"a.jpg": {}}))


def test_an_empty_submission_is_refused(tmp_path):
    with pytest.raises(LabelError, match="no scene"):
        evaluate_csv(write(tmp_path / "p.csv", {}), write(tmp_path / "t.csv", {"a.jpg": {}}))
