"""Losses of cases with known values, and minimisation of each."""

import dataclasses
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nephoscope.training.config import Recipe
from nephoscope.training.losses import dice_loss, focal_loss, lovasz_loss, make_loss

SURE = 20.0  # a logit whose sigmoid is 0 or 1 to 9 digits


def halves(shift: int = 0) -> torch.Tensor:
    """One scene, one pattern: the left half of 8x8, moved to the right."""
    truth = torch.zeros(1, 1, 8, 8)
    truth[..., shift : shift + 4] = 1
    return truth


def logits_of(mask: torch.Tensor) -> torch.Tensor:
    return (2 * mask - 1) * SURE


def test_dice_loss_of_equal_masks_is_0_and_of_disjoint_masks_1():
    assert dice_loss(logits_of(halves()), halves()).item() == pytest.approx(0, abs=1e-6)
    assert dice_loss(logits_of(halves(4)), halves()).item() == pytest.approx(1 - 1 / 65, abs=1e-6)


def test_dice_loss_is_one_minus_dice():
    expected = 1 - (2 * 16 + 1) / (32 + 32 + 1)  # 4x8 px each, 2x8 shared
    assert dice_loss(logits_of(halves(2)), halves()).item() == pytest.approx(expected, abs=1e-6)


def test_a_squared_denominator_penalises_uncertain_pixels():
    """At probability 1/2 everywhere: the plain denominator is 32 + 32, the squared one 16 + 32."""
    flat = torch.zeros(1, 1, 8, 8)
    assert dice_loss(flat, halves()).item() == pytest.approx(1 - 33 / 65)
    assert dice_loss(flat, halves(), squared=True).item() == pytest.approx(1 - 33 / 49)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_an_empty_mask_has_its_weight(share):
    """One scene right, one empty but predicted everywhere: the mean of 0 and 1 - 1/65, by weight."""
    truth = torch.cat([halves(), torch.zeros(1, 1, 8, 8)])
    logits = torch.cat([logits_of(halves()), torch.full((1, 1, 8, 8), SURE)])
    expected = share * (1 - 1 / 65) / (1 + share)
    assert dice_loss(logits, truth, empty=share).item() == pytest.approx(expected, abs=1e-5)


def test_empty_masks_alone_have_a_finite_loss():
    empty = torch.zeros(2, 4, 8, 8)
    for recipe in (Recipe(), Recipe(loss="dice"), Recipe(loss="dice", dice_empty=1.0), Recipe(loss="lovasz")):
        logits = torch.zeros(2, 4, 8, 8, requires_grad=True)
        loss = sum(make_loss(recipe)(logits, empty, None).values())
        loss.backward()
        assert math.isfinite(loss.item())
        assert torch.isfinite(logits.grad).all()


def test_focal_loss_of_one_half():
    """Both classes weigh 1/2, (1 - 1/2)² = 1/4, -log(1/2): 0.5 * 0.25 * log 2."""
    assert focal_loss(torch.zeros(1, 1, 8, 8), halves()).item() == pytest.approx(0.125 * math.log(2))


def test_lovasz_loss_is_symmetric_and_0_for_the_truth():
    logits, truth = torch.randn(2, 4, 8, 8), torch.rand(2, 4, 8, 8).round()
    swapped = lovasz_loss(-logits, 1 - truth).item()
    assert lovasz_loss(logits, truth).item() == pytest.approx(swapped, rel=1e-5)
    assert lovasz_loss(logits_of(truth), truth).item() == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bce+dice", "dice", "bce", "focal", "lovasz"])
def test_minimising_every_loss_gives_the_truth(name):
    torch.manual_seed(0)
    truth = torch.rand(2, 4, 8, 8).round()
    there = torch.randn(2, 4, requires_grad=True)
    logits = torch.randn(2, 4, 8, 8, requires_grad=True)
    loss = make_loss(Recipe(loss=name))
    optimizer = torch.optim.Adam([logits, there], 0.3)
    first = None
    for _ in range(80):
        parts = loss(logits, truth, there)
        total = torch.stack(list(parts.values())).sum()
        first = total.item() if first is None else first
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    assert set(parts) == {*name.split("+"), "presence"}
    assert total.item() < first / 4
    assert torch.equal(logits > 0, truth > 0)
    assert (there > 0).all()  # random masks of 64 pixels hold every pattern


@given(st.floats(0, 1))
def test_shares_of_bce_and_dice_add_up(share):
    logits, truth = torch.full((1, 4, 4, 4), 0.3), torch.ones(1, 4, 4, 4)
    mixed = make_loss(dataclasses.replace(Recipe(), dice_share=share))(logits, truth, None)
    bce, dice = (make_loss(Recipe(loss=name))(logits, truth, None)[name] for name in ("bce", "dice"))
    expected = (1 - share) * bce.item() + share * dice.item()
    assert sum(part.item() for part in mixed.values()) == pytest.approx(expected, rel=1e-5)
