"""LPRNet, its export, and number plates: alphabets, labels, decoding, synthetic data."""
