"""From trained weights to a model file: one ONNX file with its card, proven to give the same masks."""

import dataclasses
import logging
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxscript.optimizer
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from safetensors import SafetensorError
from safetensors.torch import load

from nephoscope import __version__
from nephoscope.card import Card, CardError
from nephoscope.files import write_whole
from nephoscope.model import CARD_KEY, INPUT, OUTPUT, Model
from nephoscope.patterns import NAMES
from nephoscope.postprocess import above, find_groups, resample
from nephoscope.scene import Pixels
from nephoscope.synthetic import make_scene
from nephoscope.training.networks import Deployed, build

_PARITY_SCENES = 6
_ROUNDING = 0.002  # of probability: what storing weights in half precision may move
_LARGE = 256  # numbers; smaller tensors stay in single precision, they weigh nothing


class ExportError(ValueError):
    """Weights cannot become a model, or the model does not answer as the network does."""


@dataclasses.dataclass(frozen=True)
class Parity:
    """How far an exported model is from its network, on made-up scenes.

    Attributes:
        largest: greatest difference of a probability.
        differing: pixels whose mask differs, of `pixels`.
        pixels: compared in all.
    """

    largest: float
    differing: int
    pixels: int


def export(checkpoint: Path, card_file: Path, to: Path) -> Parity:
    """Write a model file.

    Args:
        checkpoint: weights as safetensors, in any precision.
        card_file: the model's card as JSON; its `network` says what to build. `made_with` and `weights` are
            filled in here.
        to: the ONNX file to write; only written if it passes the parity check.

    Raises:
        ExportError: the weights do not fit the card's network, or the masks differ.
        OSError: a file cannot be read or written.
    """
    card = _read_card(card_file)
    network = _load(checkpoint, card)
    model_proto = _to_onnx(network, card)
    _store_half(model_proto)
    onnx.checker.check_model(model_proto)
    helper.set_model_props(model_proto, {CARD_KEY: card.to_json()})
    content = model_proto.SerializeToString()
    with tempfile.TemporaryDirectory() as folder:
        candidate = Path(folder) / to.name
        candidate.write_bytes(content)
        parity = check_parity(network, Model.load(candidate))
    write_whole(to, content)
    return parity


def check_parity(network: Deployed, model: Model) -> Parity:
    """Hold a model against the network it was made from, on seeded made-up scenes.

    Raises:
        ExportError: a pattern is present in one and not in the other, or a pixel's mask differs by more than
            rounding: its probability is further than 0.002 from the threshold.
    """
    pictures = _parity_pictures(model.card)
    with torch.inference_mode():
        ours = network(torch.from_numpy(pictures)).numpy()
    theirs = model(pictures).probabilities
    differing = pixels = 0
    for ours_scene, theirs_scene in zip(ours, theirs, strict=True):
        for name, our, their in zip(NAMES, ours_scene, theirs_scene, strict=True):
            differing += _differing(name, our, their, model.card)
            pixels += our.size
    return Parity(float(np.abs(ours - theirs).max()), differing, pixels)


def _differing(name: str, ours: NDArray[np.float32], theirs: NDArray[np.float32], card: Card) -> int:
    rule = card.rules[name]
    our, their = resample(ours, card.grid), resample(theirs, card.grid)
    our_groups, our_score = find_groups(our, rule)
    their_groups, their_score = find_groups(their, rule)
    if our_groups.any() != their_groups.any():
        raise ExportError(
            f"{name} is present in one and not in the other: scores {our_score:.4f} and {their_score:.4f}"
        )
    differs = above(our, rule.threshold) != above(their, rule.threshold)
    beyond = differs & (np.abs(our - rule.threshold) > _ROUNDING)
    if beyond.any():
        raise ExportError(
            f"{name}: the masks differ in {int(beyond.sum())} pixels, "
            f"probabilities by up to {np.abs(our - their).max():.4f}"
        )
    return int(np.count_nonzero(differs))


def _parity_pictures(card: Card) -> Pixels:
    return np.stack([make_scene(seed, card.input_size).pixels for seed in range(_PARITY_SCENES)])


def _read_card(path: Path) -> Card:
    try:
        card = Card.from_json(path.read_text())
    except (CardError, UnicodeDecodeError) as error:
        raise ExportError(f"{path}: {error}") from error
    return dataclasses.replace(
        card, made_with=f"nephoscope {__version__}", weights="float16, computed in float32"
    )


def _load(checkpoint: Path, card: Card) -> Deployed:
    try:
        network = build(card.network)
        mean, deviation = float(card.network["mean"]), float(card.network["deviation"])
    except (ValueError, KeyError, TypeError) as error:
        raise ExportError(f"the card's network cannot be built: {error}") from error
    try:
        weights = load(checkpoint.read_bytes())
    except SafetensorError as error:
        raise ExportError(f"{checkpoint}: not a safetensors file: {error}") from error
    floats = {key: value.float() if value.is_floating_point() else value for key, value in weights.items()}
    try:
        network.load_state_dict(floats)
    except RuntimeError as error:
        raise ExportError(f"{checkpoint}: not weights of {card.network}: {error}") from error
    return Deployed(network, mean, deviation).eval()


def _to_onnx(network: Deployed, card: Card) -> onnx.ModelProto:
    example = torch.zeros((2, *card.input_size, 3), dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's notes are about itself
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            network,
            (example,),
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("count")},),
            dynamo=True,
            # Folding batch normalisation into convolutions would change weights before they are rounded;
            # ONNX Runtime folds it when the model is loaded.
            optimize=False,
            verbose=False,
        )
    if program is None:
        raise ExportError("PyTorch's exporter gave nothing back")
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
