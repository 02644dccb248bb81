"""What differs between two models, however their nodes are named and ordered."""
