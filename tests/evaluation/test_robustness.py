"""Robustness of the default model's masks to changes of a real scene, as docs/model-card.md states."""

import numpy as np
import pytest

from nephoscope.evaluation.robustness import agreements, noise_pictures, rejected_noise
from nephoscope.inference.model import Model

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def measured(clouds, model):
    """Agreement of the masks by change, over fewer scenes than the model card's table."""
    return dict(agreements(model, clouds, every=500))


@pytest.mark.parametrize("size", ["1050x700", "525x350", "480x320"])
def test_a_scene_gives_the_same_masks_at_other_sizes(measured, size):
    assert measured[f"at {size}"] >= 0.9


@pytest.mark.parametrize(
    ("change", "least"),
    [
        ("as JPEG of quality 30", 0.7),
        ("mirrored", 0.85),
        ("moved by 40 px", 0.8),
        ("15 % brighter", 0.9),
        ("15 % darker", 0.9),
        ("grey", 0.68),
    ],
)
def test_masks_change_no_more_than_the_model_card_states(measured, change, least):
    """Floors a mask or two below what was measured."""
    assert measured[change] >= least


def test_noise_is_of_four_kinds():
    grey, white, smooth, plain = noise_pictures(4)
    assert np.ptp(grey, axis=2).max() == 0
    assert np.ptp(white, axis=2).mean() > 50
    assert (
        np.abs(np.diff(smooth.astype(int), axis=1)).mean()
        < 0.3 * np.abs(np.diff(white.astype(int), axis=1)).mean()
    )
    assert np.ptp(plain, axis=(0, 1)).max() == 0


def test_a_model_that_marks_what_is_bright_finds_patterns_in_noise(tiny_model):
    assert rejected_noise(Model.load(tiny_model()), count=8) < 1
