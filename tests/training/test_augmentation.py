"""Augmentation changes pictures and masks alike, and draws from its generator only."""

import dataclasses

import pytest
import torch

from nephoscope.training.augmentation import augment
from nephoscope.training.config import Recipe

STILL = Recipe(rotation=0, zoom=1, shift=0, brightness=0, cutmix=0)


def batch(count=8, size=(64, 96)):
    """Scenes whose pixels show their mask: pattern bits 1 and 4 where red is bright."""
    torch.manual_seed(1)
    masks = torch.zeros(count, 1, *size)
    for scene in range(count):
        top, left = torch.randint(4, 30, (2,)).tolist()
        masks[scene, :, top : top + 24, left : left + 40] = 5.0
    pictures = (0.2 + 0.6 * (masks > 0)).repeat(1, 3, 1, 1)
    return pictures, masks


def augmented(recipe, seed=0, count=8):
    return augment(*batch(count), recipe, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("what", ["rotation", "zoom", "shift", "cutmix", "all"])
def test_pictures_and_masks_move_together(what):
    full = {"rotation": 15.0, "zoom": 1.3, "shift": 0.1, "cutmix": 1.0}
    changes = full if what == "all" else {what: full[what]}
    pictures, masks = augmented(dataclasses.replace(STILL, **changes))
    assert set(masks.unique().tolist()) <= {0.0, 5.0}  # bits are never mixed
    bright = pictures[:, :1] > 0.5
    assert (bright != (masks > 0)).float().mean() < 0.02  # only along edges, where pixels are blended


def test_reflections_keep_every_pixel():
    pictures, masks = augmented(STILL)
    before, _ = batch()
    assert torch.equal(pictures[:, :1] > 0.5, masks > 0)
    assert pictures.sum().item() == pytest.approx(before.sum().item(), rel=1e-5)
    assert not torch.equal(pictures, before)


def test_augmentation_is_reproducible_by_its_generator():
    recipe = Recipe()
    one, other, third = augmented(recipe, 3), augmented(recipe, 3), augmented(recipe, 4)
    assert all(torch.equal(*pair) for pair in zip(one, other, strict=True))
    assert not torch.equal(one[0], third[0])


def test_pixels_from_outside_are_black_and_without_a_pattern():
    recipe = dataclasses.replace(STILL, zoom=1.0, shift=0.5)
    pictures = torch.ones(16, 3, 32, 32)
    moved, masks = augment(
        pictures, torch.full((16, 1, 32, 32), 15.0), recipe, torch.Generator().manual_seed(0)
    )
    assert (moved == 0).any()
    assert not (masks[moved[:, :1] == 0] > 0).any()


def test_brightness_leaves_no_data_black():
    pictures = torch.zeros(8, 3, 32, 32)
    pictures[..., 16:] = 0.5
    bright = dataclasses.replace(STILL, brightness=0.5)
    changed, _ = augment(pictures, torch.zeros(8, 1, 32, 32), bright, torch.Generator().manual_seed(0))
    assert ((changed == 0) | (changed > 0.1)).all()
    assert (changed == 0).float().mean() == pytest.approx(0.5)
    assert changed.amax((1, 2, 3)).unique().numel() > 4  # one amount a scene
    assert changed.max() <= 1


def test_cutmix_pastes_a_box_of_another_scene():
    pictures = torch.arange(1.0, 9.0).reshape(8, 1, 1, 1).expand(8, 3, 64, 96) / 10
    mixing = dataclasses.replace(STILL, cutmix=1.0)
    mixed, _ = augment(pictures, torch.zeros(8, 1, 64, 96), mixing, torch.Generator().manual_seed(2))
    for scene in range(8):
        values = (mixed[scene, 0] * 10).round().unique().tolist()
        assert set(values) <= {scene + 1, (scene - 1) % 8 + 1}
    assert any(len((mixed[scene, 0] * 10).round().unique()) == 2 for scene in range(8))


def test_augmentation_can_be_reduced_to_reflections():
    recipe = dataclasses.replace(STILL)
    pictures, masks = batch(1)
    moved, moved_masks = augment(pictures, masks, recipe, torch.Generator().manual_seed(0))
    flips = [[], [2], [3], [2, 3]]
    assert any(torch.allclose(moved, pictures.flip(axes), atol=1e-6) for axes in flips)
    assert any(torch.equal(moved_masks, masks.flip(axes)) for axes in flips)
