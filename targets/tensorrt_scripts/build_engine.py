"""Build a TensorRT engine from an ONNX file, as a file of settings says.

    python build_engine.py build.json

It stands alone: Python and TensorRT-RTX, or TensorRT 10 or 11. Networks are strongly typed: what is
float16 or int8 is in the ONNX file, by its element types and its QuantizeLinear and
DequantizeLinear nodes. Names in the settings are relative to their file:

    model                 the ONNX file
    engine                where to write the engine
    layers                where to write what the engine is made of
    runtime               "rtx", "enterprise", or "auto": the first that is installed
    compute_capabilities  for instance ["86", "89"]; none: every GPU that TensorRT-RTX reaches
    profiles              input name to [minimum, optimum, maximum] shape, for dynamic inputs
    workspace_mib         memory that a kernel may use; null: TensorRT's default
    sparse                whether 2:4 sparse weights may use sparse tensor cores
    verbosity             what of TensorRT's messages is shown: quiet, warning, info or verbose

Exit codes: 0, 1 the failure is said on standard error, 2 the settings can't be read.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or __package__:
    from lprc.targets.tensorrt_scripts.builder_log import make_log
    from lprc.targets.tensorrt_scripts.cuda_device import (
        INSTALL,
        MODULES,
        MissingModule,
        tensorrt_module,
    )
    from lprc.targets.tensorrt_scripts.engine_layers import from_inspector, from_log
    from lprc.targets.tensorrt_scripts.parser_errors import refused
else:  # in a kit, where the scripts lie side by side
    from builder_log import make_log
    from cuda_device import INSTALL, MODULES, MissingModule, tensorrt_module
    from engine_layers import from_inspector, from_log
    from parser_errors import refused


class Failure(Exception):
    """A build that failed.

    Attributes:
        kind: ``missing``, ``capability``, ``unsupported``, ``profile``, ``workspace``, ``files`` or
            ``build``.
        nodes: The nodes of the ONNX graph that are at fault: index, name, operator, message.
        hint: What to do next.
    """

    def __init__(
        self, kind: str, message: str, *, nodes: list[dict[str, Any]] | None = None, hint: str = ""
    ) -> None:
        super().__init__(message)
        self.kind, self.message, self.nodes, self.hint = kind, message, nodes or [], hint

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            "kind": self.kind,
            "message": self.message,
            "nodes": self.nodes,
            "hint": self.hint,
        }


def find_module(runtime: str) -> Any:
    """The vendor's module for `runtime`; for ``auto`` TensorRT-RTX, else TensorRT."""
    try:
        return tensorrt_module(MODULES.get(runtime))
    except MissingModule as error:
        wanted = MODULES if runtime == "auto" else [runtime]
        hint = "; or ".join(INSTALL[each] for each in wanted)
        raise Failure("missing", error.message, hint=hint) from error


def parse(trt: Any, builder: Any, log: Any, model: Path) -> tuple[Any, Any]:
    """The network of an ONNX file, and its parser, which owns memory of the network."""
    content = model.read_bytes()
    scratch = _network(trt, builder)  # named, because the parser does not keep it alive
    asked = trt.OnnxParser(scratch, log)
    if hasattr(asked, "supports_model_v2") and not asked.supports_model_v2(content, str(model)):
        raise Failure("unsupported", "TensorRT can't take it", nodes=refused(asked))
    network = _network(trt, builder)
    parser = trt.OnnxParser(network, log)
    if not parser.parse(content, str(model)):
        raise Failure("unsupported", "TensorRT can't parse it", nodes=refused(parser))
    return network, parser


def _network(trt: Any, builder: Any) -> Any:
    flags = trt.NetworkDefinitionCreationFlag
    # TensorRT 11 may do without the flag: there is no other typing.
    typed = 1 << int(flags.STRONGLY_TYPED) if hasattr(flags, "STRONGLY_TYPED") else 0
    return builder.create_network(typed)


def configure(trt: Any, builder: Any, network: Any, settings: dict[str, Any]) -> Any:
    """The builder's configuration."""
    config = builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    if hasattr(trt.BuilderFlag, "TF32"):  # float32 in the graph means float32
        config.clear_flag(trt.BuilderFlag.TF32)
    if settings["workspace_mib"] is not None:
        limit = settings["workspace_mib"] << 20
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, limit)
    if settings["sparse"]:
        config.set_flag(trt.BuilderFlag.SPARSE_WEIGHTS)
    _choose_gpus(trt, config, settings["compute_capabilities"])
    _add_profile(builder, network, config, settings["profiles"])
    return config


def _choose_gpus(trt: Any, config: Any, wanted: list[str]) -> None:
    if not wanted:
        return
    if not hasattr(config, "set_compute_capability"):
        raise Failure(
            "capability",
            f"{trt.__name__} builds for the GPU that it runs on, not for {', '.join(wanted)}",
            hint="leave compute-capability out, or use TensorRT-RTX",
        )
    supported = [name[2:] for name in trt.ComputeCapability.__members__ if name.startswith("SM")]
    for capability in wanted:
        if capability not in supported:
            raise Failure(
                "capability",
                f"{trt.__name__} {trt.__version__} can't build for compute capability {capability}",
                hint=f"known: {', '.join(supported)}",
            )
    config.num_compute_capabilities = len(wanted)
    for index, capability in enumerate(wanted):
        if not config.set_compute_capability(
            getattr(trt.ComputeCapability, f"SM{capability}"), index
        ):
            raise Failure("capability", f"compute capability {capability} is refused")


def _add_profile(builder: Any, network: Any, config: Any, profiles: dict[str, Any]) -> None:
    inputs = [network.get_input(index) for index in range(network.num_inputs)]
    dynamic = {tensor.name: tuple(tensor.shape) for tensor in inputs if -1 in tuple(tensor.shape)}
    for name, shape in dynamic.items():
        if name not in profiles:
            raise Failure("profile", f"input '{name}' is {shape} and has no profile")
    if not dynamic:
        return
    profile = builder.create_optimization_profile()
    for name in dynamic:
        profile.set_shape(name, *profiles[name])
    if config.add_optimization_profile(profile) < 0:
        raise Failure("profile", f"TensorRT refuses the profile {json.dumps(profiles)}")


def watch(trt: Any, config: Any) -> None:
    """Tell standard output of each step of the outermost phase, as JSON lines."""
    if not hasattr(config, "progress_monitor"):
        return

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.steps: dict[str, int] = {}

        def phase_start(self, name: str, parent: str | None, steps: int) -> None:
            if not parent:
                self.steps[name] = steps

        def step_complete(self, name: str, step: int) -> bool:
            if name in self.steps:
                print(json.dumps({"step": step + 1, "steps": self.steps[name]}), flush=True)
            return True

        def phase_finish(self, name: str) -> None:
            self.steps.pop(name, None)

    config.progress_monitor = Monitor()


def build(settings: dict[str, Any], folder: Path, *, progress: bool = False) -> dict[str, Any]:
    """Build the engine and write it; what it is made of is written and returned."""
    trt = find_module(settings["runtime"])
    log = make_log(trt, settings["verbosity"])
    try:
        builder = trt.Builder(log)
    except TypeError as error:  # the factory gave nothing
        raise Failure("build", _reason(log) or f"{trt.__name__} has no builder here") from error
    network, _parser = parse(trt, builder, log, folder / settings["model"])
    config = configure(trt, builder, network, settings)
    if progress:
        watch(trt, config)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise _build_failure(log, settings)
    content = bytes(engine)
    layers = from_log(log.layers) or _inspected(trt, log, content)
    _write(folder / settings["engine"], content)
    report = {
        "runtime": trt.__name__,
        "version": trt.__version__,
        "bytes": len(content),
        **log.memory,
        # What the vendor does with sparse weights: TensorRT-RTX sets the flag and ignores it.
        "sparse": bool(settings["sparse"]) and trt.__name__ != MODULES["rtx"],
        "warnings": list(dict.fromkeys(log.warnings))[:20],
        "layers": layers,
    }
    text = json.dumps(report, indent=1, ensure_ascii=False) + "\n"
    _write(folder / settings["layers"], text.encode("utf-8", "replace"))
    return report


def _inspected(trt: Any, log: Any, content: bytes) -> list[dict[str, Any]]:
    """The layers, asked from the engine: enterprise TensorRT can load it where it builds it."""
    if trt.__name__ == MODULES["rtx"]:
        return []
    engine = trt.Runtime(log).deserialize_cuda_engine(content)
    if engine is None:
        return []
    text = engine.create_engine_inspector().get_engine_information(trt.LayerInformationFormat.JSON)
    return from_inspector(text)


def _build_failure(log: Any, settings: dict[str, Any]) -> Failure:
    reason = _reason(log) or "TensorRT built nothing and does not say why"
    if "workspace" in reason:
        mib = settings["workspace_mib"]
        hint = "give it more" if mib is None else f"give it more than workspace={mib} MiB"
        return Failure("workspace", reason, hint=hint)
    kind = "profile" if "optimization profile" in reason else "build"
    return Failure(kind, reason)


def _reason(log: Any) -> str:
    """The last error that says something: those of a missing GPU are expected."""
    telling = [text for text in log.errors if "cudaError" not in text] or log.errors
    return " ".join(telling[-1].split()) if telling else ""


def _write(path: Path, content: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as stream:
        stream.write(content)
    temporary = Path(stream.name)
    temporary.chmod(0o644)
    temporary.replace(path)


def _tell(failure: Failure, model: str, file: Path | None) -> None:
    if file:
        text = json.dumps(failure.document(), ensure_ascii=False)
        file.write_text(text, encoding="utf-8", errors="replace")
    for node in failure.nodes:
        print(
            f"node {node['index']} '{node['name']}' ({node['operator']}): {node['message']}",
            file=sys.stderr,
        )
    hint = f" ({failure.hint})" if failure.hint else ""
    print(f"{model}: {failure.message}{hint}", file=sys.stderr)


def _end_with_input() -> None:
    """Standard input ends when the process that holds it does, whatever ends that one."""
    while os.read(0, 4096):  # not sys.stdin, whose lock Python wants when it ends
        pass
    os._exit(1)


def main() -> int:
    """Build what the settings say."""
    parser = argparse.ArgumentParser(description="Build a TensorRT engine from an ONNX file.")
    parser.add_argument("settings", type=Path, nargs="?", default=Path("build.json"))
    parser.add_argument(
        "--worker",
        action="store_true",
        help="progress as JSON lines on standard output; end when standard input does",
    )
    parser.add_argument("--failure", type=Path, help="where to write what went wrong, as JSON")
    arguments = parser.parse_args()
    if arguments.worker:
        threading.Thread(target=_end_with_input, daemon=True).start()
    try:
        settings = json.loads(arguments.settings.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        print(f"{arguments.settings}: {error}", file=sys.stderr)
        return 2
    try:
        report = build(settings, arguments.settings.parent, progress=arguments.worker)
    except Failure as failure:
        _tell(failure, settings["model"], arguments.failure)
        return 1
    except OSError as error:
        _tell(Failure("files", str(error)), settings["model"], arguments.failure)
        return 1
    if not arguments.worker:
        print(f"{settings['engine']}: {report['bytes']} bytes, {len(report['layers'])} layers")
    return 0


if __name__ == "__main__":
    sys.exit(main())
