"""Types, errors, files, locations and patterns that every package uses; imports nothing of nephoscope."""
