"""Training a network on to be steadier: `python -m benchmarks.steadier DATA WEIGHTS CARD OUTPUT [SEED]`.

The network learns to say of a degraded picture (shrunk and enlarged again, recompressed) half of what people
drew and half of what it said itself, before, of the picture as it was. It ends as the mean of its last steps.
Batch normalisation keeps its statistics. Takes about 40 minutes on two cores.
"""

import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.io import decode_jpeg, encode_jpeg

from nephoscope.training.augment import Augment
from nephoscope.training.cache import open_scenes
from nephoscope.training.checkpoint import load_weights, save_weights
from nephoscope.training.networks import build, split_answer
from nephoscope.training.recipe import make_recipe

SCENES, BATCH = 2000, 16
RATE, AVERAGE = 1.5e-4, 0.98
DEGRADED = 0.7  # share of the pictures
OWN = 0.5  # weight of what the network said before
LOSSES = (0.75, 0.25, 0.1)  # cross-entropy, Dice, presence


def main(data: Path, weights_file: Path, card_file: Path, output: Path, seed: int) -> None:
    torch.manual_seed(seed)
    weights, card = load_weights(weights_file, card_file)
    network, before = build(card.network), build(card.network).eval()
    network.load_state_dict(weights)
    before.load_state_dict(weights)
    scenes = open_scenes(data, card.input_size, say=print)
    training, _ = scenes.split(None, 0)
    order = np.random.default_rng(seed).permutation(training)[: SCENES // BATCH * BATCH].reshape(-1, BATCH)
    augment = Augment(make_recipe(cutmix=0.4, zoom=1.2))
    chance = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=len(order), pct_start=0.15)
    mean = {name: value.clone() for name, value in network.state_dict().items()}
    bits = (2 ** torch.arange(4)).to(torch.uint8).reshape(1, 4, 1, 1)
    began = time.monotonic()

    def normal(colours: Tensor) -> Tensor:
        return (colours - card.network["mean"]) / card.network["deviation"]

    for step, scene in enumerate(order):
        learning(network)
        chosen = np.sort(scene)
        pictures = torch.from_numpy(scenes.pictures[chosen]).permute(0, 3, 1, 2).float() / 255
        pictures, packed = augment(pictures, torch.from_numpy(scenes.masks[chosen])[:, None].float(), chance)
        truth = (packed.to(torch.uint8) & bits).ne(0).float()
        with torch.no_grad():
            masks, heads = split_answer(before(normal(pictures)))
        present = (1 - OWN) * truth.amax((2, 3)) + OWN * heads.sigmoid()
        truth = (1 - OWN) * truth + OWN * masks.sigmoid()
        loss = cost(*split_answer(network(normal(degraded(pictures, chance)))), truth, present)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                mean[name].lerp_(value, 1 - min(AVERAGE, (step + 1) / (step + 10)))
        if step % 10 == 0:
            print(
                f"step {step} of {len(order)}, {time.monotonic() - began:.0f} s, loss {loss:.4f}", flush=True
            )
    save_weights(output, mean, card)


def learning(network: nn.Module) -> None:
    """Let a network learn, all but the statistics of batch normalisation."""
    network.train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


def cost(logits: Tensor, heads: Tensor, truth: Tensor, present: Tensor) -> Tensor:
    """Cross-entropy, soft Dice where a pattern is there, and the presence head's cross-entropy."""
    bce = functional.binary_cross_entropy_with_logits
    found, there = logits.sigmoid(), (present > 0.3).float()
    dice = 1 - (2 * (found * truth).sum((2, 3)) + 1) / (found.sum((2, 3)) + truth.sum((2, 3)) + 1)
    parts = bce(logits, truth), (dice * there).sum() / there.sum().clamp(min=1), bce(heads, present)
    return torch.stack([weight * part for weight, part in zip(LOSSES, parts, strict=True)]).sum()


def degraded(pictures: Tensor, chance: torch.Generator) -> Tensor:
    """Most pictures shrunk to as little as half and enlarged again, or recompressed, or both."""
    result = pictures.clone()
    height, width = pictures.shape[2:]

    def draw(count: int = 1) -> list[float]:
        return torch.rand(count, generator=chance).tolist()

    for index in range(len(pictures)):
        if draw()[0] > DEGRADED:
            continue
        way, size, method = draw(3)
        picture = pictures[index : index + 1]
        if way >= 0.6:
            result[index] = recompressed(picture, draw()[0])[0]
            continue
        scale = 0.5 + 0.5 * size
        how = {"mode": "area"} if method < 0.5 else {"mode": "bilinear", "antialias": True}
        picture = functional.interpolate(picture, (round(height * scale), round(width * scale)), **how)
        if way < 0.3:
            picture = recompressed(picture, draw()[0])
        how = {"mode": "bilinear" if draw()[0] < 0.5 else "bicubic"}
        result[index] = functional.interpolate(picture, (height, width), **how)[0].clamp(0, 1)
    return result


def recompressed(picture: Tensor, quality: float) -> Tensor:
    """As JPEG of quality 25 to 85 and back."""
    packed = encode_jpeg((picture[0] * 255).round().to(torch.uint8), int(25 + 60 * quality))
    return decode_jpeg(packed)[None].float() / 255


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:5]), int((*sys.argv, "0")[5]))
