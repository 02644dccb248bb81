"""What knows about graphs, passes and targets in general, and never about one of them."""

from __future__ import annotations

import sys

from lprc.core.moved import MovedModules

sys.meta_path.append(MovedModules())
