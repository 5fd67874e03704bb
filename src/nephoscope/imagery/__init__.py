"""Sources of satellite pictures, and how they are read."""
