"""Exported models give the predictions of their network, or are not written."""

import copy
import dataclasses
import json

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from conftest import encoded
from nephoscope.cli import app
from nephoscope.core.errors import TrainingError
from nephoscope.core.patterns import DEFAULT_NAMES
from nephoscope.imagery.synthetic import make_scene
from nephoscope.inference.card import Card
from nephoscope.inference.model import Model
from nephoscope.inference.pipeline import segment
from nephoscope.inference.postprocess import Rule
from nephoscope.training.checkpoint import Trained, load_weights, save_weights
from nephoscope.training.export import check_parity, export
from nephoscope.training.networks import Deployed, build

FPN = {
    "architecture": "fpn",
    "encoder": "tu-test_efficientnet",
    "presence_head": True,
    "mean": 0.5,
    "deviation": 0.5,
}
UNET = {**FPN, "architecture": "unet", "encoder": "mobilenet_v2", "presence_head": False}


def network_and_files(folder, card, network):
    """A network of random weights that predicts all patterns, its checkpoint, and its card."""
    torch.manual_seed(1)
    net = build(network, 4).eval()
    with torch.inference_mode():
        for value in net.state_dict().values():  # the exporter merges equal tensors, which training has not
            if value.is_floating_point():
                value += 0.01 * torch.rand(value.shape)
        answer = net(torch.randn(2, 3, *card.input_size))
        logits = answer[0] if isinstance(answer, tuple | list) else answer
        net.segmentation_head[0].weight *= 2 / logits.std()  # random weights alone predict 0.5 everywhere
    checkpoint, card_file = folder / "weights.safetensors", folder / "card.json"
    save_file(net.state_dict(), checkpoint)
    rule = Rule(threshold=0.5, top_k=20, presence=0.3, least_cover=0, minimum_area=5)
    rules = dict.fromkeys(DEFAULT_NAMES, rule)
    card_file.write_text(dataclasses.replace(card, network=network, rules=rules).to_json())
    return Deployed(net, network["mean"], network["deviation"]).eval(), checkpoint, card_file


@pytest.fixture(scope="module")
def small_card(card):
    return dataclasses.replace(card, input_size=(64, 96), grid=(70, 105))


@pytest.fixture(scope="module")
def exported(tmp_path_factory, small_card):
    """A network, its checkpoint, its model file, and their parity; made once for each."""
    made = {}

    def get(network):
        name = network["architecture"]
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            deployed, checkpoint, card_file = network_and_files(folder, small_card, network)
            parity = export([checkpoint], folder / "model.onnx", card_file=card_file)
            made[name] = deployed, checkpoint, folder / "model.onnx", parity
        return made[name]

    return get


@pytest.mark.slow
@pytest.mark.parametrize("network", [FPN, UNET], ids=lambda network: network["architecture"])
def test_an_exported_model_gives_the_same_masks(exported, network):
    deployed, _, file, parity = exported(network)
    assert parity.largest < 0.01
    model = Model.load(file)
    assert model.card.made_with.startswith("nephoscope ")
    assert model.card.network == network
    pictures = np.stack([make_scene(seed, (64, 96)).pixels for seed in range(50, 53)])
    with torch.inference_mode():
        expected = deployed(torch.from_numpy(pictures))[0].numpy()
    assert np.abs(model(pictures).probabilities - expected).max() < 0.01
    assert segment(make_scene(3, (128, 192)).pixels, model).present


@pytest.mark.slow
def test_a_model_file_has_no_notes_of_the_exporter(exported):
    _, checkpoint, file, _ = exported(UNET)
    proto = onnx.load(file)
    assert [entry.key for entry in proto.metadata_props] == ["nephoscope"]
    assert not any(node.doc_string or node.metadata_props for node in proto.graph.node)
    assert str(file.parent).encode() not in file.read_bytes()
    assert file.stat().st_size < checkpoint.stat().st_size * 0.6  # half precision


@pytest.mark.slow
@pytest.mark.parametrize("network", [FPN, UNET], ids=lambda network: network["architecture"])
def test_a_model_file_gives_its_weights_back(exported, network):
    _, checkpoint, file, _ = exported(network)
    weights, card = load_weights(file)
    expected = load_file(checkpoint)
    assert weights.keys() == expected.keys()
    for name, value in expected.items():
        if not name.endswith("num_batches_tracked"):
            torch.testing.assert_close(weights[name], value, rtol=1e-3, atol=1e-6)
    again = Trained(str(file), weights, card).network().eval()
    picture = make_scene(0, card.input_size).pixels
    with torch.inference_mode():
        masks = again(torch.from_numpy(picture[None]))[0].numpy()
    assert np.abs(masks - Model.load(file)(picture[None])[0]).max() < 0.001


def test_weights_are_not_read_from_other_files(tmp_path, tiny_model):
    foreign = tiny_model()
    with pytest.raises(TrainingError, match="not a model that nephoscope exported: it has no weights"):
        load_weights(foreign)
    with pytest.raises(FileNotFoundError):
        load_weights(tmp_path / "missing.onnx")
    (tmp_path / "text.onnx").write_text("not a model")
    with pytest.raises(TrainingError, match=r"text\.onnx: not a model file"):
        load_weights(tmp_path / "text.onnx")


@pytest.mark.slow
def test_a_model_with_other_masks_is_refused(exported):
    deployed, _, file, _ = exported(UNET)
    model, other = Model.load(file), copy.deepcopy(deployed)
    check_parity(other, model)
    with torch.no_grad():
        other.network.segmentation_head[0].bias += 0.2
    with pytest.raises(TrainingError, match=r"the masks of network and model differ in \d+ pixels"):
        check_parity(other, model)


@pytest.mark.slow
def test_a_pattern_present_in_one_only_is_refused(exported):
    deployed, _, file, _ = exported(UNET)
    other = copy.deepcopy(deployed)
    with torch.no_grad():
        other.network.segmentation_head[0].bias[1] -= 50
    with pytest.raises(TrainingError, match="Flower is present in one of network and model only"):
        check_parity(other, Model.load(file))


@pytest.mark.slow
def test_weights_of_another_network_are_refused(tmp_path, small_card):
    _, checkpoint, card_file = network_and_files(tmp_path, small_card, UNET)
    entries = json.loads(card_file.read_text())
    card_file.write_text(json.dumps({**entries, "network": FPN}))
    with pytest.raises(TrainingError, match="do not fit the network of their card"):
        export([checkpoint], tmp_path / "model.onnx", card_file=card_file)
    checkpoint.write_bytes(encoded(np.zeros((40, 40, 3), np.uint8), ".png"))
    with pytest.raises(TrainingError, match="not a file of weights"):
        export([checkpoint], tmp_path / "model.onnx", card_file=card_file)
    _, checkpoint, _ = network_and_files(tmp_path, small_card, UNET)
    for wrong in (None, {}, {**UNET, "encoder": "none"}, {**UNET, "mean": "dark"}):
        card_file.write_text(json.dumps({**entries, "network": wrong}))
        with pytest.raises(TrainingError, match="do not fit the network of their card"):
            export([checkpoint], tmp_path / "model.onnx", card_file=card_file)
    card_file.write_text("{}")
    with pytest.raises(TrainingError, match="has no version"):
        export([checkpoint], tmp_path / "model.onnx", card_file=card_file)
    assert not (tmp_path / "model.onnx").exists()


@pytest.mark.slow
def test_the_command_exports(tmp_path, small_card):
    _, checkpoint, card_file = network_and_files(tmp_path, small_card, FPN)
    words = [checkpoint, "--card", card_file, "-o", tmp_path / "model.onnx"]
    done = CliRunner().invoke(app, ["export", *map(str, words)])
    assert done.exit_code == 0, done.stderr
    assert "parity with PyTorch" in done.stdout
    Model.load(tmp_path / "model.onnx")
    done = CliRunner().invoke(app, ["export", *map(str, [tmp_path / "none", *words[1:]])])
    assert done.exit_code == 2
    assert done.stderr == f"nephoscope: {tmp_path / 'none'}: No such file or directory\n"


def test_unknown_networks_are_refused():
    for wrong in ({"architecture": "fbn"}, {"encoder": "mobilenet_v9"}):
        with pytest.raises(ValueError, match="unknown network"):
            build({**FPN, **wrong}, 4)


@pytest.mark.slow
def test_several_networks_become_one_model(tmp_path, small_card):
    """Their mean, inside the graph; with mirror images, a mirrored picture has the mirrored prediction."""
    files = []
    for number, network in enumerate((FPN, {**FPN, "architecture": "unet", "presence_head": False})):
        folder = tmp_path / str(number)
        folder.mkdir()
        deployed, _, card_file = network_and_files(folder, small_card, network)
        weights = {name: value.contiguous() for name, value in deployed.network.state_dict().items()}
        save_weights(folder / "best.safetensors", weights, Card.from_json(card_file.read_text()))
        files.append((deployed, folder / "best.safetensors"))
    export([file for _, file in files], tmp_path / "both.onnx")
    both = Model.load(tmp_path / "both.onnx")
    pictures = np.stack([make_scene(seed, (64, 96)).pixels for seed in range(2)])
    with torch.inference_mode():
        single = [deployed(torch.from_numpy(pictures))[0].numpy() for deployed, _ in files]
    assert np.abs(both(pictures).probabilities - np.mean(single, axis=0)).max() < 0.01
    assert not both.has_presence_head  # one of them has none
    assert both.card.name == "both"
    assert both.card.figures == []
    assert [member["architecture"] for member in both.card.network["mean_of"]] == ["fpn", "unet"]
    export([file for _, file in files], tmp_path / "mirrored.onnx", tta=True)
    mirrored = Model.load(tmp_path / "mirrored.onnx")
    one = mirrored(pictures).probabilities
    other = mirrored(np.ascontiguousarray(pictures[:, ::-1, ::-1])).probabilities
    assert np.abs(one - other[:, :, ::-1, ::-1]).max() < 1e-4
    with pytest.raises(TrainingError, match="an ensemble; weights are read from models of one network"):
        load_weights(tmp_path / "both.onnx")


@pytest.mark.slow
def test_networks_of_different_sizes_or_patterns_are_not_averaged(tmp_path, small_card):
    files = []
    for number, size in enumerate(((64, 96), (96, 96))):
        deployed, _, card_file = network_and_files(tmp_path, small_card, UNET)
        made = dataclasses.replace(Card.from_json(card_file.read_text()), input_size=size)
        save_weights(tmp_path / f"{number}.safetensors", deployed.network.state_dict(), made)
        files.append(tmp_path / f"{number}.safetensors")
    with pytest.raises(TrainingError, match="different sizes"):
        export(files, tmp_path / "model.onnx")


def test_weights_without_a_card_ask_for_one(tmp_path, small_card):
    _, checkpoint, _ = network_and_files(tmp_path, small_card, UNET)
    with pytest.raises(TrainingError, match="no card inside; --card FILE names one"):
        export([checkpoint], tmp_path / "model.onnx")
