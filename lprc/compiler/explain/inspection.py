"""What a model is: operators, shapes, costs, sparsity, quantisation, and who would take it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import onnx_ir as ir

from lprc.compiler.artifact.artifact import LOWERED
from lprc.compiler.artifact.manifest import FILE, read_manifest
from lprc.core.costs.statistics import LayerRow, Statistics, layer_rows, model_statistics
from lprc.core.errors import InvalidModelError, UsageError
from lprc.core.graph import editing
from lprc.core.onnx_io.model_io import load
from lprc.core.quantization.coverage import Coverage, coverage
from lprc.core.quantization.recognise import quantized_form
from lprc.core.targets.legality import Violation, check
from lprc.core.targets.target import target, target_names


@dataclass(frozen=True)
class Port:
    """An input or output of a model.

    Attributes:
        name: Its name.
        dtype: Its element type, for instance ``FLOAT``; None if the model does not say.
        shape: Sizes and names of dimensions, None for one that has neither; None for no rank.
    """

    name: str
    dtype: str | None
    shape: tuple[int | str | None, ...] | None


@dataclass(frozen=True)
class Legality:
    """What one target says of the model as it is, without its pipeline and its SDK.

    Attributes:
        target: Its name.
        violations: What is illegal, in the order of the rules, then of the nodes.
        problem: Why the target itself can't be asked; None where it can.
    """

    target: str
    violations: tuple[Violation, ...] = ()
    problem: str | None = None

    @property
    def legal(self) -> bool:
        """Whether the target takes the model as it is."""
        return self.problem is None and not self.violations


@dataclass(frozen=True)
class Inspection:
    """What a model is.

    Attributes:
        path: What the user named.
        model: The ONNX file that was looked at.
        files: The file and those with its external weights, with their sizes in bytes.
        artefact: The manifest of the artefact that `path` is; None for a file.
        producer: What wrote it, with the version.
        ir_version: Of the file format.
        opsets: The operator sets' versions by domain.
        inputs: Of the main graph, without initialisers.
        outputs: Of the main graph.
        operators: How many nodes there are of each operator, other domains' with their domain.
        statistics: Sums.
        layers: The operators that multiply and accumulate.
        quantized: The forms of quantisation found, in words; None for none.
        coverage: How many linear operators run on quantised values, by operator.
        legality: What each target says.
    """

    path: str
    model: str
    files: dict[str, int]
    artefact: dict[str, Any] | None
    producer: str
    ir_version: int
    opsets: dict[str, int]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    operators: dict[str, int]
    statistics: Statistics
    layers: list[LayerRow]
    quantized: str | None
    coverage: dict[str, Coverage]
    legality: list[Legality]

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        artefact = self.artefact
        kept = ("target", "runtime", "precision", "pipeline", "source", "files")
        return {
            **{key: value for key, value in vars(self).items() if key in _PLAIN},
            "artefact": None if artefact is None else {key: artefact.get(key) for key in kept},
            "inputs": [asdict(port) for port in self.inputs],
            "outputs": [asdict(port) for port in self.outputs],
            "statistics": asdict(self.statistics),
            "quantisation": {
                "forms": self.quantized,
                "operators": {name: asdict(coverage) for name, coverage in self.coverage.items()},
            },
            "targets": [_legality_document(verdict) for verdict in self.legality],
            "layers": [asdict(row) for row in self.layers],
        }


_PLAIN = ("path", "model", "files", "producer", "ir_version", "opsets", "operators")

SHOWN = 3
"""How many violations of a target are told; the others are counted."""


def _legality_document(found: Legality) -> dict[str, Any]:
    return {
        "target": found.target,
        "legal": found.legal,
        "violations": len(found.violations),
        "first": [asdict(each) for each in found.violations[:SHOWN]],
        "problem": found.problem,
    }


def inspect_model(path: Path) -> Inspection:
    """Look at an ONNX file, or at the lowered graph of an artefact; nothing is run.

    Raises:
        InvalidModelError: Missing, not ONNX, not valid, or a folder that is no artefact.
        UsageError: A file of another kind.
    """
    file, manifest = model_file(path)
    model = load(file)
    graph = model.graph
    return Inspection(
        path=str(path),
        model=str(file),
        files=_files(model, file),
        artefact=manifest,
        producer=f"{model.producer_name or ''} {model.producer_version or ''}".strip(),
        ir_version=model.ir_version,
        opsets={domain or "ai.onnx": version for domain, version in sorted(_opsets(model).items())},
        inputs=_ports([value for value in graph.inputs if not value.is_initializer()]),
        outputs=_ports(graph.outputs),
        operators=_operators(model),
        statistics=model_statistics(model),
        layers=layer_rows(model),
        quantized=quantized_form(model),
        coverage=coverage(model),
        legality=legality(model),
    )


def model_file(path: Path) -> tuple[Path, dict[str, Any] | None]:
    """The ONNX file that `path` is or holds, and the manifest if it is an artefact.

    Raises:
        InvalidModelError: No such file, or a folder that is no artefact.
        UsageError: A file of another runtime.
    """
    if path.is_dir():
        manifest = read_manifest(path)
        if not (path / LOWERED).is_file():
            raise InvalidModelError(f"'{LOWERED}' is missing", where=str(path))
        return path / LOWERED, manifest
    if path.name == FILE:
        return model_file(path.parent)
    if path.suffix in (".xml", ".bin", ".engine", ".so") and path.is_file():
        raise UsageError(
            "not an ONNX file",
            where=str(path),
            hint="name the folder that `lprc compile` wrote: its lowered graph is looked at",
        )
    return path, None


def legality(model: ir.Model) -> list[Legality]:
    """What each target says of `model` as it is, by the targets' names."""
    verdicts: list[Legality] = []
    # Targets of a family share most of their rules.
    violations_by_rule: dict[str, list[Violation]] = {}
    for name in target_names():
        try:
            rules = target(name).rules
        except UsageError as error:  # somebody else's target must not hide the others
            verdicts.append(Legality(name, problem=str(error)))
        else:
            for rule in rules:
                if repr(rule) not in violations_by_rule:
                    violations_by_rule[repr(rule)] = check(model, [rule])
            violations = (
                violation for rule in rules for violation in violations_by_rule[repr(rule)]
            )
            verdicts.append(Legality(name, tuple(violations)))
    return verdicts


def _opsets(model: ir.Model) -> dict[str, int]:
    return dict(model.graph.opset_imports)


def _ports(values: Sequence[ir.Value]) -> tuple[Port, ...]:
    return tuple(_port(value) for value in values)


def _port(value: ir.Value) -> Port:
    shape = None
    if value.shape is not None:
        shape = tuple(dim if isinstance(dim, int) else dim.value for dim in value.shape)
    if value.type is None or isinstance(value.type, ir.TensorType):
        dtype = None if value.dtype is None else value.dtype.name
    else:
        dtype = str(value.type)
    return Port(value.name or "", dtype, shape)


def _operators(model: ir.Model) -> dict[str, int]:
    bodies = [*editing.graphs(model), *model.functions.values()]
    counts = Counter(_operator(node) for body in bodies for node in body)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _operator(node: ir.Node) -> str:
    return node.op_type if node.domain in editing.ONNX_DOMAIN else f"{node.domain}:{node.op_type}"


def _files(model: ir.Model, file: Path) -> dict[str, int]:
    names = {
        str(value.const_value.location)
        for graph in editing.graphs(model)
        for value in graph.initializers.values()
        if isinstance(value.const_value, ir.ExternalTensor)
    }
    paths = [file, *(file.parent / name for name in sorted(names))]
    return {str(path.relative_to(file.parent)): path.stat().st_size for path in paths}
