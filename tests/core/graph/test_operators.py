"""The table of operators against ONNX's own, and every set of operators in lprc against the table."""

from __future__ import annotations

import ast
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx.defs
import pytest

import lprc
from lprc.core.graph import operators
from lprc.core.graph.operator_table import TABLE, Fact

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(lprc.__file__).parent
SCHEMAS = [each for each in onnx.defs.get_all_schemas_with_history() if each.domain == ""]
NEWEST = {each.name: each for each in onnx.defs.get_all_schemas() if each.domain == ""}


def test_the_table_has_the_operators_of_the_installed_onnx():
    first: dict[str, int] = {}
    for schema in SCHEMAS:
        first[schema.name] = min(schema.since_version, first.get(schema.name, 10**6))
    assert {name: since for name, since in operators.SINCE.items() if name in first} == first
    newest = onnx.defs.onnx_opset_version()
    assert {name for name, since in operators.SINCE.items() if since <= newest} == set(first)
    assert list(TABLE) == sorted(TABLE)


NOT_UNARY = {
    "Bernoulli": "random: no map of its input",
    "ArgMax": "reduces", "ArgMin": "reduces", "Det": "reduces",
    "DepthToSpace": "moves", "SpaceToDepth": "moves", "Flatten": "moves", "Transpose": "moves",
    "DynamicQuantizeLinear": "by statistics of the whole tensor", "NonZero": "puts out indices",
    "EyeLike": "reads the shape", "RandomNormalLike": "reads the shape",
    "RandomUniformLike": "reads the shape", "Shape": "reads the shape", "Size": "reads the shape",
    "ConstantOfShape": "makes a shape", "Multinomial": "draws",
    "GlobalAveragePool": "pools", "GlobalLpPool": "pools", "GlobalMaxPool": "pools",
    "AveragePool": "pools", "LpPool": "pools", "MaxPool": "pools",
    "Hardmax": "along an axis", "LogSoftmax": "along an axis", "Softmax": "along an axis",
    "LRN": "by statistics", "LpNormalization": "by statistics",
    "MeanVarianceNormalization": "by statistics", "DFT": "along an axis", "Squeeze": "moves",
    "Split": "moves", "Trilu": "by place", "Unique": "sorts", "Resize": "resamples",
    "TfIdfVectorizer": "counts", "StringNormalizer": "of texts, and drops some",
    "StringSplit": "of texts", "RegexFullMatch": "of texts", "ImageDecoder": "decodes a file",
    "BlackmanWindow": "makes a window", "HammingWindow": "makes a window",
    "HannWindow": "makes a window", "If": "control flow", "ConcatFromSequence": "of a sequence",
    "SequenceErase": "of a sequence", "SequenceMap": "of a sequence",
    "SequenceLength": "of a sequence", "SplitToSequence": "of a sequence",
    "OptionalGetElement": "of an optional value",
}  # fmt: skip
"""Operators that can have one input, and why they do not map each element of it by itself."""


def test_every_operator_of_one_input_is_classified():
    variadic = onnx.defs.OpSchema.FormalParameterOption.Variadic
    of_one = {
        name
        for name, schema in NEWEST.items()
        if not schema.deprecated
        and schema.min_input == 1
        and schema.inputs[0].option != variadic
        and not name.startswith("Reduce")
    }
    assert not of_one & operators.UNARY & set(NOT_UNARY)
    assert of_one - operators.UNARY == set(NOT_UNARY) & set(NEWEST)
    # A ratio, bounds or a type may come along.
    assert operators.UNARY & set(NEWEST) <= of_one


NOT_BY_PLACE = {
    "Attention", "CastLike", "DequantizeLinear", "Einsum", "Expand", "Gemm", "LayerNormalization",
    "MatMul", "MeanVarianceNormalization", "QuantizeLinear", "RMSNormalization", "ScatterElements",
    "StringConcat", "TensorScatter", "Tile",
}  # fmt: skip
"""Operators whose documentation speaks of broadcasting, and that are not the elementwise ones."""


def test_operators_that_broadcast_say_so():
    says = {name for name, schema in NEWEST.items() if "roadcast" in (schema.doc or "")}
    assert says - operators.BROADCAST <= NOT_BY_PLACE
    assert operators.BROADCAST & set(NEWEST) <= says


def test_what_onnx_calls_not_deterministic_is_random():
    determinism = getattr(onnx.defs.OpSchema, "NodeDeterminism", None)
    if determinism is None:
        pytest.skip("this onnx does not say which operators are random")
    said = {
        name
        for name, schema in NEWEST.items()
        if schema.node_determinism == determinism.NonDeterministic
    }
    # ONNX leaves out that AffineGrid's function body is deterministic.
    assert said - operators.WITH_SUBGRAPHS - {"AffineGrid"} == operators.RANDOM


def test_what_has_subgraphs():
    graphs = (onnx.defs.OpSchema.AttrType.GRAPH, onnx.defs.OpSchema.AttrType.GRAPHS)
    said = {
        name
        for name, schema in NEWEST.items()
        if any(attribute.type in graphs for attribute in schema.attributes.values())
    }
    assert said == operators.WITH_SUBGRAPHS


DISJOINT = (
    Fact.UNARY | Fact.BROADCAST | Fact.POOL | Fact.GLOBAL_POOL | Fact.REDUCTION
    | Fact.NORMALIZATION | Fact.SOFTMAX | Fact.CONVOLUTION | Fact.PRODUCT | Fact.RECURRENT
    | Fact.CONTRACTION | Fact.QDQ | Fact.SUBGRAPHS | Fact.READS_SEQUENCE
)  # fmt: skip
"""What an operator computes: one of these or none."""


def test_categories_are_disjoint_and_finer_ones_are_parts_of_them():
    for name, (_, facts) in TABLE.items():
        assert len(list(facts & DISJOINT)) <= 1, name
    assert operators.UNARY | {"PRelu"} >= operators.ACTIVATIONS
    assert operators.AFFINE < operators.ARITHMETIC < operators.BROADCAST
    assert operators.COMPARISONS < operators.BROADCAST - operators.ARITHMETIC
    assert operators.COMMUTATIVE < operators.BROADCAST
    assert {"Identity"} == operators.MOVES & operators.UNARY
    assert {"Dropout"} == operators.RANDOM & operators.UNARY
    assert {"Conv", "ConvTranspose", "Gemm", "MatMul"} == operators.LINEAR
    assert set(operators.BIAS_INPUTS) - operators.RECURRENT < set(operators.WEIGHT_INPUT)


def test_weights_and_biases_are_where_the_schemas_have_them():
    for name, index in operators.WEIGHT_INPUT.items():
        assert NEWEST[name].inputs[index].name in ("W", "w", "B", "b"), name
    for name, indices in operators.BIAS_INPUTS.items():
        assert {NEWEST[name].inputs[index].name for index in indices} <= {"B", "C", "P"}, name


ONE_RULE_EACH = "what each of the operators does: the functions are the table"
RANGES = "ranges, which a pass and a proof of it do not take from one another"
POSITIONS = "which inputs of each operator have a role"

ALLOWED = {
    ("lprc/core/graph/operator_table.py", "TABLE"): "the table",
    ("lprc/core/graph/operators.py", "BIAS_INPUTS"): POSITIONS,
    ("lprc/core/onnx_io/node_rules.py", "_RULES"): ONE_RULE_EACH,
    ("lprc/core/proof/elementwise.py", "RANGES"): RANGES,
    ("lprc/core/proof/elementwise.py", "RULES"): ONE_RULE_EACH,
    ("lprc/core/proof/elementwise.py", "_FLOATS_ONLY"): "what integers do in another way",
    ("lprc/core/proof/linear.py", "RULES"): ONE_RULE_EACH,
    ("lprc/core/proof/linear.py", "_REDUCED"): ONE_RULE_EACH,
    ("lprc/core/proof/semantics.py", "_OPTIONAL"): "what reads or makes an optional",
    ("lprc/core/proof/semantics.py", "_SHAPES"): "what puts out constants where shapes are known",
    ("lprc/core/running/decisions.py", "_CHOOSES"): "what puts out places by comparing values",
    ("lprc/core/quantization/placement_rules.py", "CARRIERS"): "a difference, with its reason",
    ("lprc/core/running/random_inputs.py", "_INDEXED"): POSITIONS,
    ("lprc/core/torch_graph/operators/elementwise.py", "TABLE"): ONE_RULE_EACH,
    ("lprc/core/torch_graph/operators/linear.py", "TABLE"): ONE_RULE_EACH,
    ("lprc/core/torch_graph/operators/moving.py", "TABLE"): ONE_RULE_EACH,
    ("lprc/core/torch_graph/operators/windows.py", "TABLE"): ONE_RULE_EACH,
    ("lprc/compiler/training/weights.py", "_WEIGHTS"): POSITIONS,
    ("lprc/passes/_channels/levels.py", "_FUNCTIONS"): ONE_RULE_EACH,
    ("lprc/passes/_channels/levels.py", "_APPLY"): ONE_RULE_EACH,
    ("lprc/passes/_channels/levels.py", "_levels"): "reductions that give a constant back",
    ("lprc/passes/_constants/shape_values.py", "_RULES"): ONE_RULE_EACH,
    ("lprc/passes/_float16/operators.py", "STEEP"): "by their growth, which only float16 minds",
    ("lprc/passes/_float16/operators.py", "COMPUTES"): "a difference, with its reason",
    ("lprc/passes/_float16/operators.py", "MOVES"): "a difference, with its reason",
    ("lprc/passes/_float16/operators.py", "NEVER"): "by their digits, which only float16 minds",
    ("lprc/passes/_float16/operators.py", "CARRIES"): "what normalisations are written with",
    ("lprc/passes/_float16/placement.py", "_READERS"): "what takes both precisions",
    ("lprc/passes/_float16/rules.py", "_by_operands"): "what has a pole at zero",
    ("lprc/passes/_forms/channel_pool.py", "_KEEPS_RANK"): "a difference, with its reason",
    ("lprc/passes/_forms/sequences.py", "_FROM_SEQUENCE"): "a difference, with its reason",
    ("lprc/passes/_pruning/rules_reduce.py", "SUMS"): "reductions that zeros add nothing to",
    ("lprc/passes/_pruning/tracing.py", "_RULES"): ONE_RULE_EACH,
    ("lprc/passes/_scaling/homogeneous.py", "_MOVES"): ONE_RULE_EACH,
    ("lprc/passes/_constants/shape_values.py", "_INTEGERS"): ONE_RULE_EACH,
    ("lprc/passes/_scaling/sources.py", "_NORMALIZATIONS"): POSITIONS,
    ("lprc/passes/_sparsity/gradients.py", "RULES"): ONE_RULE_EACH,
    ("lprc/passes/eliminate_identity.py", "_RULES"): ONE_RULE_EACH,
    ("lprc/passes/fold_affine.py", "_affine"): ONE_RULE_EACH,
    ("lprc/passes/fold_constants.py", "_SHRINKING"): "results that are never larger than inputs",
    (
        "lprc/passes/fold_pad.py",
        "_PADDING",
    ): "those whose padding is a constant that a Pad can write",
    ("lprc/passes/simplify_activations.py", "_NEVER_NEGATIVE"): RANGES,
    ("lprc/passes/simplify_activations.py", "_range"): RANGES,
}
"""Places with the names of three operators or more that are not taken from the table, and why."""


def _sources() -> Iterator[Path]:
    for folder in (ROOT, *(ROOT / name for name in ("passes", "targets", "models"))):
        for path in folder.rglob("*.py"):
            if folder != ROOT or path.relative_to(ROOT).parts[0] not in (
                "passes",
                "targets",
                "models",
            ):
                yield path


def _texts(node: ast.AST) -> list[ast.expr | None]:
    """The elements of `node` that may be names of operators."""
    if isinstance(node, ast.Set | ast.Tuple | ast.List):
        return list(node.elts)
    if isinstance(node, ast.Dict):
        return list(node.keys)
    if isinstance(node, ast.Call):
        return list(node.args)
    if isinstance(node, ast.MatchOr):
        return [each.value for each in node.patterns if isinstance(each, ast.MatchValue)]
    return []


def _collections(node: ast.AST, place: str = "") -> Iterator[tuple[str, list[str]]]:
    """The texts of each literal collection, with the name that it is assigned to, or is used in."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        place = node.name
    elif isinstance(node, ast.Assign | ast.AnnAssign) and not place:
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        place = target.id if isinstance(target, ast.Name) else ""
    texts = (each.value for each in _texts(node) if isinstance(each, ast.Constant))
    yield place, [each for each in texts if isinstance(each, str)]
    for child in ast.iter_child_nodes(node):
        yield from _collections(child, place)


def named(source: str) -> set[str]:
    """The places of a Python source that name three operators or more."""
    places = set()
    for place, texts in _collections(ast.parse(source)):
        if len(TABLE.keys() & texts) >= 3:
            places.add(place)
            assert TABLE.keys() >= set(texts), (place, set(texts) - TABLE.keys())
    return places


def test_no_other_set_of_operators():
    found = {
        ((Path("lprc") / path.relative_to(ROOT)).as_posix(), place)
        for path in _sources()
        for place in named(path.read_text("utf-8"))
    }
    assert found - set(ALLOWED) == set(), "take the set from lprc.core.graph.operators"
    assert set(ALLOWED) - found == set(), "allowed, and there is no such set any more"


@pytest.mark.parametrize(
    "source",
    [
        'UNARY = frozenset(["Abs", "Relu", "Tanh"])',
        'UNARY: tuple[str, ...] = ("Abs", "Relu", "Tanh")',
        'UNARY = OTHERS | {"Abs", "Relu", "Tanh"}',
        'UNARY = {"Abs": 1, "Relu": 2, "Tanh": 3}',
        'def UNARY(node): return is_op(node, "Abs", "Relu", "Tanh")',
        'def UNARY(node): return node.op_type in ("Abs", "Relu", "Tanh")',
        'def UNARY(op):\n match op:\n  case "Abs" | "Relu" | "Tanh": return 1',
    ],
)
def test_a_set_of_operators_is_seen(source):
    assert named(source) == {"UNARY"}
    assert not named(source.replace('"Abs"', '"x"').replace('"Relu"', '"x"'))


def test_a_misspelt_operator_among_others_is_seen():
    with pytest.raises(AssertionError, match="Signmoid"):
        named('UNARY = ("Abs", "Relu", "Tanh", "Signmoid")')


def test_rules_of_operators_are_for_operators_of_their_kind():
    torch = pytest.importorskip("torch")
    assert torch
    from lprc.core.torch_graph.operators import elementwise, linear, moving, windows
    from lprc.passes._scaling import homogeneous

    by_place = operators.UNARY | operators.BROADCAST
    pools = operators.POOLS | operators.GLOBAL_POOLS
    assert set(elementwise.TABLE) <= by_place | {"CastLike"}
    assert set(windows.TABLE) <= pools | operators.CONVOLUTIONS
    assert not set(moving.TABLE) & (by_place - {"Cast"})
    sums = operators.PRODUCTS | operators.REDUCTIONS | operators.NORMALIZATIONS
    assert set(linear.TABLE) <= sums | operators.SOFTMAX | {"BatchNormalization", "Einsum"}
    moves = operators.MOVES | {"Pad", "Resize"}
    assert set(homogeneous._MOVES) <= by_place | pools | operators.REDUCTIONS | moves


def test_float16_has_one_rule_for_each_operator():
    from lprc.passes._float16 import operators as half

    assert not half.KNOWN & set(half.NEVER)
    kinds = (half.GAINS, half.COMPUTES, half.MOVES, half.STEEP, operators.SOFTMAX, operators.QDQ)
    for one, other in itertools.combinations(kinds, 2):
        assert not one & other
    assert set(TABLE) >= half.KNOWN | set(half.NEVER) | half.CARRIES


def _refused(document: Any) -> Iterator[str]:
    """Everything under a key "refused", wherever a target file has its rules."""
    if isinstance(document, dict):
        yield from document.get("refused", ())
        document = list(document.values())
    for part in document if isinstance(document, list) else ():
        yield from _refused(part)


def test_targets_refuse_operators_that_there_are():
    refused = [
        name
        for path in (ROOT / "targets").glob("*.toml")
        for name in _refused(tomllib.loads(path.read_text("utf-8")))
    ]
    assert refused
    assert set(refused) <= set(TABLE)
