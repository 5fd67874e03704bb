"""The retry rule, and requests that carry content or a token."""

import json
from itertools import count
from types import SimpleNamespace
from urllib.request import Request

import pytest

from asking import elsewhere
from nephoscope.core.errors import DownloadError
from nephoscope.imagery import http
from nephoscope.imagery.http import LONGEST_PAUSE, Retry, download


def failing(cause="busy", retry_after=None, times=100):
    """A request that fails so many times, then succeeds."""
    calls = count(1)

    def request():
        if next(calls) <= times:
            raise DownloadError("http://a/", "reason", cause, retry_after=retry_after)
        return b"content"

    return request


def waits(retry, request):
    """Pauses of a request that fails in the end, and the error."""
    slept = []
    with pytest.raises(DownloadError) as caught:
        retry.run(request, slept.append)
    return slept, caught.value


class TestRetry:
    def test_a_request_that_succeeds_later(self):
        slept = []
        assert Retry(tries=4).run(failing(times=2), slept.append) == b"content"
        assert len(slept) == 2

    def test_pauses_grow_and_vary(self):
        slept, error = waits(Retry(tries=4, pause=2.0), failing())
        for pause, expected in zip(slept, (2, 4, 8), strict=True):
            assert expected / 2 <= pause <= expected * 1.5
        assert error.reason == "reason (asked 4 times)"

    def test_pauses_have_a_limit(self):
        slept, _ = waits(Retry(tries=20), failing())
        assert max(slept) <= LONGEST_PAUSE

    def test_retry_after_is_a_lower_bound(self):
        slept, _ = waits(Retry(tries=3, pause=0.001), failing(retry_after=7.0))
        assert slept == [7, 7]

    def test_a_long_retry_after_ends_it(self):
        slept, error = waits(Retry(), failing(retry_after=3600.0))
        assert slept == []
        assert (error.reason, error.retry_after) == ("reason", 3600)

    @pytest.mark.parametrize("cause", ["refused", "too large"])
    def test_some_failures_are_final(self, cause):
        slept, error = waits(Retry(), failing(cause))
        assert slept == []
        assert error.cause == cause

    def test_patience_ends(self, monkeypatch):
        clock = count(0, 50)
        monkeypatch.setattr(http, "time", SimpleNamespace(monotonic=lambda: next(clock)))
        slept, _ = waits(Retry(growth=1.0, patience=120.0), failing(retry_after=2.0))
        assert slept == [2, 2]

    def test_an_exception_of_sleep_ends_it(self):
        def stop(_):
            raise InterruptedError

        with pytest.raises(InterruptedError):
            Retry().run(failing(), stop)


class TestRequests:
    def test_the_reason_is_the_detail_of_a_problem_document(self):
        content = json.dumps({"detail": "no such thing"}).encode()
        with elsewhere(404, {}, content) as server, pytest.raises(DownloadError) as caught:
            download(server.address)
        assert (caught.value.reason, caught.value.status) == ("no such thing", 404)

    @pytest.mark.parametrize(
        "request_parts", [{"data": b"content"}, {"headers": {"Authorization": "Bearer abc"}}]
    )
    def test_content_and_tokens_follow_no_redirect(self, request_parts):
        with elsewhere(302, {"Location": "/other"}) as server, pytest.raises(DownloadError) as caught:
            download(Request(server.address, **request_parts))
        assert caught.value.status == 302
        assert len(server.asked) == 1
