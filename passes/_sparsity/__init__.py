"""Which weights of which layers become zero, and what the others do about it."""
