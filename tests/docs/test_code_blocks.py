"""The code blocks of the pages run, on small data where the page's own would take hours."""

import shutil
from pathlib import Path

import pytest
from pages import ROOT, blocks, run_commands

from conftest import encoded
from nephoscope.core.geo import ATLANTIC, REGIONS
from nephoscope.datasets.build import write_synthetic_dataset
from nephoscope.datasets.exchange.exporting import export_labels
from nephoscope.imagery.synthetic import make_scene
from nephoscope.testing.worldview_server import WorldviewServer

pytestmark = pytest.mark.slow

TRAINS = "it trains for minutes to days; tests/training run the same commands and options on small networks"
ASIDE = "test_documents and test_extending run these pages"
NOT_RUN = {
    "python": {"": ASIDE},
    "inputs": {"": ASIDE},
    "extending": {"": ASIDE},
    "start": {"pip install": "the tests need what is installed"},
    "climatology": {"python -m nephoscope.testing": "tests/testing/test_worldview_server.py starts it"},
    "site": {"": "tests/site/test_site.py writes the site, which needs ONNX Runtime Web from npm"},
    "correct-and-learn": {"": "correct_and_learn.ipynb has the same commands and is run"},
    "annotation-tools": {"": "tests/contrib start both"},
    "server": {
        "pip install": "the tests need what is installed",
        "nephoscope serve": "tests/server start it with every option",
        "NEPHOSCOPE_TOKEN": "tests/server/test_operation.py starts it with a token behind a proxy",
        "podman": "tests/server/test_container.py follows the steps of the Containerfile",
        "import nephoscope": "test_python_examples_run has the same lines",
    },
    "scale": {
        "export MALLOC": "tests/atlas/test_run.py runs an atlas on a cluster of its own",
        "from dask_jobqueue": "there is no batch system",
        "from dask_kubernetes": "there is no Kubernetes",
    },
    "training": {
        **dict.fromkeys(
            (
                "nephoscope explore DATA      ",
                "nephoscope sample",
                "nephoscope train",
                "torchrun",
                "nephoscope suggest",
                "for fold",
                "nephoscope export",
                "nephoscope calibrate",
                "nephoscope evaluate",
                "nephoscope segment",
            ),
            TRAINS,
        ),
        "nephoscope explore DATA -o": "tests/evaluation/test_exploration.py",
    },
}


def code(page: str) -> list[tuple[str, str]]:
    """Language and content of the blocks of a page in their order."""
    text = (ROOT / "docs" / f"{page}.md").read_text()
    every = [
        (text.index(block), language, block)
        for language in ("sh", "python")
        for block in blocks(text, language)
    ]
    return [(language, block) for _, language, block in sorted(every)]


def script(page: str, **replaced: str) -> str:
    """The blocks of a page that are run, as one shell script; what is replaced must be there."""
    parts = []
    for language, block in code(page):
        if any(block.startswith(start) for start in NOT_RUN.get(page, {})):
            continue
        parts.append(block if language == "sh" else f"python - <<'END'\n{block}END\n")
    text = "\n".join(parts)
    for before, after in replaced.items():
        assert before in text, before
        text = text.replace(before, after)
    return text


def test_every_block_is_run_or_has_a_reason():
    run = {"start", "gis", "segment", "labels", "climatology", "scale", "server"}
    for path in sorted((ROOT / "docs").glob("*.md")):
        starts = NOT_RUN.get(path.stem, {})
        own = [block for _, block in code(path.stem)]
        left = [block for block in own if not any(block.startswith(start) for start in starts)]
        assert not left or path.stem in run, left
        for start in starts:
            assert any(block.startswith(start) for block in own), (path.name, start)


SERVED = [  # satellite, day and box of what the pages ask NASA Worldview for
    *((name, "2020-01-01", REGIONS["barbados"]) for name in ("Terra", "Aqua")),
    *((name, "2020-01-20", REGIONS["barbados"]) for name in ("Terra", "Aqua")),
    ("Aqua", "2020-02-01", REGIONS["barbados"]),
    *((name, f"2016-01-0{day}", ATLANTIC) for name in ("Terra", "Aqua") for day in (1, 2)),
]


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Stands in for NASA Worldview, with small pictures that it enlarges."""
    folder = tmp_path_factory.mktemp("archive")
    write_synthetic_dataset(folder, len(SERVED), size=(128, 192))
    write_scenes(folder, SERVED)
    with WorldviewServer(pictures=folder) as server:
        yield {"NEPHOSCOPE_WORLDVIEW": server.address}


def write_scenes(folder: Path, overpasses) -> None:
    """Write scenes.csv: each picture of a data set belongs to one overpass."""
    names = sorted(path.name for path in (folder / "train_images").iterdir())
    rows = [
        f"{name},,{satellite},{day},{','.join(f'{edge:g}' for edge in box)}"
        for name, (satellite, day, box) in zip(names, overpasses, strict=True)
    ]
    (folder / "scenes.csv").write_text(
        "\n".join(["image,split,satellite,date,west,south,east,north", *rows, ""])
    )


@pytest.fixture
def scene(tmp_path) -> Path:
    path = tmp_path / "scene.jpg"
    path.write_bytes(encoded(make_scene(2, (320, 480)).pixels, ".jpg"))
    return path


def test_start_and_gis(tmp_path, archive, scene):
    (tmp_path / "scenes").mkdir()
    shutil.copy(scene, tmp_path / "scenes")
    text = script("start", **{"2020-01-31": "2020-01-01"}) + script("gis")
    run_commands(text, tmp_path, **archive)
    assert (tmp_path / "january_maps.nc").is_file()
    assert {path.suffix for path in (tmp_path / "maps").glob("[!.]*")} >= {".gpkg", ".tif", ".nc"}
    assert (tmp_path / "styles" / "regions.qml").is_file()


def test_segment(tmp_path, archive, scene, server, tiny_model):
    for folder in ("DATA/scenes", "RUN", "models"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("DATA/scene.jpg", "DATA/scenes/one.png", "another.jpg"):
        shutil.copy(scene, tmp_path / name)
    shutil.copy(tiny_model(), tmp_path / "RUN" / "model.onnx")
    text = script(
        "segment",
        **{
            "https://example.org/scene.jpg": f"{server}/synthetic_sample.jpg",
            "http://HOST:8000/#token=TOKEN": server,
            "'https://example.org/trades.onnx#sha256=...'": "RUN/model.onnx --name others",
            "--to 2020-02-20": "--to 2020-01-20",
        },
    )
    run_commands(text, tmp_path, NEPHOSCOPE_MODELS=str(tmp_path / "models"), **archive)
    assert (tmp_path / "nephoscope-output" / "submission.csv").is_file()
    assert (tmp_path / "fetched" / "submission.csv").is_file()


def test_labels(tmp_path):
    write_synthetic_dataset(tmp_path / "true", 3, size=(128, 192))
    export_labels(tmp_path / "true", tmp_path / "SOURCE", "coco")
    run_commands(script("labels", **{"FOLDER": "true/train_images", "NAME": "label-studio"}), tmp_path)
    assert (tmp_path / "OUT" / "label-studio.json").is_file()


def test_climatology(tmp_path, archive):
    """On one day, then two, of one box; the stores of one satellite each are made beside the page."""
    write_synthetic_dataset(tmp_path / "DATA", 1, size=(128, 192))
    write_scenes(tmp_path / "DATA", [("Terra", "2016-01-01", ATLANTIC)])
    (tmp_path / "ship.csv").write_text("time,lon,lat\n2016-01-01T12:00:00Z,-50,15\n")
    one = "nephoscope atlas plan --region atlantic --from 2016-01-01 --to 2016-01-01"
    stores = "".join(
        f"{one} --satellites {name} -o {name}.json\nnephoscope atlas run {name}.json {name.lower()}.zarr\n"
        for name in ("Terra", "Aqua")
    )
    text = script(
        "climatology",
        **{
            "2016-01-30": "2016-01-01",
            "2016-03-31": "2016-01-02",
            "nephoscope atlas merge": f"{stores}nephoscope atlas merge",
            "nephoscope atlas compare january.zarr other": "cp -r both.zarr other.zarr\n"
            "cp january_1deg.nc level3.nc\nnephoscope atlas compare january.zarr other",
        },
    )
    run_commands(text, tmp_path, **archive)
    for name in ("tables/regions.csv", "barbados.csv", "sampled.csv", "sizes.csv", "with-labels.png"):
        assert (tmp_path / name).is_file(), name
    assert (tmp_path / "figures" / "frequency.png").is_file()


def test_scale(tmp_path):
    assert "993,480" in run_commands(script("scale"), tmp_path)


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_server(tmp_path, scene, server):
    for name in ("a.jpg", "b.jpg"):
        shutil.copy(scene, tmp_path / name)
    printed = run_commands(script("server", **{"http://127.0.0.1:8000": server.rstrip("/")}), tmp_path)
    assert "Fish" in printed
    assert list(tmp_path.glob("*.nc"))
