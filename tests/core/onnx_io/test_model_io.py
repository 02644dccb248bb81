"""Bad files are refused in one line; good ones are written the same way every time."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from lprc.core.errors import InvalidModelError, OutputError
from lprc.core.graph.provenance import KEY
from lprc.core.onnx_io import model_io
from lprc.core.running.numerics import run

HEAD = '<ir_version: 9, opset_import: ["" : 20]>\n'
ADD = "g (float[2] x) => (float[2] y) <float[2] w = {1,2}> { [add] y = Add(x, w) }"


def proto_of(body: str = ADD, head: str = HEAD) -> onnx.ModelProto:
    return onnx.parser.parse_model(head + body)


def write(folder: Path, model: onnx.ModelProto | bytes) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    return path


def refusal(path: Path) -> str:
    with pytest.raises(InvalidModelError) as caught:
        model_io.load(path)
    text = str(caught.value)
    assert "\n" not in text
    assert str(path) in text
    return text


# Not ONNX


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(range(256)), "not an ONNX file"),
        ("a text about plates\n" * 20, "not an ONNX file"),
        (bytes(100), "not an ONNX file"),
        (b"\x08\x09", "it has no graph"),
    ],
    ids=["empty", "jpeg", "text", "zeros", "no graph"],
)
def test_what_is_not_onnx_is_refused(tmp_path, data, message):
    assert message in refusal(write(tmp_path, data.encode() if isinstance(data, str) else data))


def test_what_is_no_file_is_refused(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    assert "no such file" in refusal(tmp_path / "missing.onnx")
    assert "is a folder" in refusal(tmp_path)
    assert "can't be read" in refusal(tmp_path / "loop")
    assert "can't be read" in refusal(tmp_path / ("x" * 300))
    assert "is not a regular file" in refusal(Path("/dev/null"))


def test_every_truncation_is_refused_or_is_another_valid_model(tmp_path):
    data = proto_of().SerializeToString()
    assert all(loads_or_refuses(write(tmp_path, data[:length])) for length in range(len(data)))


def loads_or_refuses(path: Path) -> bool:
    """Whether a file is either read and written, or refused in one line."""
    try:
        model_io.to_bytes(model_io.load(path))
    except InvalidModelError as error:
        return "\n" not in str(error)
    return True


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_flipped_bytes_never_crash(tmp_path, data):
    original = bytearray(proto_of().SerializeToString())
    for _ in range(data.draw(st.integers(1, 3))):
        original[data.draw(st.integers(0, len(original) - 1))] = data.draw(st.integers(0, 255))
    assert loads_or_refuses(write(tmp_path, bytes(original)))


def test_a_model_nested_a_thousand_times_is_refused(tmp_path):
    assert "nested too deeply" in refusal(write(tmp_path, nested_bytes(1000)))


def nested_bytes(depth: int) -> bytes:
    """If in If in If, written by hand: protobuf refuses to build it."""

    def number(value: int) -> bytes:
        text = b""
        while value > 127:
            text, value = text + bytes([value & 127 | 128]), value >> 7
        return text + bytes([value])

    def field(index: int, payload: bytes) -> bytes:
        return number(index << 3 | 2) + number(len(payload)) + payload

    graph = field(2, b"g")
    for _ in range(depth):
        branch = field(1, b"then_branch") + number(20 << 3) + number(5) + field(6, graph)
        graph = field(1, field(4, b"If") + field(5, branch))
    return number(8) + number(9) + field(8, field(2, number(16) + number(20))) + field(7, graph)


def test_subgraphs_are_bounded(tmp_path, monkeypatch):
    body = "g (bool c, float[2] x) => (float[2] y) { y = If(c) <then_branch = t () => "
    body += "(float[2] a) { a = Neg(x) }, else_branch = e () => (float[2] b) { b = Abs(x) }> }"
    path = write(tmp_path, proto_of(body))
    model_io.load(path)
    monkeypatch.setattr("lprc.core.onnx_io.validation.MAX_SUBGRAPH_DEPTH", 1)
    assert "nested more than 1 deep" in refusal(path)


# Not a valid graph


BAD_GRAPHS = {
    "cycle": (
        "g (float[2] x) => (float[2] y) { [p] a = Add(x, b) [q] b = Neg(a) [r] y = Neg(b) }",
        "node 'p' (Add): the graph has a cycle: ",
    ),
    "out of order": (
        "g (float[2] x) => (float[2] y) { [late] y = Neg(a) [early] a = Abs(x) }",
        "node 'late' (Neg): its input 'a' is made by a later node, node 'early' (Abs)",
    ),
    "missing input": (
        "g (float[2] x) => (float[2] y) { [add] y = Add(x, nothing) }",
        "node 'add' (Add): nothing makes its input 'nothing'",
    ),
    "missing input of a subgraph": (
        "g (bool c, float[2] x) => (float[2] y) { y = If(c) <then_branch = t () => (float[2] a) "
        "{ [in] a = Neg(z) }, else_branch = e () => (float[2] b) { b = Abs(x) }> }",
        "node 'in' (Neg): nothing makes its input 'z'",
    ),
    "a subgraph's value outside": (
        "g (bool c, float[2] x) => (float[2] y) { q = If(c) <then_branch = t () => (float[2] a) "
        "{ a = Neg(x) }, else_branch = e () => (float[2] b) { b = Abs(x) }> [out] y = Neg(a) }",
        "node 'out' (Neg): nothing makes its input 'a'",
    ),
    "two producers": (
        "g (float[2] x) => (float[2] y) { a = Neg(x) a = Abs(x) y = Neg(a) }",
        "'a' has been used as output names multiple times",
    ),
    "unmade output": ("g (float[2] x) => (float[2] y) { z = Neg(x) }", "Graph output 'y'"),
    "unknown operator": (
        "g (float[2] x) => (float[2] y) { [bad] y = Frobnicate(x) }",
        "node 'bad' (Frobnicate): no operator 'Frobnicate' in opset 20",
    ),
    "unknown operator in a subgraph": (
        "g (bool c, float[2] x) => (float[2] y) { y = If(c) <then_branch = t () => (float[2] a) "
        "{ [bad] a = Frob(x) }, else_branch = e () => (float[2] b) { b = Abs(x) }> }",
        "node 'bad' (Frob): no operator 'Frob'",
    ),
    "domain that is not imported": (
        "g (float[2] x) => (float[2] y) { y = other.Frob(x) }",
        "No opset import for domain 'other'",
    ),
    "unknown attribute": (
        "g (float[2] x) => (float[2] y) { y = Relu<slope=1.0>(x) }",
        "Unrecognized attribute: slope",
    ),
    "missing attribute": ("g (float[2] x) => (float[2] y) { y = Cast(x) }", "'to' is missing"),
    "unsupported type": (
        "g (float[2] x) => (bool[2] y) { [bad] y = Not(x) }",
        "wrong element type: (op_type:Not, node name: bad): X typestr: T",
    ),
    "mixed types": (
        "g (float[2] x, int64[2] i) => (float[2] y) { [bad] y = Add(x, i) }",
        "wrong element type: (op_type:Add, node name: bad): B has inconsistent type",
    ),
    "wrong output type": (
        "g (float[2] x) => (int64[2] y) { [bad] y = Relu(x) }",
        "Inferred elem type differs from existing elem type: float vs int64",
    ),
    "a type that is wrong further on": (
        "g (float[2] x) => (bool[2] y) { a = Relu(x) [bad] y = Not(a) }",
        "node name: bad",
    ),
}


@pytest.mark.parametrize("name", BAD_GRAPHS)
def test_a_bad_graph_is_refused(tmp_path, name):
    body, message = BAD_GRAPHS[name]
    assert message in refusal(write(tmp_path, proto_of(body)))


def no_opset(proto):
    del proto.opset_import[:]


def newer_opset(proto):
    proto.opset_import[0].version = 999


def opset_zero(proto):
    proto.opset_import[0].version = 0


def two_opsets(proto):
    proto.opset_import.append(helper.make_opsetid("ai.onnx", 13))


def newer_ir(proto):
    proto.ir_version = 999


def no_ir(proto):
    proto.ClearField("ir_version")


def twice_the_initializer(proto):
    proto.graph.initializer.append(proto.graph.initializer[0])


def twice_the_input(proto):
    proto.graph.input.append(proto.graph.input[0])


def short_weight(proto):
    proto.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.ones(2, np.float32), "w"))
    proto.graph.initializer[0].raw_data = b"123"


def unknown_type(proto):
    proto.graph.initializer[0].data_type = 99


def untyped_input(proto):
    proto.graph.input[0].ClearField("type")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (no_opset, "it imports no version of the ONNX operator set"),
        (newer_opset, "opset 999 is newer than"),
        (opset_zero, "opset 0 is not a version"),
        (two_opsets, "it imports opset 13 and 20 at once"),
        (newer_ir, "IR version 999 is newer than"),
        (no_ir, "ir_version"),
        (twice_the_initializer, "not unique"),
        (twice_the_input, "multiple times"),
        (short_weight, "too small"),
        (unknown_type, "99"),
        (untyped_input, "type"),
    ],
)
def test_a_damaged_model_is_refused(tmp_path, damage, message):
    proto = proto_of()
    damage(proto)
    assert message in refusal(write(tmp_path, proto))


def test_names_that_are_not_utf8_are_refused(tmp_path):
    data = proto_of().SerializeToString().replace(b"add", b"\xff\xfe\xfd")
    assert "is not UTF-8" in refusal(write(tmp_path, data))


def test_other_text_that_is_not_utf8_is_refused_when_written(tmp_path):
    proto = proto_of()
    proto.graph.doc_string = "abc"
    data = proto.SerializeToString().replace(b"abc", b"\xff\xfe\xfd")
    with pytest.raises(InvalidModelError, match="utf-8"):
        model_io.to_bytes(model_io.load(write(tmp_path, data)))


# Valid, if unusual


def test_the_invalid_maxpool_of_legacy_exports_loads(tmp_path):
    body = "g (float[1,4,8,8] x) => (float[1,4,6,6] y) { y = MaxPool<kernel_shape=[1,3,3]>(x) }"
    model = model_io.load(write(tmp_path, proto_of(body)))
    assert [node.op_type for node in model.graph] == ["MaxPool"]


def test_unknown_domains_load(tmp_path):
    head = '<ir_version: 9, opset_import: ["" : 20, "other" : 1]>\n'
    body = "g (float[2] x) => (float[2] y) { a = other.Frob(x) y = Neg(a) }"
    assert model_io.load(write(tmp_path, proto_of(body, head))).graph[0].domain == "other"


def test_initializers_among_the_inputs_stay_there(tmp_path):
    head = '<ir_version: 3, opset_import: ["" : 9]>\n'
    proto = proto_of(head=head)
    proto.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [2]))
    model = model_io.load(write(tmp_path, proto))
    assert [value.name for value in model.graph.inputs] == ["x", "w"]
    assert "w" in model.graph.initializers


@pytest.mark.parametrize("version", [1, 6, 7, 9, 13, 20])
def test_old_opsets_load(tmp_path, version):
    head = f'<ir_version: 3, opset_import: ["" : {version}]>\n'
    body = "g (float[2] x) => (float[2] y) { y = Sigmoid(x) }"
    model = model_io.load(write(tmp_path, proto_of(body, head)))
    assert model.graph.opset_imports[""] == version


def test_functions_load_and_run(tmp_path):
    text = """<ir_version: 9, opset_import: ["" : 20, "f" : 1]>
    g (float[2] x) => (float[2] y) { y = f.Twice(x) }
    <domain: "f", opset_import: ["" : 20]> Twice (a) => (b) { b = Add(a, a) }"""
    model = model_io.load(write(tmp_path, onnx.parser.parse_model(text)))
    assert run(model, {"x": np.ones(2, np.float32)})["y"].tolist() == [2, 2]


def test_a_sparse_initializer_becomes_dense(tmp_path):
    path = write(
        tmp_path, with_sparse(proto_of("g (float[2] x) => (float[2] y) { y = Add(x, s) }"))
    )
    result = run(model_io.load(path), {"x": np.zeros(2, np.float32)})
    assert result["y"].tolist() == [0, 7]


def test_a_sparse_initializer_of_a_subgraph_is_refused(tmp_path):
    body = "g (bool c, float[2] x) => (float[2] y) { y = If(c) <then_branch = t () => (float[2] a) "
    body += "{ a = Add(x, s) }, else_branch = e () => (float[2] b) { b = Abs(x) }> }"
    proto = proto_of(body)
    branch = next(each for each in proto.graph.node[0].attribute if each.name == "then_branch")
    branch.g.CopyFrom(with_sparse(onnx.ModelProto(graph=branch.g)).graph)
    assert "subgraph 't' is sparse" in refusal(write(tmp_path, proto))


def with_sparse(proto: onnx.ModelProto) -> onnx.ModelProto:
    values = numpy_helper.from_array(np.array([7], np.float32), "s")
    indices = numpy_helper.from_array(np.array([1], np.int64), "s_indices")
    proto.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [2]))
    return proto


# External data


def external(tensor: TensorProto, **entries: object) -> None:
    for field in ("raw_data", "float_data"):
        tensor.ClearField(field)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=str(value))


def with_external(folder: Path, **entries: object) -> Path:
    proto = proto_of()
    external(proto.graph.initializer[0], **entries)
    return write(folder, proto)


@pytest.fixture
def folder(tmp_path):
    """A model's folder with a weight file, beside one that is none of its business."""
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "secret").write_bytes(np.array([3, 4], np.float32).tobytes())
    (inside / "weights").write_bytes(np.array([1, 2], np.float32).tobytes())
    (inside / "short").write_bytes(b"1234")
    (inside / "out").symlink_to(tmp_path / "secret")
    (inside / "link").symlink_to("weights")
    return inside


@pytest.mark.parametrize(
    "entries",
    [
        {"location": "weights"},
        {"location": "weights", "offset": 0, "length": 8},
        {"location": "link"},
        {"location": "../inside/weights"},
    ],
)
def test_external_data_is_read_from_the_folder(folder, entries, monkeypatch, tmp_path):
    model = model_io.load(with_external(folder, **entries))
    monkeypatch.chdir(tmp_path)
    assert isinstance(model.graph.initializers["w"].const_value, ir.ExternalTensor)
    assert run(model, {"x": np.zeros(2, np.float32)})["y"].tolist() == [1, 2]
    assert isinstance(model.graph.initializers["w"].const_value, ir.ExternalTensor)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"location": "../secret"}, "not in the model's folder"),
        ({"location": "out"}, "not in the model's folder"),
        ({"location": "/etc/passwd"}, "not in the model's folder"),
        ({"location": "missing"}, "is missing"),
        ({"location": "."}, "is missing"),
        ({}, "not in the model's folder"),
        ({"location": "short"}, "too short"),
        ({"location": "weights", "offset": 4}, "too short"),
        ({"location": "weights", "offset": 0, "length": 9}, "too short"),
        ({"location": "weights", "offset": 0, "length": 4}, "it has 4 bytes and needs 8"),
        ({"location": "weights", "offset": -4, "length": 8}, "too short"),
        ({"location": "weights", "offset": "far"}, "not a number"),
        ({"location": "x" * 300}, "can't be read"),
        ({"location": "a\0b"}, "can't be read"),
    ],
)
def test_bad_external_data_is_refused(folder, entries, message):
    assert message in refusal(with_external(folder, **entries))


def test_an_absolute_path_into_the_folder_is_refused(folder):
    path = with_external(folder, location=folder / "weights")
    assert "absolute" in refusal(path)


def test_external_data_of_attributes_is_refused(folder, monkeypatch):
    proto = proto_of(
        "g (float[2] x) => (float[2] y) { c = Constant<value=float[2]{1,2}>() y = Add(x, c) }"
    )
    external(proto.graph.node[0].attribute[0].t, location="weights")
    monkeypatch.chdir(folder)
    assert "only the main graph's initialisers" in refusal(write(folder, proto))


# Writing


def test_the_second_round_trip_is_byte_stable(tmp_path):
    path = write(tmp_path, proto_of())
    model_io.save(model_io.load(path), path)
    first = path.read_bytes()
    model_io.save(model_io.load(path), path)
    assert path.read_bytes() == first


def test_unordered_fields_are_written_sorted():
    def build(order):
        model = ir.from_onnx_text(HEAD + ADD)
        for key in order:
            model.graph.opset_imports[key] = 1
            model.metadata_props[key] = "m"
            model.graph.metadata_props[key] = "g"
            model.graph[0].metadata_props[key] = "n"
            model.graph[0].outputs[0].metadata_props[key] = "v"
            model.graph.initializers["w"].metadata_props[key] = "i"
        return model_io.to_bytes(model)

    assert len({build(order) for order in itertools.permutations(("one", "two", KEY))}) == 1


def test_provenance_survives(tmp_path):
    model = ir.from_onnx_text(HEAD + ADD)
    model.graph[0].metadata_props[KEY] = '["conv1"]'
    model_io.save(model, tmp_path / "m.onnx")
    loaded = model_io.load(tmp_path / "m.onnx")
    assert loaded.graph[0].metadata_props[KEY] == '["conv1"]'


@pytest.fixture
def tiny_limit(monkeypatch):
    monkeypatch.setattr(model_io, "PROTOBUF_LIMIT", 1000)


def large() -> ir.Model:
    weight = np.arange(1000, dtype=np.float32)
    proto = helper.make_model(
        helper.make_graph(
            [helper.make_node("Add", ["x", "w"], ["y"])],
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1000])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1000])],
            [numpy_helper.from_array(weight, "w")],
        ),
        opset_imports=[helper.make_opsetid("", 20)],
        ir_version=9,
    )
    return model_io.from_proto(proto)


@pytest.mark.usefixtures("tiny_limit")
def test_a_large_model_keeps_its_weights_beside_it(tmp_path):
    path = tmp_path / "m.onnx"
    model = large()
    model_io.save(model, path)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["m.onnx", "m.onnx.data"]
    assert not isinstance(model.graph.initializers["w"].const_value, ir.ExternalTensor)
    first = path.read_bytes(), (tmp_path / "m.onnx.data").read_bytes()

    loaded = model_io.load(path)
    result = run(path, {"x": np.zeros(1000, np.float32)})
    assert result["y"].tolist() == list(range(1000))
    model_io.save(loaded, path)  # over the file that its weights are read from
    assert (path.read_bytes(), (tmp_path / "m.onnx.data").read_bytes()) == first


@pytest.mark.usefixtures("tiny_limit")
def test_a_large_model_has_no_bytes():
    with pytest.raises(OutputError, match="larger than 2 GiB"):
        model_io.to_bytes(large())


@pytest.mark.usefixtures("tiny_limit")
def test_a_large_model_that_cannot_be_written_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="No space left on device"):
        model_io.save(large(), tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    path = write(tmp_path, b"the old one")

    def full(self, data):
        with self.open("wb") as stream:
            stream.write(data[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="No space left on device"):
        model_io.save(large(), path)
    assert [each.name for each in tmp_path.iterdir()] == ["model.onnx"]
    assert path.read_bytes() == b"the old one"


def test_the_real_lprnet_is_byte_stable(lprnet_onnx, tmp_path):
    model_io.save(model_io.load(lprnet_onnx), tmp_path / "a.onnx")
    model_io.save(model_io.load(tmp_path / "a.onnx"), tmp_path / "b.onnx")
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


@pytest.mark.parametrize("size", [-1, 0, "?"])
def test_sizes_that_say_nothing_are_symbolic_and_not_the_same(tmp_path, size):
    """TensorRT refuses height and width of one name and several sizes; older exporters write so."""
    proto = onnx.parser.parse_model(
        '<ir_version: 9, opset_import: ["" : 20]> g (float[1,H,W] x) => (float[1,H,W] y) '
        "{ y = Relu(x) }"
    )
    for value in (proto.graph.input[0], proto.graph.output[0]):
        for dimension in value.type.tensor_type.shape.dim[1:]:
            if isinstance(size, int):
                dimension.dim_value = size
            else:
                dimension.dim_param = size
    onnx.save(proto, tmp_path / "m.onnx")
    shape = model_io.load(tmp_path / "m.onnx").graph.inputs[0].shape
    assert shape is not None
    assert shape[0] == 1
    assert [dim.value for dim in list(shape)[1:]] == [None, None]
