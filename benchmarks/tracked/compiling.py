"""The bundled plate reader, compiled."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

os.environ["LPRC_NO_CACHE"] = "1"


class CompileBundled:
    """From the file to the artefact, in this process; verification and all."""

    timeout = 300
    params = ("onnx", "ov-fp32", "ort-fp32")
    param_names = ("target",)
    number = 1
    repeat = (3, 5, 60.0)

    def setup(self, target: str) -> None:
        """A folder, and everything that is imported once."""
        import lprc
        import lprc.models

        self.model = Path(lprc.models.__path__[0]) / "lprnet_synthetic.onnx"
        self.folder = tempfile.TemporaryDirectory()
        self.time_compile(target)

    def teardown(self, target: str) -> None:
        """The folder goes."""
        self.folder.cleanup()

    def time_compile(self, target: str) -> None:
        """`lprc.compile`."""
        import lprc

        lprc.compile(self.model, target, out=Path(self.folder.name) / "artefact")

    def track_size(self, target: str) -> int:
        """Bytes of the artefact."""
        return sum(path.stat().st_size for path in Path(self.folder.name).rglob("*"))

    track_size.unit = "bytes"  # type: ignore[attr-defined]
