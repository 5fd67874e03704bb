"""Training from trained weights and towards the answers of trained networks: fine-tuning and distillation.

The student answers a degraded picture. Its target is a mean, weighted by `Recipe.teacher_share`, of the
labels and of what its teachers answer to the same picture before it was degraded, mirrored at random. Without
teachers of its own, the weights that it begins with teach.

Sources: Hinton et al. 2015, Distilling the Knowledge in a Neural Network, arXiv:1503.02531; Wortsman et al.
2022, Model soups, arXiv:2203.05482 (mean of the weights of several runs).
"""

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nephoscope.core.errors import TrainingError
from nephoscope.inference.card import Card
from nephoscope.training.checkpoint import load_weights
from nephoscope.training.config import Recipe
from nephoscope.training.networks import Deployed, build, describe, split_answer, start
from nephoscope.training.settings import Settings

Weights = dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Trained:
    """Trained weights.

    Attributes:
        name: the file, for messages.
        weights: in single precision.
        card: what they belong to.
    """

    name: str
    weights: Weights
    card: Card

    def network(self) -> Deployed:
        """Build the network with these weights and its normalisation.

        Raises:
            TrainingError: the card's network cannot be built, or the weights do not fit it.
        """
        described = self.card.network
        try:
            network = Deployed(build(described), described["mean"], described["deviation"])
            network.network.load_state_dict(self.weights)
        except (ValueError, KeyError, TypeError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[0]
            raise TrainingError(
                f"{self.name}: the weights do not fit their card's network: {reason}"
            ) from error
        return network


class Teachers:
    """Trained networks whose mean answer is part of a student's target.

    They are no part of the module that is trained, so that no optimiser, average or checkpoint holds them.

    Args:
        members: with their normalisation; of one input size.
    """

    def __init__(self, members: Sequence[Deployed]) -> None:
        self.members = [
            member.eval().requires_grad_(False).to(memory_format=torch.channels_last) for member in members
        ]

    @torch.no_grad()
    def soften(
        self, colours: Tensor, truth: Tensor, share: float, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Mix the teachers' answers into the targets of a batch.

        Args:
            colours: red, green, blue from 0 to 1, shape (count, 3, height, width).
            truth: labels, 0 or 1, shape (count, patterns, height, width).
            share: weight of the answers, 0 to 1.
            generator: decides along which sides the teachers' pictures are mirrored; on the CPU.

        Returns:
            Target masks of the shape of `truth`, and target presence, shape (count, patterns).
        """
        axes = [axis for axis in (2, 3) if torch.rand((), generator=generator) < 0.5]
        masks, presences = [], []
        for member in self.members:
            member.to(colours.device)
            normalised = (colours.flip(axes) - member.mean) / member.deviation
            logits, presence = split_answer(
                member.network(normalised.contiguous(memory_format=torch.channels_last))
            )
            masks.append(logits.float().sigmoid())
            if presence is not None:
                presences.append(presence.float().sigmoid())
        present = truth.amax((2, 3))
        if presences:
            present = present.lerp(torch.stack(presences).mean(0), share)
        return truth.lerp(torch.stack(masks).mean(0).flip(axes), share), present


@dataclass(frozen=True, eq=False)
class Origin:
    """What a run begins with and learns from besides labels.

    Attributes:
        network: what the card says of the network.
        initial: weights that it begins with, or None for those that the recipe names.
        teachers: networks whose answers are part of the target, or None.
        provenance: files of weights and their SHA-256, for the card; empty where there are none.
    """

    network: dict[str, Any]
    initial: Trained | None
    teachers: Teachers | None
    provenance: dict[str, list[dict[str, str]]]

    def student(self, recipe: Recipe) -> nn.Module:
        """The network with the weights that it begins with.

        Raises:
            TrainingError, TrainingError, ValueError: see `Trained.network` and `networks.start`.
        """
        return start(recipe) if self.initial is None else self.initial.network().network


def read_origin(settings: Settings) -> Origin:
    """Read the weights that a run begins with, and its teachers.

    Raises:
        TrainingError: a file is missing; networks or sizes differ; the recipe asks for teachers and there are
            none, or the other way round.
        TrainingError: a file holds no weights, or no card.
    """
    if settings.card and not (settings.start_from or settings.teachers):
        raise TrainingError("--card has no effect without --from or --teacher")
    initial = mean_of(settings.start_from, settings.card) if settings.start_from else None
    if initial is not None and network_of(settings.recipe, initial.card) != settings.recipe:
        raise TrainingError(f"{initial.name}: holds another network than the run began with")
    teachers = [read_trained(name, settings.card) for name in settings.teachers]
    for teacher in teachers:
        if teacher.card.input_size != settings.recipe.input_size:
            size = "x".join(map(str, teacher.card.input_size))
            raise TrainingError(
                f"{teacher.name}: takes pictures of {size}, the network in training {settings.recipe.size}; "
                "teachers must be of the same size"
            )
    share = settings.recipe.teacher_share
    if teachers and not share:
        raise TrainingError("--teacher has no effect with teacher_share 0; --teacher-share 0.5 sets it")
    if share and not teachers:
        if initial is None:
            raise TrainingError(
                f"teacher_share {share:g} needs --teacher WEIGHTS, or --from WEIGHTS, which then teach"
            )
        teachers = [initial]
    files = {"start_from": settings.start_from, "teachers": settings.teachers}
    return Origin(
        network=describe(settings.recipe) if initial is None else initial.card.network,
        initial=initial,
        teachers=Teachers([teacher.network() for teacher in teachers]) if teachers else None,
        provenance={what: [_identity(name) for name in names] for what, names in files.items() if names},
    )


def with_network_of_start(settings: Settings) -> Settings:
    """The settings with the network and the input size of the weights that the run begins with, if any.

    Raises:
        TrainingError, TrainingError, TrainingError: the weights cannot be read, or no run can use their size.
    """
    if not settings.start_from:
        return settings
    card = read_trained(settings.start_from[0], settings.card).card
    return dataclasses.replace(settings, recipe=network_of(settings.recipe, card))


def network_of(recipe: Recipe, card: Card) -> Recipe:
    """A recipe with the network and the input size of a card.

    Raises:
        TrainingError: the size cannot be trained at.
    """
    entries = {"arch": "architecture", "encoder": "encoder", "unpooling": "unpooling"}
    own = {entry: card.network[key] for entry, key in entries.items() if key in card.network}
    own["presence_head"] = card.network.get("presence_head", False)
    return dataclasses.replace(recipe, size="x".join(map(str, card.input_size)), **own)


def read_trained(name: str, card_file: str | None = None) -> Trained:
    """Read trained weights and their card.

    Args:
        name: the file of weights.
        card_file: the card as JSON, in place of the one in the file.

    Raises:
        TrainingError: the file cannot be read.
        TrainingError: it holds no weights, or no card.
    """
    try:
        return Trained(name, *load_weights(Path(name), Path(card_file) if card_file else None))
    except OSError as error:
        raise TrainingError(
            f"{error.filename or name}: {error.strerror or error}; "
            "training needs weights and card where they were, and so does --resume"
        ) from error


def mean_of(names: Sequence[str], card_file: str | None = None) -> Trained:
    """The mean of the weights of several runs of one network, with the first one's card.

    Weights that began as the same and moved little may be averaged. Counters, which are whole numbers, are
    the first one's.

    Args:
        names: files of weights.
        card_file: see `read_trained`.

    Raises:
        TrainingError: a file cannot be read, or holds another network or input size than the first.
        TrainingError: a file holds no weights, or no card.

    Source: Wortsman et al. 2022, arXiv:2203.05482.
    """
    first, *others = (read_trained(name, card_file) for name in names)
    for other in others:
        same = (other.card.network, other.card.input_size) == (first.card.network, first.card.input_size)
        if not same or _shapes(other.weights) != _shapes(first.weights):
            raise TrainingError(f"{other.name}: another network or size than {first.name}; no mean of both")
    if not others:
        return first
    mean = {
        name: torch.stack([value, *(other.weights[name] for other in others)]).mean(0)
        for name, value in first.weights.items()
        if value.is_floating_point()
    }
    return dataclasses.replace(first, weights=first.weights | mean)


def _shapes(weights: Weights) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in weights.items()}


def _identity(name: str) -> dict[str, str]:
    path = Path(name)
    return {
        "file": f"{path.parent.name}/{path.name}",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
