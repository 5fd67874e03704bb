"""The package that docs/extending.md shows is made from that page and used, by its commands and in Python."""

import importlib
import json
import sys
import tomllib
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import torch
from pages import ROOT, blocks, run_commands, section
from torch import nn

from conftest import encoded
from nephoscope.core.geo import REGIONS, Overpass
from nephoscope.core.types import LABEL_GRID
from nephoscope.datasets.labels import write_labels
from nephoscope.datasets.rle import encode
from nephoscope.imagery.sources import SOURCES, find_sources
from nephoscope.imagery.synthetic import make_scene
from nephoscope.imagery.worldview import SATELLITES, WorldviewClient
from nephoscope.inference.model import Model
from nephoscope.inference.pipeline import segment
from nephoscope.outputs import formats
from nephoscope.testing.worldview_server import WorldviewServer
from nephoscope.training.config import LOSSES, NETWORKS, make_recipe
from nephoscope.training.losses import make_loss
from nephoscope.training.networks import encoder_of, split_outputs, start

PAGE = (ROOT / "docs" / "extending.md").read_text()
SIZE = (64, 96)
BARBADOS = REGIONS["barbados"]


def commands(title: str) -> str:
    return "\n".join(blocks(section(PAGE, title), "sh"))


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Path:
    """A folder with the package my_clouds, as the page shows it and as pip would install it."""
    site = tmp_path_factory.mktemp("site")
    about = site / "my_clouds-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: my-clouds\nVersion: 1.0\n")
    (toml,) = blocks(PAGE, "toml")
    ((group, entries),) = tomllib.loads(toml)["project"]["entry-points"].items()
    ((name, target),) = entries.items()
    (about / "entry_points.txt").write_text(f"[{group}]\n{name} = {target}\n")
    (site / "my_clouds").mkdir()
    (site / "my_clouds" / "__init__.py").touch()
    for block in blocks(PAGE, "python"):
        file = block.partition("\n")[0].removeprefix("# ")
        (site / file).write_text(block)
    return site


@pytest.fixture
def my_clouds(site, monkeypatch):
    """Imports a module of the package; the rows that it adds are there during the test."""
    monkeypatch.syspath_prepend(site)
    for registry in (SOURCES, SATELLITES, LOSSES, NETWORKS):
        for name, row in dict(registry).items():
            monkeypatch.setitem(registry, name, row)
    before = [(registry, set(registry)) for registry in (SOURCES, SATELLITES, LOSSES, NETWORKS)]
    formats.cache_clear()
    yield lambda module: importlib.import_module(f"my_clouds.{module}")
    for registry, names in before:
        for name in registry.keys() - names:
            del registry[name]
    for module in [name for name in sys.modules if name.partition(".")[0] == "my_clouds"]:
        del sys.modules[module]
    formats.cache_clear()


@pytest.fixture
def archive(tmp_path) -> Path:
    """A folder of arrays, as the page's imagery source reads them."""
    folder = tmp_path / "archive"
    folder.mkdir()
    np.save(folder / "barbados_2020-02-01.npy", make_scene(2, (160, 240)).pixels)
    return folder


@pytest.fixture(scope="session")
def labelled(tmp_path_factory) -> Path:
    """A folder that holds the page's `labelled`: two patterns, one bright and one dark half a picture."""
    folder = tmp_path_factory.mktemp("work")
    pictures = folder / "labelled" / "train_images"
    pictures.mkdir(parents=True)
    rows, rng = [], np.random.default_rng(0)
    for number in range(20):
        pixels = rng.integers(40, 80, (*SIZE, 3)).astype(np.uint8)
        full = np.zeros((2, *LABEL_GRID), np.bool_)
        if number % 2:
            pixels[:, :48] += 150
            full[0, :, :1050] = True
        if number % 3:
            pixels[:, 48:, 2] += 120
            full[1, :, 1050:] = True
        (pictures / f"{number}.png").write_bytes(encoded(pixels, ".png"))
        rows += [(f"{number}.png", "Open", encode(full[0])), (f"{number}.png", "Closed", encode(full[1]))]
    write_labels(folder / "labelled" / "train.csv", rows)
    (folder / "labelled" / "patterns.json").write_text(blocks(PAGE, "json")[0])
    return folder


def test_the_format_renders(my_clouds, jpeg, tiny_model):
    assert "areas" in formats()
    segmentation = segment(jpeg, Model.load(tiny_model()))
    rows = formats()["areas"].render(segmentation)[0].decode().splitlines()
    assert [row.split(",")[:2] for row in rows] == [
        ["scene.jpg", name] for name in segmentation.card.patterns
    ]


def test_the_source_opens_its_pictures(my_clouds, archive):
    my_clouds("sources")
    (source,) = find_sources([f"arrays:{archive}"])
    assert source.name == "barbados_2020-02-01.png"
    scene = source.open()
    assert (scene.name, scene.bounds, scene.day) == (source.name, BARBADOS, date(2020, 2, 1))
    assert scene.read().pixels.shape == (160, 240, 3)


def test_a_source_without_pictures_is_an_error_of_its_word(my_clouds, tmp_path):
    my_clouds("sources")
    (source,) = find_sources([f"arrays:{tmp_path}"])
    with pytest.raises(ValueError, match=r"no \.npy file"):
        source.open()


def test_the_satellite_is_asked_for_by_its_layer(my_clouds):
    my_clouds("satellites")
    overpass = Overpass("PACE", date(2024, 6, 1), BARBADOS)
    with WorldviewServer() as server:
        client = WorldviewClient(server.address, fallback=None, tries=1, degrees=0.1)
        picture = client.picture(overpass)
        assert "OCI_PACE_True_Color" in picture.url
        assert server.count(overpass) == 1


@pytest.mark.slow
def test_the_loss_falls_as_the_network_learns(my_clouds):
    my_clouds("losses")
    my_clouds("networks")
    torch.manual_seed(0)
    recipe = make_recipe(
        arch="small",
        encoder_weights="none",
        presence_head=False,
        loss="tversky",
        size="64x96",
        teacher_share=0.5,
    )
    network = start(recipe, 3)
    assert isinstance(encoder_of(network), nn.Sequential)
    colours = torch.randn(2, 3, *SIZE)
    truth = (colours[:, :1] > 0).float().expand(-1, 3, -1, -1)
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    costs = []
    for _ in range(5):
        parts = make_loss(recipe)(split_outputs(network(colours))[0], truth, None)
        assert parts.keys() == {"tversky"}
        optimizer.zero_grad()
        parts["tversky"].backward()
        optimizer.step()
        costs.append(parts["tversky"].item())
    assert costs[-1] < costs[0]


@pytest.mark.slow
def test_the_commands_for_format_and_source_run(site, archive, tmp_path):
    run_commands(commands("An output format") + commands("An imagery source"), tmp_path, path=str(site))
    assert (tmp_path / "pictures" / "areas.csv").read_text().startswith("synthetic_sample.jpg,Fish,")
    assert {path.name for path in (tmp_path / "from-arrays").glob("[!.]*")} == {
        "barbados_2020-02-01.json",
        "barbados_2020-02-01.geojson",
    }


@pytest.mark.slow
def test_the_commands_for_a_satellite_run(site, my_clouds, tmp_path):
    my_clouds("satellites")  # the server is in this process
    with WorldviewServer() as server:
        run_commands(commands("A satellite"), tmp_path, path=str(site), NEPHOSCOPE_WORLDVIEW=server.address)
        assert server.count(Overpass("PACE", date(2024, 6, 2), BARBADOS)) == 1
    assert [path.suffix for path in (tmp_path / "from-worldview").glob("[!.]*")] == [".jpg"]


@pytest.mark.slow
def test_the_commands_train_a_network_on_own_patterns(site, labelled):
    run_commands(commands("A network") + commands("A pattern"), labelled, path=str(site))
    card = Model.load(labelled / "run" / "model.onnx").card
    assert card.patterns == ("Open", "Closed")
    assert card.network["architecture"] == "small"
    assert [pattern.colour for pattern in card.styled_patterns] == [(0, 114, 178), (230, 159, 0)]
    assert [pattern.meaning for pattern in card.styled_patterns] == [
        "open cells: rings of cloud around clear air",
        "",
    ]
    written = json.loads((labelled / "own" / "0.json").read_text())
    assert "Open" in json.dumps(written)
    assert "Fish" not in json.dumps(written)
    lines = (labelled / "own" / "submission.csv").read_text().splitlines()
    assert len(lines) == 1 + 2 * 20
