"""A static site's files, and where its runtime comes from."""

import gzip
import hashlib
import io
import json
import re
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nephoscope.cli import app
from nephoscope.core.errors import DownloadError, OutputConflictError, OutputError
from nephoscope.inference.model import Model
from nephoscope.site import runtime
from nephoscope.site.build import write_site
from nephoscope.site.page import page_files

CONTENTS = {name: f"content of {name}".encode() for name in runtime.FILES}


@pytest.fixture
def small_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    """The runtime's files are a few bytes each."""
    hashes = {name: hashlib.sha512(content).hexdigest() for name, content in CONTENTS.items()}
    monkeypatch.setattr(runtime, "FILES", hashes)


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that an npm registry on this machine serves; nothing is in the cache."""
    folder = tmp_path / "registry"
    (folder / "onnxruntime-web" / "-").mkdir(parents=True)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield folder / "onnxruntime-web" / "-" / f"onnxruntime-web-{runtime.VERSION}.tgz"
    server.shutdown()
    server.server_close()


def package(contents: dict[str, bytes]) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as file:
        for name, content in contents.items():
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    return archive.getvalue()


def test_the_runtime_comes_from_npm_once(small_runtime, registry):
    registry.write_bytes(package({**CONTENTS, "ort.all.min.mjs": b"not needed"}))
    assert runtime.read_runtime() == CONTENTS
    registry.unlink()
    assert runtime.read_runtime() == CONTENTS  # from the cache


def test_a_package_with_other_files_is_refused(small_runtime, registry):
    name = next(iter(CONTENTS))
    registry.write_bytes(package({**CONTENTS, name: b"something else"}))
    with pytest.raises(
        OutputError, match=rf"{re.escape(name)}: is not the file of onnxruntime-web .*SHA-512"
    ):
        runtime.read_runtime()
    registry.write_bytes(package({}))
    with pytest.raises(OutputError, match="not the package that was expected"):
        runtime.read_runtime()
    registry.write_bytes(b"no archive")
    with pytest.raises(OutputError, match="not the package that was expected"):
        runtime.read_runtime()


def test_without_a_network_the_message_says_what_to_do(small_runtime, registry):
    with pytest.raises(DownloadError, match="--runtime FOLDER takes the files of onnxruntime-web"):
        runtime.read_runtime()


def test_the_runtime_from_a_folder_is_checked(small_runtime, tmp_path):
    with pytest.raises(OutputError, match=r"No such file.*npm pack onnxruntime-web@"):
        runtime.read_runtime(tmp_path)
    for name, content in CONTENTS.items():
        (tmp_path / name).write_bytes(content)
    assert runtime.read_runtime(tmp_path) == CONTENTS
    (tmp_path / name).write_bytes(b"changed")
    with pytest.raises(OutputError, match=rf"{re.escape(str(tmp_path / name))}: is not the file"):
        runtime.read_runtime(tmp_path)


@pytest.mark.slow
def test_a_site_has_all_it_needs_and_asks_no_other_host(tmp_path, tiny_model):
    path = tiny_model()
    written = write_site(tmp_path / "site", [str(path)], CONTENTS)
    names = {file.relative_to(tmp_path / "site").as_posix() for file in written}
    assert all(file.is_file() for file in written)
    state = json.loads((tmp_path / "site" / "site.json").read_text())
    (card,) = state["models"]
    assert card == json.loads(Model.load(path).card.to_json())
    model_file = tmp_path / "site" / "models" / state["files"][card["name"]]
    assert gzip.decompress(model_file.read_bytes()) == path.read_bytes()
    assert [each["name"] for each in state["patterns"]] == card["patterns"]
    worker = (tmp_path / "site" / "service_worker.js").read_text()
    listed = set(json.loads(re.search(r"const FILES = (\[.*\]);", worker)[1]))
    assert listed == names - {"service_worker.js"} | {"./"}
    scripts = [content.decode() for name, content in page_files() if name.endswith((".js", ".css", ".html"))]
    links = {link for script in scripts for link in re.findall(r"https?://([\w.]+)", script)}
    assert links <= {"worldview.earthdata.nasa.gov"}  # a link for people
    page = [file for file in written if "page" in file.relative_to(tmp_path).parts]
    assert sum(file.stat().st_size for file in page) < 300_000


@pytest.mark.slow
def test_a_site_is_replaced_and_other_folders_are_not(tmp_path, tiny_model):
    folder, path = tmp_path / "site", str(tiny_model())
    write_site(folder, [path], CONTENTS)
    before = (folder / "service_worker.js").read_text()
    (folder / "page" / "of_an_older_version.js").write_text("")
    (folder / ".nojekyll").write_text("")
    write_site(folder, [path], {**CONTENTS, "ort.wasm.min.mjs": b"newer"})
    assert not (folder / "page" / "of_an_older_version.js").exists()
    assert (folder / ".nojekyll").exists()
    assert (folder / "service_worker.js").read_text() != before  # browsers fetch the new files
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("")
    for other in (tmp_path / "mine", tmp_path / "mine" / "thesis.txt"):
        with pytest.raises(OutputConflictError):
            write_site(other, [path], CONTENTS)
    with pytest.raises(OutputError, match="two models have the same name"):
        write_site(folder, [path, path], CONTENTS)


@pytest.mark.slow
def test_the_command(small_runtime, tmp_path, tiny_model):
    folder = tmp_path / "runtime"
    folder.mkdir()
    words = ["site", "-o", str(tmp_path / "site"), "--model", str(tiny_model()), "--runtime", str(folder)]
    failed = CliRunner().invoke(app, words)
    assert failed.exit_code == 2
    assert "npm pack onnxruntime-web" in failed.output
    assert not (tmp_path / "site").exists()
    for name, content in CONTENTS.items():
        (folder / name).write_bytes(content)
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "site" / "index.html").is_file()
