"""The command `serve`."""

import re
import secrets
import socket
from pathlib import Path
from typing import Annotated, Literal

from typer import Option

from nephoscope.cli import options
from nephoscope.cli.app import app, fail, needs, usage_errors


@app.command()
def serve(
    host: Annotated[
        str, Option(help="Address to listen on; any but the loopback interface needs a token.")
    ] = "127.0.0.1",
    port: Annotated[int, Option(min=0, max=65535, help="0 takes any free port.")] = 8000,
    models: options.Models = ["default"],  # noqa: B006 (Typer copies it)
    token: Annotated[
        str | None,
        Option(envvar="NEPHOSCOPE_TOKEN", help="Secret of the clients. Default: random, if needed."),
    ] = None,
    allowed: Annotated[
        list[str], Option("--allow-host", metavar="NAME", help="Another host name of the server.")
    ] = [],  # noqa: B006
    workers: Annotated[
        int | None, Option(min=1, help="Pictures processed in parallel. Default: one per processor.")
    ] = None,
    pixels: Annotated[
        int,
        Option(
            min=1_000_000,
            envvar="NEPHOSCOPE_PIXELS",
            help="Pixels that all workers decode at once, 10 bytes of memory each.",
        ),
    ] = 20_000_000,
    limits: Annotated[
        list[str],
        Option(
            "--limit",
            metavar="NAME=NUMBER",
            envvar="NEPHOSCOPE_LIMITS",
            help="Another limit, such as pictures=4; repeat for several. docs/server.md lists them.",
        ),
    ] = [],  # noqa: B006
    worldview: Annotated[
        bool,
        Option(
            "--worldview/--no-worldview",
            envvar="NEPHOSCOPE_FETCH",
            help="Whether visitors can fetch days from NASA Worldview.",
        ),
    ] = True,
    labels: Annotated[
        Path | None,
        Option(
            metavar="FOLDER",
            envvar="NEPHOSCOPE_LABELS",
            help="Data set to which the labels that visitors draw are added.",
        ),
    ] = None,
    proxies: Annotated[
        list[str],
        Option("--proxy", metavar="ADDRESS", help="Proxy in front, which names clients in X-Forwarded-For."),
    ] = [],  # noqa: B006
    root_path: Annotated[
        str,
        Option(
            metavar="PATH",
            envvar="NEPHOSCOPE_ROOT_PATH",
            help="Path below which a proxy shows the server, such as /clouds.",
        ),
    ] = "",
    certificate: Annotated[
        Path | None,
        Option("--tls-certificate", envvar="NEPHOSCOPE_TLS_CERTIFICATE", help="File of a certificate chain."),
    ] = None,
    key: Annotated[
        Path | None, Option("--tls-key", envvar="NEPHOSCOPE_TLS_KEY", help="File of the certificate's key.")
    ] = None,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"] | None,
        Option(envvar="NEPHOSCOPE_LOG_LEVEL", help="The least that is logged. Default: as -q and -v say."),
    ] = None,
    log_format: Annotated[
        Literal["lines", "json"],
        Option(envvar="NEPHOSCOPE_LOG_FORMAT", help="Lines for people, or JSON objects for programs."),
    ] = "lines",
    access_log: Annotated[
        bool, Option("--access-log", envvar="NEPHOSCOPE_ACCESS_LOG", help="Log every request.")
    ] = False,
) -> None:
    """Serve a web page and a JSON API; Ctrl-C stops."""
    with needs("web"):
        from nephoscope.server.limits import Limits, changed_limits
        from nephoscope.server.logs import announce, configure_logging, native_messages_in_log
        from nephoscope.server.server import listen, make_server
        from nephoscope.server.settings import LOOPBACK, Settings
    from nephoscope.core.io import available_cpus

    local = host in LOOPBACK
    names = tuple(name.lower() for name in allowed)
    if token is not None and not re.fullmatch(r"[!-~]+", token):
        fail("the token must be printable ASCII without spaces: others do not fit into a header")
    if not re.fullmatch(r"/*([\w.~-]+/*)*", root_path, re.ASCII) or ".." in root_path:
        fail(f"--root-path {root_path!r}: give a path such as /clouds")
    if (certificate is None) != (key is None):
        fail("--tls-certificate and --tls-key belong together")
    with usage_errors():
        chosen = changed_limits(Limits(decoded_pixels=pixels), limits)
    settings = Settings(
        models=tuple(models),
        workers=workers or available_cpus(),
        token=token or (None if local else secrets.token_urlsafe(24)),
        proxies=tuple(proxies),
        limits=chosen,
        root_path=f"/{root_path.strip('/')}" if root_path.strip("/") else "",
        worldview=worldview,
        labels=str(labels) if labels else None,
        tls=(str(certificate), str(key)) if certificate and key else None,
        hosts=(*LOOPBACK, host.lower(), *names) if local or names else (),
    )
    with usage_errors():
        listening = listen(host, port)
        server = make_server(settings)
    shown = host if host not in ("0.0.0.0", "::") else names[0] if names else socket.gethostname()
    shown = f"[{shown}]" if ":" in shown else shown
    secret = f"#token={settings.token}" if settings.token and not token else ""  # a given one is known
    # Also with --quiet: nothing else says what the port and a new token are.
    scheme = "https" if settings.tls else "http"
    address = f"{scheme}://{shown}:{listening.getsockname()[1]}{settings.root_path}/{secret}"
    with native_messages_in_log():
        configure_logging(log_level, log_format, access_log)
        announce(f"nephoscope is at {address}", log_format)
        server.run(sockets=[listening])
