"""Models from and to ONNX files."""
