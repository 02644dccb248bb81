"""A small graph as SVG: operators as boxes, in rows from the inputs down to the outputs."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import onnx_ir as ir

WIDTH, HEIGHT = 150, 28
GAP_ACROSS, GAP_DOWN = 16, 26


@dataclass
class Box:
    """What is drawn for an input, a node or an output.

    Attributes:
        label: What stands in it.
        sources: The boxes whose values it reads.
        is_operator: Whether it is a node.
        row: Its row, from 0; inputs stand in the first.
        left: Its left edge in pixels.
    """

    label: str
    sources: list[Box]
    is_operator: bool
    row: int = 0
    left: float = 0.0

    @property
    def top(self) -> int:
        """Its upper edge in pixels."""
        return self.row * (HEIGHT + GAP_DOWN) + 2

    @property
    def middle(self) -> float:
        """Its middle across, in pixels."""
        return self.left + WIDTH / 2


def svg(model: ir.Model, title: str) -> str:
    """The main graph of `model`, without its weights, as one line of SVG.

    Args:
        model: The model.
        title: What a screen reader says of the drawing.
    """
    boxes = _boxes(model.graph)
    width = _place(boxes)
    height = max(box.top for box in boxes) + HEIGHT + 2
    marks = "".join(
        [*(_edge(box, source) for box in boxes for source in box.sources), *map(_mark, boxes)]
    )
    return (
        f'<svg class="graph" role="img" aria-label="{escape(title)}" width="{width:.0f}" '
        f'height="{height}" viewBox="0 0 {width:.0f} {height}">{marks}</svg>'
    )


def _boxes(graph: ir.Graph) -> list[Box]:
    """Inputs, nodes in order, outputs."""
    box_of_value: dict[ir.Value, Box] = {}
    boxes = []
    for value in graph.inputs:
        box_of_value[value] = Box(_label(value), [], is_operator=False)
        boxes.append(box_of_value[value])
    for node in graph:
        read = [value for value in node.inputs if value in box_of_value]
        sources = list({id(box_of_value[value]): box_of_value[value] for value in read}.values())
        row = 1 + max((source.row for source in sources), default=0)
        boxes.append(Box(node.op_type, sources, is_operator=True, row=row))
        box_of_value.update(dict.fromkeys(node.outputs, boxes[-1]))
    last = 1 + max(box.row for box in boxes)
    for value in graph.outputs:
        source = box_of_value.get(value)
        boxes.append(Box(_label(value), [source] if source else [], is_operator=False, row=last))
    return boxes


def _label(value: ir.Value) -> str:
    shape = "" if value.shape is None else ",".join(str(size) for size in value.shape)
    text = f"{value.name} [{shape}]"
    return text if len(text) <= 22 else str(value.name)


def _place(boxes: list[Box]) -> float:
    """Put the boxes of each row beside each other, below what they read.

    Returns:
        The width of the drawing in pixels.
    """
    rows: dict[int, list[Box]] = {}
    for box in boxes:
        rows.setdefault(box.row, []).append(box)
    widest = max(len(row) for row in rows.values())
    width = widest * (WIDTH + GAP_ACROSS) - GAP_ACROSS + 4
    for _, row in sorted(rows.items()):
        row.sort(key=_middle_of_sources)
        used = len(row) * (WIDTH + GAP_ACROSS) - GAP_ACROSS
        for position, box in enumerate(row):
            box.left = (width - used) / 2 + position * (WIDTH + GAP_ACROSS)
    return width


def _middle_of_sources(box: Box) -> float:
    return sum(source.middle for source in box.sources) / max(1, len(box.sources))


def _edge(box: Box, source: Box) -> str:
    start, end = source.top + HEIGHT, box.top
    bend = min(GAP_DOWN, end - start) / 2
    return (
        f'<path d="M{source.middle:.0f} {start}C{source.middle:.0f} {start + bend:.0f} '
        f'{box.middle:.0f} {end - bend:.0f} {box.middle:.0f} {end}"/>'
    )


def _mark(box: Box) -> str:
    round_by = 4 if box.is_operator else HEIGHT // 2
    kind = "operator" if box.is_operator else "value"
    return (
        f'<rect class="{kind}" x="{box.left:.0f}" y="{box.top}" width="{WIDTH}" height="{HEIGHT}" '
        f'rx="{round_by}"/><text x="{box.middle:.0f}" y="{box.top + 19}">{escape(box.label)}</text>'
    )
