"""Quantisation of models to 8-bit convolutions."""

import dataclasses
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
from onnxruntime import quantization

from nephoscope.core.errors import TrainingError
from nephoscope.core.io import atomic_write, available_cpus
from nephoscope.datasets.dataset import Dataset
from nephoscope.evaluation.evaluator import evaluate_model
from nephoscope.imagery.resize import resize
from nephoscope.inference.model import INPUT, Model
from nephoscope.inference.model_files import model_file
from nephoscope.inference.prediction import view
from nephoscope.training.export import with_card

_SCENES = 64  # to read the ranges of activations from


def quantise(
    model: str, training: Dataset, validation: Dataset, to: Path, tolerance: float = 0.005
) -> tuple[float, float]:
    """Write a model with 8-bit convolutions, if its Dice allows it.

    Weights are rounded per channel, activations by their range over a few training scenes, in 7 bits, which
    processors without 8-bit dot products need for correct sums.

    Args:
        model: name or file of the model.
        training: scenes to read ranges from.
        validation: scenes to measure Dice on.
        to: the file to write; only written if mean Dice falls by at most the tolerance.
        tolerance: of mean Dice under the same rules.

    Returns:
        Mean Dice before and after.

    Raises:
        TrainingError: mean Dice falls by more.
        DatasetError: no scene can be read.
    """
    whole = Model.load(model, threads=1)
    chosen = np.random.default_rng(0).permutation(len(training.records))[:_SCENES]
    size = whole.card.input_size
    scenes = (training.scene(training.records[index].image) for index in chosen.tolist())
    inputs = ({INPUT: resize(view(scene, size).raster.pixels, size)[None]} for scene in scenes)
    with tempfile.TemporaryDirectory() as folder:
        prepared, smaller = Path(folder) / "prepared.onnx", Path(folder) / "smaller.onnx"
        quantization.quant_pre_process(str(model_file(model)), str(prepared), skip_symbolic_shape=True)
        quantization.quantize_static(
            str(prepared),
            str(smaller),
            SimpleNamespace(get_next=lambda: next(inputs, None)),
            per_channel=True,
            reduce_range=True,
            activation_type=quantization.QuantType.QUInt8,
            op_types_to_quantize=["Conv"],
        )
        proto = onnx.load(smaller)
        card = dataclasses.replace(whole.card, weights="int8 convolutions, the rest float32", figures=[])
        del proto.metadata_props[:]  # notes of the quantisation tools
        content = with_card(proto, card)
        smaller.write_bytes(content)
        before = _mean_dice(whole, validation)
        after = _mean_dice(Model.load(smaller, threads=1), validation)
    if before - after > tolerance:
        raise TrainingError(
            f"{to}: not written: with 8 bits mean Dice falls from {before:.4f} to {after:.4f}, "
            f"by more than {tolerance:g} (--tolerance)"
        )
    atomic_write(to, content)
    return before, after


def _mean_dice(model: Model, dataset: Dataset) -> float:
    return float(evaluate_model(model, dataset, workers=available_cpus()).dice.mean())
