"""The graph rewrites, one a file."""
