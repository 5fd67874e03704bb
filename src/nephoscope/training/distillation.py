"""Fine-tuning of trained weights, and distillation: training towards the predictions of trained networks.

The student sees a degraded picture. Its target is a mean, weighted by `Recipe.teacher_share`, of the labels
and of the predictions of its teachers for the same picture before degradation, mirrored at random. Without
teachers of its own, the initial weights teach.

Sources: Hinton et al. 2015, Distilling the Knowledge in a Neural Network, arXiv:1503.02531; Wortsman et al.
2022, Model soups, arXiv:2203.05482 (mean of the weights of several runs).

All functions raise `TrainingError` where files cannot be read, or do not fit each other or the recipe.
"""

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nephoscope.core.errors import TrainingError
from nephoscope.core.types import GridShape
from nephoscope.inference.card import Card
from nephoscope.training.checkpoint import Trained, load_weights
from nephoscope.training.config import Recipe
from nephoscope.training.encoders import IMAGENET, NONE
from nephoscope.training.networks import Deployed, describe, split_outputs, start
from nephoscope.training.settings import Settings
from nephoscope.training.transfer import fitted


class Teachers:
    """Trained networks whose mean prediction is part of the target of a student.

    They are not part of the module that is trained, so optimisers, averages and checkpoints leave them out.

    Args:
        members: networks, each with the height and width of the pictures it takes.
    """

    def __init__(self, members: Sequence[tuple[Deployed, GridShape]]) -> None:
        self.members = [
            (member.eval().requires_grad_(False).to(memory_format=torch.channels_last), size)
            for member, size in members
        ]

    @torch.no_grad()
    def soften(
        self, colours: Tensor, truth: Tensor, share: float, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Mix the predictions of the teachers into the targets of a batch.

        Args:
            colours: red, green, blue from 0 to 1, shape (count, 3, height, width).
            truth: labels, 0 or 1, shape (count, patterns, height, width).
            share: weight of the predictions, 0 to 1.
            generator: decides the axes along which the pictures are mirrored; on the CPU.

        Returns:
            Target masks of the shape of `truth`, and target presence, shape (count, patterns).
        """
        axes = [axis for axis in (2, 3) if torch.rand((), generator=generator) < 0.5]
        masks, presences = [], []
        for member, size in self.members:
            member.to(colours.device)
            normalised = (_resized(colours.flip(axes), size) - member.mean) / member.deviation
            logits, presence = split_outputs(
                member.network(normalised.contiguous(memory_format=torch.channels_last))
            )
            masks.append(_resized(logits.float().sigmoid(), truth.shape[2:]))
            if presence is not None:
                presences.append(presence.float().sigmoid())
        present = truth.amax((2, 3))
        if presences:
            present = present.lerp(torch.stack(presences).mean(0), share)
        return truth.lerp(torch.stack(masks).mean(0).flip(axes), share), present


def _resized(fields: Tensor, size: Sequence[int]) -> Tensor:
    """Fields of shape (count, channels, height, width) at another height and width."""
    if tuple(fields.shape[2:]) == tuple(size):
        return fields
    return functional.interpolate(fields, tuple(size), mode="bilinear", antialias=True)


@dataclass(frozen=True, eq=False)
class Origin:
    """Initial weights and teachers of a run.

    Attributes:
        network: the `network` entry of the card.
        initial: weights, or None for those of the recipe.
        teachers: of the run, or None.
        patterns: that teachers predict, or None where there are none.
        provenance: files of weights and their SHA-256, for the card.
    """

    network: dict[str, Any]
    initial: Trained | None
    teachers: Teachers | None
    patterns: tuple[str, ...] | None
    provenance: dict[str, list[dict[str, str]]]

    def student(self, recipe: Recipe, patterns: tuple[str, ...]) -> nn.Module:
        """The network with its initial weights, for these patterns."""
        return start(recipe, len(patterns)) if self.initial is None else fitted(self.initial, patterns)

    def check_patterns(self, patterns: tuple[str, ...]) -> None:
        """Refuse labels whose patterns, or their order, are not those of the teachers."""
        if self.patterns not in (None, patterns):
            raise TrainingError(
                f"teachers predict {', '.join(self.patterns or ())}; the labels have "
                f"{', '.join(patterns)}: the same patterns in the same order are needed"
            )


def read_origin(settings: Settings) -> Origin:
    """Read the initial weights and the teachers of a run; the recipe must need the latter."""
    recipe = settings.recipe
    if settings.card and not (settings.start_from or settings.teachers):
        raise TrainingError("--card has no effect without --from or --teacher")
    if settings.replay and not settings.start_from:
        raise TrainingError("--replay has no effect without --from")
    initial = mean_of(settings.start_from, settings.card) if settings.start_from else None
    if initial is not None and _with_network_of(recipe, initial.card, recipe.size) != recipe:
        raise TrainingError(f"{initial.name}: holds another network than that of the run")
    teachers = [read_trained(name, settings.card) for name in settings.teachers]
    if teachers and not recipe.teacher_share:
        raise TrainingError("--teacher has no effect with teacher_share 0; --teacher-share 0.5 sets it")
    if recipe.teacher_share and not teachers:
        if initial is None:
            raise TrainingError(
                f"teacher_share {recipe.teacher_share:g} needs --teacher WEIGHTS, or --from WEIGHTS, "
                "which then teach"
            )
        teachers = [initial]
    for one in teachers:
        if one.card.patterns != teachers[0].card.patterns:
            raise TrainingError(f"{one.name}: predicts other patterns than {teachers[0].name}")
    files = {"start_from": settings.start_from, "teachers": settings.teachers}
    if initial is None and recipe.encoder_weights not in (IMAGENET, NONE):
        files["encoder_weights"] = (recipe.encoder_weights,)
    return Origin(
        network=describe(recipe) if initial is None else initial.card.network,
        initial=initial,
        teachers=(
            Teachers([(teacher.network(), teacher.card.input_size) for teacher in teachers])
            if teachers
            else None
        ),
        patterns=teachers[0].card.patterns if teachers else None,
        provenance={
            entry: [_identity(Path(name)) for name in names] for entry, names in files.items() if names
        },
    )


def with_network_of_start(settings: Settings) -> Settings:
    """The settings with network and, unless they have their own, input size of the initial weights."""
    if not settings.start_from:
        return settings
    card = read_trained(settings.start_from[0], settings.card).card
    size = settings.recipe.size if settings.own_size else _size(card)
    return dataclasses.replace(settings, recipe=_with_network_of(settings.recipe, card, size))


def _with_network_of(recipe: Recipe, card: Card, size: str) -> Recipe:
    entries = {"arch": "architecture", "encoder": "encoder", "unpooling": "unpooling"}
    own = {entry: card.network[key] for entry, key in entries.items() if key in card.network}
    own["presence_head"] = card.network.get("presence_head", False)
    return dataclasses.replace(recipe, size=size, **own)


def read_trained(name: str, card_file: str | None = None) -> Trained:
    """Read a file of weights, and its card or the one of a JSON file."""
    try:
        return Trained(name, *load_weights(Path(name), Path(card_file) if card_file else None))
    except OSError as error:
        raise TrainingError(
            f"{error.filename or name}: {error.strerror or error}; "
            "weights and card must stay where they are, also for --resume"
        ) from error


def mean_of(names: Sequence[str], card_file: str | None = None) -> Trained:
    """The mean of the weights of several runs of one network, with card and integer counters of the first.

    Useful for runs that began with the same weights and moved little.
    """
    first, *others = (read_trained(name, card_file) for name in names)
    for other in others:
        if _layout(other) != _layout(first):
            raise TrainingError(f"{other.name}: another network or size than {first.name}; cannot average")
    if not others:
        return first
    mean = {
        name: torch.stack([value, *(other.weights[name] for other in others)]).mean(0)
        for name, value in first.weights.items()
        if value.is_floating_point()
    }
    return dataclasses.replace(first, weights=first.weights | mean)


def _layout(trained: Trained) -> tuple[Any, ...]:
    """Of all weights that may be averaged, the same."""
    card, shapes = trained.card, {name: value.shape for name, value in trained.weights.items()}
    return card.network, card.input_size, card.patterns, shapes


def _size(card: Card) -> str:
    return "x".join(map(str, card.input_size))


def _identity(path: Path) -> dict[str, str]:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"file": f"{path.parent.name}/{path.name}", "sha256": digest}
