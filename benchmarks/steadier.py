"""Training a network on: `python -m benchmarks.steadier DATA WEIGHTS CARD OUTPUT SEED... [OPTION...]`.

The network learns to be steadier: to say of a degraded picture (softer, sharper, recompressed, darker) half
of what people drew and half of what it said itself, before, of the picture as it was, mirrored at random. It
ends as the mean of its last steps. Batch normalisation keeps its statistics.

Every seed's weights are written beside OUTPUT, their mean to OUTPUT. What began from the same weights and
went not far may be averaged (Wortsman et al. 2022, arXiv:2203.05482): one network, as fast as each.

With --shares what people drew is not their union but how likely three others' union is where so many of them
drew; it learns from dated scenes alone, as rectangles are known of no others. With --teachers it is not
itself, before, that it learns from but the mean of other weights: distillation.
"""

import argparse
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.io import decode_jpeg, encode_jpeg

from nephoscope.core.geo import Overpass
from nephoscope.core.patterns import NAMES
from nephoscope.datasets.annotations import FOLDER, read_rectangles, span
from nephoscope.inference.card import Card
from nephoscope.training.augmentation import NO_DATA, Augment
from nephoscope.training.cache import Scenes, open_scenes
from nephoscope.training.checkpoint import load_weights, save_weights
from nephoscope.training.config import make_recipe
from nephoscope.training.memory import keep_freed_memory
from nephoscope.training.networks import build, split_answer
from nephoscope.training.run import precision

Weights = dict[str, Tensor]
Drawn = Callable[[int], np.ndarray]
"""From a scene to how many people drew each pattern, up to 3: two bits a pattern, shape (height, width)."""

SCENES, BATCH = 2000, 16
RATE, AVERAGE = 2e-4, 0.98
DEGRADED = 0.8  # share of the pictures
SHARPER = 0.6  # times what tells a pixel from the mean of its neighbours, at most
SMALLER: tuple[dict[str, Any], ...] = (
    {"mode": "area"},
    {"mode": "bilinear", "antialias": True},
    {"mode": "bicubic", "antialias": True},
)
QUICK_BF16 = precision(make_recipe(), cuda=False) == "bf16"
OWN = 0.5  # weight of what the network said before
UNION = torch.tensor([0.0, 1.0, 1.0, 1.0])
LIKELY = torch.tensor([0.09, 0.43, 0.74, 0.92])
"""That three people's union holds a pixel that so many of three others drew (`benchmarks.ceiling`)."""
LOSSES = (0.75, 0.25, 0.1)  # cross-entropy, Dice, presence


def main(arguments: argparse.Namespace) -> None:
    keep_freed_memory()
    weights, card = load_weights(arguments.weights, arguments.card)
    scenes = open_scenes(arguments.data, card.input_size, say=print)
    training, _ = scenes.split(None, 0)
    drawn, likely = united(scenes), UNION
    if arguments.shares:
        drawn, likely = counted(arguments.data, scenes), LIKELY
        training = [index for index in training if scenes.records[index].day]
    teachers = [load_weights(path, arguments.card)[0] for path in arguments.teachers] or [weights]
    output, members = arguments.output, []
    for seed in arguments.seeds:
        members.append(trained_on(scenes, training, drawn, likely, weights, teachers, card, seed))
        save_weights(output.with_stem(f"{output.stem}-{seed}"), members[-1], card)
    mean = {name: torch.stack([member[name] for member in members]).mean(0) for name in floating(weights)}
    save_weights(output, weights | mean, card)


def united(scenes: Scenes) -> Drawn:
    """Whether anybody drew a pixel."""
    return lambda index: packed(scenes.masks[index] >> place & 1 for place in range(len(NAMES)))


def counted(data: Path, scenes: Scenes) -> Drawn:
    """How many rectangles hold a labelled pixel; at least one, as some are missing from the file."""
    rectangles = read_rectangles(data / FOLDER)

    def drawn(index: int) -> np.ndarray:
        record, bits = scenes.records[index], scenes.masks[index]
        counts = np.zeros((len(NAMES), *bits.shape), np.uint8)
        if record.day and record.bounds:
            for rectangle in rectangles.get(Overpass(record.satellite, record.day, record.bounds), []):
                y0, y1, x0, x1 = span(rectangle, bits.shape)
                counts[NAMES.index(rectangle.pattern), y0:y1, x0:x1] += 1
        return packed((bits >> place & 1) * count.clip(1, 3) for place, count in enumerate(counts))

    return drawn


def packed(counts: Iterable[np.ndarray]) -> np.ndarray:
    """Two bits a pattern."""
    return np.bitwise_or.reduce([count << 2 * place for place, count in enumerate(counts)])


def trained_on(
    scenes: Scenes,
    training: list[int],
    drawn: Drawn,
    likely: Tensor,
    weights: Weights,
    teachers: list[Weights],
    card: Card,
    seed: int,
) -> Weights:
    torch.manual_seed(seed)
    network, *before = (built(card, each) for each in (weights, *teachers))
    order = np.random.default_rng(seed).permutation(training)[: SCENES // BATCH * BATCH].reshape(-1, BATCH)
    augment = Augment(make_recipe(cutmix=0.4, zoom=1.2))
    chance = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=len(order), pct_start=0.15)
    mean = {name: value.clone() for name, value in floating(network.state_dict()).items()}
    places = 2 * torch.arange(len(NAMES)).reshape(1, -1, 1, 1)
    began = time.monotonic()

    def normal(colours: Tensor) -> Tensor:
        return (colours - card.network["mean"]) / card.network["deviation"]

    for step, scene in enumerate(order):
        learning(network)
        chosen = np.sort(scene)
        pictures = torch.from_numpy(scenes.pictures[chosen]).permute(0, 3, 1, 2).float() / 255
        people = torch.from_numpy(np.stack([drawn(index) for index in chosen]))[:, None].float()
        pictures, people = augment(pictures, people, chance)
        people = people.long() >> places & 3
        truth = likely[people] * ((people > 0) | (pictures.amax(1, keepdim=True) > NO_DATA))
        with torch.no_grad():
            sides = [side for side in (2, 3) if torch.rand((), generator=chance) < 0.5]
            answers = zip(*(answer(each, normal(pictures).flip(sides)) for each in before), strict=True)
            masks, heads = (torch.stack(each).sigmoid().mean(0) for each in answers)
        present = (1 - OWN) * truth.amax((2, 3)) + OWN * heads
        truth = (1 - OWN) * truth + OWN * masks.flip(sides)
        loss = cost(*answer(network, normal(degraded(pictures, chance))), truth, present)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        for name, value in floating(network.state_dict()).items():
            mean[name].lerp_(value, 1 - min(AVERAGE, (step + 1) / (step + 10)))
        if step % 10 == 0:
            print(
                f"step {step} of {len(order)}, {time.monotonic() - began:.0f} s, loss {loss:.4f}", flush=True
            )
    return weights | mean


def built(card: Card, weights: Weights) -> nn.Module:
    network = build(card.network).eval()
    network.load_state_dict(weights)
    return network.to(memory_format=torch.channels_last)


def answer(network: nn.Module, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Masks and presence as logits, worked out in bfloat16 where the processor multiplies in it."""
    with torch.autocast("cpu", torch.bfloat16, enabled=QUICK_BF16):
        masks, heads = split_answer(network(pictures))
    return masks.float(), heads.float()


def floating(weights: Weights) -> Weights:
    """All but the counters of batch normalisation."""
    return {name: value for name, value in weights.items() if value.is_floating_point()}


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
    """Most pictures shrunk and enlarged again, recompressed, both, or sharpened; half brighter or darker."""
    result = pictures.clone()
    for index in range(len(pictures)):
        picture = pictures[index : index + 1]
        degrade, way, quality, brighter, factor = torch.rand(5, generator=chance).tolist()
        if degrade < DEGRADED:
            if way < 0.5:
                picture = shrunk_and_enlarged(picture, chance)
            elif way < 0.75:
                picture = picture + quality * SHARPER * (picture - functional.avg_pool2d(picture, 3, 1, 1))
            picture = picture.clamp(0, 1)
            if way < 0.25 or way >= 0.75:
                picture = recompressed(picture, quality)
        if brighter < 0.5:
            picture = (picture * (0.8 + 0.4 * factor)).clamp(0, 1)
        result[index] = picture[0]
    return result


def shrunk_and_enlarged(picture: Tensor, chance: torch.Generator) -> Tensor:
    """To as little as half, by one of the ways that programs have."""
    height, width = picture.shape[2:]
    size, smaller, larger = torch.rand(3, generator=chance).tolist()
    scale = 0.5 + 0.5 * size
    how = SMALLER[int(smaller * len(SMALLER))]
    picture = functional.interpolate(picture, (round(height * scale), round(width * scale)), **how)
    return functional.interpolate(picture, (height, width), mode="bilinear" if larger < 0.5 else "bicubic")


def recompressed(picture: Tensor, quality: float) -> Tensor:
    """As JPEG of quality 20 to 80 and back."""
    packed = encode_jpeg((picture[0] * 255).round().to(torch.uint8), int(20 + 60 * quality))
    return decode_jpeg(packed)[None].float() / 255


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name in ("data", "weights", "card", "output"):
        parser.add_argument(name, type=Path)
    parser.add_argument("seeds", type=int, nargs="+")
    parser.add_argument("--shares", action="store_true")
    parser.add_argument("--teachers", type=Path, nargs="+", default=[])
    main(parser.parse_args())
