"""Where and how channels are scaled without changing what a graph computes."""
