"""Labelled data: label files, catalogues, annotations, and folders of all three."""
