"""What the C++ that Inductor generated calls: which kernels compute in integers."""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from pathlib import Path

KINDS = {
    "integer convolution": r"aoti_torch_cpu__qconv\w*\(",
    "integer matrix product": r"aoti_torch_cpu__qlinear\w*\(",
    "integer pool": r"quantized::max_pool2d",
    "float convolution": r"aoti_torch_cpu_(?:mkldnn__)?\w*convolution\w*\(",
    "float matrix product": r"aoti_torch_cpu_(?:\w*_)?(?:linear|addmm|mm|bmm)\w*\(",
    "generated loop": r"\bcpp_fused_\w+\(",
}
"""A kind of kernel, and what its calls look like."""


def generated_calls(package: Path) -> dict[str, int]:
    """How often the wrapper in a ``.pt2`` calls each kind of kernel; kinds without a call left out.

    Args:
        package: What AOTInductor wrote, with the sources of its wrapper in it.
    """
    wrapper, nodes = _sources(package)
    counted: Counter[str] = Counter()
    for kind, pattern in KINDS.items():
        lines = nodes if "::" in pattern else wrapper
        counted[kind] = len(re.findall(pattern, lines))
    # Each loop is declared once before it is called.
    names = set(re.findall(KINDS["generated loop"], wrapper))
    counted["generated loop"] -= len(names)
    return {kind: number for kind, number in counted.items() if number > 0}


def _sources(package: Path) -> tuple[str, str]:
    """The wrapper's C++, and the list of what it calls through torch's dispatcher."""
    with zipfile.ZipFile(package) as archive:
        texts = {
            suffix: "".join(
                archive.read(name).decode("utf-8")
                for name in archive.namelist()
                if name.endswith(suffix)
            )
            for suffix in (".wrapper.cpp", ".wrapper.json")
        }
    return texts[".wrapper.cpp"], texts[".wrapper.json"]
