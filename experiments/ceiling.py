"""The highest score that such labels allow: `python -m experiments.ceiling DATA`.

In the practice round some 50 people annotated each scene. An oracle knows what all of them but a few drew,
and predicts the mask, or none, with the highest expected Dice with the union of three more people (a label
of the contest is about such a union), or with one more person. No model can be expected to exceed its score
on such labels. Masks are on half the contest's score grid; people are left out at random, many times. Last:
how likely the union of three people has a pixel that none, one, two or all of three others drew.
"""

import sys
from pathlib import Path

import numpy as np

from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.core.types import SCORE_GRID
from nephoscope.datasets.rectangles import FOLDER, PracticeScene, masks_of, read_practice
from nephoscope.evaluation.people import with_enough_annotators
from nephoscope.imagery.reading import open_scene
from nephoscope.imagery.resize import resize
from nephoscope.inference.model import Model
from nephoscope.inference.pipeline import segment

GRID = (SCORE_GRID[0] // 2, SCORE_GRID[1] // 2)
DRAWS = 20  # of people left out, a scene
SAMPLES = 100  # of labels that the oracle simulates from those it knows
LEVELS = np.linspace(0.05, 0.95, 19)  # of the share of labels that a pixel is in


def main(data: Path) -> None:
    model, rng = Model.load(), np.random.default_rng(0)
    folder = data / FOLDER
    scenes = [
        scene
        for scene in with_enough_annotators(read_practice(folder))
        if (data / "train_images" / scene.image).is_file() and scene.image
    ]
    print(f"{len(scenes)} scenes, {DRAWS} draws each; mean Dice")
    for count in (3, 1):
        scores = np.array([on_scene(data, scene, count, model, rng) for scene in scenes])
        oracle, own = scores.mean(axis=(0, 2))
        error = np.std(scores[:, 0].mean(axis=1) - scores[:, 1].mean(axis=1)) / len(scenes) ** 0.5
        name = "one more person" if count == 1 else f"the union of {count} more people"
        print(
            f"  with {name:<26} oracle {oracle:.3f}, default model {own:.3f}, "
            f"difference {oracle - own:.3f} ± {error:.3f}"
        )
        for index, pattern in enumerate(DEFAULT_NAMES):
            print(f"    {pattern:<8} {scores[:, 0, index].mean():.3f}  {scores[:, 1, index].mean():.3f}")
    print("share of pixels in the union of three people, by how many of three others drew them")
    for count, share in enumerate(recurrence(with_enough_annotators(read_practice(folder)), rng)):
        print(f"  {count}  {share:.3f}")


def on_scene(
    data: Path, scene: PracticeScene, count: int, model: Model, rng: np.random.Generator
) -> np.ndarray:
    """Mean Dice of the oracle and of the model, by pattern: shape (2, patterns)."""
    picture = open_scene(data / "train_images" / scene.image)
    valid = resize(picture.read().pixels, GRID).max(axis=2) > 12
    drawn = np.stack([masks_of(answer, GRID, valid) for answer in scene.answers.values()])
    segmentation = segment(picture, model)
    own = np.stack([segmentation.mask(name, GRID) for name in DEFAULT_NAMES])
    people = len(drawn)
    scores = np.zeros((DRAWS, 2, len(DEFAULT_NAMES)))
    for draw in range(DRAWS):
        order = rng.permutation(people)
        others = [rng.choice(order[count:], count, replace=False) for _ in range(SAMPLES)]
        for index in range(len(DEFAULT_NAMES)):
            masks = drawn[:, index].reshape(people, -1)
            target = masks[order[:count]].any(axis=0)
            simulated = np.stack([masks[some].any(axis=0) for some in others]).astype(np.float32)
            share = simulated.mean(axis=0)
            answers = np.stack([share > level for level in LEVELS] + [np.zeros_like(target)])
            expected = dice(answers.astype(np.float32), simulated).mean(axis=1)
            both = np.stack([answers[expected.argmax()], own[index].reshape(-1)]).astype(np.float32)
            scores[draw, :, index] = dice(both, target[None].astype(np.float32))[:, 0]
    return scores.mean(axis=0)


def recurrence(scenes: list[PracticeScene], rng: np.random.Generator) -> np.ndarray:
    """How often the union of three people has a pixel, by how many of three others drew it."""
    pixels, met = np.zeros(4), np.zeros(4)
    for scene in scenes:
        drawn = np.stack([masks_of(answer, GRID) for answer in scene.answers.values()])
        for _ in range(DRAWS):
            order = rng.permutation(len(drawn))
            counts = drawn[order[:3]].sum(axis=0).reshape(-1)
            union = drawn[order[3:6]].any(axis=0).reshape(-1)
            pixels += np.bincount(counts, minlength=4)
            met += np.bincount(counts, union, minlength=4)
    return met / pixels


def dice(ones: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Dice of each mask with each, 1 where both are empty; masks of shape (count, pixels), 0 or 1."""
    total = ones.sum(axis=1)[:, None] + others.sum(axis=1)
    return np.where(total > 0, 2 * (ones @ others.T) / np.maximum(total, 1), 1.0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
