"""The backends, one a file, each beside the TOML that describes it."""
