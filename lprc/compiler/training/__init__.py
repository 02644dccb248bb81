"""Fine-tuning: an ONNX graph as a torch module, and its weights back into the same graph."""
