"""Nodes that give a tensor another shape, or another order of axes, and compute nothing."""
