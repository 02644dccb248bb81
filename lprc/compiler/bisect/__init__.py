"""Find the pass, then the rewrites, that break a model, and cut a small reproducer out of it."""
