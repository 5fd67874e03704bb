"""Output formats: one module a format, each with its `FORMAT`, and the registry of all."""

from nephoscope.outputs.format import Format, Web
from nephoscope.outputs.registry import FORMATS, formats, get_format, parse_formats

__all__ = ["FORMATS", "Format", "Web", "formats", "get_format", "parse_formats"]
