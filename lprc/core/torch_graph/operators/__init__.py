"""ONNX operators in torch, one file a family; `table` puts them together."""
