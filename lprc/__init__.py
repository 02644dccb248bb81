"""lprc: an ahead-of-time graph compiler for ONNX networks."""

__version__ = "0.1.0"
