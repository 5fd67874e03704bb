"""HTTP requests within bounds of size and time, and the retry rule."""

import json
import logging
import random
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from http.client import HTTPException, HTTPMessage, HTTPResponse
from itertools import count
from math import inf
from threading import Thread
from typing import IO, NamedTuple, TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, OpenerDirector, Request, build_opener

from nephoscope.core.errors import DownloadError
from nephoscope.core.io import MAX_BYTES, sanitize_name
from nephoscope.core.version import __version__

T = TypeVar("T")

LONGEST = 60.0  # s, for the whole
LONGEST_PAUSE = 120.0  # s
_SILENCE = 20.0  # s without a byte
_PIECE = 64 * 1024  # bytes
_DETAIL = 100_000  # bytes of an error's content that are read
_LONGEST_WORDS = 1000  # letters of a server's words that are repeated

log = logging.getLogger("nephoscope")


class Retry(NamedTuple):
    """The retry rule: repeat a request that may succeed later, after growing pauses.

    A pause varies by half, so that clients do not return all at once, and is at least as long as the server's
    `Retry-After`. A server that asks for more than `LONGEST_PAUSE` is not asked again.
    """

    tries: float = inf  # requests at most, the first included
    pause: float = 1.0  # s before the second request
    growth: float = 2.0  # factor from each pause to the next
    causes: frozenset[str] = frozenset(  # of `DownloadError`, worth another request
        ("busy", "server error", "unreachable", "too slow", "cut short", "error page", "error picture")
    )
    patience: float = inf  # s after which no request begins

    def run(self, request: Callable[[], T], sleep: Callable[[float], object] = time.sleep) -> T:
        """Call `request` until it succeeds.

        Args:
            request: raises DownloadError where it fails.
            sleep: waits so many seconds between two requests; what it raises ends them.

        Raises:
            DownloadError: the last one; its reason says how many requests there were.
        """
        end, pause = time.monotonic() + self.patience, self.pause
        for tried in count(1):
            try:
                return request()
            except DownloadError as error:
                own = min(pause * random.uniform(0.5, 1.5), LONGEST_PAUSE)
                wait = max(own, error.retry_after or 0)
                late = wait > LONGEST_PAUSE or time.monotonic() + wait > end
                if late or error.cause not in self.causes or tried >= self.tries:
                    reason = f"{error.reason} (asked {tried} times)" if tried > 1 else error.reason
                    raise DownloadError(
                        error.url, reason, error.cause, error.status, error.retry_after, error.problem
                    ) from error
            sleep(wait)
            pause *= self.growth
        raise AssertionError  # the loop does not end


def download(
    request: str | Request,
    *,
    largest: int = MAX_BYTES,
    longest: float = LONGEST,
    silence: float = _SILENCE,
    redirects: bool = True,
) -> bytes:
    """Send a request and return the content of the response.

    Redirects lead to http and https addresses only. A request with content or a token follows none.

    Args:
        request: an address, or a request with content or headers.
        largest: bytes; a larger response is refused.
        longest: seconds for the whole; a slower response is refused.
        silence: seconds without a byte after which the connection is given up.
        redirects: whether a redirect may lead to another host.

    Raises:
        DownloadError: refused, missing, too large or too slow; the message names the address.
    """
    url = request if isinstance(request, str) else request.full_url
    outcome: list[bytes | Exception] = []

    def fetch() -> None:
        try:
            outcome.append(_fetch(request, largest, min(silence, longest), longest, redirects))
        except Exception as error:
            outcome.append(error)

    # A server that sends a byte now and then never exceeds a socket's time-out: the wait has its own end.
    thread = Thread(target=fetch, daemon=True)
    thread.start()
    thread.join(longest)
    if not outcome:
        raise _too_slow(url, longest)
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    return outcome[0]


def _fetch(request: str | Request, largest: int, silence: float, longest: float, redirects: bool) -> bytes:
    url = request if isinstance(request, str) else request.full_url
    end = time.monotonic() + longest
    try:
        _check_scheme(url)
        made = Request(url) if isinstance(request, str) else request
        made.add_header("User-Agent", f"nephoscope/{__version__}")
        with _opener(redirects).open(made, timeout=silence) as response:
            return _read(url, response, largest, longest, end)
    except HTTPError as error:
        cause = "busy" if error.code in (429, 503) else "server error" if error.code >= 500 else "refused"
        wait = _retry_after(error.headers.get("Retry-After", ""))
        detail, problem = _explanation(error)
        raise DownloadError(url, detail, cause, error.code, wait, problem) from error
    except URLError as error:
        slow = isinstance(error.reason, TimeoutError)
        words = getattr(error.reason, "strerror", None) or error.reason  # without its number
        raise DownloadError(url, _one_line(words), "too slow" if slow else "unreachable") from error
    except TimeoutError as error:
        raise DownloadError(url, error, "too slow") from error
    except DownloadError:
        raise
    except (OSError, HTTPException, ValueError) as error:
        raise DownloadError(url, error) from error


def _read(url: str, response: HTTPResponse, largest: int, longest: float, end: float) -> bytes:
    content = bytearray()
    while piece := response.read1(_PIECE):
        content += piece
        if len(content) > largest:
            raise DownloadError(url, f"more than {largest:,} bytes", "too large")
        if time.monotonic() > end:  # nobody waits any more
            raise _too_slow(url, longest)
    announced = response.headers.get("Content-Length")
    if announced and announced.isdigit() and len(content) < int(announced):
        raise DownloadError(url, f"cut short: {len(content):,} of {int(announced):,} bytes", "cut short")
    log.debug("%s: %d bytes", url, len(content))
    return bytes(content)


def _too_slow(url: str, longest: float) -> DownloadError:
    return DownloadError(url, f"not done after {longest:g} s", "too slow")


def _explanation(error: HTTPError) -> tuple[str, str]:
    """Why a server refuses: detail and kind of its problem document (RFC 9457), else its status and ""."""
    try:
        with error:
            document = json.loads(error.read(_DETAIL))
        return _one_line(document["detail"]), str(document.get("type", "")).rpartition("/")[2]
    except (ValueError, LookupError, TypeError, AttributeError, OSError, HTTPException):
        return _one_line(f"the server answered {error.code}: {error.reason}"), ""


def _one_line(words: object) -> str:
    """Words from elsewhere, of bounded length and without what a terminal would obey."""
    return sanitize_name(" ".join(str(words)[:_LONGEST_WORDS].split()))


def _retry_after(text: str) -> float | None:
    """Seconds from a `Retry-After` header, which holds seconds or a date; None from anything else."""
    if text.strip().isdecimal():
        return float(text)
    try:
        then = parsedate_to_datetime(text)
        seconds = (then.replace(tzinfo=then.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    except (ValueError, OverflowError):
        return None
    return max(0.0, seconds)


def _check_scheme(url: str) -> None:
    if urlsplit(url).scheme not in ("http", "https"):
        raise URLError(f"{url}: is not allowed: not an http or https address")


class _Redirects(HTTPRedirectHandler):
    """Follows redirects over http and https, unless with a token or content; to other hosts if allowed."""

    def __init__(self, other_hosts: bool) -> None:
        self.other_hosts = other_hosts

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        if req.data is not None or req.has_header("Authorization"):
            return None
        _check_scheme(newurl)
        before, after = urlsplit(req.full_url), urlsplit(newurl)
        if not self.other_hosts and before.netloc != after.netloc:
            raise URLError(f"the server redirects to another host, {after.netloc}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@cache
def _opener(redirects: bool) -> OpenerDirector:
    """One opener for all requests: reading the certificates takes longer than many a response."""
    return build_opener(HTTPSHandler(context=ssl.create_default_context()), _Redirects(redirects))


def accepts_ranges(url: str) -> bool:
    """Whether a server sends parts of a file, found by asking for its first byte; False where it fails."""
    request = Request(url, headers={"Range": "bytes=0-0", "User-Agent": f"nephoscope/{__version__}"})
    try:
        _check_scheme(url)
        with _opener(True).open(request, timeout=_SILENCE) as response:
            return bool(response.status == 206)
    except (OSError, HTTPException, ValueError):  # a download of the whole tells why
        return False
