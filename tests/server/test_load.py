"""A server under overload: each request is answered or refused, and all resources are released."""

import asyncio
import signal
import socket
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from asking import (
    FORM,
    PATIENCE,
    SEGMENT,
    address_of,
    ask,
    command,
    counts,
    form,
    is_up,
    parsed,
    post,
    post_form,
    raw,
    received,
    request,
    wait_for,
)
from conftest import encoded, serving
from nephoscope.core.geo import Overpass, parse_bounds
from nephoscope.imagery.worldview import WorldviewClient
from nephoscope.inference.model import Model
from nephoscope.server import guard
from nephoscope.server.limits import Limits
from nephoscope.server.problems import Problem
from nephoscope.server.settings import Settings
from nephoscope.server.worldview import ArchiveProxy
from nephoscope.testing.worldview_server import WorldviewServer

EMPTY = {"nephoscope_requests_inside": 0, "nephoscope_pictures_inside": 0, "nephoscope_held_bytes": 0}


class Gate:
    """Stands before the network: whoever comes waits until it is opened."""

    def __init__(self):
        self.network = Model.predict
        self.opened = threading.Event()
        self.came = threading.Semaphore(0)

    def predict(self, model, scene, **how):
        self.came.release()
        assert self.opened.wait(PATIENCE)
        return self.network(model, scene, **how)


@pytest.fixture
def gate(monkeypatch):
    made = Gate()
    monkeypatch.setattr(Model, "predict", lambda *scene, **how: made.predict(*scene, **how))
    yield made
    made.opened.set()


@pytest.fixture
def start(tiny_model):
    """Serves with one worker and limits of a test's own."""

    def starting(workers=1, **limits):
        return serving(Settings(models=(str(tiny_model()),), workers=workers, limits=Limits(**limits)))

    return starting


def inside(address):
    now = counts(address)
    return {name: now[name] for name in EMPTY}


def left(address, content, **headers):
    """A connection that has sent a picture and does not wait for the answer."""
    place = urlsplit(address)
    connection = HTTPConnection(place.hostname, place.port, timeout=PATIENCE)
    connection.request("POST", SEGMENT, content, {"Content-Type": "image/jpeg"} | headers)
    return connection


class TestQueue:
    def test_each_request_of_a_burst_is_answered_or_refused(self, start, gate, content):
        with start(requests=3) as address, ThreadPoolExecutor(8) as visitors:
            asked = [visitors.submit(post, address, content) for _ in range(8)]
            wait_for(lambda: sum(each.done() for each in asked) == 5)
            assert counts(address)["nephoscope_requests_inside"] == 3
            gate.opened.set()
            answers = [each.result() for each in asked]
            assert Counter(answer.status for answer in answers) == {200: 3, 429: 5}
            for answer in answers:
                if answer.status == 429:
                    assert answer.kind == "full"
                    assert int(answer.headers["Retry-After"]) >= 1
                else:
                    assert answer.json["scenes"][0]["patterns"]
            wait_for(lambda: inside(address) == EMPTY)
            counted = counts(address)
            assert counted['nephoscope_requests_total{route="/segment",status="200"}'] == 3
            assert counted['nephoscope_requests_total{route="/segment",status="429"}'] == 5
            assert counted['nephoscope_pictures_total{outcome="segmented"}'] == 3
            assert counted["nephoscope_picture_seconds_count"] == 3
            assert post(address, content).status == 200

    def test_held_bytes_are_limited(self, start, gate, content):
        with start(held_bytes=2 * len(content), client_share=1) as address, ThreadPoolExecutor(2) as visitors:
            asked = [visitors.submit(post, address, content) for _ in range(2)]
            wait_for(lambda: counts(address)["nephoscope_held_bytes"] == 2 * len(content))
            assert post(address, b"x").kind == "full"
            gate.opened.set()
            assert [each.result().status for each in asked] == [200, 200]
            wait_for(lambda: inside(address) == EMPTY)

    def test_pictures_of_one_request_count_as_one_request(self, start, gate, content):
        with start(requests=1, workers=2) as address, ThreadPoolExecutor(1) as visitors:
            asked = visitors.submit(post_form, address, *((f"{n}.jpg", content) for n in range(3)))
            wait_for(lambda: counts(address)["nephoscope_pictures_inside"] == 3)
            assert gate.came.acquire(timeout=PATIENCE)
            assert gate.came.acquire(timeout=PATIENCE)
            assert not gate.came.acquire(blocking=False)  # the third waits
            gate.opened.set()
            assert [scene["scene"] for scene in asked.result().json["scenes"]] == ["0.jpg", "1.jpg", "2.jpg"]

    def test_results_are_in_the_order_of_the_pictures(self, start, content, picture):
        small = encoded(picture[:64, :64], ".png")
        with start(workers=2) as address:
            answer = post_form(address, ("a.jpg", content), ("b.png", small), ("c.jpg", content))
        assert [(scene["scene"], scene["width"]) for scene in answer.json["scenes"]] == [
            ("a.jpg", 240),
            ("b.png", 64),
            ("c.jpg", 240),
        ]

    def test_refusals_release_their_place_in_the_queue(self, start, content):
        half = request("POST", SEGMENT, "Content-Type: image/jpeg", "Content-Length: 5000", body=content[:99])
        with start(requests=1) as address:
            for answer, status in (
                (post(address, b"no picture"), 415),
                (post(address, content[:200]), 422),
                (post(address, content, "?model=other"), 422),
                (post(address, content, "?bounds=0,0"), 422),
                (post(address, content, "?rules=["), 422),
                (post(address, content, Content_Type="image/gif"), 415),
                (post(address, content, Accept="text/html"), 406),
                (post(address, content, Accept="application/geo+json"), 422),
                (ask(address, SEGMENT, form(), Content_Type="multipart/form-data"), 400),
            ):
                assert answer.status == status
                assert inside(address) == EMPTY
            place = urlsplit(address)
            with socket.create_connection((place.hostname, place.port)) as connection:
                connection.sendall(half)
                wait_for(lambda: counts(address)["nephoscope_held_bytes"] == 99)
            wait_for(lambda: inside(address) == EMPTY)
            assert post(address, content).status == 200

    def test_an_exception_affects_one_picture_only(self, start, content, monkeypatch):
        real = Model.predict

        def faulty(model, scene, **how):
            if scene.name == "bad.jpg":
                raise RuntimeError("a secret of the server")
            return real(model, scene, **how)

        monkeypatch.setattr(Model, "predict", faulty)
        with start() as address:
            answer = post_form(address, ("bad.jpg", content), ("good.jpg", content))
            bad, good = answer.json["scenes"]
            assert bad["problem"]["status"] == 500
            assert "bad.jpg" in bad["problem"]["detail"]
            assert b"secret" not in answer.body
            assert good["patterns"]
            assert post(address, content, "?name=bad.jpg").kind == "failure"
            assert inside(address) == EMPTY
            assert counts(address)['nephoscope_pictures_total{outcome="failed"}'] == 2

    def test_too_many_busy_connections_are_refused(self, start, gate, content):
        with start(connections=2, workers=2) as address, ThreadPoolExecutor(2) as visitors:
            asked = [visitors.submit(post, address, content) for _ in range(2)]
            for _ in asked:
                assert gate.came.acquire(timeout=PATIENCE)
            answer = ask(address, "/healthz")
            assert (answer.status, answer.kind) == (429, "full")
            assert answer.headers["Retry-After"] == "1"
            gate.opened.set()
            assert [each.result().status for each in asked] == [200, 200]
            wait_for(lambda: ask(address, "/healthz").status == 200)

    def test_the_connection_that_is_idle_longest_makes_room(self, start):
        """Hundreds of connections that send nothing, or half a header, keep nobody out."""
        with start(connections=4, client_share=1) as address:
            place = urlsplit(address)
            idle = [socket.create_connection((place.hostname, place.port), PATIENCE) for _ in range(4)]
            idle[1].sendall(b"GET /readyz HTT")
            wait_for(lambda: ask(address, "/readyz").status == 200)
            assert idle[0].recv(1) == b""  # closed
            idle[3].sendall(request("GET", "/readyz"))
            assert received(idle[3]).startswith(b"HTTP/1.1 200")
            for connection in idle:
                connection.close()


class TestLeaving:
    def test_queued_work_is_cancelled_when_the_client_disconnects(self, start, gate, content):
        with start() as address:
            first = left(address, content)
            assert gate.came.acquire(timeout=PATIENCE)
            second = left(address, content)
            wait_for(lambda: counts(address)["nephoscope_pictures_inside"] == 2)
            second.close()
            wait_for(lambda: counts(address)["nephoscope_pictures_inside"] == 1)
            assert counts(address)["nephoscope_requests_inside"] == 1
            gate.opened.set()
            assert first.getresponse().status == 200
            wait_for(lambda: inside(address) == EMPTY)
            assert not gate.came.acquire(blocking=False)  # the second's picture never reached the network

    def test_running_work_stops_when_the_client_disconnects(self, start, gate, content, monkeypatch):
        rendered = threading.Event()
        with start() as address:
            visitor = left(address, content, Accept="application/geo+json")
            assert gate.came.acquire(timeout=PATIENCE)
            visitor.close()
            wait_for(lambda: inside(address) == EMPTY)
            monkeypatch.setattr("nephoscope.server.responses.ResponseFormat.check", lambda *_: rendered.set())
            gate.opened.set()
            monkeypatch.undo()
            assert post(address, content).status == 200  # by the only worker, so the first's work is over
            assert not rendered.is_set()
            assert counts(address)['nephoscope_pictures_total{outcome="segmented"}'] == 1

    def test_a_truncated_body_is_a_client_error(self, start, content):
        with start() as address:
            place = urlsplit(address)
            with socket.create_connection((place.hostname, place.port)) as connection:
                half = request(
                    "POST", SEGMENT, "Content-Type: image/jpeg", "Content-Length: 5000", body=b"half"
                )
                connection.sendall(half)
                wait_for(lambda: counts(address)["nephoscope_requests_inside"] == 1)
            wait_for(lambda: 'nephoscope_requests_total{route="/segment",status="400"}' in counts(address))
            assert inside(address) == EMPTY


class TestTimes:
    @pytest.mark.slow
    def test_work_times_out(self, start, gate, content):
        with start(seconds=0.3) as address:
            answer = post(address, content)
            assert (answer.status, answer.kind) == (503, "time")
            assert int(answer.headers["Retry-After"]) >= 1
            assert inside(address) == EMPTY
            assert post(address, content).kind == "time"  # behind the first, which still holds the worker
            gate.opened.set()
            wait_for(lambda: post(address, content).status == 200)
            assert inside(address) == EMPTY

    @pytest.mark.slow
    def test_pictures_that_are_done_are_answered_when_the_others_are_late(self, start, content, monkeypatch):
        network, slow = Model.predict, threading.Event()

        def predict(model, scene, **how):
            if scene.name == "slow.jpg":
                slow.wait(PATIENCE)
            return network(model, scene, **how)

        monkeypatch.setattr(Model, "predict", predict)
        with start(seconds=3, workers=2) as address:
            names = ("first.jpg", "slow.jpg", "third.jpg")
            answer = post_form(address, *((name, content) for name in names))
            slow.set()
            assert answer.status == 200
            first, late, third = answer.json["scenes"]
            assert (first["scene"], third["scene"]) == ("first.jpg", "third.jpg")
            assert first["patterns"] == third["patterns"]
            assert late["problem"]["status"] == 503
            assert "not done after 3 s" in late["problem"]["detail"]
            assert counts(address)['nephoscope_pictures_total{outcome="late"}'] == 1
            assert counts(address)['nephoscope_problems_total{kind="time"}'] == 1
            wait_for(lambda: inside(address) == EMPTY)

    @pytest.mark.slow
    def test_a_slow_body_times_out(self, start, monkeypatch):
        monkeypatch.setattr(guard, "_DRAIN_SECONDS", 0.05)
        with start(upload_seconds=0.05) as address:
            for kind in ("image/jpeg", "multipart/form-data; boundary=x"):
                half = f"POST {SEGMENT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
                answer = raw(address, f"{half}Content-Length: 5000\r\n\r\n--x\r\n".encode())
                assert (answer.status, answer.kind) == (408, "too-slow")
                assert answer.headers["Connection"] == "close"
            assert inside(address) == EMPTY

    @pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHost: local"])
    def test_a_slow_header_times_out(self, start, begun):
        with start(header_seconds=0.05) as address:
            answer = raw(address, begun)
            assert (answer.status, answer.kind) == (408, "too-slow")

    @pytest.mark.slow
    def test_a_second_header_on_a_connection_times_out(self, start):
        with start(header_seconds=0.2) as address:
            place = urlsplit(address)
            with socket.create_connection((place.hostname, place.port), PATIENCE) as connection:
                connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert connection.recv(9) == b"HTTP/1.1 "
                connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: lo")
                assert b"too-slow" in received(connection)

    @pytest.mark.slow
    def test_a_client_that_does_not_read_is_disconnected(self, start, content):
        with start(connections=1, answer_seconds=0.05) as address:
            place = urlsplit(address)
            with socket.socket() as reader:
                reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                reader.settimeout(PATIENCE)
                reader.connect((place.hostname, place.port))
                target = f"{SEGMENT}?bounds=0,0,60,28"  # answers of 17 MB: more than sockets hold
                length = f"Content-Length: {len(content)}"
                headers = ("Accept: application/x-npz", "Content-Type: image/jpeg", length)
                reader.sendall(request("POST", target, *headers, body=content))
                reader.recv(1, socket.MSG_PEEK)
                wait_for(lambda: ask(address, "/healthz").status == 200)  # the only connection is free again
                answer = parsed(received(reader))
            assert answer.status == 200
            assert len(answer.body) < int(answer.headers["Content-Length"])


def test_stopping_does_not_wait_for_retries_of_the_archive():
    scene = Overpass("Aqua", date(2020, 2, 1), parse_bounds("barbados"))

    async def stop(archive, asked):
        proxy = ArchiveProxy(
            WorldviewClient(archive.address, fallback=None, pause=100, degrees=0.25), Limits()
        )
        picture = asyncio.create_task(proxy.picture(scene))
        while not asked.is_set():
            await asyncio.sleep(0.005)
        proxy.close()
        with pytest.raises(Problem, match="stopping"):
            await picture

    asked = threading.Event()

    def fault(*_):
        asked.set()
        return "500"

    with WorldviewServer(fault) as archive:
        asyncio.run(asyncio.wait_for(stop(archive, asked), PATIENCE))


@pytest.mark.slow
class TestCommand:
    def test_stopping_finishes_requests_in_progress(self, tiny_model, content):
        with command("--port", "0", "--model", str(tiny_model()), "--workers", "1") as process:
            address, token = address_of(process)
            assert token == ""
            place = urlsplit(address)
            with socket.create_connection((place.hostname, place.port), PATIENCE) as connection:
                length = f"Content-Length: {len(content)}"
                sent = request("POST", SEGMENT, "Content-Type: image/jpeg", length, body=content)
                connection.sendall(sent[:-1])
                wait_for(lambda: counts(address)["nephoscope_requests_inside"] == 1)
                process.send_signal(signal.SIGTERM)
                wait_for(lambda: not is_up(address))  # nobody new is let in
                connection.sendall(sent[-1:])
                answer = parsed(received(connection))
            assert answer.status == 200
            assert answer.json["scenes"][0]["patterns"]
            assert process.wait(PATIENCE) == 0
            assert "Traceback" not in process.stdout.read()

    def test_an_interrupt_stops_the_server(self, tiny_model):
        with command("--port", "0", "--model", str(tiny_model())) as process:
            address_of(process)
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) == 0
            assert process.stdout.read() == ""

    def test_a_second_interrupt_drops_requests_in_progress(self, tiny_model, content):
        with command("--port", "0", "--model", str(tiny_model())) as process:
            address, _ = address_of(process)
            place = urlsplit(address)
            with socket.create_connection((place.hostname, place.port), PATIENCE) as connection:
                half = request("POST", SEGMENT, "Content-Type: image/jpeg", "Content-Length: 5000", body=b"x")
                connection.sendall(half)
                wait_for(lambda: counts(address)["nephoscope_requests_inside"] == 1)
                process.send_signal(signal.SIGINT)
                assert "finishing requests in progress" in process.stdout.readline()
                process.send_signal(signal.SIGINT)
                process.wait(PATIENCE)
            assert process.stdout.read() == ""

    def test_disconnects_are_not_logged(self, tiny_model, content):
        with command("--port", "0", "--model", str(tiny_model()), "--workers", "1") as process:
            address, _ = address_of(process)
            dispositions = [f'form-data; name="picture"; filename="{number}.jpg"' for number in range(16)]
            body = form(*[(disposition, content) for disposition in dispositions])
            visitor = HTTPConnection(urlsplit(address).netloc)
            visitor.request("POST", SEGMENT, body, {"Content-Type": FORM})
            visitor.close()
            gone = 'nephoscope_requests_total{route="/segment",status="400"}'
            wait_for(lambda: gone in counts(address))
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) == 0
            assert process.stdout.read() == ""

    def test_a_token_is_generated_beyond_loopback(self, tiny_model, content):
        with command("--host", "0.0.0.0", "--port", "0", "--model", str(tiny_model())) as process:
            address, token = address_of(process)
            address = f"http://127.0.0.1:{urlsplit(address).port}"
            assert len(token) >= 24
            assert post(address, content).kind == "token"
            assert post(address, content, Authorization=f"Bearer {token}").status == 200

    @pytest.mark.parametrize(
        ("arguments", "environment"), [(["--token", "s3cret"], {}), ([], {"NEPHOSCOPE_TOKEN": "s3cret"})]
    )
    def test_a_given_token_is_used(self, tiny_model, arguments, environment):
        with command("--port", "0", "--model", str(tiny_model()), *arguments, **environment) as process:
            address, token = address_of(process)
            assert token == ""  # who gave it knows it
            assert ask(address, "/api/v1/models").kind == "token"
            assert ask(address, "/api/v1/models", Authorization="Bearer s3cret").status == 200

    def test_a_taken_port_is_an_error_in_one_line(self, tiny_model):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            with command("--port", str(port), "--model", str(tiny_model())) as process:
                output, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 2
        assert f"127.0.0.1:{port}: " in output
        assert "choose another with --port" in output
        assert "Traceback" not in output

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["--model", "nothing.onnx"], "nothing.onnx"),
            (["--host", "no.such.host.invalid"], "no.such.host.invalid"),
        ],
    )
    def test_invalid_options_are_errors_in_one_line(self, arguments, words):
        with command("--port", "0", *arguments) as process:
            output, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 2
        assert words in output
        assert "Traceback" not in output
