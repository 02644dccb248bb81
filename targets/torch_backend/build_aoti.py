"""The process that compiles a lowered graph with AOTInductor into a ``.pt2`` package."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch._inductor import aoti_compile_and_package

from lprc.core.process.exchange import Failure
from lprc.core.torch_graph.inference import InferenceModule
from lprc.targets.torch_backend import packed_weights
from lprc.targets.torch_backend.archive import rewrite_archive
from lprc.targets.torch_backend.decomposed import DECOMPOSED
from lprc.targets.torch_backend.generated_calls import generated_calls
from lprc.targets.torch_backend.interface import interface
from lprc.targets.torch_backend.open_sizes import exported_dimensions, repeated
from lprc.targets.torch_backend.worker import Request, first_line, serve

_TORCH_HEADERS = Path(torch.__file__).parent / "include"
_FIX_SIZES = "--input-shape fixes open sizes"


def build(request: Request) -> dict[str, Any]:
    """Export, compile, package.

    Raises:
        Failure: torch can't export it, or Inductor can't compile it.
    """
    options = request.options
    packed_weights.register()
    module = InferenceModule(
        request.model, operators=DECOMPOSED, channels_last=options["channels_last"]
    ).eval()
    with torch.no_grad():
        program = _exported(module, request)
        try:
            aoti_compile_and_package(
                program,
                package_path=str(request.file),
                inductor_configs=_settings(options, interface(request.model)),
            )
        except Exception as error:  # Inductor raises what it likes
            raise Failure(f"Inductor can't compile it: {first_line(error)}") from error
    report = {
        "version": torch.__version__,
        "cpu": _cpu(request),
        "kernels": generated_calls(request.file),
    }
    rewrite_archive(request.file, _deployed)
    return report


def _deployed(name: str, data: bytes) -> bytes | None:
    """A library without symbols for debuggers and the folder that it was built in; no sources."""
    if name.endswith(".cpp"):
        return None
    strip = shutil.which("strip")
    if not name.endswith(".so") or strip is None:
        return data
    # Messages of failed checks hold the names of sources and of torch's headers.
    for place in (os.environ["TORCHINDUCTOR_CACHE_DIR"], str(_TORCH_HEADERS)):
        data = data.replace(place.encode(), b"_" * len(place.encode()))
    options = ["--strip-unneeded", "--remove-section=.note.gnu.build-id"]
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "model.so"
        library.write_bytes(data)
        subprocess.run([strip, *options, str(library)], check=True)  # noqa: S603
        return library.read_bytes()


def _exported(module: InferenceModule, request: Request) -> Any:
    dimensions = exported_dimensions(request.model)
    inputs = tuple(repeated(request.sample, request.model, 2))
    try:
        return torch.export.export(
            module,
            inputs,
            dynamic_shapes=None if dimensions is None else {"inputs": dimensions},
            strict=False,
        )
    except Exception as error:  # so does the exporter
        hint = _FIX_SIZES if dimensions is not None else ""
        raise Failure(f"torch can't export it: {first_line(error)}", hint=hint) from error


def _settings(options: dict[str, Any], ports: dict[str, Any]) -> dict[str, Any]:
    """Inductor's, for this compilation alone."""
    threads = options["threads"]
    return {
        "freezing": options["freezing"],
        "max_autotune": options["max_autotune"],
        "cpp.threads": threads or -1,
        "cpp.dynamic_threads": not threads,
        "aot_inductor.metadata": {"LPRC_INTERFACE": json.dumps(ports)},
    }


def _cpu(request: Request) -> str:
    """The instruction sets that the generated code needs, in Inductor's words."""
    with zipfile.ZipFile(request.file) as package:
        names = [name for name in package.namelist() if name.endswith("wrapper_metadata.json")]
        metadata = json.loads(package.read(names[0]))
    return str(metadata["AOTI_CPU_ISA"])


if __name__ == "__main__":
    sys.exit(serve("Compile a lowered ONNX file with AOTInductor.", build))
