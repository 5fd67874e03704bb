"""Build networks as PyTorch modules from the `network` entry of a card."""

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

import numpy as np
import segmentation_models_pytorch as smp
import timm
import torch
from torch import Tensor, nn
from torchvision.models import VGG19_BN_Weights

from nephoscope.core.errors import TrainingError
from nephoscope.training import encoders
from nephoscope.training.config import NETWORKS, SEGNET, Recipe, resolve
from nephoscope.training.encoders import IMAGENET, NONE
from nephoscope.training.segnet import SegNet


def describe(recipe: Recipe) -> dict[str, Any]:
    """The `network` entry of the card of a network that a recipe trains."""
    architecture = _architecture(recipe.arch)
    own_encoder = architecture == SEGNET
    part = {"unpooling": recipe.unpooling} if own_encoder else {"encoder": recipe.encoder}
    normalisation = encoders.normalisation("vgg19_bn" if own_encoder else recipe.encoder)
    return {"architecture": architecture, **part, "presence_head": recipe.presence_head, **normalisation}


def build(network: dict[str, Any], classes: int) -> nn.Module:
    """Build a network without trained weights.

    Args:
        network: `architecture` and `encoder`, as segmentation-models-pytorch names them, and `presence_head`;
            for `vgg19-segnet`, `unpooling` in place of `encoder`.
        classes: number of patterns.

    Returns:
        A module from normalised pictures, shape (count, 3, height, width), to logits of shape
        (count, classes, height, width), and with a presence head also to logits of shape (count, classes).

    Raises:
        TrainingError: an unknown architecture or encoder; the message suggests similar names.
    """
    if not isinstance(network, dict):
        raise TrainingError(f"not a description of a network: {network!r}")
    try:
        if builder := NETWORKS.get(str(network.get("architecture"))):
            return cast(nn.Module, resolve(builder)(network, classes))
        head = {"classes": classes, "pooling": "avg", "dropout": 0.2} if network["presence_head"] else None
        module: nn.Module = smp.create_model(
            network["architecture"],
            network["encoder"],
            encoder_weights=None,
            classes=classes,
            aux_params=head,
        )
    except (KeyError, TypeError, RuntimeError, AttributeError) as error:
        name = " with ".join(str(network[entry]) for entry in ("architecture", "encoder") if entry in network)
        raise TrainingError(f"unknown network {name!r}{_suggestion(network)}") from error
    return module


def build_segnet(network: dict[str, Any], classes: int) -> SegNet:
    """Build the first network of this project; arguments as of `build`."""
    return SegNet(classes, network.get("unpooling", "indices"), network.get("presence_head", False))


def start(recipe: Recipe, classes: int) -> nn.Module:
    """Build the network of a recipe with the initial weights of its encoder.

    Raises:
        TrainingError: an unknown network; or its weights cannot be read, fetched or loaded.
    """
    network, source = build(describe(recipe), classes), recipe.encoder_weights
    if source == NONE:
        return network
    if isinstance(network, SegNet):
        weights = _fetch(recipe) if source == IMAGENET else encoders.read_weights(Path(source))
        try:
            network.load_vgg19(weights)
        except TrainingError as error:
            raise TrainingError(f"{source}: not weights of VGG19: {error}") from error
        return network
    encoder = encoder_of(network)
    module = cast(nn.Module, getattr(encoder, "model", encoder))
    if source != IMAGENET:
        encoders.load_encoder(module, Path(source))
    elif recipe.encoder in encoders.LITE:
        encoders.load_lite(recipe.encoder, module)
    else:
        encoder.load_state_dict(_fetch(recipe))
    return network


def split_outputs(outputs: Tensor | tuple[Tensor, Tensor] | list[Tensor]) -> tuple[Tensor, Tensor | None]:
    """Logits of masks and of the presence head, or None, from the outputs of a network."""
    return (outputs, None) if isinstance(outputs, Tensor) else (outputs[0], outputs[1])


def encoder_of(network: nn.Module) -> nn.Module:
    """The encoder, which may have its own initial weights and learning rate."""
    return cast(nn.Module, network.encoder)


class Deployed(nn.Module):
    """A network with its normalisation and sigmoid, as a model file holds it."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: nn.Module, mean: float | list[float], deviation: float | list[float]) -> None:
        super().__init__()
        self.network = network
        for name, value in (("mean", mean), ("deviation", deviation)):
            if np.size(value) not in (1, 3) or not np.issubdtype(np.asarray(value).dtype, np.number):
                raise TrainingError(f"{name} must be one number, or one a colour, got {value}")
            self.register_buffer(name, torch.tensor(value).reshape(-1, 1, 1), persistent=False)
        heads = ("classification_head", "presence")  # of segmentation-models-pytorch, of `SegNet`
        self.has_presence_head = any(getattr(network, head, None) is not None for head in heads)

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        """From uint8 (count, height, width, 3) to probabilities of masks and, with a head, of presence."""
        colours = pictures.permute(0, 3, 1, 2).float()
        masks, presence = split_outputs(self.network((colours / 255 - self.mean) / self.deviation))
        return (masks.sigmoid(),) if presence is None else (masks.sigmoid(), presence.sigmoid())


class Ensemble(nn.Module):
    """Mean of the predictions of several networks, and if mirrored, of each picture flipped in all ways."""

    def __init__(self, members: Sequence[Deployed], mirrored: bool = False) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.views: list[list[int]] = [[], [2], [1], [1, 2]] if mirrored else [[]]
        self.has_presence_head = all(member.has_presence_head for member in members)

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        """As `Deployed`; presence only where every member has a head for it."""
        masks, presence = [], []
        for axes in self.views:
            for member in self.members:
                # The graph of a single network has no flips and no mean.
                outputs = member(pictures.flip(axes) if axes else pictures)
                masks.append(outputs[0].flip([axis + 1 for axis in axes]) if axes else outputs[0])
                presence += outputs[1:]
        stacks = [masks, presence] if self.has_presence_head else [masks]
        return tuple(stack[0] if len(stack) == 1 else torch.stack(stack).mean(0) for stack in stacks)


def _architecture(name: str) -> str:
    """The name of an architecture as libraries spell it: `DeepLabV3+` is `deeplabv3plus`."""
    return name.lower().replace("+", "plus")


def _suggestion(network: dict[str, Any]) -> str:
    known = {
        "architecture": [*NETWORKS, *smp.MODEL_ARCHITECTURES_MAPPING],
        "encoder": [
            *(name for name in smp.encoders.get_encoder_names() if not name.startswith("timm-")),
            *(f"tu-{name}" for name in timm.list_models()),
        ],
    }
    near = [
        close[0]
        for entry, names in known.items()
        if network.get(entry) not in names and (close := get_close_matches(str(network.get(entry)), names, 1))
    ]
    return f"; did you mean {' with '.join(near)}?" if near else ""


def _fetch(recipe: Recipe) -> dict[str, Tensor]:
    """Fetch the ImageNet weights of an encoder over the network."""
    name = _architecture(recipe.arch)
    try:
        if name == SEGNET:
            return dict(VGG19_BN_Weights.IMAGENET1K_V1.get_state_dict(progress=True, check_hash=True))
        whole = smp.create_model(name, recipe.encoder, encoder_weights="imagenet")
    except KeyError as error:
        raise TrainingError(f"{recipe.encoder}: no ImageNet weights are published: {error}") from error
    except Exception as error:  # hubs and their clients share no base class of errors
        raise TrainingError(
            f"ImageNet weights could not be fetched ({encoders.first_line(error)}); without a network, use "
            "--encoder-weights FILE or --encoder-weights none"
        ) from error
    return dict(whole.encoder.state_dict())
