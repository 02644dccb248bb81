"""What this machine is, and what of lprc works on it."""
