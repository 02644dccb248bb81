"""Arguments that had another name in an earlier release."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


def renamed_argument(old: str, new: str) -> Callable[[F], F]:
    """A decorator by which the argument `new` still works as `old`, with a `DeprecationWarning`."""

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def wrapper(*arguments: Any, **named: Any) -> Any:
            if old in named:
                if new in named:
                    raise TypeError(f"'{old}' is the old name of '{new}': give one of them")
                warnings.warn(
                    f"{function.__name__}: '{old}' is '{new}' now", DeprecationWarning, stacklevel=2
                )
                named[new] = named.pop(old)
            return function(*arguments, **named)

        return wrapper  # type: ignore[return-value]

    return decorate
