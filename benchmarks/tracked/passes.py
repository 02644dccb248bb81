"""Exact passes on a graph of thousands of nodes, without verification."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import onnx

sys.path.insert(0, str(Path(__file__).parents[1]))
from scaling import residual_graph

NODES = 5000


class Passes:
    """From a file to the graph in memory: reading, checks and what a pipeline does."""

    timeout = 300
    params = (
        "infer-shapes",
        "fold-constants",
        "infer-shapes,fold-constants,fold-bn",
        "infer-shapes,merge-reshapes,merge-transposes,eliminate-identity",
        "eliminate-common-subexpressions,eliminate-dead-code,deduplicate-initializers",
    )
    param_names = ("pipeline",)
    number = 1
    repeat = (3, 5, 60.0)

    def setup(self, pipeline: str) -> None:
        """The graph in a file, and everything that is imported once."""
        self.folder = tempfile.TemporaryDirectory()
        self.model = Path(self.folder.name) / "residual.onnx"
        onnx.save(residual_graph(NODES), self.model)
        self.time_optimize(pipeline)

    def teardown(self, pipeline: str) -> None:
        """The folder goes."""
        self.folder.cleanup()

    def time_optimize(self, pipeline: str) -> None:
        """`lprc.optimize`."""
        import lprc

        lprc.optimize(self.model, pipeline, verify="off")
