"""Pictures from http and https addresses, within bounds of size and time."""

from http.client import HTTPException
from threading import Thread
from urllib.error import HTTPError, URLError
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
from nephoscope.scene import MAX_BYTES, SceneError

LONGEST = 60.0  # s, for the whole
_SILENCE = 20.0  # s without a byte
_PIECE = 64 * 1024  # bytes


def download(url: str, *, largest: int = MAX_BYTES, longest: float = LONGEST) -> bytes:
    """Fetch what lies at an http or https address; redirects are followed to such addresses only.

    Args:
        url: the address.
        largest: bytes; more is refused.
        longest: seconds for the whole; more is refused.

    Raises:
        SceneError: refused, not there, too large or too slow; the message names the address.
    """
    outcome: list[bytes | SceneError] = []

    def fetch() -> None:
        try:
            outcome.append(_fetch(url, largest, min(_SILENCE, longest)))
        except SceneError as error:
            outcome.append(error)

    # A server can drip where no time-out of a socket sees it: the wait has an end of its own.
    thread = Thread(target=fetch, daemon=True)
    thread.start()
    thread.join(longest)
    if not outcome:
        raise SceneError(f"{url}: not done after {longest:g} s")
    if isinstance(outcome[0], SceneError):
        raise outcome[0]
    return outcome[0]


def _fetch(url: str, largest: int, silence: float) -> bytes:
    try:
        request = Request(url, headers={"User-Agent": f"nephoscope/{__version__}"})
        with _opener().open(request, timeout=silence) as answer:
            content = bytearray()
            while piece := answer.read1(_PIECE):
                content += piece
                if len(content) > largest:
                    raise SceneError(f"{url}: more than {largest:,} bytes")
            announced = answer.headers.get("Content-Length")
            if announced and announced.isdigit() and len(content) < int(announced):
                raise SceneError(f"{url}: cut short: {len(content):,} of {int(announced):,} bytes")
            return bytes(content)
    except HTTPError as error:
        raise SceneError(f"{url}: the server answered {error.code}: {error.reason}") from error
    except URLError as error:
        raise SceneError(f"{url}: {error.reason}") from error
    except (OSError, HTTPException, ValueError) as error:
        raise SceneError(f"{url}: {error}") from error


def _opener() -> OpenerDirector:
    """Speaks http and https alone, so that no redirect leads to a file or another protocol."""
    opener = OpenerDirector()
    for handler in (
        ProxyHandler,
        HTTPHandler,
        HTTPSHandler,
        HTTPRedirectHandler,
        HTTPErrorProcessor,
        HTTPDefaultErrorHandler,
    ):
        opener.add_handler(handler())
    return opener
