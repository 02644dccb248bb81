"""What a network is for: how images become inputs, and outputs an answer that can be scored."""
