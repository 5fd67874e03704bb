"""From trained weights to a model file: one ONNX file with its card, proven to give the same masks."""

import copy
import dataclasses
import logging
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxscript.optimizer
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from nephoscope import __version__
from nephoscope.core.errors import TrainingError
from nephoscope.core.io import atomic_write
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.core.types import Image
from nephoscope.imagery.synthetic import make_scene
from nephoscope.inference.card import Card
from nephoscope.inference.model import CARD_KEY, INPUT, OUTPUT, PRESENCE, Model
from nephoscope.inference.postprocess import above, evidence_score, resample
from nephoscope.training.checkpoint import load_weights
from nephoscope.training.networks import Deployed, Ensemble, build

_PARITY_SCENES = 6
_ROUNDING = 0.002  # of probability: what another order of the same sums may move
_LARGE = 256  # numbers; smaller tensors stay in single precision, they weigh nothing


@dataclasses.dataclass(frozen=True)
class Parity:
    """How far an exported model is from its network, on made-up scenes.

    Attributes:
        largest: greatest difference of a probability.
        differing: pixels whose mask differs, of `pixels`.
        pixels: compared in all.
        rounding: greatest change of a probability by storing the weights in half precision, which is done
            before the two are held against each other.
        calibrated: whether the card's rules are the model's own, not those of a part of it.
    """

    largest: float
    differing: int
    pixels: int
    rounding: float = 0.0
    calibrated: bool = True


def export(
    checkpoints: Sequence[Path], to: Path, *, card_file: Path | None = None, tta: bool = False
) -> Parity:
    """Write a model file.

    Args:
        checkpoints: weights as safetensors, in any precision; of several, the model gives the mean.
        to: the ONNX file to write; only written if it passes the parity check.
        card_file: the model's card as JSON, in place of the one that the weights carry; its `network` says
            what to build. `made_with` and `weights` are filled in here.
        tta: let the model itself take the mean over the picture and its mirror images.

    Raises:
        TrainingError: the weights do not fit their card's network or each other, or the masks differ.
        OSError: a file cannot be read or written.
    """
    members = [_load(path, card_file) for path in checkpoints]
    card = _card([card for _, card in members], tta, to.stem)
    exact = Ensemble([network for network, _ in members], tta).eval()
    network = _rounded(exact)
    model_proto = _to_onnx(network, card)
    _store_half(model_proto)
    onnx.checker.check_model(model_proto)
    content = with_card(model_proto, card)
    with tempfile.TemporaryDirectory() as folder:
        candidate = Path(folder) / to.name
        candidate.write_bytes(content)
        parity = check_parity(network, Model.load(candidate))
    atomic_write(to, content)
    pictures = torch.from_numpy(_parity_pictures(card))
    with torch.inference_mode():
        moved = max(
            float((one - other).abs().max())
            for one, other in zip(exact(pictures), network(pictures), strict=True)
        )
    alone = len(checkpoints) == 1 and not tta
    return dataclasses.replace(parity, rounding=moved, calibrated=alone)


def with_card(model: onnx.ModelProto, card: Card) -> bytes:
    """A model file's content, with a card in place of any that it has."""
    helper.set_model_props(model, {CARD_KEY: card.to_json()})
    return bytes(model.SerializeToString())


def check_parity(network: nn.Module, model: Model) -> Parity:
    """Hold a model against the network it was made from, on seeded made-up scenes.

    Args:
        network: from uint8 pictures to probabilities, as `Deployed` and `Ensemble` are.
        model: made from it.

    Raises:
        TrainingError: a pattern is present in one and not in the other, or a pixel's mask differs by more
            than rounding: its probability is further than 0.002 from the threshold.
    """
    pictures = _parity_pictures(model.card)
    with torch.inference_mode():
        ours = [answer.numpy() for answer in network(torch.from_numpy(pictures))]
    theirs = [answer for answer in model(pictures) if answer is not None]
    largest = max(float(np.abs(our - their).max()) for our, their in zip(ours, theirs, strict=True))
    differing = pixels = 0
    for scene in range(len(pictures)):
        for index, name in enumerate(DEFAULT_NAMES):
            sides = [
                (answers[0][scene, index], float(answers[1][scene, index]) if len(answers) > 1 else None)
                for answers in (ours, theirs)
            ]
            differing += _differing(name, sides[0], sides[1], model.card)
            pixels += ours[0][scene, index].size
    return Parity(largest, differing, pixels)


Side = tuple[NDArray[np.float32], float | None]
"""One pattern's probabilities and what the presence head says, in PyTorch or in the model."""


def _differing(name: str, ours: Side, theirs: Side, card: Card) -> int:
    rule = card.rules[name]
    our, their = resample(ours[0], card.grid), resample(theirs[0], card.grid)
    our_score, their_score = evidence_score(our, rule, ours[1]), evidence_score(their, rule, theirs[1])
    apart = (our_score >= rule.presence) != (their_score >= rule.presence)
    if apart and abs(our_score - rule.presence) > _ROUNDING:
        raise TrainingError(
            f"{name} is present in one and not in the other: scores {our_score:.4f} and {their_score:.4f}"
        )
    differs = above(our, rule.threshold) != above(their, rule.threshold)
    beyond = differs & (np.abs(our - rule.threshold) > _ROUNDING)
    if beyond.any():
        raise TrainingError(
            f"{name}: the masks differ in {int(beyond.sum())} pixels, "
            f"probabilities by up to {np.abs(our - their).max():.4f}"
        )
    return int(np.count_nonzero(differs))


def _parity_pictures(card: Card) -> Image:
    return np.stack([make_scene(seed, card.input_size).pixels for seed in range(_PARITY_SCENES)])


def _load(path: Path, card_file: Path | None) -> tuple[Deployed, Card]:
    """A network with its weights, and its card."""
    try:
        weights, card = load_weights(path, card_file)
    except TrainingError as error:
        raise TrainingError(str(error)) from error
    try:
        network = Deployed(build(card.network), card.network["mean"], card.network["deviation"])
    except (TrainingError, KeyError, TypeError) as error:
        raise TrainingError(f"the card's network cannot be built: {error}") from error
    try:
        network.network.load_state_dict(weights)
    except RuntimeError as error:
        raise TrainingError(f"{path}: not weights of {card.network}: {error}") from error
    return network, card


def _rounded(network: Ensemble) -> Ensemble:
    """The network with the weights that the file will hold: large tensors in half precision."""
    rounded = copy.deepcopy(network)
    with torch.no_grad():
        for value in rounded.state_dict().values():
            if value.is_floating_point() and value.numel() >= _LARGE:
                value.copy_(value.half().float())
    return rounded


def _card(cards: Sequence[Card], tta: bool, name: str) -> Card:
    """The card of what several networks, or mirrored ones, say together: its rules need calibration.

    It is another model than each of them, so it is called as its file is.
    """
    first = cards[0]
    if any(card.input_size != first.input_size or card.grid != first.grid for card in cards):
        raise TrainingError("the checkpoints take pictures of different sizes")
    made: dict[str, Any] = {
        "made_with": f"nephoscope {__version__}",
        "weights": "float16, computed in float32",
    }
    if len(cards) == 1 and not tta:
        return dataclasses.replace(first, **made)
    network = {"mean_of": [card.network for card in cards]} if len(cards) > 1 else dict(first.network)
    training = {"members": [card.training for card in cards]} if len(cards) > 1 else dict(first.training)
    what = f"mean of {len(cards)} networks" if len(cards) > 1 else first.description
    return dataclasses.replace(
        first,
        name=name,
        description=f"{what}, and of mirror images" if tta else what,
        network=network | {"mirrored": tta},
        training=training | {"rules": "of the first member; to be calibrated again"},
        figures=[],
        **made,
    )


def _to_onnx(network: Ensemble, card: Card) -> onnx.ModelProto:
    example = torch.zeros((2, *card.input_size, 3), dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's notes are about itself
        for name in ("torch.onnx", "onnxscript", "onnx_ir"):
            logging.getLogger(name).setLevel(logging.ERROR)
        program = torch.onnx.export(
            network,
            (example,),
            input_names=[INPUT],
            output_names=[OUTPUT, PRESENCE] if network.has_presence_head else [OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("count")},),
            dynamo=True,
            # Folding batch normalisation into convolutions would change weights before they are rounded;
            # ONNX Runtime folds it when the model is loaded.
            optimize=False,
            verbose=False,
        )
    if program is None:
        raise TrainingError("PyTorch's exporter gave nothing back")
    onnxscript.optimizer.fold_constants(program.model)
    onnxscript.optimizer.remove_unused_nodes(program.model)
    return _without_notes(program.model_proto)


def _without_notes(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drop what the exporter tells of itself: 2 MB of source lines and of paths of the machine it ran on."""
    del model.graph.value_info[:]
    for part in (model, model.graph, *model.graph.node, *model.graph.initializer):
        part.doc_string = ""
        del part.metadata_props[:]
    return model


def _store_half(model: onnx.ModelProto) -> None:
    """Keep large tensors in half precision; ONNX Runtime widens them once, when the model is loaded."""
    kept, casts = [], []
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and np.prod(tensor.dims) >= _LARGE:
            half = f"{tensor.name}.half"
            kept.append(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), half))
            casts.append(helper.make_node("Cast", [half], [tensor.name], to=TensorProto.FLOAT))
        else:
            kept.append(tensor)
    nodes = [*casts, *model.graph.node]
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(kept)
    model.graph.node.extend(nodes)
