"""Forms in which exporters write what ONNX has operators for."""
