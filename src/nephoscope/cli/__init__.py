"""The `nephoscope` command: one function a sub-command, no logic."""

from nephoscope.cli import atlas, atlas_results, fetch, segment, serve, train
from nephoscope.cli.app import app, main

__all__ = ["app", "atlas", "atlas_results", "fetch", "main", "segment", "serve", "train"]
