"""Networks by name: from a card's `network` entry to a PyTorch module, with weights to start from."""

from collections.abc import Callable, Sequence
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
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.training import encoders
from nephoscope.training.config import Recipe
from nephoscope.training.encoders import IMAGENET, NONE
from nephoscope.training.segnet import SegNet

SEGNET = "vgg19-segnet"

NETWORKS: dict[str, Callable[[dict[str, Any], int], nn.Module]] = {
    SEGNET: lambda network, classes: SegNet(
        classes, network.get("unpooling", "indices"), network.get("presence_head", False)
    ),
}
"""Networks beside those of segmentation-models-pytorch, by the name that `--arch` gives; more may be added.

A function takes a card's `network` entry and the number of patterns, and returns a module as `build` does.
Its attribute `encoder` is the part that starts from `--encoder-weights` and learns at `--encoder-factor`.
"""


def describe(recipe: Recipe) -> dict[str, Any]:
    """What a card's `network` entry says of the network that a recipe trains."""
    network: dict[str, Any] = {"architecture": architecture_name(recipe.arch)}
    if network["architecture"] == SEGNET:
        network["unpooling"] = recipe.unpooling
    else:
        network["encoder"] = recipe.encoder
    return network | {"presence_head": recipe.presence_head} | encoders.normalisation(recipe.encoder)


def build(network: dict[str, Any]) -> nn.Module:
    """Build a network without trained weights.

    Args:
        network: `architecture`, either `vgg19-segnet` or a name of segmentation-models-pytorch, such as
            `fpn`; for the first also `unpooling`, for the latter `encoder`, such as
            `tu-tf_efficientnet_lite2`; for either `presence_head`.

    Returns:
        A module from normalised pictures, shape (count, 3, height, width), to logits of shape
        (count, patterns, height, width); with a presence head, to a pair with presence logits of shape
        (count, patterns).

    Raises:
        TrainingError: no such architecture or encoder; the message names near ones.
    """
    try:
        if network["architecture"] not in NETWORKS:
            return _build(network)
    except (KeyError, TypeError, RuntimeError, AttributeError) as error:
        raise TrainingError(f"no such network: {_called(network)}{_nearest(network)}") from error
    return NETWORKS[network["architecture"]](network, len(DEFAULT_NAMES))


def start(recipe: Recipe) -> nn.Module:
    """Build a recipe's network with the weights its encoder starts from.

    Raises:
        TrainingError: no such network.
        TrainingError: the weights are not to be had, or fit another encoder.
    """
    network = build(describe(recipe))
    if recipe.encoder_weights == NONE:
        return network
    if isinstance(network, SegNet):
        try:
            network.load_vgg19(_vgg19(recipe.encoder_weights))
        except TrainingError as error:
            raise TrainingError(f"{recipe.encoder_weights}: not weights of VGG19: {error}") from error
        return network
    encoder = cast(nn.Module, network.encoder)
    module = cast(nn.Module, getattr(encoder, "model", encoder))
    if recipe.encoder_weights != IMAGENET:
        path = Path(recipe.encoder_weights)
        encoders.load_encoder(module, encoders.read_weights(path), str(path))
    elif encoders.has_package(recipe.encoder):
        encoders.load_lite(recipe.encoder, module)
    else:
        encoder.load_state_dict(_fetched(recipe))
    return network


def split_answer(answer: Tensor | tuple[Tensor, Tensor] | list[Tensor]) -> tuple[Tensor, Tensor | None]:
    """Logits of masks and of the presence head, or None, from what a network gives."""
    return (answer, None) if isinstance(answer, Tensor) else (answer[0], answer[1])


def encoder_of(network: nn.Module) -> nn.Module:
    """The part of a network that may start from other weights and learn at another rate."""
    return cast(nn.Module, network.encoder)


class Deployed(nn.Module):
    """A network as a model file holds it: bytes in, probabilities out, nothing to know."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: nn.Module, mean: float | list[float], deviation: float | list[float]) -> None:
        super().__init__()
        self.network = network
        for name, value in (("mean", mean), ("deviation", deviation)):
            if np.size(value) not in (1, 3) or not np.issubdtype(np.asarray(value).dtype, np.number):
                raise TrainingError(f"{name} must be one number, or one a colour, not {value}")
            self.register_buffer(name, torch.tensor(value).reshape(-1, 1, 1), persistent=False)

    @property
    def has_presence_head(self) -> bool:
        """Whether the network also says which patterns are in a picture at all."""
        return (
            getattr(self.network, "classification_head", None) is not None  # segmentation-models-pytorch
            or getattr(self.network, "presence", None) is not None
        )

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        """From uint8 (count, height, width, 3) to probabilities (count, patterns, height, width).

        With a presence head, also its probabilities, (count, patterns).
        """
        colours = pictures.permute(0, 3, 1, 2).float()
        masks, presence = split_answer(self.network((colours / 255 - self.mean) / self.deviation))
        return (masks.sigmoid(),) if presence is None else (masks.sigmoid(), presence.sigmoid())


class Ensemble(nn.Module):
    """Several deployed networks as one: the mean of what they say, perhaps also of mirror images.

    Args:
        members: of the same input size.
        mirrored: also show each picture left-right, top-bottom and both ways mirrored.
    """

    def __init__(self, members: Sequence[Deployed], mirrored: bool = False) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.views: list[list[int]] = [[], [2], [1], [1, 2]] if mirrored else [[]]

    @property
    def has_presence_head(self) -> bool:
        """Whether every member says which patterns are in a picture at all."""
        return all(cast(Deployed, member).has_presence_head for member in self.members)

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        """As `Deployed`; presence only where every member has a head for it."""
        masks, heads = [], []
        for axes in self.views:
            for member in self.members:
                # Without flips and means of one, the graph of a single network is its own.
                answer = member(pictures.flip(axes) if axes else pictures)
                masks.append(answer[0].flip([axis + 1 for axis in axes]) if axes else answer[0])
                heads += answer[1:]
        answers = [masks, heads] if self.has_presence_head else [masks]
        return tuple(answer[0] if len(answer) == 1 else torch.stack(answer).mean(0) for answer in answers)


def architecture_name(name: str) -> str:
    """An architecture's name as the networks' libraries spell it: `DeepLabV3+` is `deeplabv3plus`."""
    return name.lower().replace("+", "plus")


def _build(network: dict[str, Any]) -> nn.Module:
    head = (
        {"classes": len(DEFAULT_NAMES), "pooling": "avg", "dropout": 0.2}
        if network["presence_head"]
        else None
    )
    net = smp.create_model(
        network["architecture"],
        network["encoder"],
        encoder_weights=None,
        classes=len(DEFAULT_NAMES),
        aux_params=head,
    )
    return cast(nn.Module, net)


def _called(network: Any) -> str:
    if not isinstance(network, dict):
        return str(network)
    return " with ".join(str(network[entry]) for entry in ("architecture", "encoder") if entry in network)


def _nearest(network: Any) -> str:
    if not isinstance(network, dict):
        return ""
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


def _vgg19(source: str) -> dict[str, Tensor]:
    if source != IMAGENET:
        return encoders.read_weights(Path(source))
    try:
        return dict(VGG19_BN_Weights.IMAGENET1K_V1.get_state_dict(progress=True, check_hash=True))
    except OSError as error:
        raise _out_of_reach("vgg19_bn", error) from error


def _fetched(recipe: Recipe) -> dict[str, Tensor]:
    try:
        whole = smp.create_model(architecture_name(recipe.arch), recipe.encoder, encoder_weights="imagenet")
    except KeyError as error:
        raise TrainingError(f"{recipe.encoder}: there are no ImageNet weights for it: {error}") from error
    except Exception as error:  # hubs and their clients fail in ways of their own
        raise _out_of_reach(recipe.encoder, error) from error
    return dict(whole.encoder.state_dict())


def _out_of_reach(encoder: str, error: Exception) -> TrainingError:
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return TrainingError(
        f"{encoder}: its ImageNet weights could not be fetched ({first}); where there is no network, "
        "--encoder-weights FILE takes them from a file, and none begins without"
    )
