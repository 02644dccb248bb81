"""Targets as data, and the legality of lowered graphs."""
