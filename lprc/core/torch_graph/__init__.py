"""ONNX graphs as torch modules; the one room of core that needs torch."""
