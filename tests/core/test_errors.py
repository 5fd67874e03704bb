"""One root of errors: user errors are one line, bugs show their traceback."""

import inspect
import logging
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from asking import post_form
from conftest import serving
from nephoscope.cli.app import needs
from nephoscope.core import errors
from nephoscope.core.errors import DownloadError, NephoscopeError, SceneError, WorldviewError
from nephoscope.core.extras import install_command
from nephoscope.inference.postprocess import Rule
from nephoscope.server.settings import Settings

PUBLIC = [
    each
    for _, each in inspect.getmembers(errors, inspect.isclass)
    if each.__module__ == errors.__name__ and not issubclass(each, Warning)
]

_BROKEN_JSON = """
from nephoscope.outputs import json
real = json.everything
def broken(segmentation, **options):
    if segmentation.scene.name == "bad.jpg":
        raise TypeError("a planted bug")
    return real(segmentation, **options)
json.everything = broken
"""


def python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own."""
    words = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)


def command(planted: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command in a process with a planted bug."""
    return python(f"{planted}\nfrom nephoscope.cli import main\nmain()", *arguments)


class TestTree:
    def test_every_error_has_the_root(self):
        assert len(PUBLIC) - 1 <= 20
        assert all(issubclass(each, NephoscopeError) for each in PUBLIC)
        assert issubclass(NephoscopeError, ValueError)

    def test_the_tree_names_every_error_under_its_base(self):
        assert errors.__doc__ is not None
        above: list[str] = []
        named = {}
        for line in errors.__doc__.splitlines():
            if match := re.match(r"    ([│ ├└─]*)(\w+Error) ", line):
                depth = len(match[1]) // 4
                above[depth:] = [match[2]]
                named[match[2]] = above[depth - 1] if depth else "ValueError"
        assert named == {each.__name__: each.__bases__[0].__name__ for each in PUBLIC}

    def test_no_other_module_defines_one(self):
        source = Path(inspect.getfile(errors)).parents[1]
        definition = re.compile(r"^class [A-Z]\w*\((ValueError|\w+Error)\):", re.MULTILINE)
        for path in source.rglob("*.py"):
            if path != Path(inspect.getfile(errors)):
                assert not definition.search(path.read_text()), path

    def test_a_download_error_is_not_a_scene_error(self):
        assert not issubclass(DownloadError, SceneError)
        assert issubclass(WorldviewError, DownloadError)

    def test_errors_go_to_other_processes(self):
        error = pickle.loads(pickle.dumps(DownloadError("http://a/", "later", "busy", 503, 2.0, "full")))
        assert (str(error), error.reason, error.cause) == ("http://a/: later", "later", "busy")
        assert (error.status, error.retry_after) == (503, 2.0)

    def test_a_rule_says_which_value_is_wrong(self):
        with pytest.raises(NephoscopeError, match=r"^presence must be between 0 and 1, got 1\.2$"):
            Rule(0.5, 10, 1.2, 0, 0)
        with pytest.raises(NephoscopeError, match=r"^top_k must be a whole number of at least 1, got 2\.5$"):
            Rule(0.5, 2.5, 0.5, 0, 0)
        with pytest.raises(NephoscopeError, match=r"^threshold must be between 0 and 1, got 'high'$"):
            Rule("high", 10, 0.5, 0, 0)


class TestBugs:
    @pytest.mark.slow
    def test_a_command_shows_the_traceback(self, tmp_path):
        labels = tmp_path / "labels.csv"
        labels.write_text("Image_Label,EncodedPixels\na.jpg_Fish,1 3\n")
        planted = (
            "import numpy as np, nephoscope.evaluation.submission\n"
            "def broken(*_): return np.matmul(np.ones((2, 3)), np.ones((2, 3)))\n"
            "nephoscope.evaluation.submission.evaluate_csv = broken"
        )
        done = command(planted, "evaluate", "--csv", labels, labels)
        assert done.returncode == 70
        assert "Traceback" in done.stderr
        assert "matmul" in done.stderr
        assert done.stderr.splitlines()[-1].startswith("nephoscope: internal error")

    @pytest.mark.slow
    def test_a_user_error_is_one_line(self, tmp_path):
        labels = tmp_path / "labels.csv"
        labels.write_text("nothing of the kind\n")
        done = command("", "evaluate", "--csv", labels, labels)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1

    @pytest.mark.slow
    def test_a_bug_in_a_batch_fails_one_picture(self, jpeg, tmp_path, tiny_model):
        (tmp_path / "bad.jpg").write_bytes(jpeg.read_bytes())
        out = tmp_path / "out"
        words = ("-o", out, "--format", "json", "--model", tiny_model())
        done = command(_BROKEN_JSON, "segment", tmp_path / "bad.jpg", jpeg, *words)
        assert done.returncode == 1
        assert [path.name for path in out.glob("[!.]*")] == ["scene.json"]
        assert done.stderr.count("Traceback") == 1
        assert "nephoscope: bad.jpg: internal error: TypeError: a planted bug" in done.stderr.splitlines()

    def test_a_bug_on_the_server_fails_one_picture(self, jpeg, tiny_model, monkeypatch, caplog):
        from nephoscope.outputs import json

        real = json.everything

        def broken(segmentation, **options):
            if segmentation.scene.name == "bad.jpg":
                raise TypeError("a planted bug")
            return real(segmentation, **options)

        monkeypatch.setattr(json, "everything", broken)
        content = jpeg.read_bytes()
        with caplog.at_level(logging.ERROR, "nephoscope"), serving(Settings((str(tiny_model()),))) as address:
            bad, good = post_form(address, ("bad.jpg", content), ("good.jpg", content)).json["scenes"]
        assert bad["problem"]["type"].endswith("/failure")
        assert good["patterns"]
        (logged,) = [record for record in caplog.records if record.name.startswith("nephoscope")]
        assert logged.exc_info
        assert logged.exc_info[0] is TypeError


class TestExtras:
    def test_only_its_own_modules_are_blamed_on_an_extra(self, capsys):
        with pytest.raises(typer.Exit), needs("train"):
            raise ModuleNotFoundError("No module named 'torch'", name="torch.nn")
        assert f"torch.nn is missing: {install_command('train')}" in capsys.readouterr().err
        with pytest.raises(ModuleNotFoundError), needs("train"):
            raise ModuleNotFoundError("No module named 'ours'", name="nephoscope.ours")
        with pytest.raises(ImportError), needs("train"):
            raise ImportError("cannot import name 'x' from 'torch'", name="torch")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("nephoscope.core.errors", ("numpy", "cv2", "onnxruntime")),
        ("nephoscope.imagery.http", ("cv2", "onnxruntime")),
        ("nephoscope.server.settings", ("onnxruntime",)),
    ],
)
def test_light_modules_import_no_heavy_library(module, heavy):
    done = python(f"import sys, {module}; print(*({set(heavy)!r} & sys.modules.keys()))")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
