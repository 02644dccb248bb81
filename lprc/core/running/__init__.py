"""Graphs run in ONNX Runtime: inputs, outputs, how far they are apart."""
