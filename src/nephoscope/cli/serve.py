"""The command `serve`."""

import secrets
import socket
import sys
from typing import Annotated

from typer import Option

from nephoscope.cli import completion
from nephoscope.cli.app import app, needs, usage_errors

Models = Annotated[
    list[str],
    Option("--model", help="Name or file of a model; repeat for several.", autocompletion=completion.models),
]


@app.command()
def serve(
    host: Annotated[
        str, Option(help="Address to listen on; any but the loopback interface needs a token.")
    ] = "127.0.0.1",
    port: Annotated[int, Option(min=0, max=65535, help="0 takes any free port.")] = 8000,
    models: Models = ["default"],  # noqa: B006 (Typer copies it)
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
    proxies: Annotated[
        list[str],
        Option("--proxy", metavar="ADDRESS", help="Proxy in front, which names clients in X-Forwarded-For."),
    ] = [],  # noqa: B006
) -> None:
    """Serve a web page and a JSON API; Ctrl-C stops."""
    with needs("web"):
        from nephoscope.server.limits import Limits
        from nephoscope.server.server import listen, make_server
        from nephoscope.server.settings import LOOPBACK, Settings
    from nephoscope.core.io import available_cpus

    local = host in LOOPBACK
    names = tuple(name.lower() for name in allowed)
    settings = Settings(
        models=tuple(models),
        workers=workers or available_cpus(),
        token=token or (None if local else secrets.token_urlsafe(24)),
        proxies=tuple(proxies),
        limits=Limits(decoded_pixels=pixels),
        hosts=(*LOOPBACK, host.lower(), *names) if local or names else (),
    )
    with usage_errors():
        listening = listen(host, port)
        server = make_server(settings)
    shown = host if host not in ("0.0.0.0", "::") else names[0] if names else socket.gethostname()
    shown = f"[{shown}]" if ":" in shown else shown
    key = f"#token={settings.token}" if settings.token else ""
    # Also with --quiet: nothing else says what the port and the token are.
    address = f"http://{shown}:{listening.getsockname()[1]}/{key}"
    print(f"nephoscope is at {address}", file=sys.stderr, flush=True)
    server.run(sockets=[listening])
