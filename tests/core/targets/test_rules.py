"""The tables of rules say the same, and ONNX's types are all there."""

from __future__ import annotations

import onnx_ir as ir

from lprc.core.targets.legality import CHECKS
from lprc.core.targets.rules import ELEMENT_TYPES, KINDS


def test_each_kind_of_rule_has_its_check():
    assert sorted(KINDS) == sorted(CHECKS)


def test_element_types_are_those_of_onnx():
    assert {*ir.DataType.__members__} - {"UNDEFINED"} == ELEMENT_TYPES
