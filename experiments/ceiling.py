"""How well labels of this kind can be met at all: `python -m experiments.ceiling DATA`.

In the practice round some 50 people labelled each scene. An oracle is told what all of them but a few drew,
and answers with the mask, or with none, that should agree best with the union of three more people (a label
of the contest is about such a union), or with one more person. It knows of a scene all that many people saw
in it: what it scores on those left out is what no model can be expected to exceed on such labels. Masks lie
on a grid of half the contest's; people are left out by chance, many times. Last: how likely the union of
three people holds a pixel that none, one, two or all of three others drew.
"""

import sys
from pathlib import Path

import numpy as np

from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.core.types import SCORE_GRID
from nephoscope.datasets.annotations import FOLDER, PracticeScene, masks_of, read_practice
from nephoscope.evaluation.agreement import worth_comparing
from nephoscope.imagery.resize import resize
from nephoscope.imagery.scene import open_scene
from nephoscope.inference.model import Model
from nephoscope.inference.segmentation import segment

GRID = (SCORE_GRID[0] // 2, SCORE_GRID[1] // 2)
DRAWS = 20  # of people left out, a scene
SAMPLES = 100  # of labels that the oracle makes up from those it knows
LEVELS = np.linspace(0.05, 0.95, 19)  # of the share of labels that a pixel is in


def main(data: Path) -> None:
    model, rng = Model.load(), np.random.default_rng(0)
    folder = data / FOLDER
    scenes = [
        scene
        for scene in worth_comparing(read_practice(folder))
        if (data / "train_images" / scene.image).is_file() and scene.image
    ]
    print(f"{len(scenes)} scenes, {DRAWS} draws each; mean Dice")
    for count in (3, 1):
        scores = np.array([on_scene(data, scene, count, model, rng) for scene in scenes])
        oracle, found = scores.mean(axis=(0, 2))
        error = np.std(scores[:, 0].mean(axis=1) - scores[:, 1].mean(axis=1)) / len(scenes) ** 0.5
        name = "one more person" if count == 1 else f"the union of {count} more people"
        print(
            f"  with {name:<26} oracle {oracle:.3f}, default model {found:.3f}, "
            f"difference {oracle - found:.3f} ± {error:.3f}"
        )
        for index, pattern in enumerate(DEFAULT_NAMES):
            print(f"    {pattern:<8} {scores[:, 0, index].mean():.3f}  {scores[:, 1, index].mean():.3f}")
    print("share of pixels in three people's union where of three others so many drew them")
    for count, share in enumerate(met_again(worth_comparing(read_practice(folder)), rng)):
        print(f"  {count}  {share:.3f}")


def on_scene(
    data: Path, scene: PracticeScene, count: int, model: Model, rng: np.random.Generator
) -> np.ndarray:
    """Mean Dice of the oracle and of the model, by pattern: shape (2, patterns)."""
    picture = open_scene(data / "train_images" / scene.image)
    seen = resize(picture.read().pixels, GRID).max(axis=2) > 12
    drawn = np.stack([masks_of(answer, GRID, seen) for answer in scene.answers.values()])
    found = segment(picture, model)
    own = np.stack([found.mask(name, GRID) for name in DEFAULT_NAMES])
    people = len(drawn)
    scores = np.zeros((DRAWS, 2, len(DEFAULT_NAMES)))
    for draw in range(DRAWS):
        order = rng.permutation(people)
        others = [rng.choice(order[count:], count, replace=False) for _ in range(SAMPLES)]
        for index in range(len(DEFAULT_NAMES)):
            masks = drawn[:, index].reshape(people, -1)
            target = masks[order[:count]].any(axis=0)
            made_up = np.stack([masks[some].any(axis=0) for some in others]).astype(np.float32)
            share = made_up.mean(axis=0)
            answers = np.stack([share > level for level in LEVELS] + [np.zeros_like(target)])
            expected = dice(answers.astype(np.float32), made_up).mean(axis=1)
            both = np.stack([answers[expected.argmax()], own[index].reshape(-1)]).astype(np.float32)
            scores[draw, :, index] = dice(both, target[None].astype(np.float32))[:, 0]
    return scores.mean(axis=0)


def met_again(scenes: list[PracticeScene], rng: np.random.Generator) -> np.ndarray:
    """By how many of three people drew a pixel: how often the union of three others holds it."""
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
    """Of each mask with each, 1 where both are empty; masks of shape (count, pixels), 0 or 1."""
    total = ones.sum(axis=1)[:, None] + others.sum(axis=1)
    return np.where(total > 0, 2 * (ones @ others.T) / np.maximum(total, 1), 1.0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
