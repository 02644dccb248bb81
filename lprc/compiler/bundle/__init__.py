"""Bundles: a pipeline as configurations and sources for another vendor's framework of video."""
