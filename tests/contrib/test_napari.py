"""The plugin of napari, without a display."""

import os
import sys
import time
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from conftest import encoded
from nephoscope import Bounds, open_scene
from nephoscope.core.errors import DatasetError
from nephoscope.core.patterns import DEFAULT_NAMES, DEFAULT_PATTERNS
from nephoscope.datasets.dataset import read_dataset
from nephoscope.inference.postprocess import Rule

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
napari = pytest.importorskip("napari", reason="napari is not installed: pip install 'napari[all]'")
npe2 = pytest.importorskip("npe2", reason="npe2 comes with napari")
pytestmark = pytest.mark.slow

PLUGIN = Path(__file__).parents[2] / "contrib" / "napari-nephoscope"
sys.path.insert(0, str(PLUGIN))
from napari.components import ViewerModel
from napari.layers._source import Source

import napari_nephoscope as plugin

RULE = Rule(threshold=0.5, top_k=100, presence=0.6, least_cover=0, minimum_area=50)
NAME = "Aqua_CorrectedReflectance20200201_-62--41_6-20.png"


@pytest.fixture
def bright(tiny_model):
    """The path of a model for which a pattern is where its colour is bright."""
    return str(tiny_model(rules=dict.fromkeys(DEFAULT_NAMES, RULE)))


@pytest.fixture
def path(tmp_path):
    """A picture of two areas of Flower and one of Gravel, of a known place, with a gap on the left."""
    pixels = np.full((140, 210, 3), 60, np.uint8)
    pixels[20:60, 30:80, 1] = pixels[80:120, 100:200, 1] = pixels[90:130, 150:205, 2] = 240
    pixels[:, :10] = 0
    path = tmp_path / NAME
    path.write_bytes(encoded(pixels, ".png"))
    return path


@pytest.fixture
def viewer():
    """A viewer without its window, which needs OpenGL."""
    return ViewerModel()


def opened(viewer, path):
    """The layer of a file, opened as napari does it."""
    reader = plugin.get_reader(str(path))
    ((data, options, kind),) = reader(str(path))
    assert kind == "image"
    layer = viewer.add_image(data, **options)
    layer._set_source(Source(path=str(path)))
    return layer


def test_the_manifest_is_valid():
    manifest = npe2.PluginManifest.from_file(PLUGIN / "napari_nephoscope" / "napari.yaml")
    for command in manifest.contributions.commands:
        module, _, name = command.python_name.partition(":")
        assert module == "napari_nephoscope"
        assert callable(getattr(plugin, name))
    offered = {each.command for each in (*manifest.contributions.readers, *manifest.contributions.widgets)}
    assert offered == {each.id for each in manifest.contributions.commands}
    manifest.validate_imports()


def test_a_picture_opens_with_its_gaps_transparent(viewer, path, tmp_path):
    layer = opened(viewer, path)
    assert layer.data.shape == (140, 210, 4)
    assert not layer.data[:, :10, 3].any()
    assert layer.data[:, 10:, 3].all()
    scene = plugin.scene_of(layer)
    assert (scene.bounds, scene.day) == (Bounds(-62, 6, -41, 20), date(2020, 2, 1))
    (tmp_path / "text.png").write_text("no picture")
    assert plugin.get_reader(str(tmp_path / "text.png")) is None
    assert plugin.get_reader([str(path), str(path)]) is None


def test_each_pattern_has_a_layer_of_its_colour(viewer, path, bright):
    layer = opened(viewer, path)
    result = plugin.segment(layer, bright)
    layers = plugin.add_masks(viewer, layer, result)
    assert [each.name for each in layers] == [f"{name} in {NAME}" for name in DEFAULT_NAMES]
    for each, pattern in zip(layers, DEFAULT_PATTERNS, strict=True):
        assert np.array_equal(each.data, result.mask(pattern.name, (140, 210)))
        colour = np.round(255 * np.asarray(each.get_color(1))).astype(int)
        assert colour[:3].tolist() == list(pattern.colour)
        assert each.get_color(0) is None or each.get_color(0)[3] == 0


def test_the_widgets_ask_for_what_they_need():
    application = napari.qt.get_qapp()
    assert [each.name for each in plugin.segment_widget()] == ["viewer", "picture", "model", "call_button"]
    names = ["viewer", "picture", "folder", "annotator", "call_button"]
    assert [each.name for each in plugin.save_widget()] == names
    assert application is not None


def test_it_segments_in_a_thread(viewer, path, bright):
    application = napari.qt.get_qapp()
    layer = opened(viewer, path)
    plugin.start(viewer, layer, bright)
    assert len(viewer.layers) == 1
    for _ in range(600):
        application.processEvents()
        if len(viewer.layers) == 5:
            break
        time.sleep(0.1)
    assert len(viewer.layers) == 5


def test_corrected_masks_become_labels(viewer, path, bright, tmp_path):
    layer = opened(viewer, path)
    layers = plugin.add_masks(viewer, layer, plugin.segment(layer, bright))
    layers[0].data[100:140, 20:60] = 1  # a Fish that the model overlooked
    layer.name = layers[0].name = "renamed"
    plugin.save(viewer, layer, tmp_path / "data", "me")
    data = read_dataset(tmp_path / "data")
    assert (tmp_path / "data" / "train_images" / NAME).read_bytes() == path.read_bytes()
    saved = data.masks(NAME, (140, 210))
    assert np.array_equal(saved, np.stack([each.data > 0 for each in layers]))
    assert "2020-02-01" in (tmp_path / "data" / "scenes.csv").read_text()


@pytest.mark.parametrize("name", ["array", "array.jpg"])
def test_a_layer_without_a_file_is_saved_as_png(viewer, path, bright, tmp_path, name):
    layer = viewer.add_image(open_scene(path).read().pixels, name=name, rgb=True)
    plugin.add_masks(viewer, layer, plugin.segment(layer, bright))
    assert plugin.save_masks(viewer, layer, tmp_path / "data", "me") == "array.png"
    kept = open_scene(tmp_path / "data" / "train_images" / "array.png").read().pixels
    assert np.array_equal(kept, layer.data)


def test_what_cannot_be_saved_is_said(viewer, path, bright, tmp_path):
    layer = opened(viewer, path)
    with pytest.raises(DatasetError, match="segment it first"):
        plugin.save_masks(viewer, layer, tmp_path / "data", "me")
    result = plugin.segment(layer, bright)
    plugin.add_masks(viewer, layer, result)
    plugin.add_masks(viewer, layer, result)
    with pytest.raises(DatasetError, match="two layers of this pattern"):
        plugin.save_masks(viewer, layer, tmp_path / "data", "me")
    stack = viewer.add_image(np.zeros((3, 140, 210)))
    with pytest.raises(DatasetError, match="a stack of pictures"):
        plugin.segment(stack, bright)
    assert not (tmp_path / "data").exists()
