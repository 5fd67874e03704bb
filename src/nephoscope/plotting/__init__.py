"""Charts, and drawings of annotated scenes, for reports and outputs."""
