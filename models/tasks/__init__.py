"""The tasks that lprc knows."""
