"""How tests speak to a server: as browsers and programs do, and as neither would."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import Message
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from nephoscope.server.problems import KINDS

PATIENCE = 30.0  # s; a test that waits for longer has failed
BOUNDARY = "MADE-BY-TESTS"
FORM = f"multipart/form-data; boundary={BOUNDARY}"
SEGMENT = "/api/v1/segment"
GUARDED = {
    "content-security-policy",
    "x-content-type-options",
    "x-frame-options",
    "referrer-policy",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "permissions-policy",
    "cache-control",
}  # the headers of every answer


class Answer(NamedTuple):
    status: int
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def kind(self) -> str:
        """Of a problem: the last word of its type, once all that a problem must have was seen to be there."""
        assert self.headers["Content-Type"] == "application/problem+json"
        assert set(self.json) - {"request_id"} == {"type", "title", "status", "detail"}
        assert self.json.get("request_id") == self.headers.get(
            "X-Request-ID"
        )  # both or, before routing, none
        assert self.json["status"] == self.status
        assert self.json["title"]
        assert self.json["detail"]
        return str(self.json["type"].removeprefix("/api/v1/problems/"))


def refused(answer: Answer, kind: str) -> str:
    """See that an answer is a problem of a kind, guarded as all answers are; gives what it says."""
    assert (answer.status, answer.kind) == (KINDS[kind].status, kind)
    assert {name.lower() for name in answer.headers} >= GUARDED
    return str(answer.json["detail"])


def ask(address: str, target: str, body: bytes | None = None, method: str = "", **headers: str) -> Answer:
    """Send one request; `Content_Type` among the keywords is the header Content-Type."""
    place = urlsplit(address)
    connection = HTTPConnection(place.hostname or "", place.port, timeout=PATIENCE)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method or ("GET" if body is None else "POST"), target, body, named)
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


def post(address: str, content: bytes, query: str = "", **headers: str) -> Answer:
    """Have one picture segmented."""
    return ask(address, SEGMENT + query, content, **{"Content_Type": "image/jpeg"} | headers)


def post_form(address: str, *parts: tuple[str, bytes], query: str = "", **headers: str) -> Answer:
    """Have pictures segmented, each given by its file's name and content."""
    body = form(*((f'form-data; name="picture"; filename="{name}"', content) for name, content in parts))
    return ask(address, SEGMENT + query, body, **{"Content_Type": FORM} | headers)


def form(*parts: tuple[str, bytes], end: str = "--") -> bytes:
    """A form's body, of dispositions and contents."""
    pieces = [
        f"--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n\r\n".encode() + content + b"\r\n"
        for disposition, content in parts
    ]
    return b"".join(pieces) + f"--{BOUNDARY}{end}\r\n".encode()


def request(
    method: str, target: str, *headers: str, body: bytes = b"", host: str | None = "127.0.0.1"
) -> bytes:
    """A request's bytes, after which the connection closes; a body's length is said by the caller."""
    lines = [
        f"{method} {target} HTTP/1.1",
        *([f"Host: {host}"] if host else []),
        "Connection: close",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def raw(address: str, *pieces: bytes) -> Answer:
    """Send bytes as they are, and read until the server closes."""
    place = urlsplit(address)
    with socket.create_connection((place.hostname, place.port), PATIENCE) as connection:
        for piece in pieces:
            connection.sendall(piece)
        return parsed(received(connection))


def received(connection: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    pieces = []
    while piece := connection.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


def parsed(content: bytes) -> Answer:
    """An answer from its bytes."""
    head, _, body = content.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = Message()
    for name, _, value in (line.partition(":") for line in lines):
        headers[name] = value.strip()
    return Answer(int(first.split()[1]), headers, body)


def counts(address: str, **headers: str) -> dict[str, float]:
    """What a server has counted, by name and labels."""
    text = ask(address, "/metrics", **headers).body.decode()
    return {name: float(value) for name, value in re.findall(r"^(\w\S*) (\S+)$", text, re.MULTILINE)}


def wait_for(come: Callable[[], bool]) -> None:
    """Look again and again until something has come true."""
    end = time.monotonic() + PATIENCE
    while not come():
        assert time.monotonic() < end, "this never came true"
        time.sleep(0.005)


class _Elsewhere(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.asked.append((self.headers["Host"], self.path))
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        status, headers, content = self.server.answer
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def elsewhere(status: int, headers: dict[str, str], content: bytes = b"") -> Iterator[ThreadingHTTPServer]:
    """Another server at `address`, which answers all alike; `asked` keeps each name and path."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Elsewhere) as other:
        other.answer, other.asked = (status, headers, content), []
        other.address = f"http://127.0.0.1:{other.server_port}"
        thread = Thread(target=other.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield other
        finally:
            other.shutdown()
            thread.join()


@contextmanager
def command(*arguments: str, **environment: str) -> Iterator["subprocess.Popen[str]"]:
    """A `nephoscope serve` of its own, which ends with the test."""
    process = subprocess.Popen(
        [sys.executable, "-m", "nephoscope", "serve", *arguments],
        env=os.environ | {"PYTHONUNBUFFERED": "1", "NO_COLOR": "1", "COLUMNS": "200"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def address_of(process: "subprocess.Popen[str]") -> tuple[str, str]:
    """The address and the token that a `nephoscope serve` prints, once it is ready."""
    assert process.stdout
    line = process.stdout.readline()
    assert "http://" in line, line + process.stdout.read()
    address, _, token = line[line.index("http://") :].strip().partition("/#token=")
    wait_for(lambda: is_up(address.rstrip("/")))
    return address.rstrip("/"), token


def is_up(address: str) -> bool:
    """Whether a server is ready."""
    try:
        return ask(address, "/readyz").status == 200
    except OSError:
        return False
