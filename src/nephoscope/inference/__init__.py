"""Models, and the segmentation of scenes by them."""
