"""What every other package needs; imports nothing of nephoscope."""
