"""Which versions of apache-tvm and apache-tvm-ffi work together; imports neither.

apache-tvm 0.27.0 with apache-tvm-ffi 0.1.15 ends in a segmentation fault while it tunes
(``ToJSONGraph``), and pip installs that pair by itself.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from lprc.core.errors import MissingDependencyError

TESTED = {"0.27": "0.1.14"}
"""The apache-tvm-ffi that works, by apache-tvm."""

INSTALL = 'pip install "apache-tvm==0.27.0.post1" "apache-tvm-ffi==0.1.14.post1"'


def check_versions() -> None:
    """Refuse versions that are not known to work together.

    Raises:
        MissingDependencyError: They are not, or one is missing.
    """
    tvm, ffi = _version("apache-tvm"), _version("apache-tvm-ffi")
    wanted = TESTED.get(".".join(tvm.split(".")[:2]))
    if wanted is None:
        tested = ", ".join(TESTED)
        raise MissingDependencyError(
            f"apache-tvm {tvm} is not one that lprc knows ({tested})", hint=INSTALL
        )
    if not ffi.startswith(f"{wanted}."):
        raise MissingDependencyError(
            f"apache-tvm {tvm} crashes with apache-tvm-ffi {ffi}", hint=INSTALL
        )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError as error:
        raise MissingDependencyError(f"{package} is not installed", hint=INSTALL) from error
