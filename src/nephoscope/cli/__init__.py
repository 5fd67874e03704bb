"""The command line: one function per command, no logic."""

from nephoscope.cli import (
    atlas,
    atlas_results,
    cross_validation,
    evaluate,
    fetch,
    info,
    labels,
    models,
    segment,
    serve,
    site,
    styles,
    suggest,
    train,
)
from nephoscope.cli.app import app, main

__all__ = [
    "app",
    "atlas",
    "atlas_results",
    "cross_validation",
    "evaluate",
    "fetch",
    "info",
    "labels",
    "main",
    "models",
    "segment",
    "serve",
    "site",
    "styles",
    "suggest",
    "train",
]
