"""The `nephoscope` command: one function a sub-command, no logic."""

from nephoscope.cli import atlas, basic, fetch, learning, maps, serve
from nephoscope.cli.app import app, main

__all__ = ["app", "atlas", "basic", "fetch", "learning", "main", "maps", "serve"]
