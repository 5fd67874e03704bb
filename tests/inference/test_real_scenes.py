"""The default model on real labelled scenes, where available: its scores are those of the README."""

import csv
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.core.types import LABEL_GRID, SCORE_GRID
from nephoscope.datasets.labels import read_labels
from nephoscope.evaluation.metrics import dice
from nephoscope.evaluation.submission import evaluate_csv
from nephoscope.imagery.reading import open_scene
from nephoscope.inference.pipeline import segment

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def val(clouds):
    """Names of the validation scenes."""
    with (clouds / "scenes.csv").open() as file:
        return [row["image"] for row in csv.DictReader(file) if row["split"] == "val"]


@pytest.fixture(scope="module")
def truth(clouds, val):
    """Labels of the validation scenes."""
    labels = read_labels(clouds / "train.csv.xz")
    chosen = set(val)
    texts = {key: text for key, text in labels.texts.items() if key[0] in chosen}
    return replace(labels, texts=texts)


def test_the_default_model_scores_at_least_0_64_on_validation_scenes(clouds, val, truth, tmp_path):
    pictures = [clouds / "train_images" / name for name in val]
    command = [sys.executable, "-m", "nephoscope", "segment", *pictures, "--format", "csv", "-o", tmp_path]
    subprocess.run(command, check=True, capture_output=True)
    result = evaluate_csv(tmp_path / "submission.csv", truth)
    assert result.scored == len(val)
    assert result.unanswered == 0
    assert result.truth_grid == LABEL_GRID
    assert result.mean >= 0.640


def test_scenes_as_reflectances_have_the_same_masks(clouds, val, model):
    """The true-colour stretch, inverted and applied again, loses nothing that the model sees."""
    shown, linear = (0, 110, 160, 210, 240, 255), (0, 30, 60, 120, 190, 255)
    scores = []
    for image in val[:20]:
        pixels, _ = open_scene(clouds / "train_images" / image).read()
        reflectances = (np.interp(pixels, shown, linear) / 255 * 1.1).astype(np.float32)
        first, second = segment(pixels, model), segment(reflectances, model, scale="reflectance")
        scores += [dice(a, b) for a, b in zip(first.masks, second.masks, strict=True)]
    assert len(scores) == 80
    assert np.mean(scores) >= 0.97


def test_swath_gaps_are_where_no_label_is(clouds, truth):
    """Labels leave swath gaps out: no data is in no label, to a pixel at its edges."""
    shares = []
    for image in truth.images[:60]:
        valid = open_scene(clouds / "train_images" / image).read().valid_mask
        gaps = ~valid[
            np.ix_(*(_centres(side, whole) for side, whole in zip(valid.shape, SCORE_GRID, strict=True)))
        ]
        for name in DEFAULT_NAMES:
            mask = truth.mask(image, name, SCORE_GRID)
            shares.append((mask & gaps).sum() / max(1, mask.sum()))
    assert np.mean(shares) < 0.01


def test_full_size_pictures_are_segmented_where_the_small_ones_are(clouds, model):
    """The same scene at 2100x1400 and at 480x320 gives probabilities that go together."""
    for path in sorted((clouds / "full_size").glob("???????.jpg")):
        large, small = segment(path, model), segment(clouds / "train_images" / path.name, model)
        assert large.scene.size == LABEL_GRID
        together = np.corrcoef(large.probabilities.ravel(), small.probabilities.ravel())[0, 1]
        assert together > 0.8, path.name


def test_worldview_names_tell_place_and_time(clouds):
    path = clouds / "full_size" / "Aqua_CorrectedReflectance20090122_-61--40_10-24.jpeg"
    scene = open_scene(path)
    assert scene.bounds == (-61, 10, -40, 24)
    assert str(scene.day) == "2009-01-22"
    assert 0.05 < 1 - scene.read().valid_mask.mean() < 0.15


def _centres(side, whole):
    return (np.arange(whole) * 2 + 1) * side // (2 * whole)
