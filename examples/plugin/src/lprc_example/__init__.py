"""A pass, a target and a runtime for lprc, found through entry points."""
