"""The command that opens a page: `serve`."""

import secrets
import socket
from typing import Annotated

import typer

from nephoscope.cli import console
from nephoscope.cli.app import app, needs, plain_errors


@app.command()
def serve(
    host: Annotated[
        str, typer.Option(help="Address of this machine to listen at; beyond it, a token is asked for.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any that is free.")] = 8000,
    models: Annotated[
        list[str], typer.Option("--model", help="A model's name or file; may be given again.")
    ] = ["default"],  # noqa: B006 (Typer copies it)
    token: Annotated[
        str | None,
        typer.Option(envvar="NEPHOSCOPE_TOKEN", help="What visitors must show; made up where one is needed."),
    ] = None,
    allowed: Annotated[
        list[str],
        typer.Option("--allow-host", metavar="NAME", help="Another name by which the server is called."),
    ] = [],  # noqa: B006
    workers: Annotated[
        int | None, typer.Option(min=1, help="Pictures worked on at once; as many as processors unless said.")
    ] = None,
) -> None:
    """Open a page where anyone can look, and answer programs; Ctrl-C stops."""
    with needs("web"):
        from nephoscope.server.server import listen, make_server
        from nephoscope.server.settings import LOOPBACK, Settings
    from nephoscope.core.io import available_cpus

    within = host in LOOPBACK
    names = tuple(name.lower() for name in allowed)
    settings = Settings(
        models=tuple(models),
        workers=workers or available_cpus(),
        token=token or (None if within else secrets.token_urlsafe(24)),
        hosts=(*LOOPBACK, host.lower(), *names) if within or names else (),
    )
    with plain_errors():
        listening = listen(host, port)
        server = make_server(settings)
    shown = host if host not in ("0.0.0.0", "::") else names[0] if names else socket.gethostname()
    shown = f"[{shown}]" if ":" in shown else shown
    key = f"#token={settings.token}" if settings.token else ""
    console.tell(f"nephoscope is at http://{shown}:{listening.getsockname()[1]}/{key}")
    server.run(sockets=[listening])
