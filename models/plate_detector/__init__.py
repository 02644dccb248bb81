"""A detector of number plates: its network, training, synthetic street scenes and scoring."""
