"""An atlas in an object store: an S3 server on this machine, configured through fsspec."""

import os
import subprocess
import sys
from datetime import date

import pytest
from moto.server import ThreadedMotoServer

from nephoscope.atlas.plan import Plan
from nephoscope.core.geo import parse_bounds
from nephoscope.testing.worldview_server import WorldviewServer

pytestmark = pytest.mark.slow

READ = """
from collections import Counter
from nephoscope.atlas.flags import NOT_SEGMENTED
from nephoscope.atlas.store import open_atlas, open_store
atlas = open_atlas("s3://clouds/years/atlas")
manifest = open_store("s3://clouds/years/atlas").manifest
records = [record for _, batch in manifest.read_all() for record in batch]
print(dict(atlas["pattern_flags"].sizes), int((atlas["pattern_flags"] != NOT_SEGMENTED).sum()))
print(len(records), dict(Counter(record["status"] for record in records)))
"""


@pytest.fixture
def environment(monkeypatch):
    """What a user of an S3 server sets, and nothing of who runs the tests."""
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    try:
        yield {
            **os.environ,
            "AWS_ACCESS_KEY_ID": "somebody",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "FSSPEC_S3_ENDPOINT_URL": f"http://{host}:{port}",
        }
    finally:
        server.stop()


def test_an_atlas_in_an_object_store(environment, tmp_path, tiny_model):
    def python(*words):
        command = [sys.executable, *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)

    made = python("-c", "import fsspec; fsspec.filesystem('s3').mkdir('clouds')")
    assert made.returncode == 0, made.stderr
    Plan(date(2010, 3, 1), date(2010, 3, 20), ("Terra", "Aqua"), parse_bounds("barbados")).write(
        tmp_path / "atlas.json"
    )
    fault = {"now": "404"}
    with WorldviewServer(lambda asked, _: fault["now"] if asked.day.day == 20 else None) as server:
        words = ["-m", "nephoscope", "atlas", "run", tmp_path / "atlas.json", "s3://clouds/years/atlas"]
        words += ["--model", tiny_model(), "--archive", server.address, "--degrees", 0.4, "--workers", 2]
        first = python(*words)
        assert first.returncode == 1, first.stderr
        assert server.total == 40
        fault["now"] = None
        second = python(*words)
        assert (second.returncode, second.stderr) == (0, "")
        assert server.total == 42
    read = python("-c", READ)
    assert read.stdout.splitlines() == [
        "{'time': 20, 'satellite': 2, 'lat': 350, 'lon': 525} " + str(40 * 350 * 525),
        "40 {'done': 40}",
    ], read.stderr


def test_a_missing_bucket_is_one_line_of_error(environment, tmp_path, tiny_model):
    Plan(date(2010, 3, 1), date(2010, 3, 2), ("Terra",), parse_bounds("barbados")).write(tmp_path / "a.json")
    words = ["run", tmp_path / "a.json", "s3://nowhere/atlas", "--model", tiny_model()]
    command = [sys.executable, "-m", "nephoscope", "atlas", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("nephoscope: s3://nowhere/atlas: ")
    assert done.stderr.count("\n") == 1
