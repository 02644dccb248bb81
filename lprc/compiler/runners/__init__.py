"""Model files run in their runtimes."""
