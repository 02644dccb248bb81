"""Affine quantisation of tensors: ranges, grids, where Q/DQ pairs go, and what they cost."""
