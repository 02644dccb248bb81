"""What quantising passes do with a model that is quantised already."""

from __future__ import annotations

from typing import Literal

import onnx_ir as ir

from lprc.core.errors import InvalidModelError
from lprc.core.passing.pass_base import PassContext
from lprc.core.quantization.recognise import WEIGHT_ONLY, forms

Choice = Literal["refuse", "keep"]


def is_quantized(model: ir.Model, choice: Choice, context: PassContext) -> bool:
    """Whether `model` has quantised activations and is to be left as it is.

    Weights alone are no obstacle: a pass finds that they are not constant any more.

    Raises:
        InvalidModelError: It is, and `choice` is to refuse that.
    """
    form_names = ", ".join(str(form) for form in forms(model) if form.kind != WEIGHT_ONLY)
    if not form_names:
        return False
    if choice == "keep":
        context.skip(None, "the model is quantised already")
        return True
    raise refused(form_names)


def refused(form_names: str, where: str | None = None) -> InvalidModelError:
    """The error for a model that is quantised in the forms `form_names`."""
    return InvalidModelError(
        f"quantised already: {form_names}",
        where=where,
        hint="start from the float model, or let it through as it is with --quantized keep "
        "(a pass's option: quantized=keep)",
    )
