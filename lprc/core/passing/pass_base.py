"""The base of all passes, and what the manager hands to one when it runs."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.errors import LprcError
from lprc.core.graph.provenance import origins
from lprc.core.passing.contract import Contract
from lprc.core.passing.pass_order import State
from lprc.core.passing.translation import Translation


@dataclass(frozen=True)
class Rewrite:
    """One rewrite that a pass made: at which node, what became of it."""

    node: str
    op_type: str
    origins: tuple[str, ...]
    note: str


@dataclass(frozen=True)
class Skip:
    """One place that a pass left alone, and why."""

    node: str
    op_type: str
    origins: tuple[str, ...]
    reason: str


def _silent(done: int, total: int) -> None:
    """Nobody listens."""


@dataclass
class PassContext:
    """What a pass may know besides the model, and where it says what it did.

    Attributes:
        rewrite_limit: The number of rewrites that may still be made; None means no limit.
            Bisection lowers it to find the one rewrite that breaks a model.
        rewrites_allowed: Asked of each rewrite before it counts towards the limit; None allows
            all. Bisection gives one to find out which rewrites break a model together.
        calibration: Samples for data-driven passes, each a set of inputs by name; may be empty, and
            may be longer than memory is large: iterate over it, never make a list of it.
        progress: Called with the steps done and their number by passes that take long.
        rewrites: What was rewritten, in order.
        skips: What was left alone, in order.
    """

    rewrite_limit: int | None = None
    rewrites_allowed: Callable[[Rewrite], bool] | None = None
    calibration: Sequence[Mapping[str, NDArray[Any]]] = ()
    progress: Callable[[int, int], None] = _silent
    rewrites: list[Rewrite] = field(default_factory=list)
    skips: list[Skip] = field(default_factory=list)

    def rewrite(self, node: ir.Node | None, note: str) -> bool:
        """Announce one rewrite before making it; make it only if this returns True.

        Args:
            node: The node that is rewritten, or None for the graph as a whole.
            note: What becomes of it, for instance ``folded into conv1``.
        """
        announced = Rewrite(*_describe(node), note=note)
        if self.rewrites_allowed is not None and not self.rewrites_allowed(announced):
            return False
        if self.rewrite_limit is not None:
            if self.rewrite_limit <= 0:
                return False
            self.rewrite_limit -= 1
        self.rewrites.append(announced)
        return True

    def withdraw(self, node: ir.Node, reason: str) -> None:
        """Take back the announced rewrite of `node`, which could not be made after all."""
        name = node.name or ""
        index = next(i for i, made in reversed(list(enumerate(self.rewrites))) if made.node == name)
        del self.rewrites[index]
        if self.rewrite_limit is not None:
            self.rewrite_limit += 1
        self.skip(node, reason)

    def skip(self, node: ir.Node | None, reason: str) -> None:
        """Say why `node`, which looked like a candidate, is left alone."""
        self.skips.append(Skip(*_describe(node), reason=reason))


class UndeclaredDataError(LprcError):
    """A pass that looks at samples and does not say so: a bug in the pass."""

    exit_code = 70


class Undeclared(Sequence[Mapping[str, NDArray[Any]]]):
    """Samples for passes that do not say that they look at any: they can't.

    Args:
        name: The pass.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __len__(self) -> int:
        """Refuse.

        Raises:
            UndeclaredDataError: Always.
        """
        raise self._refusal()

    def __getitem__(self, index: Any) -> Any:
        """Refuse.

        Raises:
            UndeclaredDataError: Always.
        """
        raise self._refusal()

    def _refusal(self) -> UndeclaredDataError:
        return UndeclaredDataError(
            "looks at calibration samples and does not say so",
            where=f"pass '{self._name}'",
            hint="its class needs `reads_calibration = True`",
            pass_name=self._name,
        )


def _describe(node: ir.Node | None) -> tuple[str, str, tuple[str, ...]]:
    if node is None:
        return "", "", ()
    return node.name or "", node.op_type, origins(node)


class Pass(abc.ABC):
    """A graph rewrite. A subclass is a frozen dataclass and its fields are its options.

    The first line of the subclass's docstring is its description in ``lprc passes``. A field's
    documentation is ``field(default=…, metadata={"help": "…"})``; ``option()`` writes that.

    Attributes:
        name: As in pipeline text.
        contract: What it promises.
        reads_calibration: Whether it looks at `PassContext.calibration`; one that does not say so
            is not given any, so that what it did can be remembered whatever the samples are.
        leaves: What it leaves in the graph: a later pass may destroy it, and the compiler tells by
            it whether the pipeline quantises, and what to leave out of one that must not.
        not_after: What it would destroy, each with the reason why it can't come later.
        provable: Whether each of its rewrites is small and exact, so that ``lprc verify --prove``
            proves it by itself.
        packages: Installed packages that it computes with besides those of every pass; a manifest
            has their versions.
        changes_interface: Whether it changes what the graph takes or puts out; `translation` says
            then how samples follow, and what to hold it to.
    """

    name: ClassVar[str]
    contract: ClassVar[Contract]
    reads_calibration: ClassVar[bool] = False
    leaves: ClassVar[tuple[State, ...]] = ()
    not_after: ClassVar[Mapping[State, str]] = {}
    provable: ClassVar[bool] = False
    packages: ClassVar[tuple[str, ...]] = ()
    changes_interface: ClassVar[bool] = False

    def states(self) -> tuple[State, ...]:
        """`leaves`, where that depends on options."""
        return self.leaves

    def refusals(self) -> Mapping[State, str]:
        """`not_after`, where that depends on options."""
        return self.not_after

    def translation(self, model: ir.Model) -> Translation | None:
        """How inputs and outputs of `model`, which it is about to rewrite, become the new graph's.

        It is asked only where `changes_interface` is set; what it says counts if the pass then
        rewrites anything. None where the interface stays as it is.
        """
        return None

    @abc.abstractmethod
    def run(self, model: ir.Model, context: PassContext) -> None:
        """Rewrite `model` in place, telling `context` of each rewrite and each skip.

        A pass that does not apply changes nothing; one that cannot keep its promise on a node
        leaves that node alone and says why.
        """
