"""Models of the forms that operator tests lack: control flow, sequences, functions, odd types."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx
import onnx.parser
from onnx import TensorProto, helper, numpy_helper

TEXTS = {
    "if": """<ir_version: 8, opset_import: ["" : 13]>
        g (float[2,3] x, bool c) => (float[2,3] y) <float[3] w = {1, 2, 3}> {
            a = Add(x, w)
            y = If (c) <
                then_branch = t () => (float[2,3] p) { q = Relu(a) p = Mul(q, w) },
                else_branch = e () => (float[2,3] r) { k = Constant <value_float = 2.0> () r = Mul(a, k) }
            >
        }""",
    "constant if": """<ir_version: 8, opset_import: ["" : 16]>
        g (float[2,3] x) => (float[2,3] y) <bool c = {1}> {
            y = If (c) <
                then_branch = t () => (float[2,3] p) { p = Neg(x) },
                else_branch = e () => (float[2,3] r) { r = Identity(x) }
            >
        }""",
    "loop": """<ir_version: 8, opset_import: ["" : 13]>
        g (float[3] x) => (float[3] y, float[n,3] all) <int64 trips = {3}, bool go = {1}> {
            y, all = Loop (trips, go, x) <
                body = b (int64 i, bool c, float[3] s) => (bool d, float[3] t, float[3] u) {
                    d = Identity(c) f = Cast <to = 1> (i) t = Add(s, f) u = Mul(t, x)
                }
            >
        }""",
    "scan": """<ir_version: 8, opset_import: ["" : 13]>
        g (float[2] z, float[4,2] x) => (float[2] y, float[4,2] all) {
            y, all = Scan <num_scan_inputs = 1,
                body = b (float[2] s, float[2] v) => (float[2] t, float[2] u) {
                    t = Add(s, v) u = Identity(t)
                }
            > (z, x)
        }""",
    "nested": """<ir_version: 9, opset_import: ["" : 19]>
        g (float[2] x, bool c) => (float[2] y) <int64 trips = {2}, bool go = {1}> {
            y = Loop (trips, go, x) <
                body = b (int64 i, bool cc, float[2] s) => (bool d, float[2] t) {
                    d = Identity(cc)
                    t = If (c) <
                        then_branch = p () => (float[2] a) { a = Add(s, x) },
                        else_branch = q () => (float[2] a2) { a2 = Sub(s, x) }
                    >
                }
            >
        }""",
    "function": """<ir_version: 9, opset_import: ["" : 17, "my" : 1]>
        g (float[2,3] x) => (float[2,3] y) { a = my.F <slope = 0.5> (x) b = my.G (a, x) y = Relu(b) }
        <domain: "my", opset_import: ["" : 17]>
        F <slope> (p) => (q) { r = LeakyRelu <alpha: float = @slope> (p) q = Identity(r) }
        <domain: "my", opset_import: ["" : 17, "my" : 1]>
        G (p, s) => (q) { r = my.F <slope = 2.0> (p) q = Add(r, s) }""",
    "function of the main domain": """<ir_version: 10, opset_import: ["" : 20, "pkg.torch" : 1]>
        g (float[N,4] x) => (float[N,4] y) {
            a = pkg.torch.aten_add <alpha = 1.0> (x, x) y = Softmax <axis = -1> (a)
        }
        <domain: "pkg.torch", opset_import: ["" : 20]>
        aten_add <alpha: float = 2.0> (s, o) => (r) {
            k = Constant <value_float: float = @alpha> () m = Mul(o, k) r = Add(s, m)
        }""",
    "sequence": """<ir_version: 8, opset_import: ["" : 13]>
        g (float[4,3] x) => (float[4,3] y, int64 n) <int64 at = {1}, int64 part = {2}> {
            s = SplitToSequence <axis = 0> (x, part) n = SequenceLength(s)
            a = SequenceAt(s, at) t = SequenceInsert(s, a) u = SequenceErase(t, at)
            y = ConcatFromSequence <axis = 0> (u)
        }""",
    "sequence out": """<ir_version: 8, opset_import: ["" : 17]>
        g (float[4,3] x, seq(float[2]) z) => (seq(float[4,3]) y, seq(float[2]) w) {
            r = Relu(x) y = SequenceConstruct(x, r)
            w = SequenceMap <body = m (float[2] a) => (float[2] b) { b = Neg(a) }> (z)
        }""",
    "optional": """<ir_version: 8, opset_import: ["" : 18]>
        g (float[4] x, optional(float[4]) o) => (float[4] y, bool h) {
            p = Optional(x) h = OptionalHasElement(o) e = OptionalGetElement(p) y = Relu(e)
        }""",
    "shapes": """<ir_version: 8, opset_import: ["" : 13]>
        g (float[N,C,4,4] x) => (float[a,b] y) <int64[1] one = {1}, int64[1] rest = {-1}, int64 i = {0}> {
            s = Shape(x) n = Gather <axis = 0> (s, i) ax = Constant <value_ints = [0]> ()
            u = Unsqueeze(n, ax) t = Concat <axis = 0> (u, rest) r = Reshape(x, t)
            c = ConstantOfShape(u) k = Cast <to = 7> (c) t2 = Constant <value_ints = [1, 1]> ()
            e = Expand(r, t2) y = Identity(r)
        }""",
    "strings": """<ir_version: 9, opset_import: ["" : 20, "ai.onnx.ml" : 3]>
        g (string[3] x) => (string[3] y, int64[3] z) {
            y = StringConcat(x, x)
            z = ai.onnx.ml.LabelEncoder <keys_strings = ["a", "b"], values_int64s = [1, 2], default_int64 = -1> (x)
        }""",
    "attention": """<ir_version: 10, opset_import: ["" : 21]>
        g (float[2,4,8] x) => (float[2,4,8] y) <int64[4] split = {2, 4, 2, 4}, int64[3] back = {2, 4, 8}, float s = {0.5}> {
            r = Reshape <allowzero = 0> (x, split) q = Transpose <perm = [0, 2, 1, 3]> (r)
            k = Transpose <perm = [0, 2, 3, 1]> (r) a = MatMul(q, k) b = Mul(a, s)
            p = Softmax <axis = -1> (b) v = MatMul(p, q) w = Transpose <perm = [0, 2, 1, 3]> (v)
            y = Reshape(w, back)
        }""",
    "legacy": """<ir_version: 3, opset_import: ["" : 7]>
        g (float[1,3,8,8] x, float[4,3,3,3] w) => (float[1,4,4,4] y) <float[4,3,3,3] w> {
            c = Conv <pads = [1, 1, 1, 1]> (x, w) r = Relu(c)
            y = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (r)
        }""",
    "contrib": """<ir_version: 8, opset_import: ["" : 14, "com.microsoft" : 1]>
        g (float[2,8] x) => (float[2,8] y) {
            a = com.microsoft.Gelu(x) b = com.microsoft.QuickGelu <alpha = 1.5> (a) y = Add(a, b)
        }""",
    "recurrent": """<ir_version: 8, opset_import: ["" : 14]>
        g (float[5,1,3] x, float[1,8,3] w, float[1,8,2] r, float[1,16] b) => (float[5,1,1,2] y, float[1,1,2] h) {
            y, h = LSTM <hidden_size = 2> (x, w, r, b)
        }""",
    "random": """<ir_version: 8, opset_import: ["" : 15]>
        g (float[2,3] x) => (float[2,3] y) {
            r = RandomNormal <shape = [2, 3], seed = 1.0> () z = Mul(r, x) d = Dropout(z) y = Add(d, x)
        }""",
}  # fmt: skip

ODD_TYPES = {
    "bfloat16": (TensorProto.BFLOAT16, ml_dtypes.bfloat16),
    "float16": (TensorProto.FLOAT16, np.float16),
    "double": (TensorProto.DOUBLE, np.float64),
    "float8": (TensorProto.FLOAT8E4M3FN, ml_dtypes.float8_e4m3fn),
    "float8 e5m2": (TensorProto.FLOAT8E5M2, ml_dtypes.float8_e5m2),
    "uint16": (TensorProto.UINT16, np.uint16),
}


def handmade() -> dict[str, onnx.ModelProto]:
    """All of them, by name."""
    models = {name: onnx.parser.parse_model(text) for name, text in TEXTS.items()}
    models |= {f"odd {name}": _odd_type(*kinds) for name, kinds in ODD_TYPES.items()}
    for bits in (TensorProto.INT8, TensorProto.UINT8, TensorProto.INT4, TensorProto.UINT4):
        models[f"quantised {TensorProto.DataType.Name(bits)}"] = _quantised(bits)
    return models | {"sparse": _sparse(), "network": _network()}


def _model(nodes, inputs, outputs, weights, opset=21, **more) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "g", inputs, outputs, weights, **more)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def _info(name: str, kind: int, *shape) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def _odd_type(kind: int, dtype) -> onnx.ModelProto:
    weight = numpy_helper.from_array(np.array([[1, 2], [3, 0]]).astype(dtype), "w")
    nodes = [
        helper.make_node("Cast", ["w"], ["c"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["x", "c"], ["m"]),
        helper.make_node("Cast", ["m"], ["k"], to=kind),
        helper.make_node("Identity", ["k"], ["y"]),
    ]
    return _model(nodes, [_info("x", 1, 2, 2)], [_info("y", kind, 2, 2)], [weight])


def _quantised(kind: int) -> onnx.ModelProto:
    """A Conv between pairs of QuantizeLinear and DequantizeLinear, its weights in `kind`."""
    rng = np.random.default_rng(kind)
    integers = rng.integers(0, 7, (4, 3, 3, 3))
    weight = helper.make_tensor("w", kind, integers.shape, integers.ravel().tolist())
    zero = helper.make_tensor("wz", kind, [4], [0] * 4)
    arrays = {
        "ws": np.linspace(0.1, 0.4, 4, dtype=np.float32), "s": np.float32(0.05),
        "z": np.uint8(128), "b": rng.standard_normal(4).astype(np.float32),
    }  # fmt: skip
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["dw"], axis=0),
        helper.make_node("Conv", ["d", "dw", "b"], ["c"], pads=[1] * 4),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("QuantizeLinear", ["r", "s", "z"], ["q2"]),
        helper.make_node("DequantizeLinear", ["q2", "s", "z"], ["y"]),
    ]
    weights = [weight, zero, *(numpy_helper.from_array(a, n) for n, a in arrays.items())]
    return _model(nodes, [_info("x", 1, 1, 3, 4, 4)], [_info("y", 1, 1, 4, 4, 4)], weights)


def _sparse() -> onnx.ModelProto:
    values = numpy_helper.from_array(np.array([1.5, -2.0], np.float32), "w")
    indices = numpy_helper.from_array(np.array([0, 5], np.int64), "w_indices")
    sparse = helper.make_sparse_tensor(values, indices, [3, 2])
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    model = _model(nodes, [_info("x", 1, 2, 3)], [_info("y", 1, 2, 2)], [])
    model.graph.sparse_initializer.append(sparse)
    return model


def _network() -> onnx.ModelProto:
    """A small CNN with what targets rewrite: BatchNormalization, pools, slices, a mean."""
    rng = np.random.default_rng(0)
    arrays = {
        "w1": rng.standard_normal((8, 3, 3, 3)), "b1": rng.standard_normal(8),
        "scale": rng.random(8) + 0.5, "shift": rng.standard_normal(8),
        "mean": rng.standard_normal(8), "var": rng.random(8) + 0.5,
        "w2": rng.standard_normal((4, 8, 1, 1)), "w3": rng.standard_normal((5, 4)),
    }  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], pads=[1] * 4, name="first"),
        helper.make_node("BatchNormalization", ["c1", "scale", "shift", "mean", "var"], ["n"]),
        helper.make_node("Relu", ["n"], ["r"], name="act"),
        helper.make_node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("AveragePool", ["p"], ["a"], kernel_shape=[3, 3], pads=[1] * 4),
        helper.make_node("Conv", ["a", "w2"], ["c2"], name="second"),
        helper.make_node("GlobalAveragePool", ["c2"], ["g"]),
        helper.make_node("Flatten", ["g"], ["f"]),
        helper.make_node("Gemm", ["f", "w3"], ["y"], transB=1, name="last"),
    ]
    weights = [numpy_helper.from_array(a.astype(np.float32), n) for n, a in arrays.items()]
    return _model(nodes, [_info("x", 1, "N", 3, 8, 8)], [_info("y", 1, "N", 5)], weights, opset=13)
