"""Weights on integer grids."""
