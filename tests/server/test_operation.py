"""What those who operate a server need: settings, log, metrics, and an API that describes itself."""

import gzip
import io
import json
import re
import shutil
import socket
import ssl
import subprocess
import urllib.request
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image as PilImage

from asking import address_of, ask, command, counts, is_up, post, post_form, refused, wait_for
from conftest import offline, serving
from nephoscope.core.errors import InvalidRequestError
from nephoscope.server.app import create_app
from nephoscope.server.limits import Limits, changed_limits
from nephoscope.server.settings import Settings


@pytest.fixture
def start(tiny_model):
    """Serves with settings of a test's own."""

    def starting(**settings):
        return serving(replace(offline(), models=(str(tiny_model()),), **settings))

    return starting


def test_limits_are_changed_by_name():
    changed = changed_limits(Limits(), ["pictures=4", "upload-seconds=2.5"])
    assert (changed.pictures, changed.upload_seconds) == (4, 2.5)
    assert changed_limits(Limits(), []) == Limits()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("pixel=3", "unknown limit 'pixel'; available: picture_bytes"),
        ("pictures=0", "'0' is not a whole number above 0"),
        ("pictures=1.5", "'1.5' is not a whole number above 0"),
        ("seconds=nan", "'nan' is not a number above 0"),
        ("client_share=2", "'2' is not a number above 0"),
        ("pictures", "'' is not a whole number above 0"),
    ],
)
def test_other_limits_are_refused(change, words):
    with pytest.raises(InvalidRequestError, match=re.escape(words)):
        changed_limits(Limits(), [change])


def test_every_answer_has_the_requests_identifier(server):
    one, other = ask(server, "/healthz"), ask(server, "/healthz")
    assert one.headers["X-Request-ID"] != other.headers["X-Request-ID"]
    given = ask(server, "/nothing", X_Request_ID="proxy-17")
    assert given.headers["X-Request-ID"] == given.json["request_id"] == "proxy-17"
    assert ask(server, "/healthz", X_Request_ID="a b").headers["X-Request-ID"] != "a b"


def test_below_a_path(start):
    """Proxies that strip the path and those that do not."""
    with start(root_path="/clouds") as address:
        for prefix in ("", "/clouds"):
            assert ask(address, f"{prefix}/readyz").status == 200
            assert ask(address, f"{prefix}/").body.startswith(b"<!doctype html>")
            assert ask(address, f"{prefix}/api/v1/models").status == 200
        assert ask(address, "/clouds/openapi.json").json["servers"] == [{"url": "/clouds"}]
        assert ask(address, "/cloudsy/readyz").kind == "not-found"
    with start(root_path="/clouds", token="s3cret") as address:
        for target in ("/clouds/api/v1/models", "/clouds/clouds/api/v1/models", "/clouds/clouds/metrics"):
            assert ask(address, target).kind in ("token", "not-found")
        assert post(address, b"x", Authorization="Bearer s3cret").kind == "not-a-picture"
        assert ask(address, "/api.html").status == 200


def test_without_worldview(start):
    with start(worldview=False) as address:
        state = ask(address, "/api/v1/worldview").json
        assert (state["available"], state["reason"]) == (False, "turned off by its operator")
        picture = "/api/v1/worldview/picture?satellite=Aqua&day=2020-02-01&place=barbados"
        assert "fetches nothing" in refused(ask(address, picture), "not-found")


@pytest.mark.parametrize("target", ["/api/v1/worldview", "/api/worldview/picture?satellite=A&day=B&place=C"])
def test_pages_of_other_sites_do_not_make_the_server_fetch(server, target):
    assert ask(server, target, Sec_Fetch_Site="cross-site").kind == "origin"
    assert ask(server, target, Sec_Fetch_Site="same-origin").status != 403


def test_metrics_tell_waiting_from_work_and_count_problems(start, content):
    with start() as address:
        post(address, content)
        post(address, b"no picture")
        ask(address, "/nothing")
        now = counts(address)
        assert now["nephoscope_queue_seconds_count"] == 2
        assert now['nephoscope_problems_total{kind="not-a-picture"}'] == 1
        assert now['nephoscope_problems_total{kind="not-found"}'] == 1
        assert now["process_resident_memory_bytes"] > 1e7
        assert any(name.startswith("nephoscope_info{") and "onnxruntime" in name for name in now)


def test_json_is_compressed_where_the_client_takes_it(start, content):
    with start() as address:
        plain = post(address, content, Accept="application/json")
        packed = post(address, content, Accept="application/json", Accept_Encoding="gzip")
        assert "Content-Encoding" not in plain.headers
        if len(plain.body) > 2000:
            assert packed.headers["Content-Encoding"] == "gzip"
            assert gzip.decompress(packed.body) == plain.body
        refusing = post(address, content, Accept="application/json", Accept_Encoding="gzip;q=0")
        assert "Content-Encoding" not in refusing.headers


def test_outlines_can_be_left_out(start, content):
    with start() as address:
        (whole,) = post(address, content).json["scenes"]
        (brief,) = post(address, content, "?outlines=false").json["scenes"]
    assert whole["regions"]
    for region in whole["regions"]:
        del region["outline"]
    assert brief == whole


def test_the_openapi_document_is_precise(tiny_model):
    settings = replace(offline(), models=(str(tiny_model()),), token="s3cret")
    document = create_app(settings).app.openapi()
    operations = [each for path in document["paths"].values() for each in path.values()]
    names = [each["operationId"] for each in operations]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch("[a-z_]+", name) for name in names)
    for operation in operations:
        assert ("401" in operation["responses"]) == (operation.get("security") == [{"token": []}])
        for status, answer in operation["responses"].items():
            assert answer["description"]
            for media in answer.get("content", {}).values():
                assert media.get("schema") is not None, (operation["operationId"], status)
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    open_document = create_app(Settings(models=settings.models)).app.openapi()
    assert "securitySchemes" not in open_document["components"]


def test_every_example_of_the_openapi_document_works(start, content):
    with start() as address:
        document = ask(address, "/openapi.json").json
        tried = 0
        for parameter in document["paths"]["/api/v1/segment"]["post"]["parameters"]:
            schema = parameter["schema"]
            for example in parameter.get("examples") or schema.get("examples") or []:
                query = urllib.parse.urlencode({parameter["name"]: example})
                answer = post_form(address, ("scene.jpg", content), query=f"?{query}")
                assert answer.status == 200, answer.json
                tried += 1
        assert tried >= 4


def test_the_api_can_be_read(server):
    answer = ask(server, "/api.html")
    page = answer.body.decode()
    document = ask(server, "/openapi.json").json
    for path, operations in document["paths"].items():
        for method in operations:
            assert f"<code>{method.upper()} {path}</code>" in page
    assert "<script" not in page
    assert not re.findall(r"(?:src|href)=['\"](?:https?:)?//", page)


@pytest.mark.slow
class TestCommand:
    def test_every_request_in_the_log_as_json(self, tiny_model, content):
        words = ["--port", "0", "--model", str(tiny_model()), "--access-log", "--log-format", "json"]
        with command(*words) as process:
            address = re.search(r"http://[^/]+", json.loads(process.stdout.readline())["message"])[0]
            wait_for(lambda: is_up(address))
            answer = post(address, b"no picture", X_Request_ID="mine")
            assert answer.kind == "not-a-picture"
            process.terminate()
            lines = [json.loads(line) for line in process.stdout.read().splitlines()]
        (line,) = [line for line in lines if line.get("request_id") == "mine"]
        assert re.fullmatch(r"POST /api/v1/segment 415 in \d\.\d+ s", line["message"])
        assert (line["level"], line["logger"]) == ("info", "nephoscope.server.access")
        assert line["time"].endswith("Z")

    def test_what_decoders_write_is_in_the_log_once(self, tiny_model):
        """Libtiff writes to standard error by itself; here, of two damaged files."""
        written = io.BytesIO()
        noise = np.random.default_rng(0).integers(0, 255, (300, 400, 3)).astype(np.uint8)
        PilImage.fromarray(noise).save(written, "TIFF", compression="tiff_lzw")
        whole = written.getvalue()
        damaged = whole[:5000] + bytes(200) + whole[5200:]
        words = ["--port", "0", "--model", str(tiny_model()), "--log-format", "json"]
        with command(*words) as process:
            first = json.loads(process.stdout.readline())
            address = re.search(r"http://[^/]+", first["message"])[0]
            wait_for(lambda: is_up(address))
            for _ in range(2):
                assert post(address, damaged, Content_Type="image/tiff").kind == "picture"
            process.terminate()
            lines = [json.loads(line) for line in process.stdout.read().splitlines()]
        decoders = [line["message"] for line in lines if line["logger"] == "nephoscope.server.native"]
        assert len(decoders) == 1
        assert decoders[0].startswith("decoder: LZWDecode")

    def test_a_path_forges_no_line_of_the_log(self, tiny_model):
        with command("--port", "0", "--model", str(tiny_model()), "--access-log") as process:
            address, _ = address_of(process)
            ask(address, "/x%0a2026-01-01T00:00:00.000Z%20ERROR%20forged%1b[31m")
            process.terminate()
            written = process.stdout.read()
        assert "\x1b" not in written
        (line,) = [line for line in written.splitlines() if "forged" in line]
        assert "GET /x\\n2026" in line

    @pytest.mark.parametrize(
        ("words", "reason"),
        [
            (["--token", "pässwörd"], "printable ASCII"),
            (["--root-path", "/a b"], "give a path such as /clouds"),
            (["--root-path", "/a/../b"], "give a path such as /clouds"),
        ],
    )
    def test_what_no_client_could_use_is_refused(self, words, reason):
        with command("--port", "0", *words) as process:
            output, _ = process.communicate(timeout=60)
        assert process.returncode == 2
        assert reason in output

    def test_settings_from_the_environment(self, tiny_model, content):
        environment = {
            "NEPHOSCOPE_LIMITS": "pictures=1 picture_bytes=100000",
            "NEPHOSCOPE_ACCESS_LOG": "1",
            "NEPHOSCOPE_ROOT_PATH": "clouds/",
        }
        with command("--port", "0", "--model", str(tiny_model()), **environment) as process:
            address, _ = address_of(process)
            assert address.endswith("/clouds")
            address = address.removesuffix("/clouds")
            limits = ask(address, "/clouds/api/v1/server").json["limits"]
            assert (limits["pictures"], limits["picture_bytes"]) == (1, 100_000)
            assert post_form(address, ("a.jpg", content), ("b.jpg", content)).kind == "too-large"
            process.terminate()
            assert "POST /api/v1/segment 413 in" in process.stdout.read()

    def test_an_invalid_limit_is_an_error_in_one_line(self, tiny_model):
        with command("--port", "0", "--limit", "pixel=3") as process:
            output, _ = process.communicate(timeout=60)
        assert process.returncode == 2
        assert "unknown limit 'pixel'" in output
        assert "Traceback" not in output

    @pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to make a certificate with")
    def test_with_a_certificate(self, tiny_model, tmp_path):
        chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
        making = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
        ]
        making += ["-addext", "subjectAltName=DNS:localhost", "-out", chain, "-keyout", key]
        subprocess.run(making, check=True, capture_output=True)
        words = ["--port", "0", "--model", str(tiny_model())]
        with command(*words, "--tls-certificate", str(chain), "--tls-key", str(key)) as process:
            line = process.stdout.readline()
            port = int(re.search(r"https://127\.0\.0\.1:(\d+)/", line)[1])
            context = ssl.create_default_context(cafile=chain)

            def is_up():
                try:
                    with urllib.request.urlopen(
                        f"https://localhost:{port}/readyz", context=context
                    ) as answer:
                        return answer.status == 200
                except OSError:
                    return False

            wait_for(is_up)
            with (
                socket.create_connection(("127.0.0.1", port), 30) as plain,
                context.wrap_socket(plain, server_hostname="localhost") as secured,
            ):
                secured.sendall(b"GARBAGE\r\n\r\n")
                assert secured.recv(100).startswith(b"HTTP/1.1 400")
                while secured.recv(4096):
                    pass  # it is closed
            process.terminate()
            assert "Traceback" not in process.stdout.read()
        with command(*words, "--tls-certificate", str(chain), "--tls-key", str(chain)) as process:
            output, _ = process.communicate(timeout=60)
        assert process.returncode == 2
        assert "no usable certificate and key" in output
        with command(*words, "--tls-key", str(key)) as process:
            output, _ = process.communicate(timeout=60)
        assert process.returncode == 2
        assert "belong together" in output
