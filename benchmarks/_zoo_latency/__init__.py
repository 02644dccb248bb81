"""What zoo_latency.py is made of: its bars, its cells and its page."""
