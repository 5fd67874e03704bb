"""Reports for a browser: one self-contained HTML page, its figures as PNG and its numbers as JSON."""
