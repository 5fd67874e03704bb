"""Servers with made-up data, for tests and for trying things offline."""
