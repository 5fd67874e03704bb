"""The package works where the system has no `fcntl` and no signal masks, as on Windows."""

import os
import subprocess
import sys

import pytest

from nephoscope.datasets.build import write_synthetic_dataset
from nephoscope.testing.worldview_server import WorldviewServer

pytestmark = pytest.mark.slow

# Libraries keep their modules: where a system lacks one, they have others.
_WITHOUT = """
import builtins, signal
real = builtins.__import__
def importing(name, globals=None, *rest, **named):
    missing = name in ("fcntl", "resource", "termios")
    if missing and str((globals or {}).get("__name__")).startswith("nephoscope"):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    return real(name, globals, *rest, **named)
builtins.__import__ = importing
del signal.pthread_sigmask
"""
_SMALL = """\
--arch unet --encoder tu-test_efficientnet --encoder-weights none --size 64x96 --batch 8 --epochs 1 --ema 0.9
--precision fp32 --device cpu
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs a command without these modules, in its processes, too: each Python reads `sitecustomize`."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(_WITHOUT)
    path = [str(tmp_path / "site"), *filter(None, sys.path)]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))

    def running(*words):
        command = [sys.executable, "-m", "nephoscope", *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, timeout=280, cwd=tmp_path)

    return running


def test_the_modules_are_missing(run, tmp_path):
    code = "import signal; print(hasattr(signal, 'pthread_sigmask')); __name__ = 'nephoscope.x'; import fcntl"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == "False\n"
    assert "ModuleNotFoundError: No module named 'fcntl'" in done.stderr


def test_segment(run, tmp_path):
    done = run("segment", "sample", "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "out").glob("[!.]*"))) == 2


def test_train(run, tmp_path):
    pytest.importorskip("pytorch_lightning", reason="the extra train is not installed")
    write_synthetic_dataset(tmp_path / "data", 12, size=(64, 96))
    done = run(
        "train", tmp_path / "data", "-o", tmp_path / "run", "--cache", tmp_path / "cache", *_SMALL.split()
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "model.onnx").is_file()


def test_atlas(run, tmp_path, tiny_model):
    pytest.importorskip("distributed", reason="the extra atlas is not installed")
    days = ("--from", "2010-03-01", "--to", "2010-03-01")
    done = run("atlas", "plan", "--region", "barbados", *days, "-o", tmp_path / "plan.json")
    assert done.returncode == 0, done.stderr
    model = tiny_model(input_size=(28, 42), grid=(35, 52))
    with WorldviewServer() as server:
        archive = ("--archive", server.address, "--degrees", "0.4")
        words = ("--model", model, "--workers", "1", *archive)
        done = run("atlas", "run", tmp_path / "plan.json", tmp_path / "atlas", *words)
    assert done.returncode == 0, done.stderr
    assert "missing" in done.stdout
