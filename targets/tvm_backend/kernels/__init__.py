"""Kernels as tensor expressions (TE): what is computed, not in which order."""
