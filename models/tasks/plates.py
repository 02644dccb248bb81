"""Plate readers: an image of a plate in, its text out by CTC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lprc.core.errors import DataError
from lprc.core.running.numerics import RunError
from lprc.core.tasks.graph_answer import GraphAnswer, NotInGraphError
from lprc.core.tasks.interface import Interface
from lprc.core.tasks.placement import Placement
from lprc.core.tasks.task import Sample, Task
from lprc.models.ctc import character_confidences, greedy_decode
from lprc.models.ctc_beam import beam_decode
from lprc.models.labels import read_labelled
from lprc.models.plate_table import PlatesTable

if TYPE_CHECKING:
    import torch


class Plates(Task):
    """Reads plates.

    The output is float [N, classes, steps]; the score is the share of plates whose whole text is
    right.
    """

    kind: ClassVar[str] = "plates"
    table = PlatesTable
    metric: ClassVar[str] = "plate accuracy"
    samples: ClassVar[str] = "plates"
    shares: ClassVar[bool] = True
    settings: PlatesTable

    @property
    def alphabet(self) -> tuple[str, ...]:
        """The characters by class, without the blank."""
        return self.settings.output.alphabet

    @property
    def blank(self) -> int:
        """The class that means "no character": the last."""
        return len(self.alphabet)

    @property
    def num_classes(self) -> int:
        """The characters and the blank."""
        return len(self.alphabet) + 1

    def labelled(self, data: Path) -> list[Sample]:
        """Images with their texts; see `lprc.models.labels.read_labelled`."""
        return [Sample(item.path, item.label) for item in read_labelled(data, self)]

    def answers(
        self, outputs: Mapping[str, NDArray[Any]], places: Sequence[Placement | None]
    ) -> list[str]:
        """The texts."""
        logits = _only(outputs)[: len(places)]
        if np.issubdtype(logits.dtype, np.integer) and logits.ndim == 2:
            return [self._spelt(codes) for codes in logits]
        output = self.settings.output
        if output.decoder == "greedy":
            return greedy_decode(logits, self)
        return beam_decode(
            logits,
            self,
            width=output.beam_width,
            pattern=output.pattern,
            lexicon=output.lexicon,
        )

    def answer_in_graph(self, interface: Interface) -> GraphAnswer:
        """Greedy CTC: codes, and -1 behind the last."""
        del interface
        decoder = self.settings.output.decoder
        if decoder != "greedy":
            raise NotInGraphError(f'decoder = "{decoder}" searches, and the graph decodes greedily')
        return {"embed-postprocessing": {"kind": "ctc"}}

    def _spelt(self, codes: NDArray[np.integer[Any]]) -> str:
        """The text of codes that the graph itself decoded: -1 stands behind the last."""
        inside = codes[codes >= 0]
        if inside.size and inside.max() >= len(self.alphabet):
            raise DataError(
                f"code {inside.max()} is beyond the alphabet's {len(self.alphabet)} characters",
                where=f"task '{self.name}'",
            )
        return "".join(self.alphabet[code] for code in inside)

    def confidences(self, outputs: Mapping[str, NDArray[Any]]) -> list[list[float]] | None:
        """The probability of each character that is read, 0 to 1.

        None where the graph gives codes, or a search over several characters at once chose them.
        """
        logits = _only(outputs)
        if np.issubdtype(logits.dtype, np.integer) or self.settings.output.decoder != "greedy":
            return None
        return character_confidences(logits, self)

    def judge(self, answer: str, truth: str) -> NDArray[np.float64]:
        """1 for the whole text, 0 for another."""
        return np.array([float(answer == truth)])

    def combine(self, records: Sequence[NDArray[np.float64]]) -> float:
        """Exact matches over plates."""
        return float(np.mean([record[0] for record in records]))

    @classmethod
    def like(cls, interface: Interface) -> dict[str, Any]:
        """The settings of the built-in plates with the model's size and number of classes."""
        from lprc.core.tasks.task_file import builtin_tasks

        for task in builtin_tasks():
            if isinstance(task, Plates) and task.recognizes(interface):
                return task.settings.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        names = ", ".join(
            f"{task.name} ({task.num_classes})"
            for task in builtin_tasks()
            if isinstance(task, Plates)
        )
        raise DataError(
            "no built-in alphabet has its input size and number of classes",
            where=interface.where,
            hint=f"--task FILE.toml names one; built in: {names} classes",
        )

    def recognizes(self, interface: Interface) -> bool:
        """Whether the model takes plates of this size and gives this many classes."""
        shapes = interface.inputs.values()
        if len(interface.outputs) != 1 or [len(shape) for shape in shapes] != [4]:
            return False
        try:
            task = self.fitted(interface)
            batch = interface.fixed_batch or 1
            logits = _only(interface.outputs_for((batch, *task.input.shape)))
        except (DataError, RunError):
            return False
        return logits.ndim == 3 and logits.shape[1] == self.num_classes

    def loss(self, outputs: Mapping[str, torch.Tensor], truths: Sequence[Any]) -> torch.Tensor:
        """Connectionist temporal classification a character (Graves et al., ICML 2006)."""
        from lprc.models.tasks.losses import ctc

        return ctc(next(iter(outputs.values())), truths, self)


def _only(outputs: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    if len(outputs) != 1:
        raise DataError(
            f"has {len(outputs)} outputs",
            hint="a plate reader has one image in and one [N, classes, steps] out",
        )
    return next(iter(outputs.values()))
