"""Scenes turned, mirrored, resized, moved, brightened and mixed, on whatever device they are on.

Every choice is drawn from one generator, so that a step is the same whenever it is done again.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from nephoscope.training.config import Recipe

NO_DATA = 0.04
"""Of 1: where no colour is brighter there is no data."""


class Augment:
    """Changes a batch of pictures together with its masks.

    Args:
        recipe: says how much.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe

    def __call__(self, pictures: Tensor, masks: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Change a batch.

        Args:
            pictures: red, green, blue from 0 to 1, shape (count, 3, height, width).
            masks: one bit a pattern, as numbers; shape (count, 1, height, width).
            generator: where chance comes from; on the CPU.

        Returns:
            Both, changed alike: what comes in from outside a scene is black and without a pattern.
        """
        grid = self._grid(pictures, generator)
        pictures = functional.grid_sample(pictures, grid, align_corners=False)
        masks = functional.grid_sample(masks, grid, mode="nearest", align_corners=False)
        pictures = self._brighten(pictures, generator)
        if self._uniform(1, generator).item() < self.recipe.cutmix:
            pictures, masks = _cutmix(pictures, masks, generator)
        return pictures, masks

    def _grid(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        """Where each pixel comes from: one turn, mirror image, zoom and shift a scene."""
        count, _, height, width = pictures.shape
        angle = self._signed(count, generator) * math.radians(self.recipe.rotation)
        scale = torch.exp(self._signed(count, generator) * math.log(self.recipe.zoom))
        shift = self._signed(2 * count, generator).reshape(2, count) * 2 * self.recipe.shift
        flip = torch.where(self._uniform(2 * count, generator) < 0.5, -1.0, 1.0).reshape(2, count)
        # Coordinates run from -1 to 1 along each side, so a turn must allow for the sides' lengths.
        aspect = width / height
        cosine, sine = scale * angle.cos(), scale * angle.sin()
        rows = [
            torch.stack([flip[0] * cosine, -flip[1] * sine / aspect, shift[0]], 1),
            torch.stack([flip[0] * sine * aspect, flip[1] * cosine, shift[1]], 1),
        ]
        matrix = torch.stack(rows, 1).to(pictures.device, non_blocking=True)
        return functional.affine_grid(matrix, list(pictures.shape), align_corners=False)

    def _brighten(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        """Change contrast and brightness; black, which is no data, stays black."""
        amounts = self._signed(2 * len(pictures), generator).reshape(2, -1, 1, 1, 1) * self.recipe.brightness
        factor, offset = amounts.to(pictures.device, non_blocking=True)
        brighter = (pictures * (1 + factor) + offset * 0.5).clamp(0, 1)
        return torch.where(pictures.amax(1, keepdim=True) > NO_DATA, brighter, pictures)

    def _uniform(self, count: int, generator: torch.Generator) -> Tensor:
        return torch.rand(count, generator=generator)

    def _signed(self, count: int, generator: torch.Generator) -> Tensor:
        return self._uniform(count, generator) * 2 - 1


def _cutmix(pictures: Tensor, masks: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Put a box of the next scene into each; its area is uniform from none to all.

    Source: Yun et al. 2019, CutMix, arXiv:1905.04899.
    """
    _, _, height, width = pictures.shape
    area, down, across = torch.rand(3, generator=generator).tolist()
    rows, columns = round(height * math.sqrt(area)), round(width * math.sqrt(area))
    top, left = round(down * (height - rows)), round(across * (width - columns))
    box = (..., slice(top, top + rows), slice(left, left + columns))
    mixed_pictures, mixed_masks = pictures.clone(), masks.clone()
    mixed_pictures[box] = pictures.roll(1, 0)[box]
    mixed_masks[box] = masks.roll(1, 0)[box]
    return mixed_pictures, mixed_masks
