"""Initial weights for labels of other patterns: encoder and decoder are kept, and the rows of the same names.

All functions raise `TrainingError` where the weights do not fit the network of their card.
"""

from typing import Any

import torch
from torch import Tensor, nn

from nephoscope.core.errors import TrainingError
from nephoscope.core.types import GridShape
from nephoscope.training.checkpoint import Trained
from nephoscope.training.encoders import first_line
from nephoscope.training.networks import build


def fitted(trained: Trained, patterns: tuple[str, ...]) -> nn.Module:
    """The network of trained weights with one output for each of some patterns, in their order.

    Outputs of patterns that the weights know are kept. A new pattern begins as the mean of the outputs of all
    patterns of the weights: their common idea of a pattern, which few scenes can correct.
    """
    own = trained.card.patterns
    if patterns == own:
        return trained.network().network
    weights = dict(trained.weights)
    try:
        network = build(trained.card.network, len(patterns))
        for name in _rows(trained.card.network, len(own)):
            weights[name] = _rearranged(weights[name], own, patterns)
        network.load_state_dict(weights)
    except (ValueError, KeyError, TypeError, RuntimeError) as error:
        raise TrainingError(
            f"{trained.name}: the weights do not fit the network of their card: {first_line(error)}"
        ) from error
    return network


def changes_in_words(trained: Trained, patterns: tuple[str, ...], size: GridShape) -> str:
    """What of trained weights does not fit patterns and input size, in one line; empty if all does."""
    own, before = trained.card.patterns, trained.card.input_size
    groups = {
        "kept": [name for name in patterns if name in own],
        "new": [name for name in patterns if name not in own],
        "left out": [name for name in own if name not in patterns],
    }
    parts = []
    if set(patterns) != set(own):
        parts += [f"{words}: {', '.join(names)}" for words, names in groups.items() if names]
    if size != before:
        parts.append("size {}x{}, before {}x{}".format(*size, *before))
    return f"{trained.name}: {'; '.join(parts)}" if parts else ""


def _rows(network: dict[str, Any], count: int) -> list[str]:
    """Names of the tensors that have a row for each pattern: those whose shape depends on the number."""
    shapes, more = (
        {name: value.shape for name, value in build(network, classes).state_dict().items()}
        for classes in (count, count + 1)
    )
    return [name for name, shape in shapes.items() if shape != more[name]]


def _rearranged(rows: Tensor, own: tuple[str, ...], patterns: tuple[str, ...]) -> Tensor:
    mean = rows.mean(0)
    return torch.stack([rows[own.index(name)] if name in own else mean for name in patterns])
