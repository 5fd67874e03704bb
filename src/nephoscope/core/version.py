"""Version of nephoscope, and the day on which it was released."""

__version__ = "0.2.0"
__date__ = "2026-12-01"
