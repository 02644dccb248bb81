"""nvinfer's parsers called from Python, by a harness that is compiled for it."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).parent
HEADERS = HERE / "nvds_headers"

_TYPES = {"float32": 0, "int32": 3}
_ROOM = 20_000


class ParserError(Exception):
    """The parser refused the outputs."""


@dataclass(frozen=True)
class Harness:
    """The compiled harness and the library of parsers.

    Attributes:
        harness: Loaded.
        library: ``liblprc_parsers.so``.
    """

    harness: ctypes.CDLL
    library: Path

    def boxes(
        self,
        function: str,
        outputs: Mapping[str, NDArray[Any]],
        size: tuple[int, int],
        thresholds: Sequence[float],
    ) -> NDArray[np.float32]:
        """float32 [n, 6]: left, top, width, height, confidence, class.

        Args:
            function: The parser's name.
            outputs: One picture's, without the batch axis.
            size: Width and height of the input.
            thresholds: The least score of each class.
        """
        found = np.zeros((_ROOM, 6), np.float32)
        least = np.asarray(thresholds, np.float32)
        count = self.harness.parse_boxes(
            str(self.library).encode(),
            function.encode(),
            *_layers(outputs),
            *size,
            len(least),
            least.ctypes.data_as(ctypes.c_void_p),
            found.ctypes.data_as(ctypes.c_void_p),
            _ROOM,
        )
        if count < 0:
            raise ParserError(count)
        return found[:count]

    def text(
        self, function: str, outputs: Mapping[str, NDArray[Any]], size: tuple[int, int]
    ) -> tuple[str, float]:
        """A text and its confidence; arguments as of `boxes`."""
        room = ctypes.create_string_buffer(1024)
        confidence = ctypes.c_float(0)
        count = self.harness.parse_text(
            str(self.library).encode(),
            function.encode(),
            *_layers(outputs),
            *size,
            ctypes.c_float(0.0),
            room,
            len(room),
            ctypes.byref(confidence),
        )
        if count < 0:
            raise ParserError(count)
        return room.value.decode(), confidence.value


def _layers(outputs: Mapping[str, NDArray[Any]]) -> tuple[Any, ...]:
    arrays = [np.ascontiguousarray(array) for array in outputs.values()]
    count = len(arrays)
    sizes = [size for array in arrays for size in array.shape]
    buffers = (ctypes.c_void_p * count)(*(array.ctypes.data for array in arrays))
    buffers._arrays = arrays  # they live as long as their addresses
    return (
        count,
        (ctypes.c_char_p * count)(*(name.encode() for name in outputs)),
        (ctypes.c_int * count)(*(_TYPES[str(array.dtype)] for array in arrays)),
        (ctypes.c_int * count)(*(array.ndim for array in arrays)),
        (ctypes.c_int * len(sizes))(*sizes),
        buffers,
    )


def compiled(bundle: Path, build: Path, harness: Path, build_type: str = "Release") -> Harness:
    """The parsers of a bundle, compiled by its own CMakeLists.txt, and the harness beside.

    Args:
        bundle: What ``lprc bundle --for deepstream`` wrote.
        build: A new folder.
        harness: Where the harness goes; compiled unless it is there.
        build_type: CMake's; ``Debug`` compiles faster.
    """
    definitions = [f"-DNVDS_INCLUDE_DIR={HEADERS}", "-DWITH_APPLICATION=OFF"]
    definitions += ["-DCMAKE_CXX_FLAGS=-Werror", f"-DCMAKE_BUILD_TYPE={build_type}"]
    _run("cmake", "-S", bundle, "-B", build, *definitions)
    _run("cmake", "--build", build)
    if not harness.is_file():
        source = HERE / "parser_harness.cpp"
        options = ["-std=c++17", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror"]
        _run("g++", *options, f"-isystem{HEADERS}", source, "-o", harness, "-ldl")
    return Harness(ctypes.CDLL(str(harness)), build / "liblprc_parsers.so")


def _run(*command: object) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
