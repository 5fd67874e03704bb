"""Labelled data: labels, catalogues, annotations."""
