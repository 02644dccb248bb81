"""An onnx-ir graph: what its values, nodes and operators are, read and rewritten in safe steps."""
