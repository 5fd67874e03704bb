"""Writes a site: the page, the models, ONNX Runtime Web and a service worker, as files for any web server."""

import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from nephoscope.core.errors import OutputConflictError, OutputError
from nephoscope.core.geo import distinct_regions
from nephoscope.core.io import atomic_write
from nephoscope.core.version import __version__
from nephoscope.imagery import synthetic
from nephoscope.inference.model import Model
from nephoscope.plotting.typical import SEEDS, example_scene, typical_picture
from nephoscope.site.page import page_files

STATE = "site.json"
"""What the site has: version, patterns, regions, cards and model files. Its presence marks a site."""

_ENGINE = "export { BrowserEngine as PageEngine } from './browser/engine.js';\n"
_POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; worker-src 'self'; "
    "connect-src 'self' blob:; img-src 'self' blob: data:; base-uri 'none'; form-action 'none'"
)
_WORKER = "service_worker.js"
_SCRIPT = f"page/browser/{_WORKER}"
_OF_SERVERS = ("page/server.js", "page/npz.js")  # which only a page of a server uses
_OWN_FOLDERS = ("page", "models", "runtime", "patterns", "examples")
"""Folders of a site whose other files, of an older version, are removed."""

_LICENCES = """\
The page and the pictures in it: nephoscope, licence Apache-2.0.
runtime/: ONNX Runtime Web, copyright Microsoft Corporation, licence MIT.
models/: the licence of each model is in site.json, and on the page under its name.
"""


def write_site(folder: Path, models: Sequence[str], runtime: Mapping[str, bytes]) -> list[Path]:
    """Write a site.

    Args:
        folder: new, empty, or with a site, which is replaced.
        models: names or files of models, the default one first.
        runtime: files of ONNX Runtime Web, by name; see `runtime.read_runtime`.

    Returns:
        The files written.

    Raises:
        OutputConflictError: the folder has other files.
        ModelError: a model cannot be used.
        OutputError: two models have the same name.
        OSError: a file cannot be written.
    """
    _check_folder(folder)
    contents = site_files(models, runtime)
    version = hashlib.sha256()
    for name, content in sorted(contents.items()):
        version.update(f"{name} {hashlib.sha256(content).hexdigest()}\n".encode())
    contents[_WORKER] = _service_worker(version.hexdigest()[:16], sorted(contents))
    for name, content in contents.items():
        atomic_write(folder / name, content)
    for own in _OWN_FOLDERS:
        for path in (folder / own).rglob("*"):
            if path.is_file() and path.relative_to(folder).as_posix() not in contents:
                path.unlink()
    return [folder / name for name in contents]


def site_files(models: Sequence[str], runtime: Mapping[str, bytes]) -> dict[str, bytes]:
    """Contents of a site's files by path, without its service worker. Arguments as of `write_site`."""
    contents = {f"page/{name}": content for name, content in page_files()}
    contents["index.html"] = _with_policy(contents.pop("page/index.html"))
    contents["page/engine.js"] = _ENGINE.encode()
    for name in (_SCRIPT, *_OF_SERVERS):
        del contents[name]
    for name, content in runtime.items():
        packed = name.endswith(".wasm")
        contents[f"runtime/{name}{'.gz' if packed else ''}"] = _gzipped(content) if packed else content
    loaded = [Model.load(model) for model in models]
    cards = [model.card for model in loaded]
    if len({card.name for card in cards}) < len(cards):
        raise OutputError(f"two models have the same name: {', '.join(card.name for card in cards)}")
    patterns = {each.name: each for card in cards for each in card.styled_patterns}
    stored = {card.name: f"{number}.onnx.gz" for number, card in enumerate(cards)}
    for model in loaded:
        contents[f"models/{stored[model.card.name]}"] = _gzipped(model.content)
    for name in SEEDS.keys() & patterns.keys():
        contents[f"patterns/{name}.jpg"] = typical_picture(name)
        contents[f"examples/{name}.jpg"] = example_scene(name)
    contents[synthetic.SAMPLE_NAME] = synthetic.sample()
    contents["LICENCES.txt"] = _LICENCES.encode()
    state = {
        "nephoscope": __version__,
        "patterns": [
            {"name": each.name, "colour": each.hex_colour, "meaning": each.meaning}
            for each in patterns.values()
        ],
        "models": [card.as_dict() for card in cards],
        "files": stored,
        "regions": [{"name": name, "bounds": list(bounds)} for name, bounds in distinct_regions().items()],
    }
    contents[STATE] = json.dumps(state, ensure_ascii=False).encode()
    return contents


def _check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise OutputConflictError(f"{folder}: is not a folder; give another by -o FOLDER")
    others = [path for path in folder.glob("*") if not path.name.startswith(".")] if folder.exists() else []
    if others and not (folder / STATE).is_file():
        raise OutputConflictError(
            f"{folder}: has other files, such as {others[0].name}; give an empty folder, or one with a site"
        )


def _service_worker(version: str, names: Sequence[str]) -> bytes:
    script = dict(page_files())[f"browser/{_WORKER}"]
    start = f"const VERSION = {json.dumps(version)};\nconst FILES = {json.dumps(['./', *names])};\n"
    return start.encode() + script


def _with_policy(index: bytes) -> bytes:
    """The page with a policy that lets it load from its own host alone; a server sends one as a header."""
    start = b'<meta charset="utf-8">\n'
    assert start in index
    policy = f'  <meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
    return index.replace(start, start + policy.encode(), 1)


def _gzipped(content: bytes) -> bytes:
    return gzip.compress(content, 9, mtime=0)
