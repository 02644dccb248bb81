"""TVM: shared libraries for CPUs, and objects for other machines."""

from __future__ import annotations

import json
import tempfile
from importlib import resources
from pathlib import Path
from typing import Any

from lprc.core.errors import LprcError, UsageError
from lprc.core.process.worker import WorkerError, run_worker
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
        report = _run(job, options, Path(scratch))
    for example in resources.files(_EXAMPLES).iterdir():
        if not example.name.startswith("__"):
            (job.folder / example.name).write_bytes(example.read_bytes())
    files = [job.folder / name for name in (*report.pop("files"), INTERFACE)]
    return Emitted(files, report, _warnings(report))


def _run(job: EmitJob, options: TVMOptions, scratch: Path) -> dict[str, Any]:
    request, answer, failure = (scratch / f"{name}.json" for name in ("request", "answer", "error"))
    request.write_text(json.dumps(_request(job, options)), encoding="utf-8")
    done = run_worker(
        "TVM",
        [_MODULE, str(request), "--report", str(answer), "--failure", str(failure)],
        where=job.source,
        time_limit=options.time_limit,
        complaint=failure,
        progress=job.progress,
        show_messages=job.progress is not None and options.tune_trials > 0,
    )
    if not done:
        raise _error(json.loads(failure.read_text(encoding="utf-8")), job.source)
    report: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    return report


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


def _error(failure: dict[str, Any], source: str) -> LprcError:
    hint = str(failure["hint"]) or None
    if failure["option"]:
        return UsageError(str(failure["message"]), where=str(failure["option"]), hint=hint)
    return WorkerError(str(failure["message"]), where=source, hint=hint)


def _warnings(report: dict[str, Any]) -> list[str]:
    plain = [text for text in report["plain"] if "conv" in text]
    if not plain:
        return []
    return [
        f"{len(plain)} convolutions have no kernel of lprc's and are slow: {', '.join(plain[:3])}"
    ]
