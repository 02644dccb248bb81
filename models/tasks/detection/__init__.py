"""Detectors: an image in, boxes with classes and scores out."""

from lprc.models.tasks.detection.task import Detection

__all__ = ["Detection"]
