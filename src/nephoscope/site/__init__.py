"""A page without a server: static files, whose models run in the visitor's browser."""
