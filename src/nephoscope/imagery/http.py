"""Pictures from http and https addresses, within bounds of size and time."""

import ssl
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from http.client import HTTPException, HTTPMessage, HTTPResponse
from threading import Thread
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

from nephoscope import __version__
from nephoscope.core.errors import DownloadError
from nephoscope.core.io import MAX_BYTES

LONGEST = 60.0  # s, for the whole
_SILENCE = 20.0  # s without a byte
_PIECE = 64 * 1024  # bytes


def download(
    url: str, *, largest: int = MAX_BYTES, longest: float = LONGEST, redirects: bool = True
) -> bytes:
    """Fetch what lies at an http or https address; redirects are followed to such addresses only.

    Args:
        url: the address.
        largest: bytes; more is refused.
        longest: seconds for the whole; more is refused.
        redirects: whether one may lead to another host.

    Raises:
        DownloadError: refused, not there, too large or too slow; the message names the address.
    """
    outcome: list[bytes | DownloadError] = []

    def fetch() -> None:
        try:
            outcome.append(_fetch(url, largest, longest, redirects))
        except DownloadError as error:
            outcome.append(error)

    # A server can drip where no time-out of a socket sees it: the wait has an end of its own.
    thread = Thread(target=fetch, daemon=True)
    thread.start()
    thread.join(longest)
    if not outcome:
        raise _too_slow(url, longest)
    if isinstance(outcome[0], DownloadError):
        raise outcome[0]
    return outcome[0]


def _fetch(url: str, largest: int, longest: float, redirects: bool) -> bytes:
    end = time.monotonic() + longest
    try:
        request = Request(url, headers={"User-Agent": f"nephoscope/{__version__}"})
        with _opener(redirects).open(request, timeout=min(_SILENCE, longest)) as answer:
            return _read(url, answer, largest, longest, end)
    except HTTPError as error:
        error.close()
        wait = _retry_after(error.headers.get("Retry-After", ""))
        reason = f"the server answered {error.code}: {error.reason}"
        raise DownloadError(url, reason, _cause(error.code), error.code, wait) from error
    except URLError as error:
        slow = isinstance(error.reason, TimeoutError)
        words = getattr(error.reason, "strerror", None) or error.reason  # without its number
        raise DownloadError(url, words, "too slow" if slow else "unreachable") from error
    except TimeoutError as error:
        raise DownloadError(url, error, "too slow") from error
    except DownloadError:
        raise
    except (OSError, HTTPException, ValueError) as error:
        raise DownloadError(url, error) from error


def _read(url: str, answer: HTTPResponse, largest: int, longest: float, end: float) -> bytes:
    content = bytearray()
    while piece := answer.read1(_PIECE):
        content += piece
        if len(content) > largest:
            raise DownloadError(url, f"more than {largest:,} bytes", "too large")
        if time.monotonic() > end:  # nobody waits for it any more
            raise _too_slow(url, longest)
    announced = answer.headers.get("Content-Length")
    if announced and announced.isdigit() and len(content) < int(announced):
        raise DownloadError(url, f"cut short: {len(content):,} of {int(announced):,} bytes", "cut short")
    return bytes(content)


def _too_slow(url: str, longest: float) -> DownloadError:
    return DownloadError(url, f"not done after {longest:g} s", "too slow")


def _cause(status: int) -> str:
    if status in (429, 503):
        return "busy"
    return "server error" if status >= 500 else "refused"


def _retry_after(text: str) -> float | None:
    """Seconds from a `Retry-After`, which gives them or a date; None from anything else."""
    if text.strip().isdecimal():
        return float(text)
    try:
        then = parsedate_to_datetime(text)
        seconds = (then.replace(tzinfo=then.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    except (ValueError, OverflowError):
        return None
    return max(0.0, seconds)


class _SameHost(HTTPRedirectHandler):
    """Follows a redirect only where the host stays the same."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        before, after = urlsplit(req.full_url), urlsplit(newurl)
        if before.netloc != after.netloc:
            raise URLError(f"the server sends to another host, {after.netloc}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@cache
def _opener(redirects: bool) -> OpenerDirector:
    """Speaks http and https alone, so that no redirect leads to a file or another protocol.

    One serves all requests: reading the certificates takes longer than many an answer.
    """
    opener = OpenerDirector()
    for handler in (
        ProxyHandler(),
        HTTPHandler(),
        HTTPSHandler(context=ssl.create_default_context()),
        HTTPRedirectHandler() if redirects else _SameHost(),
        HTTPErrorProcessor(),
        HTTPDefaultErrorHandler(),
    ):
        opener.add_handler(handler)
    return opener
