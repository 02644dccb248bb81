"""What a search may change for lprc's own targets."""

from __future__ import annotations

from lprc.core.targets.search_space import SearchSpace

SPACE = SearchSpace.from_resource("lprc.targets", "search.toml")
