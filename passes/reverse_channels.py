"""The order of an image input's channels, reversed: BGR where it was RGB."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from lprc.core.errors import UsageError
from lprc.core.graph import editing
from lprc.core.options import option
from lprc.core.passing.contract import exact
from lprc.core.passing.pass_base import Pass, PassContext
from lprc.passes._images.embedding import Embedding, embed
from lprc.passes._images.moved_input import MovedInputs
from lprc.passes._images.network_input import chosen_input
from lprc.passes._images.pixels import Layout, Pixels


@dataclass(frozen=True)
class ReverseChannels(Pass):
    """Let an input take its channels in the opposite order: BGR where the network takes RGB.

    Where only Convs without groups read the input, their weights change places. Else one Gather
    stands in front of the network.
    """

    name = "reverse-channels"
    contract = exact
    changes_interface = True
    input: str | None = option(None, "the input that takes images; the only one needs no name")
    layout: Layout = option("NCHW", "where the input has its channels")

    def translation(self, model: ir.Model) -> MovedInputs:
        """The input's channels the other way round.

        Raises:
            UsageError: As of `run`.
        """
        value = self._checked(model)
        return MovedInputs({}, {str(value.name): self._axis})

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Reverse them.

        Raises:
            UsageError: There is no such input, or it does not have three channels.
        """
        value = self._checked(model)
        if value.is_graph_output() or not value.uses():
            context.skip(None, "no node alone reads the input")
            return
        assert value.dtype is not None
        pixels = Pixels((0.0,), (1.0,), True, self.layout, self.layout)
        embed(model.graph, value, Embedding(pixels, value.dtype, 0.0, "channels reversed"), context)

    @property
    def _axis(self) -> int:
        return 1 if self.layout == "NCHW" else 3

    def _checked(self, model: ir.Model) -> ir.Value:
        value = chosen_input(model, self.input, "reverse-channels{input}")
        channels = editing.dimension(value, self._axis)
        if editing.rank(value) != 4 or channels != 3 or value.dtype is None:
            raise UsageError(
                f"input '{value.name}' has {channels or 'an unknown number of'} channels on axis "
                f"{self._axis}, not 3",
                where="pass 'reverse-channels'",
                hint="layout=NHWC says that channels are last; input=NAME names another input",
            )
        return value
