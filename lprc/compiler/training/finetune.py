"""Fine-tune a graph: train its weights in torch and put them back into it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx_ir as ir
import torch

from lprc.compiler.compile.optimize import optimize
from lprc.compiler.compile.settings import Execution
from lprc.compiler.training.graph_module import GraphModule
from lprc.compiler.training.hints import find_hints
from lprc.compiler.training.initial_weights import randomise
from lprc.compiler.training.objective import Objective
from lprc.compiler.training.recipe import Recipe
from lprc.compiler.training.rewinding import rewind
from lprc.compiler.training.trainer import Look, Trainer
from lprc.compiler.training.training_set import Images, Samples
from lprc.compiler.training.weights import set_array, statistics_of
from lprc.core.errors import DataError, MissingDependencyError, UsageError
from lprc.core.graph import editing
from lprc.core.onnx_io.model_io import to_bytes
from lprc.core.passing.pipeline import Pipeline


@dataclass(frozen=True)
class Sources:
    """Other networks and files that a run starts from.

    Attributes:
        teacher: Whose outputs are learnt; needed for distillation, and by ``init=rewind`` where
            channels were pruned.
        early: Whose weights ``init=rewind`` takes.
        early_name: What to call it in errors.
        resume: A checkpoint to go on from.
    """

    teacher: ir.Model | None = None
    early: ir.Model | None = None
    early_name: str = "--rewind-to"
    resume: Path | None = None


@dataclass(frozen=True)
class Tuned:
    """What training did.

    Attributes:
        looks: The losses over time; the first is before training.
        taken_step: After which the weights were taken.
        weights: The number of trained tensors.
        zeros: The number of weights that are zero and stayed so.
        hints: The number of activations that were compared.
        device: Where it ran.
    """

    looks: tuple[Look, ...]
    taken_step: int
    weights: int
    zeros: int
    hints: int
    device: str

    @property
    def look_taken(self) -> Look:
        """The last look that was made before, or when, the weights were taken."""
        return [look for look in self.looks if look.step <= self.taken_step][-1]

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            "taken_step": self.taken_step,
            "weights": self.weights,
            "zeros": self.zeros,
            "hints": self.hints,
            "device": self.device,
            "looks": [
                {
                    "step": look.step,
                    "loss": None if look.loss != look.loss else look.loss,
                    "held_out": look.held_out,
                }
                for look in self.looks
            ],
        }


def finetune(
    model: ir.Model,
    samples: Samples,
    recipe: Recipe,
    sources: Sources | None = None,
    *,
    device: str = "auto",
    keep: Path | None = None,
    progress: Callable[[float, int], None] | None = None,
) -> Tuned:
    """Train the weights of `model` in place; widths, zeros and everything else stay.

    A quantised model is trained through its Q/DQ (Jacob et al., CVPR 2018): its integer weights are
    the rounded ones of what is trained, its scales stay.

    Args:
        model: Its weights are trained.
        samples: What to train on.
        recipe: How.
        sources: A teacher, early weights, a checkpoint.
        device: ``cpu``, ``cuda`` or ``auto``, which is cuda where there is one.
        keep: Where to write checkpoints; None for nowhere.
        progress: Called with the steps taken and their number.

    Raises:
        UsageError: An operator that has no form in torch here, or a recipe that lacks its teacher.
        DataError: Samples that can't be used.
        MissingDependencyError: ``cuda`` where torch has none.
    """
    sources = sources or Sources()
    _check(recipe, sources, samples)
    place = _device(device)
    trained = _with_free_batch(model)
    if recipe.init == "random":
        randomise(trained, recipe.seed)
    if sources.early is not None:
        rewind(trained, sources.early, sources.early_name, sources.teacher)
    student = GraphModule(trained, update_statistics=recipe.update_statistics)
    teacher = None
    if recipe.distils and sources.teacher is not None:
        teacher = GraphModule(_with_free_batch(sources.teacher)).eval().requires_grad_(False)
        _check_outputs(student, teacher)
    hints = find_hints(student, teacher, samples) if recipe.hints and teacher is not None else ()
    task = samples.task if isinstance(samples, Images) else None
    trainer = Trainer(
        student,
        teacher,
        samples,
        recipe,
        Objective(recipe, student.outputs, hints, task),
        network=to_bytes(model),
        device=place,
    )
    if sources.resume is not None:
        trainer.resume(sources.resume)
    trainer.run(keep=keep, progress=progress)
    student.write_back()
    _copy_constants(student, model)
    zeros = sum(int((~weight.mask).sum()) for weight in student.weights if weight.mask is not None)
    return Tuned(
        tuple(trainer.looks),
        trainer.taken_step,
        len(student.weights),
        zeros,
        len(hints),
        place.type,
    )


def _check(recipe: Recipe, sources: Sources, samples: Samples) -> None:
    if recipe.distils and sources.teacher is None:
        raise UsageError(
            f"loss '{recipe.loss}' needs a teacher",
            where="--teacher",
            hint="name the network before it was pruned, made sparse or quantised",
        )
    if (recipe.init == "rewind") != (sources.early is not None):
        raise UsageError("--init rewind and --rewind-to go together", where="--init")
    if recipe.reads_labels and samples.labels is None:
        raise DataError(f"loss '{recipe.loss}' needs labels", where="--data")


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise MissingDependencyError(
            "torch has no CUDA device here", where="--device", hint="use --device cpu"
        )
    return torch.device(name)


def _with_free_batch(model: ir.Model) -> ir.Model:
    """A copy that takes batches, where the graph can be freed of its fixed batch."""
    copy = model.clone()
    inputs = [value for value in copy.graph.inputs if not value.is_initializer()]
    if any(editing.dimension(value, 0) is not None for value in inputs):
        optimize(copy, Pipeline.parse("set-batch{batch=dynamic}"), Execution(verify="off"))
    return copy


def _check_outputs(student: GraphModule, teacher: GraphModule) -> None:
    for what in ("inputs", "outputs"):
        ours, theirs = getattr(student, what), getattr(teacher, what)
        if ours != theirs:
            raise UsageError(
                f"its {what} are {', '.join(theirs)}, and the model's are {', '.join(ours)}",
                where="--teacher",
            )


def _copy_constants(student: GraphModule, model: ir.Model) -> None:
    """The weights of the copy that was trained into the graph that it is a copy of."""
    changed = {str(weight.value.name) for weight in student.weights}
    changed |= {str(value.name) for value, _ in statistics_of(model.graph)}
    found = {str(value.name): value for value in _constants(student.model)}
    for value in _constants(model):
        if str(value.name) in changed:
            array = editing.constant(found[str(value.name)])
            assert array is not None
            set_array(value, array)


def _constants(model: ir.Model) -> list[ir.Value]:
    made = [node.outputs[0] for node in model.graph if editing.is_op(node, "Constant")]
    return [*model.graph.initializers.values(), *made]
