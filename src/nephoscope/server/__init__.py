"""HTTP server of `nephoscope serve`: a web page and a JSON API."""
