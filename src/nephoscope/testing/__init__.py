"""Servers with synthetic data, for tests and for trying things offline."""
