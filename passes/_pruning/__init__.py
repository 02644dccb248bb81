"""Which channels of a graph hang together, and how to take some of them out."""
