"""Accuracy, latency, fidelity, and what each pass costs in them."""
