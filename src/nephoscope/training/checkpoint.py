"""Trained weights in a file that says what they are: safetensors, with a model's card among its metadata."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from torch import Tensor

from nephoscope import __version__
from nephoscope.core.errors import CardError, TrainingError
from nephoscope.core.io import atomic_write
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.core.types import SCORE_GRID
from nephoscope.imagery.scene import find_nodata
from nephoscope.inference.card import Card
from nephoscope.inference.input_check import measure, training_ranges
from nephoscope.inference.model import CARD_KEY
from nephoscope.training.cache import Scenes
from nephoscope.training.settings import Settings
from nephoscope.training.validation import Result

_SCOPED = 1000  # pictures; a network's scope is measured anew with every better epoch


def save_weights(path: Path, weights: dict[str, Tensor], card: Card) -> None:
    """Write weights and their card, whole or not at all."""
    contiguous = {name: value.contiguous() for name, value in weights.items()}
    atomic_write(path, save(contiguous, {CARD_KEY: card.to_json()}))


def load_weights(path: Path, card_file: Path | None = None) -> tuple[dict[str, Tensor], Card]:
    """Read weights and their card.

    Args:
        path: weights as safetensors, in any precision.
        card_file: the card as JSON, in place of the one in the file.

    Returns:
        Weights in single precision, and the card.

    Raises:
        TrainingError: not a file of weights, or no card with it.
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
    source = path
    if card_file is not None:
        source = card_file
        try:
            text = card_file.read_text()
        except UnicodeDecodeError as error:
            raise TrainingError(f"{card_file}: not a card: {error}") from error
    if text is None:
        raise TrainingError(f"{path}: no card inside; --card FILE names one")
    try:
        card = Card.from_json(text)
    except CardError as error:
        raise TrainingError(f"{source}: {error}") from error
    return {
        name: value.float() if value.is_floating_point() else value for name, value in weights.items()
    }, card


def describe_run(
    settings: Settings,
    name: str,
    network: dict[str, Any],
    scenes: Scenes,
    training: Sequence[int],
    validation: Sequence[int],
    result: Result,
    epoch: int,
) -> Card:
    """The card of a run's weights after an epoch."""
    recipe = settings.recipe
    encoder = f" on {network['encoder']}" if "encoder" in network else ""
    how_split = (
        "as the scenes' catalogue says"
        if settings.folds is None and {"train", "val"} <= {record.split for record in scenes.records}
        else f"fold {settings.fold} of {settings.folds or 10}, days of a region kept together"
    )
    on = f"the {len(validation):,} validation scenes at {recipe.size}, one pass"
    dice = float(np.mean(list(result.dice.values())))
    figures = [
        {"what": "mean Dice", "value": round(dice, 4), "on": on, "how": "rules chosen on other days"},
        *(
            {
                "what": f"Dice of {pattern}",
                "value": round(value, 4),
                "on": on,
                "how": "rules chosen on other days",
            }
            for pattern, value in result.dice.items()
        ),
    ]
    return Card(
        name=name,
        description=f"{network['architecture']}{encoder}, trained on {len(training):,} scenes",
        patterns=DEFAULT_NAMES,
        input_size=recipe.input_size,
        grid=SCORE_GRID,
        rules=result.rules,
        network=network,
        weights="float32",
        training={
            "data": f"{len(training):,} labelled scenes of {Path(settings.data).resolve().name}",
            "labels_sha256": scenes.labels_sha256,
            "split": how_split,
            "recipe": dataclasses.asdict(recipe),
            "epoch": epoch,
            "versions": settings.versions,
            "rules": "threshold and presence chosen on the validation scenes, at the size of training",
        },
        figures=figures,
        licence="not stated",
        made_with=f"nephoscope {__version__}",
        scope=scope_of(scenes, training),
    )


def scope_of(scenes: Scenes, training: Sequence[int]) -> dict[str, tuple[float, float]]:
    """The usual ranges of the pictures that were trained on, of at most a thousand of them."""
    some = training[:: -(-len(training) // _SCOPED)]
    pictures = (np.ascontiguousarray(scenes.pictures[index]) for index in some)
    return training_ranges(measure(picture, ~find_nodata(picture)) for picture in pictures)
