"""TVM: shared libraries for CPUs, and objects for other machines."""

from __future__ import annotations

import tempfile
from importlib import resources
from pathlib import Path
from typing import Any

from lprc.core.process.exchange import ask
from lprc.core.targets.emitter import EmitJob, Emitted
from lprc.core.targets.target import Target
from lprc.targets.tvm_options import TVMOptions

TVM_FP32 = Target.from_resource("lprc.targets", "tvm-fp32.toml")
TVM_INT8 = Target.from_resource("lprc.targets", "tvm-int8.toml")

LIBRARY = "model.so"
INTERFACE = "interface.json"
_MODULE = "lprc.targets.tvm_backend.build"
_EXAMPLES = "lprc.targets.tvm_examples"


def emit(job: EmitJob) -> Emitted:
    """Build ``model.so`` (``model.tar`` with objects for another machine), and how to load it."""
    assert isinstance(job.options, TVMOptions)  # as the targets' TOML says
    options = job.options
    with tempfile.TemporaryDirectory(prefix="lprc-") as scratch:
        report = ask(
            "TVM",
            _MODULE,
            _request(job, options),
            Path(scratch),
            source=job.source,
            time_limit=options.time_limit,
            progress=job.progress,
            show_messages=job.progress is not None and options.tune_trials > 0,
        )
    for example in resources.files(_EXAMPLES).iterdir():
        if not example.name.startswith("__"):
            (job.folder / example.name).write_bytes(example.read_bytes())
    files = [job.folder / name for name in (*report.pop("files"), INTERFACE)]
    return Emitted(files, report, _warnings(report))


def _request(job: EmitJob, options: TVMOptions) -> dict[str, Any]:
    """The settings that `tvm_backend.build` reads."""
    database = options.database
    if database is not None:
        database.mkdir(parents=True, exist_ok=True)
    host, _, port = (options.rpc_tracker or "").rpartition(":")
    return {
        "model": str(job.lowered),
        "folder": str(job.folder),
        "interface": INTERFACE,
        "crosses": options.crosses,
        "mcpu": options.mcpu,
        "mattr": list(options.mattr),
        "triple": options.triple,
        "num_cores": options.num_cores,
        "database": None if database is None else str(database.resolve()),
        "databases": [],
        "tune": {
            "trials": options.tune_trials,
            "seconds": options.tune_seconds,
            "patience": options.tune_patience,
            "workers": options.tune_workers,
            "seed": options.seed,
            "rpc": [host, int(port), options.rpc_key] if options.rpc_tracker else None,
        },
    }


def _warnings(report: dict[str, Any]) -> list[str]:
    plain = [text for text in report["plain"] if "conv" in text]
    if not plain:
        return []
    return [
        f"{len(plain)} convolutions have no kernel of lprc's and are slow: {', '.join(plain[:3])}"
    ]
