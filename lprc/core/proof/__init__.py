"""Rewrites proved over the reals: windows as terms, and Z3 where arithmetic decides."""
