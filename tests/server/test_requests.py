"""Unauthorized clients and malformed requests are refused."""

import logging
import socket
from urllib.parse import quote, urlsplit

import pytest

from asking import (
    GUARDED,
    PATIENCE,
    SEGMENT,
    ask,
    counts,
    parsed,
    post,
    post_form,
    raw,
    received,
    refused,
    request,
    wait_for,
)
from nephoscope.server import guard
from nephoscope.server.limits import Limits
from nephoscope.server.settings import LOOPBACK


@pytest.fixture(scope="module")
def server(tiny_server):
    return tiny_server


class TestVisitors:
    @pytest.mark.parametrize(
        "host",
        ["evil.example", "evil.example:8000", "localhost.evil.example", "localhost@evil.example", "[::1", ""],
    )
    def test_unknown_host_names_are_refused(self, server, host):
        for method, target in (
            ("GET", "/"),
            ("GET", "/healthz"),
            ("GET", "/api/v1/server"),
            ("POST", SEGMENT),
        ):
            refused(raw(server, request(method, target, host=f"{host} ")), "host")

    @pytest.mark.parametrize("host", [*LOOPBACK[:2], "LocalHost:99", "[::1]:8000"])
    def test_own_host_names_are_accepted(self, server, host):
        assert raw(server, request("GET", "/healthz", host=host)).status == 200

    def test_a_request_without_a_host_name_is_refused(self, server):
        assert raw(server, request("GET", "/", host=None)).kind == "request"
        refused(raw(server, b"GET / HTTP/1.0\r\n\r\n"), "host")

    @pytest.mark.slow
    def test_more_host_names_can_be_allowed(self, start):
        with start(hosts=("clouds.example",)) as address:
            assert ask(address, "/healthz", Host="clouds.example").status == 200
            refused(ask(address, "/healthz"), "host")
        with start(hosts=()) as address:
            assert ask(address, "/healthz", Host="any.example").status == 200
            assert (
                raw(address, b"POST / HTTP/1.0\r\nOrigin: http://x\r\nContent-Length: 0\r\n\r\n").kind
                == "origin"
            )

    @pytest.mark.slow
    @pytest.mark.parametrize(
        "authorization",
        [
            None,
            "",
            "Bearer",
            "Bearer ",
            "Bearer wrong",
            "Basic s3cret",
            "s3cret",
            "Bearer s3cret2",
            "Bearer \xe9",
        ],
    )
    def test_the_api_needs_the_token(self, start, content, authorization):
        headers = {} if authorization is None else {"Authorization": authorization}
        with start(token="s3cret") as address:
            for target in (
                "/api/v1/models",
                "/api/models",
                "/api/v1/worldview",
                "/metrics",
                "/api/v1/nothing",
            ):
                refused(ask(address, target, **headers), "token")
            answer = post(address, content, **headers)
            refused(answer, "token")
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            for target in (
                "/",
                "/healthz",
                "/readyz",
                "/openapi.json",
                "/api/v1/server",
                "/api/v1/problems/token",
            ):
                assert ask(address, target, **headers).status == 200
            assert ask(address, "/api/v1/server").json["token_needed"] is True

    def test_no_address_bypasses_the_token(self, start):
        with start(token="s3cret", hosts=()) as address:
            for target in (
                "/api/v1/problems/../models",
                "//api/v1/models",
                "/api/v1/server/../models",
                "/API/v1/models",
            ):
                assert raw(address, request("GET", target)).status in (401, 404)
            for host in ("x/y?", "x/api/v1/server#", "x:80/api/v1/server?"):
                refused(raw(address, request("GET", "/api/v1/models", host=host)), "token")

    def test_the_token_opens_the_api(self, start, content):
        with start(token="s3cret") as address:
            assert post(address, content, Authorization="Bearer s3cret").status == 200
            assert ask(address, "/metrics", Authorization="bearer s3cret").status == 200

    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": "http://evil.example"},
            {"Origin": "null"},
            {"Origin": ""},
            {"Origin": "http://["},
            {"Origin": "http://localhost"},  # another port is another site
            {"Origin": "file://"},
            {"Sec_Fetch_Site": "cross-site"},
            {"Sec_Fetch_Site": "same-site"},
        ],
    )
    def test_cross_origin_requests_are_refused(self, server, content, headers):
        refused(post(server, content, **headers), "origin")

    def test_same_origin_requests_are_accepted(self, server, content):
        answer = post(server, content, Origin=server, Sec_Fetch_Site="same-origin")
        assert answer.status == 200

    def test_proxy_headers_are_ignored(self, server):
        headers = {
            "X_Forwarded_Host": "localhost",
            "X_Forwarded_For": "127.0.0.1",
            "Forwarded": "host=localhost",
        }
        refused(ask(server, "/", Host="evil.example", **headers), "host")


class TestRequests:
    def test_chunked_bodies_are_refused(self, server, content):
        chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(content), content)
        sent = request("POST", SEGMENT, "Transfer-Encoding: chunked", "Content-Type: image/jpeg", body=chunks)
        refused(raw(server, sent), "length")

    def test_a_length_does_not_hide_chunks(self, server, content):
        chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(content), content)
        both = ("Transfer-Encoding: chunked", "Content-Length: 10", "Content-Type: image/jpeg")
        refused(raw(server, request("POST", SEGMENT, *both, body=chunks)), "length")

    def test_content_length_is_required(self, server):
        refused(raw(server, request("POST", SEGMENT, "Content-Type: image/jpeg")), "length")

    def test_a_long_request_is_refused_after_its_body(self, start):
        with start(Limits(request_bytes=1000)) as address:
            refused(post(address, bytes(20_000_000)), "too-large")
            refused(post_form(address, ("a.jpg", bytes(20_000_000))), "too-large")

    def test_a_long_request_is_refused_before_its_body(self, start, content):
        headers = ("Content-Type: image/jpeg", "Content-Length: 99999", "Expect: 100-continue")
        with start(Limits(request_bytes=1000)) as address:
            answer = raw(address, request("POST", SEGMENT, *headers))  # not a byte of the body is sent
        refused(answer, "too-large")

    def test_expect_100_continue_is_supported(self, server, content):
        length = f"Content-Length: {len(content)}"
        headers = ("Content-Type: image/jpeg", length, "Expect: 100-continue")
        answer = raw(server, request("POST", SEGMENT, *headers), content)
        assert answer.status == 100
        assert answer.body.startswith(b"HTTP/1.1 200 OK")

    def test_an_endless_body_is_disconnected(self, server, monkeypatch):
        monkeypatch.setattr(guard, "_DRAIN_SECONDS", 0.05)
        start = "POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\nx"
        answer = raw(server, start.encode())  # returns when the server closes
        refused(answer, "not-found")
        assert answer.headers["Connection"] == "close"

    @pytest.mark.parametrize(
        "lines",
        [
            ["Host: evil.example"],
            ["Content-Length: 3", "Content-Length: 4"],
            ["Content-Length: -1"],
            ["Content-Length: 1e3"],
            ["Content-Length: " + "9" * 5000],
            ["Transfer-Encoding: gzip, chunked"],
            ["Transfer-Encoding: identity"],
            ["no colon"],
            ["Bad Name: x"],
            ["X: a\0b"],
            ["X: a\rb"],
            ["X: " + "a" * 1_000_000],
        ],
    )
    def test_malformed_headers_are_refused(self, server, lines):
        answer = raw(server, request("POST", SEGMENT, *lines, body=b"abc"))
        assert answer.status in (400, 501)
        assert answer.kind == "request"
        assert {name.lower() for name in answer.headers} >= GUARDED

    @pytest.mark.parametrize(
        "start",
        [
            b"\x16\x03\x01\0\xa5\x01",
            b"GET\r\n\r\n",
            b"GET / HTTP/9.9\r\nHost: localhost\r\nConnection: close",
            b"\r\n" * 50_000,
        ],
    )
    def test_malformed_requests_are_refused(self, server, start):
        assert raw(server, start, b"\r\n\r\n").kind == "request"

    def test_the_first_of_two_refusals_is_sent(self, server, monkeypatch):
        messages = []
        monkeypatch.setattr(
            logging.getLogger("uvicorn.error"), "error", lambda *what, **_: messages.append(what)
        )
        monkeypatch.setattr(guard, "_DRAIN_SECONDS", 0.3)
        counted = 'nephoscope_requests_total{route="none",status="404"}'
        before = counts(server).get(counted, 0)
        refusable = b"PUT /nothing HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        place = urlsplit(server)
        with socket.create_connection((place.hostname, place.port), PATIENCE) as connection:
            connection.sendall(refusable + b"no chunk\r\n")
            assert parsed(received(connection)).kind == "request"
            wait_for(lambda: counts(server).get(counted, 0) > before)
        assert messages == []

    def test_folded_headers_do_not_smuggle(self, server):
        answer = raw(server, request("GET", "/healthz", "X: a\r\n Host: evil.example"))
        assert answer.status == 200  # the fold is part of X

    def test_absolute_targets_are_not_proxied(self, server):
        refused(raw(server, request("GET", "http://evil.example/api/v1/server")), "not-found")
        refused(raw(server, request("CONNECT", "evil.example:80")), "not-found")

    @pytest.mark.parametrize(
        "target",
        [
            "/page/../settings.py",
            "/page/..%2fsettings.py",
            "/page/%2e%2e/%2e%2e/settings.py",
            "/page/%2fetc%2fpasswd",
            "/page//etc/passwd",
            "/page/..%5csettings.py",
            "/page/%00",
            "/page/",
            "/page/nothing.js",
            "/patterns/../page/style.css",
            "/patterns/Fish%2f.jpg",
            "/patterns/Nothing.jpg",
            "/api/v1/problems/nothing",
            "/etc/passwd",
            "/docs",
            "/redoc",
            "/%ff%fe",
        ],
    )
    def test_path_traversal_is_not_found(self, server, target):
        refused(raw(server, request("GET", target)), "not-found")

    @pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "FOO"])
    def test_other_methods_are_refused(self, server, method):
        answer = ask(server, SEGMENT, method=method)
        refused(answer, "method")
        assert answer.headers["Allow"] == "POST"

    def test_no_name_breaks_a_header(self, server, content):
        evil = "a\r\nSet-Cookie: x=1\r\n\r\n<script>.jpg"
        answer = post(server, content, f"?name={quote(evil)}", Accept="image/png")
        assert answer.status == 200
        assert "Set-Cookie" not in answer.headers
        assert "\n" not in answer.headers["Content-Disposition"]

    @pytest.mark.slow
    def test_every_response_has_security_headers(self, server, content, monkeypatch):
        tag = ask(server, "/page/style.css").headers["ETag"]
        answers = [
            ask(server, "/"),
            ask(server, "/", method="HEAD"),
            ask(server, "/page/style.css"),
            ask(server, "/page/style.css", If_None_Match=tag),
            ask(server, "/patterns/Fish.jpg"),
            ask(server, "/synthetic_sample.jpg"),
            ask(server, "/healthz"),
            ask(server, "/metrics"),
            ask(server, "/openapi.json"),
            ask(server, "/nothing"),
            post(server, content),
            post(server, b"nothing"),
        ]

        def fail():
            raise RuntimeError("a secret of the server")

        monkeypatch.setattr("nephoscope.server.responses.downloads", fail)
        answers.append(ask(server, "/api/v1/server"))
        assert b"secret" not in answers[-1].body
        assert answers[-1].kind == "failure"
        assert [answer.status for answer in answers] == [200, 200, 200, 304, *[200] * 5, 404, 200, 415, 500]
        for answer in answers:
            assert {name.lower() for name in answer.headers} >= GUARDED
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "'unsafe" not in answer.headers["Content-Security-Policy"]
            assert "Server" not in answer.headers


def test_server_still_works(server, content):
    wait_for(lambda: counts(server)["nephoscope_requests_inside"] == 0)
    now = counts(server)
    assert (now["nephoscope_pictures_inside"], now["nephoscope_held_bytes"]) == (0, 0)
    assert post(server, content).status == 200
