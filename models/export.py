"""Networks from torch to one ONNX file each."""

from __future__ import annotations

import ast
import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lprc.core.errors import MissingDependencyError, PromiseBrokenError, UsageError

if TYPE_CHECKING:
    import onnx_ir as ir
    from torch import Tensor, nn

    from lprc.models.lprnet import LPRNet

MIN_OPSET = 19
_SCOPES = "pkg.torch.onnx.name_scopes"


def export_onnx(
    model: LPRNet,
    path: Path,
    *,
    batch: int | Literal["dynamic"] = "dynamic",
    opset: int = 20,
    height: int = 24,
    width: int = 94,
) -> None:
    """Write `model` as ONNX: input ``image`` f32 [batch, 3, height, width], output ``logits``.

    The graph is the network as it was trained, MaxPool3d and BatchNormalization included; making
    it fast is the passes' work. The same weights give the same bytes. Nodes are named after the
    modules that they come from.

    torch's exporter by tracing (``dynamo=False``) writes an invalid MaxPool for MaxPool3d on 4-D
    tensors, so this one uses the exporter over torch.export.

    Args:
        model: Put into eval mode.
        path: The file to write.
        batch: A fixed batch size, or ``dynamic`` for a symbolic one.
        opset: Version of the ONNX operator set.
        height: Image height in pixels.
        width: Image width in pixels.

    Raises:
        UsageError: An opset under 19 or one that the exporter doesn't know, a batch that is no
            number of images, or an image size that the network can't take.
        MissingDependencyError: onnxscript, which the exporter needs, is not installed.
        PromiseBrokenError: ONNX Runtime can't run it or gives other logits than torch.
        OutputError: The file can't be written.
    """
    _check_size(model.eval(), (height, width))
    write_onnx(model, path, ("logits",), batch=batch, opset=opset, size=(height, width))


def write_onnx(
    model: nn.Module,
    path: Path,
    outputs: Sequence[str],
    *,
    batch: int | Literal["dynamic"],
    opset: int,
    size: tuple[int, int],
) -> None:
    """Write any network of images as `export_onnx` writes LPRNet; arguments and errors as there.

    Args:
        model: Takes float32 [batch, 3, *size] and returns a tensor, or a tuple of them.
        path: The file to write.
        outputs: Their names.
        batch: As of `export_onnx`.
        opset: As of `export_onnx`.
        size: Height and width of the images in pixels.
    """
    if opset < MIN_OPSET:
        raise UsageError(f"opset {opset} is too old", where="--opset", hint=f"at least {MIN_OPSET}")
    if batch != "dynamic" and (not isinstance(batch, int) or isinstance(batch, bool) or batch < 1):
        raise UsageError(
            f"{batch!r} is no batch size", where="--batch", hint="'dynamic' or a number of images"
        )
    model.eval()
    exported = _export(model, batch, opset, size, outputs)
    written = exported.opset_imports.get("")
    if written != opset:  # the exporter only logs that it could not convert
        raise UsageError(
            f"torch's exporter can't write opset {opset}, only {written}",
            where="--opset",
            hint="choose a lower one",
        )
    _name_after_modules(exported)
    _drop_exporter_metadata(exported)
    from lprc.core.onnx_io.model_io import from_proto, save, to_proto

    canonical = from_proto(to_proto(exported))
    _check_outputs(model, canonical, outputs, batch, size)
    save(canonical, path)


def _check_size(model: LPRNet, size: tuple[int, int]) -> None:
    import torch

    try:
        with torch.inference_mode():
            model(torch.zeros(1, 3, *size))
    except RuntimeError as error:
        reason = next(iter(str(error).splitlines()), "")
        raise UsageError(
            f"the network can't take images of {size[1]}×{size[0]} pixels: {reason}",
            hint="LPRNet is made for 94×24",
        ) from error


def _export(
    model: nn.Module,
    batch: int | str,
    opset: int,
    size: tuple[int, int],
    outputs: Sequence[str] = ("logits",),
) -> ir.Model:
    import torch

    # torch.export takes an example of 1 to mean that the dimension is always 1.
    example = torch.zeros(2 if batch == "dynamic" else int(batch), 3, *size)
    dims = ({0: torch.export.Dim("batch", min=1)},) if batch == "dynamic" else None
    try:
        with _quiet():
            program = torch.onnx.export(
                model,
                (example,),
                dynamo=True,
                opset_version=opset,
                input_names=["image"],
                output_names=list(outputs),
                dynamic_shapes=dims,
                external_data=False,
                verbose=False,
                optimize=False,
            )
    except ImportError as error:
        raise MissingDependencyError(
            "torch's ONNX exporter needs onnxscript", hint='pip install "lprc[torch]"'
        ) from error
    assert program is not None
    return program.model


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    # The exporter warns that torchvision is absent and of its own deprecated calls.
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(previous)


def _name_after_modules(model: ir.Model) -> None:
    taken: set[str] = set()
    for node in model.graph:
        scopes = ast.literal_eval(node.metadata_props.get(_SCOPES, "['']"))
        module = scopes[-2] if len(scopes) > 1 else ""
        stem = f"{module}/{node.op_type}" if module else node.op_type
        name, count = stem, 1
        while name in taken:
            count += 1
            name = f"{stem}_{count}"
        taken.add(name)
        node.name = name


def _drop_exporter_metadata(model: ir.Model) -> None:
    # It holds stack traces with this machine's paths, and numbers that vary from run to run.
    model.metadata_props.clear()
    model.graph.metadata_props.clear()
    model.producer_name, model.producer_version = "lprc", None
    model.doc_string = model.graph.doc_string = None
    values = [*model.graph.inputs, *model.graph.initializers.values()]
    for node in model.graph:
        node.metadata_props.clear()
        node.doc_string = None
        values.extend(node.outputs)
    for value in values:
        value.metadata_props.clear()
        value.doc_string = None


def _check_outputs(
    model: nn.Module,
    exported: ir.Model,
    outputs: Sequence[str],
    batch: int | str,
    size: tuple[int, int],
) -> None:
    import numpy as np
    import torch

    from lprc.core.passing.contract import EXACT_TOLERANCE
    from lprc.core.running.numerics import RunError, compare, run

    generator = np.random.default_rng(0)
    shape = (3 if batch == "dynamic" else int(batch), 3, *size)
    image = generator.standard_normal(shape, dtype=np.float32)
    with torch.inference_mode():
        given: Tensor | tuple[Tensor, ...] = model(torch.from_numpy(image))
    tensors = given if isinstance(given, tuple) else (given,)
    expected = {name: value.numpy() for name, value in zip(outputs, tensors, strict=True)}
    try:
        exported_outputs = run(exported, {"image": image})
    except RunError as error:
        raise PromiseBrokenError(
            f"ONNX Runtime can't run what was exported: {error}", hint="choose a lower --opset"
        ) from error
    for name, delta in zip(outputs, compare(expected, exported_outputs), strict=True):
        if not delta.within(EXACT_TOLERANCE):
            raise PromiseBrokenError(
                f"ONNX Runtime's {name} are not torch's: {delta}",
                hint="report the versions of torch and onnxruntime",
            )
