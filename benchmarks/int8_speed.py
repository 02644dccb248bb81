"""The time of a calibrated int8 compile beside NNCF's and ONNX Runtime's, interleaved.

    python benchmarks/int8_speed.py mobilenet_v2.onnx --size 224 --images 100 --repeats 3

Each contestant makes its artefact from the same ONNX file and the same images in memory, in a fresh
process of its own with two threads, imports not counted: seconds of CPU time (of the process and
its children) and of the wall, peak memory of the process, and the SNR of the outputs against the
float model on images that none has seen. lprc's time is that of a whole ``lprc compile``: passes,
verification, emission and checks of the artefact; NNCF's and ONNX Runtime's is that of
quantisation from the file to the file.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Sample = dict[str, NDArray[Any]]

PEER_OF = {"ov-int8": "NNCF", "ort-int8": "quantize_static"}
CONTESTANTS = ["NNCF", "ov-int8", "quantize_static", "ort-int8"]


def main() -> None:
    """Print a table of times and ratios, or run one contestant."""
    arguments = _arguments()
    if arguments.contestant is not None:
        print(json.dumps(measured(arguments.contestant, arguments)))
        return
    results: dict[str, list[dict[str, float]]] = {name: [] for name in arguments.rows}
    for _ in range(arguments.repeats):
        for name in arguments.rows:
            results[name].append(_in_a_process(name))
            print(name, results[name][-1], file=sys.stderr, flush=True)
    print("| | CPU s | wall s | CPU / peer | wall / peer | peak MB | SNR dB |")
    print("|---|---|---|---|---|---|---|")
    for name, runs in results.items():
        peer = results.get(PEER_OF.get(name, name), runs)
        print(
            f"| {name} | {_median(runs, 'cpu'):.1f} | {_median(runs, 'wall'):.1f} "
            f"| {_ratio(runs, peer, 'cpu')} | {_ratio(runs, peer, 'wall')} "
            f"| {_median(runs, 'peak'):.0f} | {runs[-1]['snr']:.1f} |"
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="an ONNX file with one image as its input")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rows", nargs="*", choices=CONTESTANTS, default=CONTESTANTS)
    parser.add_argument("--contestant", choices=CONTESTANTS, help=argparse.SUPPRESS)
    return parser.parse_args()


def _median(found: Sequence[dict[str, float]], key: str) -> float:
    return statistics.median(one[key] for one in found)


def _ratio(found: Sequence[dict[str, float]], peer: Sequence[dict[str, float]], key: str) -> str:
    ratios = [one[key] / other[key] for one, other in zip(found, peer, strict=True)]
    return f"{statistics.median(ratios):.2f} [{min(ratios):.2f} – {max(ratios):.2f}]"


def _in_a_process(name: str) -> dict[str, float]:
    command = [sys.executable, *sys.argv, "--contestant", name]
    environment = os.environ | {"OMP_NUM_THREADS": "2"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def measured(name: str, arguments: argparse.Namespace) -> dict[str, float]:
    """Times in seconds, memory in MB and SNR in dB of one contestant."""
    import onnxruntime

    session = onnxruntime.InferenceSession(arguments.model, providers=["CPUExecutionProvider"])
    input_name = session.get_inputs()[0].name
    images = [
        {input_name: image} for image in synthetic_images(arguments.images + 10, arguments.size)
    ]
    calibration, unseen = images[:-10], images[-10:]
    with tempfile.TemporaryDirectory(prefix="lprc-int8-speed-") as folder:
        make = _contestant(name, arguments.model, calibration, Path(folder))
        cpu, wall = _cpu_seconds(), time.perf_counter()
        artefact = make()
        times = {"cpu": _cpu_seconds() - cpu, "wall": time.perf_counter() - wall}
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        wanted = np.concatenate([session.run(None, image)[0].reshape(-1) for image in unseen])
        return times | {"peak": peak, "snr": _signal_to_noise(artefact, unseen, wanted)}


def synthetic_images(count: int, size: int) -> list[NDArray[np.float32]]:
    """Images [1, 3, size, size] with rough and fine structure, as photographs have."""
    generator = np.random.default_rng(0)
    images = []
    for _ in range(count):
        image = np.zeros((3, size, size))
        for step in (64, 16, 4, 1):
            rough = generator.standard_normal((3, -(-size // step), -(-size // step)))
            image += rough.repeat(step, 1).repeat(step, 2)[:, :size, :size] * step**0.5 / 8
        images.append(image[None].astype(np.float32))
    return images


def _contestant(
    name: str, model: Path, calibration: list[Sample], folder: Path
) -> Callable[[], str]:
    """What makes the artefact; everything that it needs is imported."""
    if name in PEER_OF:
        from lprc.compiler.compile.model import compile_model
        from lprc.compiler.compile.request import compile_request

        out = folder / "out"

        def compiled() -> str:
            compile_model(compile_request(model, name, out, calibration=calibration))
            return str(out)

        return compiled
    from _quantization_peers import nncf_int8, ort_int8

    if name == "NNCF":
        return lambda: str(
            nncf_int8(
                model, calibration, folder / "nncf.xml",
                preset="performance", fast_bias_correction=True,
            )
        )  # fmt: skip
    return lambda: f"{ort_int8(model, calibration, folder / 'ort.onnx', scheme='U8S8')}@ort"


def _cpu_seconds() -> float:
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def _signal_to_noise(artefact: str, images: list[Sample], wanted: NDArray[np.float32]) -> float:
    from lprc.compiler.artifact.artifact import open_artifact

    opened = open_artifact(artefact)
    found = np.concatenate([next(iter(opened.run(image).values())).reshape(-1) for image in images])
    noise = float(np.square(wanted - found, dtype=np.float64).sum())
    return 10 * math.log10(float(np.square(wanted, dtype=np.float64).sum()) / max(noise, 1e-30))


if __name__ == "__main__":
    main()
