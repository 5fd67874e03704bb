"""`nephoscope serve`: a page where anyone can look, and the same for programs."""
