"""A stand-in for NVIDIA's `tensorrt` 10 and 11, which can't be installed from PyPI: TensorRT-RTX
behind that name, with the differences that matter to us.

FAKE_TENSORRT chooses among them, by words: ``untyped`` (no flag STRONGLY_TYPED, as where there is
no other typing), ``silent`` (no progress monitor), ``old-parser`` (no supports_model_v2), ``blind``
(the inspector gives names only) and ``separate`` (types apart from formats in its JSON).
"""

from __future__ import annotations

import importlib
import json
import os
from enum import IntEnum
from pathlib import Path
from types import ModuleType

CODE = """
import sys
sys.path.insert(0, {folder!r})
import enterprise
enterprise.become(sys.modules[__name__])
"""
HIDDEN = {"set_compute_capability", "get_compute_capability", "num_compute_capabilities"}


def install(folder: Path) -> Path:
    """Write the package `tensorrt` into `folder`."""
    package = folder / "tensorrt"
    package.mkdir(parents=True)
    code = CODE.format(folder=str(Path(__file__).parent))
    (package / "__init__.py").write_text(code)
    return folder


def become(module: ModuleType) -> None:
    """Fill the module `tensorrt`."""
    rtx = importlib.import_module("tensorrt_rtx")
    words = os.environ.get("FAKE_TENSORRT", "").split()
    layers: list[str] = []
    filters: dict[int, object] = {}

    class Filter(rtx.ILogger):
        """Enterprise TensorRT does not list layers in its log."""

        def __init__(self, log):
            rtx.ILogger.__init__(self)
            self.inner = log

        def log(self, severity, message):
            if message.startswith("Layers:"):
                layers[:] = message.split("\n")[1:]
            else:
                self.inner.log(severity, message)

    def filtered(log):
        return filters.setdefault(id(log), Filter(log))

    class Proxy:
        """An object without some of its attributes."""

        def __init__(self, inner, hidden=()):
            object.__setattr__(self, "inner", inner)
            object.__setattr__(self, "hidden", set(hidden))

        def __getattr__(self, name):
            if name in self.hidden:
                raise AttributeError(name)
            return getattr(self.inner, name)

        def __setattr__(self, name, value):
            if name in self.hidden:
                raise AttributeError(name)
            setattr(self.inner, name, value)

    class Builder:
        def __init__(self, log):
            self.inner = rtx.Builder(filtered(log))

        def create_network(self, flags):
            typed = 1 << int(rtx.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
            assert flags == (0 if "untyped" in words else typed)
            return self.inner.create_network(typed)

        def create_builder_config(self):
            silent = {"progress_monitor"} if "silent" in words else set()
            return Proxy(self.inner.create_builder_config(), HIDDEN | silent)

        def create_optimization_profile(self):
            return self.inner.create_optimization_profile()

        def build_serialized_network(self, network, config):
            return self.inner.build_serialized_network(network, config.inner)

    def parser(network, log):
        old = {"supports_model_v2"} if "old-parser" in words else set()
        return Proxy(rtx.OnnxParser(network, filtered(log)), old)

    class Inspector:
        def get_engine_information(self, form):
            assert form == rtx.LayerInformationFormat.JSON
            return json.dumps({"Layers": _inspected(layers, words), "Bindings": []})

    class Runtime:
        def __init__(self, log):
            pass

        def deserialize_cuda_engine(self, content):
            assert content
            return self

        def create_engine_inspector(self):
            return Inspector()

    class Flags(IntEnum):
        EXPLICIT_BATCH = 0

    for name in dir(rtx):
        if not name.startswith("__"):
            setattr(module, name, getattr(rtx, name))
    module.__version__ = "11.0.0.1" if "untyped" in words else "10.13.0.1"
    module.Builder, module.OnnxParser, module.Runtime = Builder, parser, Runtime
    del module.ComputeCapability
    if "untyped" in words:
        module.NetworkDefinitionCreationFlag = Flags


def _inspected(lines, words):
    """The layers as TensorRT's developer guide shows the inspector's JSON."""
    from lprc.targets.tensorrt_scripts.engine_layers import from_log

    kinds = {"correlation": "CaskConvolution", "maxpool": "CaskPooling"}
    return [
        layer["name"]
        if "blind" in words
        else {
            "Name": layer["name"],
            "LayerType": kinds.get(layer["type"], layer["type"]),
            "Inputs": [_tensor(each, words) for each in layer["inputs"]],
            "Outputs": [_tensor(each, words) for each in layer["outputs"]],
            "TacticName": layer["kernel"],
            "Metadata": "\x1e".join(f"[ONNX Layer: {node}]" for node in layer["nodes"]),
        }
        for layer in from_log(lines)
    ]


def _tensor(tensor, words):
    kind = {"Half": "FP16", "Float": "FP32"}.get(tensor["type"], tensor["type"])
    form = (
        {"Format": "Row major linear", "Datatype": tensor["type"]}
        if "separate" in words
        else {"Format/Datatype": f"Row major linear {kind} format"}
    )
    return {
        "Name": tensor["name"],
        "Location": "Device",
        "Dimensions": tensor["shape"],
        **form,
    }
