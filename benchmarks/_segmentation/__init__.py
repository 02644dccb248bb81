"""Parts of ``benchmarks/segmentation.py``."""
