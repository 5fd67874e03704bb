"""Platt scaling inside a model's graph, so that the model returns calibrated probabilities."""

import numpy as np
import onnx
from onnx import helper, numpy_helper

from nephoscope.inference.card import Card
from nephoscope.inference.model import OUTPUT
from nephoscope.inference.probability import LEAST, Platt

_SLOPE, _INTERCEPT = "calibration.slope", "calibration.intercept"


def set_scaling(model: onnx.ModelProto, card: Card) -> None:
    """Give a graph the scaling of its card; none where the card has no calibration."""
    maps = [card.calibration[name].pixels if card.calibration else Platt() for name in card.patterns]
    values = {_SLOPE: [each.slope for each in maps], _INTERCEPT: [each.intercept for each in maps]}
    tensors = {
        name: numpy_helper.from_array(np.array(numbers, np.float32).reshape(-1, 1, 1), name)
        for name, numbers in values.items()
    }
    known = {tensor.name: tensor for tensor in model.graph.initializer}
    if tensors.keys() <= known.keys():
        for name, tensor in tensors.items():
            known[name].CopyFrom(tensor)
    elif card.calibration:
        model.graph.initializer.extend(tensors.values())
        _insert(model.graph)


def _insert(graph: onnx.GraphProto) -> None:
    """Scale the logits before the last sigmoid, or those of probabilities that no sigmoid gives."""
    place, last = next((place, node) for place, node in enumerate(graph.node) if OUTPUT in node.output)
    logits = last.input[0]
    before = []
    if last.op_type != "Sigmoid":
        last.output[list(last.output).index(OUTPUT)] = f"{OUTPUT}.uncalibrated"
        place, logits = place + 1, f"{OUTPUT}.logits"
        before = _logits(graph, f"{OUTPUT}.uncalibrated", logits)
    else:
        graph.node.remove(last)
    nodes = [
        *before,
        helper.make_node("Mul", [logits, _SLOPE], [f"{OUTPUT}.scaled"]),
        helper.make_node("Add", [f"{OUTPUT}.scaled", _INTERCEPT], [f"{OUTPUT}.shifted"]),
        helper.make_node("Sigmoid", [f"{OUTPUT}.shifted"], [OUTPUT]),
    ]
    for offset, node in enumerate(nodes):
        graph.node.insert(place + offset, node)


def _logits(graph: onnx.GraphProto, probabilities: str, logits: str) -> list[onnx.NodeProto]:
    ends = {f"{OUTPUT}.least": LEAST, f"{OUTPUT}.most": 1 - LEAST, f"{OUTPUT}.one": 1.0}
    graph.initializer.extend(
        numpy_helper.from_array(np.array(value, np.float32), name) for name, value in ends.items()
    )
    inner, rest = f"{OUTPUT}.inner", f"{OUTPUT}.rest"
    return [
        helper.make_node("Clip", [probabilities, *list(ends)[:2]], [inner]),
        helper.make_node("Sub", [f"{OUTPUT}.one", inner], [rest]),
        helper.make_node("Log", [inner], [f"{OUTPUT}.log"]),
        helper.make_node("Log", [rest], [f"{OUTPUT}.log_rest"]),
        helper.make_node("Sub", [f"{OUTPUT}.log", f"{OUTPUT}.log_rest"], [logits]),
    ]
