"""Augmentation of batches, on the device they are on.

All random numbers come from one generator, so that a repeated step is the same.
"""

import math
from typing import Any

import cv2
import torch
from torch import Tensor
from torch.nn import functional

from nephoscope.training.config import Recipe

NO_DATA = 0.04
"""Brightness from 0 to 1: where no colour is brighter there is no data."""

_SHARPEN = 0.6  # strongest unsharp mask: times the difference from the mean of 3x3 pixels
_REDUCE: tuple[dict[str, Any], ...] = (  # as image libraries reduce pictures
    {"mode": "area"},
    {"mode": "bilinear", "antialias": True},
    {"mode": "bicubic", "antialias": True},
)


def augment(
    pictures: Tensor, masks: Tensor, recipe: Recipe, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Augment a batch by a recipe; pixels from outside a scene are black and without a pattern.

    Args:
        pictures: red, green, blue from 0 to 1, shape (count, 3, height, width).
        masks: one bit a pattern, as numbers; shape (count, 1, height, width).
        recipe: the amounts.
        generator: on the CPU.
    """
    grid = _sampling_grid(pictures, recipe, generator)
    pictures = functional.grid_sample(pictures, grid, align_corners=False)
    masks = functional.grid_sample(masks, grid, mode="nearest", align_corners=False)
    amounts = _signed(2 * len(pictures), generator).reshape(2, -1, 1, 1, 1) * recipe.brightness
    contrast, offset = amounts.to(pictures.device, non_blocking=True)
    brighter = (pictures * (1 + contrast) + offset * 0.5).clamp(0, 1)
    pictures = torch.where(pictures.amax(1, keepdim=True) > NO_DATA, brighter, pictures)
    if torch.rand(1, generator=generator).item() < recipe.cutmix:
        pictures, masks = _cutmix(pictures, masks, generator)
    return pictures, masks


def _sampling_grid(pictures: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """One rotation, reflection, scale and translation a scene."""
    count, _, height, width = pictures.shape
    angle = _signed(count, generator) * math.radians(recipe.rotation)
    scale = torch.exp(_signed(count, generator) * math.log(recipe.zoom))
    shift = _signed(2 * count, generator).reshape(2, count) * 2 * recipe.shift
    flip = torch.where(torch.rand(2 * count, generator=generator) < 0.5, -1.0, 1.0).reshape(2, count)
    # Coordinates run from -1 to 1 along each side, so a rotation depends on the aspect ratio.
    aspect = width / height
    cosine, sine = scale * angle.cos(), scale * angle.sin()
    rows = [
        torch.stack([flip[0] * cosine, -flip[1] * sine / aspect, shift[0]], 1),
        torch.stack([flip[0] * sine * aspect, flip[1] * cosine, shift[1]], 1),
    ]
    matrix = torch.stack(rows, 1).to(pictures.device, non_blocking=True)
    return functional.affine_grid(matrix, list(pictures.shape), align_corners=False)


def _signed(count: int, generator: torch.Generator) -> Tensor:
    return torch.rand(count, generator=generator) * 2 - 1


def _cutmix(pictures: Tensor, masks: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Paste a box of the next scene into each; its area is uniform from none to all.

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


def degrade(pictures: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Blur, sharpen, recompress or bleach pictures, as files from other sources are; masks stay valid.

    Of the degraded pictures, half are reduced and enlarged again, half of these also recompressed; a quarter
    are sharpened; a quarter are recompressed. A third also lose colour, half of these all of it. Three
    quarters of all pictures also become up to 20 % brighter or 30 % darker.

    Args:
        pictures: red, green, blue from 0 to 1, shape (count, 3, height, width).
        share: of the pictures to degrade, 0 to 1.
        generator: on the CPU.
    """
    draws = torch.rand(len(pictures), 6, generator=generator).tolist()
    degraded = [
        _degrade_one(picture[None], share, draw, generator)
        for picture, draw in zip(pictures, draws, strict=True)
    ]
    return torch.cat(degraded)


def _degrade_one(picture: Tensor, share: float, draw: list[float], generator: torch.Generator) -> Tensor:
    degraded, way, amount, bleached, brightened, brightness = draw
    if degraded < share:
        if way < 0.5:
            picture = _soften(picture, generator)
        elif way < 0.75:
            picture = picture + amount * _SHARPEN * (picture - functional.avg_pool2d(picture, 3, 1, 1))
        picture = picture.clamp(0, 1)
        if way < 0.25 or way >= 0.75:
            picture = _recompress(picture, round(20 + 60 * amount))
        if bleached < 1 / 3:
            picture = picture.lerp(_luminance(picture), min(1.0, 6 * bleached))
    return (picture * (0.7 + 0.5 * brightness)).clamp(0, 1) if brightened < 0.75 else picture


def _soften(picture: Tensor, generator: torch.Generator) -> Tensor:
    """Reduce to as little as half, and enlarge again."""
    height, width = picture.shape[2:]
    size, smaller, larger = torch.rand(3, generator=generator).tolist()
    scale = 0.5 + 0.5 * size
    method = _REDUCE[int(smaller * len(_REDUCE))]
    picture = functional.interpolate(picture, (round(height * scale), round(width * scale)), **method)
    return functional.interpolate(picture, (height, width), mode="bilinear" if larger < 0.5 else "bicubic")


def _luminance(picture: Tensor) -> Tensor:
    """Grey of the same luminance, as image libraries compute it (ITU-R BT.601)."""
    red, green, blue = picture[:, :1], picture[:, 1:2], picture[:, 2:]
    return 0.299 * red + 0.587 * green + 0.114 * blue


def _recompress(picture: Tensor, quality: int) -> Tensor:
    """Encode and decode as JPEG; the codec runs on the CPU."""
    pixels = (picture[0].permute(1, 2, 0).flip(2) * 255).round().to("cpu", torch.uint8).numpy()
    encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    decoded = torch.from_numpy(cv2.imdecode(encoded, cv2.IMREAD_COLOR))
    return decoded.flip(2).permute(2, 0, 1)[None].to(picture.device, picture.dtype) / 255


def mix_noise(
    pictures: Tensor, truth: Tensor, present: Tensor, share: float, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Replace some pictures of a batch by noise, which is no pattern.

    The noise is white or smooth, of independent colours, or white and grey. Its mean and amplitude are
    random, so a picture may be of nearly one colour.

    Args:
        pictures: red, green, blue from 0 to 1, shape (count, 3, height, width).
        truth: target masks, shape (count, patterns, height, width).
        present: target presence, shape (count, patterns).
        share: of the pictures to replace, 0 to 1.
        generator: on the CPU.
    """
    chosen = torch.rand(len(pictures), generator=generator) < share
    if not chosen.any():
        return pictures, truth, present
    noise = torch.cat([_noise(pictures.shape[2:], generator) for _ in range(int(chosen.sum()))])
    chosen = chosen.to(pictures.device)
    pictures = pictures.clone()
    pictures[chosen] = noise.to(pictures.device, pictures.dtype)
    kept = (~chosen).to(truth.dtype)
    return pictures, truth * kept[:, None, None, None], present * kept[:, None]


def _noise(size: torch.Size, generator: torch.Generator) -> Tensor:
    """One picture of noise, shape (1, 3, height, width)."""
    height, width = size
    kind, scale, amplitude = torch.rand(3, generator=generator).tolist()
    mean = torch.rand(1, 3, 1, 1, generator=generator)
    coarser = 1 if kind < 0.5 else round(2 ** (1 + 5 * scale))
    channels = 1 if kind < 0.25 else 3
    shape = (1, channels, -(-height // coarser), -(-width // coarser))
    field = torch.rand(shape, generator=generator) - 0.5
    field = functional.interpolate(field, (height, width), mode="bicubic" if coarser > 1 else "nearest")
    if channels == 1:
        mean = mean.mean(1, keepdim=True)
    noise: Tensor = (mean + 2 * amplitude * field).clamp(0, 1)
    return noise.expand(1, 3, height, width)
