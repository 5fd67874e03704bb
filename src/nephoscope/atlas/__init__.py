"""Many scenes: planned, segmented on a cluster, stored on one grid and summarised."""
