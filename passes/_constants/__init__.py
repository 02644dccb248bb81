"""Shared parts of constant folding."""
