"""The Containerfile, its steps taken one after another as a script: no engine is needed."""

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import venv
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

pytestmark = pytest.mark.slow

HERE = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def steps() -> list[tuple[str, str]]:
    text = (HERE / "Containerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [tuple(line.split(maxsplit=1)) for line in lines]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_container_steps_make_a_server_that_answers_and_stops(steps, tmp_path):
    """Paths of the container lie in a folder, and libraries that are here already count as installed."""
    venv.create(tmp_path / "python", with_pip=True, symlinks=True)
    binaries = tmp_path / "python" / "bin"
    packages = next((tmp_path / "python" / "lib").glob("python*/site-packages"))
    (packages / "here.pth").write_text("\n".join(path for path in sys.path if path.endswith("-packages")))
    port = str(free_port())
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
        "PATH": f"{binaries}:/usr/bin:/bin",
        "NEPHOSCOPE_TOKEN": "of-the-test",
    }
    server: subprocess.Popen | None = None
    health: list[str] = []
    try:
        for word, rest in steps:
            if word == "COPY":
                *sources, target = rest.split()
                folder = tmp_path / target.lstrip("/")
                for source in sources:
                    if (HERE / source).is_dir():
                        shutil.copytree(HERE / source, folder)
                    else:
                        folder.mkdir(parents=True, exist_ok=True)
                        shutil.copy(HERE / source, folder)
            elif word == "RUN":
                command = rest.replace("/source", f"{tmp_path}/source")
                subprocess.run(command, shell=True, check=True, cwd=tmp_path, env=environment)
            elif word == "HEALTHCHECK":
                health = [part.replace("8000", port) for part in json.loads(rest.removeprefix("CMD "))]
            elif word == "CMD":
                command = [part.replace("8000", port) for part in json.loads(rest)]
                command[0] = str(binaries / command[0])  # not the one of these tests
                server = subprocess.Popen(command, cwd=tmp_path, env=environment)
            else:
                assert word in ("FROM", "USER", "EXPOSE"), f"a step that this test does not take: {word}"
        assert server is not None
        assert health
        wait_for(f"http://127.0.0.1:{port}/readyz", server)
        subprocess.run([str(binaries / health[0]), *health[1:]], check=True, env=environment)
        with pytest.raises(URLError, match="401"):
            urlopen(f"http://127.0.0.1:{port}/api/v1/models")
        server.terminate()
        assert server.wait(30) == 0
    finally:
        if server is not None:
            server.kill()
            server.wait()


def wait_for(address: str, process: subprocess.Popen) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            with urlopen(address):
                return
        except URLError:
            assert process.poll() is None, "the server stopped"
            assert time.monotonic() < end, "the server does not answer"
            time.sleep(0.1)


def test_container_exposes_its_port(steps):
    words = dict(steps)
    command = json.loads(words["CMD"])
    assert command[command.index("--port") + 1] == words["EXPOSE"]
    assert re.search(rf":{words['EXPOSE']}/", words["HEALTHCHECK"])
    assert shlex.split(words["USER"]) != ["root"]
