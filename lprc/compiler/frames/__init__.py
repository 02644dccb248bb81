"""Frames in, answers out: networks one behind the other, as a ``pipeline.toml`` says."""
