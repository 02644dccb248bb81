"""Layers as linear equations over calibration samples, and the weights that solve them best."""
