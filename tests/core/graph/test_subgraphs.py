"""Names in graphs inside of graphs."""

from __future__ import annotations

import onnx_ir as ir

from lprc.core.graph import subgraphs

TEXT = """<ir_version: 8, opset_import: ["" : 17]>
g (bool c, float[1] x) => (float[1] y) {
    y = If (c) <
        then_branch = t () => (float[1] p) <float[1] k = {1}, float[1] m = {2}> { h = Add(k, m) p = Add(h, x) },
        else_branch = e () => (float[1] q) <float[1] k = {3}, float[1] m = {4}> { q = Add(k, m) }
    >
}"""


def test_initialisers_of_one_name_become_different():
    model = ir.from_onnx_text(TEXT)
    branches = list(subgraphs.bodies(model.graph.node(0)))
    for branch in branches:
        subgraphs.make_names_unique(branch, subgraphs.count_names(model))
    names = [name for branch in branches for name in branch.initializers]
    assert len(set(names)) == len(names) == 4
