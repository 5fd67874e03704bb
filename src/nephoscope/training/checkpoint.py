"""Trained weights as safetensors files that carry the card of the model among their metadata."""

from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from torch import Tensor

from nephoscope.core.errors import CardError, TrainingError
from nephoscope.core.io import atomic_write
from nephoscope.inference.card import Card
from nephoscope.inference.model import CARD_KEY
from nephoscope.training.encoders import first_line
from nephoscope.training.networks import Deployed, build

Weights = dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Trained:
    """Trained weights in single precision, their card, and the name of their file for messages."""

    name: str
    weights: Weights
    card: Card

    def network(self) -> Deployed:
        """Build the network with these weights and its normalisation.

        Raises:
            TrainingError: the network is unknown, or the weights do not fit it.
        """
        description = self.card.network
        try:
            module = build(description, len(self.card.patterns))
            network = Deployed(module, description["mean"], description["deviation"])
            module.load_state_dict(self.weights)
        except (ValueError, KeyError, TypeError, RuntimeError) as error:
            raise TrainingError(
                f"{self.name}: the weights do not fit the network of their card: {first_line(error)}"
            ) from error
        return network


def save_weights(path: Path, weights: Weights, card: Card) -> None:
    """Write weights and their card atomically."""
    contiguous = {name: value.contiguous() for name, value in weights.items()}
    atomic_write(path, save(contiguous, {CARD_KEY: card.to_json()}))


def load_weights(path: Path, card_file: Path | None = None) -> tuple[Weights, Card]:
    """Read weights and their card.

    Args:
        path: weights as safetensors, in any precision.
        card_file: the card as JSON, in place of the one in the file.

    Returns:
        Weights in single precision, and the card.

    Raises:
        TrainingError: not a file of weights, or without a card.
        OSError: a file cannot be read.
    """
    try:
        weights = load(path.read_bytes())
        with safe_open(path, "pt") as file:
            text = (file.metadata() or {}).get(CARD_KEY)
    except SafetensorError as error:
        raise TrainingError(
            f"{path}: not a file of weights ({error}); a run keeps them in best.safetensors"
        ) from error
    if card_file is not None:
        try:
            text = card_file.read_text()
        except UnicodeDecodeError as error:
            raise TrainingError(f"{card_file}: not a card: {error}") from error
    if text is None:
        raise TrainingError(f"{path}: no card inside; --card FILE names one")
    try:
        card = Card.from_json(text)
    except CardError as error:
        raise TrainingError(f"{card_file or path}: {error}") from error
    return {
        name: value.float() if value.is_floating_point() else value for name, value in weights.items()
    }, card
