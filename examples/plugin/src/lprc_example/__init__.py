"""A pass and a target for lprc, found through entry points."""
