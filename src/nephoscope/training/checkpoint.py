"""Trained weights and their card, in safetensors files or in the model files that were made of them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from torch import Tensor

from nephoscope.core.errors import CardError, TrainingError
from nephoscope.core.io import atomic_write
from nephoscope.inference.card import Card
from nephoscope.inference.model import CARD_KEY
from nephoscope.inference.model_files import ENDING
from nephoscope.training.encoders import first_line
from nephoscope.training.networks import Deployed, build

Weights = dict[str, Tensor]

HALF = ".half"
"""Ending of the names of tensors that a model file has in half precision."""

_MEMBER = "members.{}.network."  # of an `Ensemble`, in a model file


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
        path: weights as safetensors, in any precision, or a model file (`.onnx`) of one network.
        card_file: the card as JSON, in place of the one in the file.

    Returns:
        Weights in single precision, and the card. A model file keeps large tensors in half precision.

    Raises:
        TrainingError: not a file of weights, or without a card.
        OSError: a file cannot be read.
    """
    read: Callable[[Path], tuple[Weights, str | None]] = (
        _read_model_file if path.suffix == ENDING else _read_safetensors
    )
    weights, text = read(path)
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


def _read_safetensors(path: Path) -> tuple[Weights, str | None]:
    try:
        weights = load(path.read_bytes())
        with safe_open(path, "pt") as file:
            return weights, (file.metadata() or {}).get(CARD_KEY)
    except SafetensorError as error:
        raise TrainingError(
            f"{path}: not a file of weights ({error}); a run keeps them in best.safetensors"
        ) from error


def _read_model_file(path: Path) -> tuple[Weights, str | None]:
    """The weights that `export` wrote into a model file, under the names that they had before."""
    content = path.read_bytes()
    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # of protobuf, which is no dependency of ours
        raise TrainingError(f"{path}: not a model file") from error
    tensors = {tensor.name.removesuffix(HALF): tensor for tensor in model.graph.initializer}
    first, second = (_MEMBER.format(member) for member in (0, 1))
    if any(name.startswith(second) for name in tensors):
        raise TrainingError(f"{path}: an ensemble; weights are read from models of one network")
    weights = {
        name.removeprefix(first): _as_weight(numpy_helper.to_array(tensor))
        for name, tensor in tensors.items()
        if name.startswith(first)
    }
    if not weights:
        raise TrainingError(f"{path}: not a model that nephoscope exported: it has no weights to read")
    for name in [name for name in weights if name.endswith(".running_mean")]:
        # PyTorch counts steps, which no prediction needs, so model files do not have the count.
        weights[name.replace("running_mean", "num_batches_tracked")] = torch.tensor(0)
    return weights, next((entry.value for entry in model.metadata_props if entry.key == CARD_KEY), None)


def _as_weight(values: NDArray[Any]) -> Tensor:
    """A tensor of a model file as PyTorch has it; factors of channels are exported as (count, 1, 1)."""
    flat = values.ravel() if values.ndim == 3 and values.shape[1:] == (1, 1) else values
    return torch.from_numpy(flat.copy())
