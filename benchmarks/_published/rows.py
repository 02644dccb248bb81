"""Every row of the published reports, with what makes its counterpart here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

BASELINES = {1: (89.9, 264.0, 1.705), 2: (89.9, 203.9, 1.707), 3: (90.1, 211.6, 1.817)}
"""Of a report what PyTorch eager has: accuracy in %, milliseconds a sample, MB."""

Published = tuple[float, float, float | None]
"""Accuracy in %, milliseconds a sample, MB; None where a report does not say it."""


@dataclass(frozen=True)
class Row:
    """One technique.

    Attributes:
        name: As ``--rows`` takes it.
        technique: What the reports call it.
        published: By the report's number.
        commands: Arguments of ``lprc``, one command each, with ``{model}``, ``{calib}``, ``{data}``
            and ``{out}``, a folder of the row's own.
        artefact: What the last one writes, as ``lprc bench`` takes it, or a contestant of
            `_published.contestants`.
        deployed: What is shipped of it where that is not the artefact; its size counts.
        peer: A contestant, with what people call it; None for none.
        is_slow: Whether it takes minutes; ``--quick`` leaves it out.
        elsewhere: The command that measures it where this program can't; such a row isn't run.
        note: What a reader has to know besides, in Markdown.
    """

    name: str
    technique: str
    published: Mapping[int, Published] = field(default_factory=dict)
    commands: tuple[str, ...] = ()
    artefact: str = "{out}/artefact"
    deployed: str = ""
    peer: tuple[str, str] | None = None
    is_slow: bool = False
    elsewhere: str = ""
    note: str = ""


def _compile(target: str, more: str = "", source: str = "{model}") -> str:
    return (
        f"compile {source} --target {target} --calib {{calib}} -o {{out}}/artefact {more}".strip()
    )


_NNCF = ("NNCF on the raw export, OpenVINO", "nncf-int8")
_STAGES = ("TVM's own default pipeline", "tvm:default")
_LOWER = "compile {model} --target ov-fp32 --emit onnx -o {out}/base"
"""Before channels are pruned: half of the export's never change, and go without any loss."""
_BASE, _PRUNED = "{out}/base/lowered.onnx", "{out}/pruned.onnx"


def _prune(macs: float) -> tuple[str, ...]:
    """Commands that leave a share of the products of the graph without dead channels."""
    passes = f"prune-channels{{{{target-macs={macs:g},round-to=16}}}},reconstruct"
    return (
        _LOWER,
        f'opt {_BASE} --calib {{calib}} -o {_PRUNED} --passes "{passes}"',
    )


_SPARSE = '--then "sparsify{{pattern=unstructured,ratio=0.3}}"'

ROWS = (
    Row(
        "baseline", "PyTorch eager",
        dict(BASELINES), artefact="torch:eager", deployed="{weights}",
    ),
    Row(
        "int8", "static INT8",
        {1: (85.1, 30.0, 0.139), 2: (72.3, 27.5, 0.536), 3: (83.0, 25.5, 0.637)},
        (_compile("ov-int8"),), peer=_NNCF,
        note="report 1's 0.139 MB is a third of a byte for each of the checkpoint's 449,000 "
             "weights. Ours has a byte for each weight that is left: half of the channels never "
             "change, and go without any loss.",
    ),
    Row(
        "int8-ort", "static INT8 in ONNX Runtime",
        commands=(_compile("ort-int8"),),
        peer=("quantize_static on the raw export", "ort-int8"),
    ),
    Row(
        "int8-aoti", "static INT8 compiled by torch",
        commands=(_compile("aoti-int8"),), peer=_NNCF,
    ),
    Row(
        "int8-weights", "weight-only INT8",
        {1: (90.0, 40.0, 0.25), 3: (89.9, 43.1, 0.534)},
        (_compile("ort-fp32", "--then quantize-weights"),),
        peer=("NNCF's compress_weights, OpenVINO", "nncf-weights"),
    ),
    Row(
        "sparse-1:4", "1:4 sparsity (ours: on average)",
        {1: (68.6, 244.0, 1.316)},
        (
            "opt {model} --calib {calib} -o {out}/sparse.onnx --passes "
            '"infer-shapes,fold-bn,sparsify{{pattern=1:4,by-layer=1:16,1:8,2:4,permute=true}}"',
        ),
        artefact="{out}/sparse.onnx",
        is_slow=True,
        note="no CPU runtime here skips zeros, so its latency is the dense graph's; what the zeros "
             "save is size, once the file is compressed.",
    ),
    Row(
        "pruned-channels", "channel pruning",
        {1: (82.3, 192.0, 0.926)},
        (*_prune(0.7), _compile("ov-fp32", source=_PRUNED)),
        note="the share of products is of the graph without the channels that never change, which "
             "every target drops for free. Nothing is trained: `reconstruct` fits what is left to "
             "the outputs before, on unlabelled images. Half of `calib` held out reads as many "
             "plates right as before.",
    ),
    Row(
        "pruned-1", "structured and unstructured pruning I (gentle)",
        {2: (89.9, 183.0, 1.707), 3: (89.9, 30.6, 1.817)},
        (*_prune(0.85), _compile("ort-fp32", _SPARSE, source=_PRUNED)),
    ),
    Row(
        "pruned-2", "structured and unstructured pruning II",
        {3: (89.1, 31.3, 1.817)},
        (*_prune(0.7), _compile("ort-fp32", _SPARSE, source=_PRUNED)),
    ),
    Row(
        "pruned-int8", "pruned + static INT8",
        {3: (82.9, 26.9, 0.637)},
        (*_prune(0.7), _compile("ov-int8", source=_PRUNED)), peer=_NNCF,
    ),
    Row("tvm-import", "TVM: import", {2: (89.7, 47.9, None)}, artefact="tvm:import"),
    Row(
        "tvm-fold", "TVM: + simplify, fold constants and scales, dead code",
        {2: (90.1, 42.1, None)}, artefact="tvm:fold",
    ),
    Row(
        "tvm-layout", "TVM: + fuse, common subexpressions, convert layout",
        {2: (90.2, 41.8, None)}, artefact="tvm:layout",
        note="TVM's Relax has no schedules of its own for CPUs: these three rows, and the peer of "
             "`tvm`, are its plain loops. The reports used Relay, whose schedules TVM has "
             "dropped. It is the float32 graph of the baseline, and is not judged again.",
    ),
    Row(
        "tvm", "TVM: lprc's layout and schedules, untuned",
        commands=(_compile("tvm-fp32"),), peer=_STAGES,
    ),
    Row(
        "tvm-tuned", "TVM: tuned",
        {1: (90.0, 37.0, None), 3: (90.1, 39.9, 2.905)},
        (_compile("tvm-fp32", "-O tune-trials=128"),), peer=_STAGES, is_slow=True,
    ),
    Row(
        "tvm-int8", "quantised model in TVM (failed in the report)",
        commands=(_compile("tvm-int8"),), peer=_NNCF,
    ),
    Row(
        "torchscript", "TorchScript",
        {1: (90.0, 240.0, None)},
        (_compile("torchscript-fp32"),), peer=("torch's own traced LPRNet", "torch:script"),
    ),
    Row(
        "torch.compile", "torch.compile (here ahead of time)",
        {1: (89.0, 90.0, 1.12)},
        (_compile("aoti-fp32"),), peer=("ov-fp32 of lprc", "ov-fp32"),
    ),
    Row(
        "all", "all combined: pruned, INT8, TVM",
        {3: (90.0, 35.5, 2.905)},
        (*_prune(0.7), _compile("tvm-int8", source=_PRUNED)), peer=_NNCF,
    ),
    Row(
        "tensorrt", "TensorRT (GPU)", {1: (90.0, 25.0, None)},
        elsewhere="benchmarks/gpu.py",
    ),
    Row(
        "tensorrt-int8", "weight quantisation + TensorRT (GPU)", {1: (90.0, 10.0, 0.25)},
        elsewhere="benchmarks/gpu.py",
    ),
    Row(
        "detector", "the thesis: a plate detector in OpenVINO, INT8",
        elsewhere="docs/plate-detector.md",
    ),
    Row(
        "swiftnet", "the seminar: SwiftNet pruned by blocks, mean IoU",
        elsewhere="docs/segmentation.md",
    ),
)  # fmt: skip
"""In the order of the page."""
