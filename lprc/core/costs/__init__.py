"""What a graph costs: nodes, parameters, multiply-accumulates, memory."""
