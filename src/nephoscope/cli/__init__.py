"""The `nephoscope` command: one function a sub-command, no logic."""

from nephoscope.cli import basic, learning
from nephoscope.cli.app import app, main

__all__ = ["app", "basic", "learning", "main"]
