"""From what was seen of activations to the ranges that are worth representing."""
