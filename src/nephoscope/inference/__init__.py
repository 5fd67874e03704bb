"""A scene and a model in, patterns out."""
