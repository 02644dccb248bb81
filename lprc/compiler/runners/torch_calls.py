"""A callable of torch's on named arrays: what both of torch's runners are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lprc.compiler.runners.interface import Interface
from lprc.compiler.runners.vendor_errors import first_line
from lprc.core.errors import InvalidModelError
from lprc.core.files.checked import Strict, checked
from lprc.core.files.json_text import parse_json
from lprc.core.running.numerics import Arrays, RunError

if TYPE_CHECKING:
    import torch

Model = TypeVar("Model", bound=Strict)


class TorchCalls:
    """A loaded function of tensors; an `lprc.core.running.runner.Runner`.

    Args:
        title: What people call the runtime.
        function: Takes tensors in the order of the interface's inputs, gives its outputs; records
            nothing for gradients.
        interface: The names.
    """

    def __init__(
        self,
        title: str,
        function: Callable[..., Sequence[torch.Tensor]],
        interface: Interface,
    ) -> None:
        self._title, self._function, self._interface = title, function, interface
        self.inputs = {tensor.name: tuple(tensor.shape) for tensor in interface.inputs}
        self.dtypes = {tensor.name: np.dtype(tensor.dtype) for tensor in interface.inputs}
        self.outputs = [tensor.name for tensor in interface.outputs]

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Run it once; outputs by name."""
        results = self._called(self._tensors(inputs))
        return {
            name: np.array(result.numpy())
            for name, result in zip(self.outputs, results, strict=True)
        }

    def bound(self, inputs: Arrays) -> Callable[[], object]:
        """A function without arguments that runs it on `inputs`."""
        tensors = self._tensors(inputs)
        self._called(tensors)
        return lambda: self._called(tensors)

    def _called(self, tensors: list[torch.Tensor]) -> Sequence[torch.Tensor]:
        try:
            return self._function(*tensors)
        except RuntimeError as error:
            raise RunError(f"{self._title} can't run it: {first_line(error)}") from error

    def _tensors(self, inputs: Arrays) -> list[torch.Tensor]:
        """The inputs in order, checked: compiled code reads what lies behind a pointer."""
        import torch

        tensors = []
        for name, shape in self.inputs.items():
            array = np.array(inputs[name], order="C")
            fits = len(array.shape) == len(shape) and all(
                wanted in (None, size) for size, wanted in zip(array.shape, shape, strict=True)
            )
            if not fits or array.dtype != self.dtypes[name]:
                wanted_shape = "x".join("?" if size is None else str(size) for size in shape)
                raise RunError(
                    f"input '{name}' is {array.dtype} {'x'.join(map(str, array.shape))}; the file "
                    f"is compiled for {self.dtypes[name]} {wanted_shape}",
                    hint="compile it with --input-shape for another size",
                )
            tensors.append(torch.from_numpy(array))
        return tensors


def stored(model: type[Model], text: str | bytes | None, path: Path) -> Model:
    """A document that lprc wrote into a file of torch's, as a `model`.

    Raises:
        InvalidModelError: There is none, or it is something else.
    """
    hint = "run a file that `lprc compile` wrote"
    if not text:
        what = "it does not name its inputs and outputs"
        raise InvalidModelError(what, where=str(path), hint=hint)
    try:
        document = parse_json(text)
    except ValueError as error:
        what = f"what it says of its inputs and outputs can't be read: {error}"
        raise InvalidModelError(what, where=str(path), hint=hint) from error
    return checked(model, document, where=str(path), error=InvalidModelError)
