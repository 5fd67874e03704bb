"""How steady the default model's answers are when a real scene is changed, as docs/model-card.md tells."""

import pytest

from benchmarks.robustness import agreements


@pytest.fixture(scope="module")
def measured(clouds, model):
    """From what was changed to how far the masks agree, over fewer scenes than the model card's table."""
    return dict(agreements(model, clouds, every=300))


@pytest.mark.parametrize("size", ["1050x700", "525x350", "480x320"])
def test_a_scene_gives_the_same_masks_at_any_size(measured, size):
    assert measured[f"at {size}"] >= 0.9
