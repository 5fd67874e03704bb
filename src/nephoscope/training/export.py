"""Export of trained weights as a model: one ONNX file with its card, checked to give the same masks."""

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
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from nephoscope.core.errors import TrainingError
from nephoscope.core.io import atomic_write
from nephoscope.core.types import Image, Probabilities
from nephoscope.core.version import __version__
from nephoscope.imagery.synthetic import make_scene
from nephoscope.inference.card import Card
from nephoscope.inference.model import CARD_KEY, INPUT, OUTPUT, PRESENCE, Model
from nephoscope.inference.postprocess import above, evidence_score, resample
from nephoscope.training.checkpoint import HALF, Trained, load_weights
from nephoscope.training.networks import Ensemble
from nephoscope.training.scaling import set_scaling

_PARITY_SCENES = 6
_ROUNDING = 0.002  # of probability: the order of summation may change this much
_LARGE = 256  # numbers; smaller tensors stay in single precision


@dataclasses.dataclass(frozen=True)
class Parity:
    """Difference of an exported model from its network, on synthetic scenes.

    Attributes:
        largest: greatest difference of a probability.
        differing: pixels whose mask differs, of all `pixels`.
        rounding: greatest change of a probability by half precision weights, which both have.
        calibrated: whether the rules were searched for this model, not for a member of it.
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
        checkpoints: weights as safetensors, in any precision; the model averages the predictions of several.
        to: the ONNX file to write; only written if it passes the parity check.
        card_file: the card of the model as JSON, in place of the one in each file of weights. `made_with` and
            `weights` are filled in here.
        tta: average over the picture and its mirror images inside the model.

    Raises:
        TrainingError: the weights do not fit the network of their card or each other, or the masks differ.
        OSError: a file cannot be read or written.
    """
    members = [Trained(str(path), *load_weights(path, card_file)) for path in checkpoints]
    card = _card([member.card for member in members], tta, to.stem)
    exact = Ensemble([member.network() for member in members], tta).eval()
    network = _rounded(exact)
    model_proto = _to_onnx(network, card)
    _name_constants(model_proto, network)
    _store_half(model_proto)
    onnx.checker.check_model(model_proto)
    uncalibrated = with_card(model_proto, dataclasses.replace(card, calibration={}))
    with tempfile.TemporaryDirectory() as folder:
        candidate = Path(folder) / to.name
        candidate.write_bytes(uncalibrated)
        parity = check_parity(network, Model.load(candidate))
    atomic_write(to, with_card(model_proto, card))
    pictures = torch.from_numpy(_parity_pictures(card))
    with torch.inference_mode():
        moved = max(
            float((one - other).abs().max())
            for one, other in zip(exact(pictures), network(pictures), strict=True)
        )
    alone = len(checkpoints) == 1 and not tta
    return dataclasses.replace(parity, rounding=moved, calibrated=alone)


def with_card(model: onnx.ModelProto, card: Card) -> bytes:
    """The content of a model file with a new card, whose scaling of probabilities its graph then has."""
    set_scaling(model, card)
    helper.set_model_props(model, {CARD_KEY: card.to_json()})
    return bytes(model.SerializeToString())


def check_parity(network: nn.Module, model: Model) -> Parity:
    """Compare a model with its network (`Deployed` or `Ensemble`) on synthetic scenes.

    Raises:
        TrainingError: a pattern is present in one only, or the mask of a pixel differs although its
            probability is further than 0.002 from the threshold.
    """
    pictures = _parity_pictures(model.card)
    with torch.inference_mode():
        expected = [output.numpy() for output in network(torch.from_numpy(pictures))]
    actual = [output for output in model(pictures) if output is not None]
    largest = max(float(np.abs(one - other).max()) for one, other in zip(expected, actual, strict=True))
    patterns = range(len(model.card.patterns))
    differing = sum(_count_differing(model.card, index, expected, actual) for index in patterns)
    return Parity(largest, differing, expected[0].size)


def _count_differing(
    card: Card, pattern: int, expected: Sequence[Probabilities], actual: Sequence[Probabilities]
) -> int:
    """Pixels of one pattern, over all scenes, whose masks differ by rounding."""
    name, differing = card.patterns[pattern], 0
    rule = card.rules[name]
    for scene in range(len(expected[0])):
        one, other = (resample(outputs[0][scene, pattern], card.grid) for outputs in (expected, actual))
        score, other_score = (
            evidence_score(field, rule, *(float(head[scene, pattern]) for head in outputs[1:]))
            for field, outputs in ((one, expected), (other, actual))
        )
        apart = (score >= rule.presence) != (other_score >= rule.presence)
        if apart and abs(score - rule.presence) > _ROUNDING:
            raise TrainingError(
                f"{name} is present in one of network and model only: "
                f"scores {score:.4f} and {other_score:.4f}"
            )
        differs = above(one, rule.threshold) != above(other, rule.threshold)
        beyond = differs & (np.abs(one - rule.threshold) > _ROUNDING)
        if beyond.any():
            raise TrainingError(
                f"{name}: the masks of network and model differ in {int(beyond.sum())} pixels, "
                f"probabilities by up to {np.abs(one - other).max():.4f}"
            )
        differing += int(np.count_nonzero(differs))
    return differing


def _parity_pictures(card: Card) -> Image:
    return np.stack([make_scene(seed, card.input_size).pixels for seed in range(_PARITY_SCENES)])


def _rounded(network: Ensemble) -> Ensemble:
    """A copy with the weights of the file: large tensors in half precision."""
    rounded = copy.deepcopy(network)
    with torch.no_grad():
        for value in rounded.state_dict().values():
            if value.is_floating_point() and value.numel() >= _LARGE:
                value.copy_(value.half().float())
    return rounded


def _card(cards: Sequence[Card], tta: bool, name: str) -> Card:
    """The card of an ensemble; it is named after its file, and its rules need calibration."""
    first = cards[0]
    if any(card.input_size != first.input_size or card.grid != first.grid for card in cards):
        raise TrainingError("the checkpoints take pictures of different sizes")
    if any(card.patterns != first.patterns for card in cards):
        raise TrainingError("the checkpoints predict different patterns")
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
        calibration={},
        unbiased_rules={},
        area_ratios={},
        **made,
    )


def _to_onnx(network: Ensemble, card: Card) -> onnx.ModelProto:
    example = torch.zeros((2, *card.input_size, 3), dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the exporter itself
        for name in ("torch.onnx", "onnxscript", "onnx_ir"):
            logging.getLogger(name).setLevel(logging.ERROR)
        program = torch.onnx.export(
            network,
            (example,),
            input_names=[INPUT],
            output_names=[OUTPUT, PRESENCE] if network.has_presence_head else [OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("count")},),
            dynamo=True,
            # To fold batch normalisation would change weights before they are rounded; ONNX Runtime folds it
            # when it loads the model.
            optimize=False,
            verbose=False,
        )
    if program is None:
        raise TrainingError("PyTorch's exporter returned no program")
    onnxscript.optimizer.fold_constants(program.model)
    onnxscript.optimizer.remove_unused_nodes(program.model)
    return _strip(program.model_proto)


def _strip(model: onnx.ModelProto) -> onnx.ModelProto:
    """Remove notes of the exporter: 2 MB of source lines and of paths of the machine."""
    del model.graph.value_info[:]
    for part in (model, model.graph, *model.graph.node, *model.graph.initializer):
        part.doc_string = ""
        del part.metadata_props[:]
    return model


def _name_constants(model: onnx.ModelProto, network: nn.Module) -> None:
    """Name constants after the weights that the exporter reshaped, so that `load_weights` finds all."""
    named = {tensor.name for tensor in model.graph.initializer}
    lost = {
        name: value.numpy()
        for name, value in network.state_dict().items()
        if name not in named and value.is_floating_point()
    }
    names: dict[str, str] = {}
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        for name, weights in lost.items():
            if weights.size == values.size and np.array_equal(weights.ravel(), values.ravel()):
                names[tensor.name] = name
                tensor.name = name
                del lost[name]
                break
    for node in model.graph.node:
        for index, given in enumerate(node.input):
            node.input[index] = names.get(given, given)


def _store_half(model: onnx.ModelProto) -> None:
    """Store large tensors in half precision; ONNX Runtime casts them once, when it loads the model."""
    kept, casts = [], []
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and np.prod(tensor.dims) >= _LARGE:
            half = f"{tensor.name}{HALF}"
            kept.append(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), half))
            casts.append(helper.make_node("Cast", [half], [tensor.name], to=TensorProto.FLOAT))
        else:
            kept.append(tensor)
    nodes = [*casts, *model.graph.node]
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(kept)
    model.graph.node.extend(nodes)
