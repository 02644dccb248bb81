"""What the commands do: optimise, compile, evaluate, measure."""
