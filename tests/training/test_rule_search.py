"""The search finds the best rule, and its held-out Dice is an honest estimate."""

import numpy as np
import pytest
import torch

from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.training.rule_search import Table, search
from nephoscope.training.validation import THRESHOLDS, concatenate, measure, search_rules


def table(dice, empty, scores):
    return Table(
        np.atleast_2d(dice).astype(float), np.array(empty, float), np.atleast_2d(scores).astype(float)
    )


def test_a_presence_cut_is_chosen_where_it_raises_dice():
    """Present scenes have high scores and Dice 0.8; in the others a prediction has Dice 0."""
    dice, empty, scores = [0.8, 0.8, 0.8, 0, 0, 0], [0, 0, 0, 1, 1, 1], [0.9, 0.88, 0.86, 0.2, 0.18, 0.16]
    result = search(table(dice, empty, scores), [0, 1, 2, 0, 1, 2])
    assert 0.2 < result.cut <= 0.86
    assert result.in_sample_dice == pytest.approx((0.8 + 1) / 2)
    assert result.held_out_dice == pytest.approx(result.in_sample_dice)


def test_the_best_combination_is_found():
    rng = np.random.default_rng(0)
    count = 40
    made = Table(rng.random((5, count)), rng.integers(0, 2, count).astype(float), rng.random((3, count)))
    best = max(
        np.where(scores >= cut, dice, made.empty).mean()
        for dice in made.dice
        for scores in made.scores
        for cut in [*scores, 0.0, 2.0]
    )
    result = search(made, np.arange(count) % 4)
    assert result.in_sample_dice <= best + 1e-12
    assert result.in_sample_dice > best - 0.01  # cuts are tried at even shares of the scenes
    chosen = np.where(made.scores[result.kind] >= result.cut, made.dice[result.mask], made.empty)
    assert chosen.mean() == pytest.approx(result.in_sample_dice)


def test_held_out_dice_is_not_optimistic():
    """Of many masks that score at random the best looks good, but not on scenes it was not chosen on."""
    count, results = 100, []
    for seed in range(5):
        scores = np.random.default_rng(seed).integers(0, 2, (300, count)).astype(float)
        results.append(search(Table(scores, np.zeros(count), np.ones((1, count))), np.arange(count) % 10))
    assert np.mean([result.in_sample_dice for result in results]) > 0.62  # the best of 300 draws
    assert abs(np.mean([result.held_out_dice for result in results]) - 0.5) < 0.06  # of any of them


def test_measure_gives_the_dice_of_each_threshold():
    truth = torch.zeros(1, 4, 10, 10)
    truth[:, 0, :5] = 1
    probabilities = torch.full((1, 4, 10, 10), 0.05)
    probabilities[:, 0, :5] = 0.62
    probabilities[:, 0, 5:8] = 0.32
    measured = measure(probabilities, truth, None, torch.tensor([7]))
    for index, threshold in enumerate(THRESHOLDS):
        expected = 2 * 50 / (80 + 50) if threshold < 0.32 else 1.0 if threshold < 0.62 else 0.0
        assert measured.dice[0, 0, index].item() == pytest.approx(expected)
    assert measured.dice[0, 1:].eq(1).all()  # both empty
    assert measured.empty.tolist() == [[False, True, True, True]]
    assert measured.scores[0, 0, 0].item() == pytest.approx(0.62)  # the maximum


def test_scenes_of_several_processes_are_counted_once():
    fields = torch.rand(3, 4, 8, 8)
    parts = [
        measure(fields[chosen], fields[chosen].round(), fields[chosen].mean((2, 3)), torch.tensor(chosen))
        for chosen in ([2, 0], [1, 2])
    ]
    combined = concatenate(parts)
    assert combined.indices.tolist() == [0, 1, 2]
    assert torch.equal(combined.dice[2], parts[0].dice[0])


def test_rules_reach_their_in_sample_dice():
    torch.manual_seed(0)
    truth = (torch.rand(30, 4, 1, 1) < 0.5).float() * (torch.rand(30, 4, 24, 36) < 0.3).float()
    probabilities = (0.3 * truth + 0.4 * torch.rand(30, 4, 24, 36)).clamp(0, 1)
    measured = measure(probabilities, truth, None, torch.arange(30))
    result = search_rules(measured, [index % 5 for index in range(30)], DEFAULT_NAMES)
    for index, (name, rule) in enumerate(result.rules.items()):
        at = THRESHOLDS.index(rule.threshold)
        kind = (1, 500, 4000, 16000).index(rule.top_k)
        there = measured.scores[:, index, kind] >= rule.presence
        dice = torch.where(there, measured.dice[:, index, at], measured.empty[:, index].float())
        assert dice.mean().item() == pytest.approx(result.in_sample_dice[name], abs=1e-5)
        assert result.dice[name] <= result.in_sample_dice[name] + 1e-9
