"""``lprc.toml``: which models are built for which targets, and what of that is stale."""
