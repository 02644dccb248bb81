"""What can be evaluated and measured: a folder of ``compile``, or a model file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lprc.compiler.manifest import FILE, read_manifest
from lprc.compiler.runners import Runner, make_runner
from lprc.core.errors import InvalidModelError
from lprc.core.runtimes import RUNTIMES

LOWERED = "lowered.onnx"

_BY_SUFFIX = {Path(runtime.file).suffix: runtime.backend for runtime in RUNTIMES.values()}


@dataclass(frozen=True)
class Artifact:
    """A model on disk and the runtime that it is for.

    Attributes:
        path: The folder or file that the user named.
        model: The file that the runtime loads.
        backend: One of `lprc.compiler.runners.BACKENDS`.
        files: The files that are deployed; the manifest and the lowered ONNX are not.
        manifest: Of a folder; None for a bare file.
    """

    path: Path
    model: Path
    backend: str
    files: tuple[Path, ...]
    manifest: dict[str, Any] | None

    @property
    def size_bytes(self) -> int:
        """The size of all deployed files."""
        return sum(file.stat().st_size for file in self.files)

    def runner(self, *, threads: int | None = None) -> Runner:
        """Load it; errors as of `make_runner`."""
        emitter = (self.manifest or {}).get("emitter")
        module = emitter.get("runtime") if isinstance(emitter, dict) else None
        return make_runner(self.model, self.backend, threads=threads, module=module)


def open_artifact(name: str | Path) -> Artifact:
    """Open a folder of ``compile``, or a file that one of the runtimes loads.

    ``model.onnx@openvino`` names the runtime of a file; .onnx is for ONNX Runtime by default.

    Raises:
        InvalidModelError: No such file, not an artefact, or a file of it is missing.
    """
    text, _, backend = str(name).rpartition("@")
    if not text or Path(str(name)).exists():
        text, backend = str(name), ""
    path = Path(text)
    if path.is_dir():
        return _from_folder(path, backend)
    if not path.is_file():
        raise InvalidModelError("no such file or folder", where=str(path))
    backend = backend or _BY_SUFFIX.get(path.suffix, "ort")
    if path.suffix == ".xml":
        pair = (path, path.with_suffix(".bin"))
        return Artifact(path, path, backend, _existing(pair, path), None)
    files = tuple(each for each in (path, path.with_name(f"{path.name}.data")) if each.is_file())
    return Artifact(path, path, backend, files, None)


def _from_folder(folder: Path, backend: str) -> Artifact:
    manifest = read_manifest(folder)
    listed, names = manifest.get("files"), manifest.get("deployed")
    if not isinstance(listed, dict) or not isinstance(names, list):
        raise InvalidModelError("it lists no files", where=str(folder / FILE))
    if any(name not in listed or Path(name).name != name for name in names):
        raise InvalidModelError("it names a file outside its folder", where=str(folder / FILE))
    deployed = [folder / name for name in names]
    name = manifest.get("runtime")
    if not deployed:
        lowered = folder / LOWERED
        return Artifact(folder, lowered, backend or "ort", _existing((lowered,), folder), manifest)
    runtime = RUNTIMES.get(name) if isinstance(name, str) else None
    if runtime is None:
        raise InvalidModelError(f"unknown runtime '{name}'", where=str(folder / FILE))
    files = _existing(tuple(deployed), folder)
    model = folder / runtime.file
    if model not in files:  # for another machine; what runs it says so
        model = files[0]
    return Artifact(folder, model, backend or runtime.backend, files, manifest)


def _existing(files: tuple[Path, ...], where: Path) -> tuple[Path, ...]:
    for file in files:
        if not file.is_file():
            raise InvalidModelError(f"'{file.name}' is missing", where=str(where))
    return files
