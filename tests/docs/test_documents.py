"""What the documents name exists, and what README and docs/python.md show runs."""

import ast
import importlib
import re
import shlex
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import pytest
import typer
from pages import PAGES, ROOT, blocks, run_commands

from nephoscope.cli import app
from nephoscope.imagery.synthetic import sample
from nephoscope.testing.worldview_server import WorldviewServer

README = (ROOT / "README.md").read_text()
COMMAND = typer.main.get_command(app)
GONE = {"benchmarks.steadier", "benchmarks/steadier.py"}  # named with the commit that has them
ids = [str(page.relative_to(ROOT)) for page in PAGES]


def command_lines(text: str) -> list[list[str]]:
    """Words of every `nephoscope` command of a page, from blocks and from the text between them."""
    shell = "\n".join(blocks(text, "sh")).replace("\\\n", " ")
    inline = re.findall(r"`(nephoscope [^`]+)`", re.sub(r"\s*\n\s*", " ", text))
    lines = [line for line in shell.splitlines() if re.match(r"\w*=?\S*\s*nephoscope ", line)] + inline
    return [shlex.split(line.partition("nephoscope ")[2], comments=True) for line in lines]


def test_the_readme_and_contributing_are_short():
    assert len(README.splitlines()) <= 100
    assert len((ROOT / "CONTRIBUTING.md").read_text().splitlines()) <= 60


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_links_lead_to_files_and_headings(page):
    text = page.read_text()
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"\w+://", target):
            continue
        name, _, anchor = target.partition("#")
        other = page.parent / name if name else page
        assert other.exists(), target
        headings = re.findall(r"^#+ (.*)$", other.read_text(), re.M) if anchor else []
        assert not anchor or anchor in {
            re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings
        }, target


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_commands_and_options_exist(page):
    for words in command_lines(page.read_text()):
        command, names = COMMAND, []
        while hasattr(command, "commands") and words and words[0] in command.commands:
            names.append(words[0])
            command = command.commands[words.pop(0)]
        several = set(re.split(r"[|,]", words[0])) if words else set()  # atlas plan|run|status
        if hasattr(command, "commands") and several <= set(command.commands):
            continue
        known = {option for parameter in command.params for option in parameter.opts} | {"--help", "-h"}
        known |= {option for parameter in COMMAND.params for option in parameter.opts} if not names else set()
        options = [word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)]
        assert names or options, words
        assert set(options) <= known, (names, options)


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_modules_and_files_exist(page):
    text = page.read_text()
    for module in {*re.findall(r"\bpython -m ((?:nephoscope|benchmarks|experiments)[\w.]*)", text)} - GONE:
        path = ROOT.joinpath(*module.split("."))
        path = ROOT / "src" / path.relative_to(ROOT) if module.startswith("nephoscope") else path
        assert path.with_suffix(".py").is_file() or path.is_dir(), module
    places = re.findall(r"`((?:src|tests|benchmarks|experiments|scripts|docs)/[\w./-]*)`", text)
    inner = re.findall(r"`((?:core|imagery|inference|datasets|plotting|outputs|evaluation)/[\w./-]*)`", text)
    inner += re.findall(r"`((?:training|atlas|page|server|testing|cli)/[\w./-]*)`", text)
    for path in {*places, *(f"src/nephoscope/{path}" for path in inner)} - GONE:
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_python_names_exist(page):
    text = page.read_text()
    names = set(re.findall(r"`(nephoscope(?:\.\w+)+)", text)) - {"nephoscope.outputs"}
    for block in blocks(text, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("nephoscope"):
                names |= {f"{node.module}.{alias.name}" for alias in node.names}
    for name in names:
        module, _, attribute = name.rpartition(".")
        try:
            importlib.import_module(name)
        except ImportError:
            assert hasattr(importlib.import_module(module), attribute), name


@pytest.mark.slow
def test_the_readmes_commands_run(tmp_path):
    """The last one, which serves, is asked whether it is there, and ended."""
    (commands,) = [block for block in blocks(README, "sh") if "DATA" not in block]
    *segmenting, serving = commands.splitlines()
    assert len(segmenting) == 2
    with WorldviewServer() as server:
        run_commands("\n".join(segmenting), tmp_path, NEPHOSCOPE_WORLDVIEW=server.address)
    names = {path.name for path in (tmp_path / "pictures").glob("[!.]*")}
    assert names == {f"synthetic_sample{ending}" for ending in ("_overlay.jpg", "_panel.png", ".json")}
    assert len(list((tmp_path / "nephoscope-output").glob("[!.]*"))) == 2
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    words = shlex.split(serving, comments=True)
    assert words == ["nephoscope", "serve"]
    process = subprocess.Popen([sys.executable, "-m", *words, "--port", port])
    try:
        for _ in range(300):
            time.sleep(0.1)
            assert process.poll() is None
            try:
                with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
                    assert answer.status == 200
                break
            except OSError:
                continue
        else:
            pytest.fail("the server did not answer")
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.slow
@pytest.mark.parametrize("page", ["README.md", "docs/python.md", "docs/inputs.md"])
def test_python_examples_run(page, server, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("scene.jpg").write_bytes(sample())
    code = "\n".join(blocks((ROOT / page).read_text(), "python"))
    exec(code.replace("http://127.0.0.1:8000/", server), {})
    assert "Fish" in capsys.readouterr().out
