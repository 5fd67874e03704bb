"""Drawings and charts that reports, outputs and figures share."""
