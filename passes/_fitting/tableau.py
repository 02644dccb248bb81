"""The normal equations of many rows side by side, swept for the weights inside their supports."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Mask = NDArray[np.bool_]
Index = NDArray[np.int64]

PENDING = 32
"""Sweeps after which what they change is worked into the tables, as one product of matrices."""


class Tableau:
    """Tables [rows, size + 1, size + 1], one for each row.

    The SWEEP operator (Goodnight, "A Tutorial on the SWEEP Operator", The American Statistician,
    1979) takes one variable of a regression in or out. With S inside, the last column has the
    weights of S, and elsewhere the residual's products; the block of S has ``-H_SS^-1``, the rest
    the Schur complement; the corner is the error.

    A sweep changes a table by a matrix of rank one, and by one element of the diagonal. As in
    blocked factorisations those matrices wait until there are `PENDING` of them; meanwhile only
    what choices need is kept up: the last column, the diagonal and the blocks of groups.

    Args:
        inverse: ``H^-1``, float64 [rows, size, size]; everything is inside at first.
        target: The best weights, float64 [rows, size].
        groups: Columns that compete with each other, int64 [groups, members]; disjoint.
    """

    def __init__(self, inverse: Float, target: Float, groups: Index | None = None) -> None:
        rows, size = target.shape
        self._table = np.zeros((rows, size + 1, size + 1))
        self._table[:, :size, :size] = -inverse
        self._table[:, :size, size] = self._table[:, size, :size] = target
        self.inside = np.ones((rows, size), bool)
        self._edge = self._table[:, -1].copy()
        self._diagonal = -np.einsum("rkk->rk", inverse)
        self._changes = np.empty((rows, PENDING, size + 1))
        self._scales = np.empty((rows, PENDING))
        # Fresh memory for each product would take longer than the product.
        self._scratch = np.empty_like(self._table)
        self._waiting = 0
        self._rows = np.arange(rows)
        self._groups = np.zeros((0, 1), np.int64) if groups is None else groups
        self._blocks: Float | None = None

    def keep(self, rows: Mask) -> None:
        """Go on with some of the rows: bool [rows]."""
        self._flush()
        self._table, self.inside = self._table[rows], self.inside[rows]
        self._edge, self._diagonal = self._edge[rows], self._diagonal[rows]
        self._changes, self._scales = self._changes[rows], self._scales[rows]
        self._rows = np.arange(len(self._table))
        self._blocks = None if self._blocks is None else self._blocks[rows]

    def loss(self) -> Float:
        """By how much the error grows without each weight that is inside: float64 [rows, size]."""
        # What is outside may have nothing left that the others do not explain.
        diagonal = np.maximum(np.abs(self._diagonal), np.finfo(self._diagonal.dtype).tiny)
        with np.errstate(over="ignore"):
            return np.asarray(self._edge[:, :-1] ** 2 / diagonal)

    @property
    def error(self) -> Float:
        """The error of each row, beyond that with everything inside: float64 [rows]."""
        return np.asarray(self._edge[:, -1])

    @property
    def blocks(self) -> tuple[Float, Float]:
        """The tables' parts of each group: float64 [rows, groups, members, members], and edges."""
        if self._blocks is None:
            self._flush()
            self._blocks = self._table[:, self._groups[:, :, None], self._groups[:, None]]
        return self._blocks, self._edge[:, self._groups]

    def toggle(self, which: Index, taking_part: Mask | None = None) -> None:
        """Take one variable of each row in or out.

        Args:
            which: int64 [rows].
            taking_part: Rows where that happens; None for all.
        """
        rows = self._rows
        change = self._table[rows, which]
        if self._waiting:
            changes = self._changes[:, : self._waiting]
            factors = changes[rows, :, which] * self._scales[:, : self._waiting]
            change -= (factors[:, None] @ changes)[:, 0]
        pivot = change[rows, which]
        sign = np.where(self.inside[rows, which], -1.0, 1.0)
        change[rows, which] -= sign
        scale = 1 / pivot
        if taking_part is not None:
            scale, sign = np.where(taking_part, scale, 0.0), np.where(taking_part, sign, 0.0)
        self._edge -= change * (change[:, -1] * scale)[:, None]
        self._diagonal -= np.square(change[:, :-1]) * scale[:, None]
        self._diagonal[rows, which] -= 2 * sign
        self._table[rows, which, which] -= 2 * sign
        if self._blocks is not None:
            self._update_blocks(change[:, self._groups], scale, which, sign)
        self.inside[rows, which] ^= True if taking_part is None else taking_part
        self._changes[:, self._waiting], self._scales[:, self._waiting] = change, scale
        self._waiting += 1
        if self._waiting == PENDING:
            self._flush()

    def _update_blocks(self, change: Float, scale: Float, which: Index, sign: Float) -> None:
        assert self._blocks is not None
        scaled = change * scale[:, None, None]
        self._blocks -= change[:, :, :, None] * scaled[:, :, None]
        group, member = np.nonzero((self._groups[None] == which[:, None, None]).any(axis=0))
        for index, slot in zip(group, member, strict=True):
            here = which == self._groups[index, slot]
            self._blocks[here, index, slot, slot] -= 2 * sign[here]

    def _flush(self) -> None:
        if self._waiting:
            changes = self._changes[:, : self._waiting]
            scaled = changes * self._scales[:, : self._waiting, None]
            product = self._scratch[: len(self._table)]
            self._table -= np.matmul(changes.transpose(0, 2, 1), scaled, out=product)
            self._waiting = 0


def taken_out(blocks: Float, edges: Float, inside: Mask) -> tuple[Float, Float]:
    """Groups' parts of tables with all their members swept out.

    Args:
        blocks: float64 [rows, groups, members, members].
        edges: Of the last column: float64 [rows, groups, members].
        inside: Which members are in: bool [rows, groups, members].

    Returns:
        New blocks and edges.
    """
    blocks, edges = blocks.copy(), edges.copy()
    for member in range(edges.shape[2]):
        swept = inside[:, :, member]
        pivot = np.where(swept, blocks[:, :, member, member], 1.0)
        column = np.where(swept[:, :, None], blocks[:, :, :, member], 0.0)
        edge = np.where(swept, edges[:, :, member], 0.0)
        scaled = column / pivot[:, :, None]
        blocks -= column[:, :, :, None] * scaled[:, :, None]
        edges -= scaled * edge[:, :, None]
        replaced = swept[:, :, None]
        blocks[:, :, member] = np.where(replaced, -scaled, blocks[:, :, member])
        blocks[:, :, :, member] = np.where(replaced, -scaled, blocks[:, :, :, member])
        blocks[:, :, member, member] = np.where(swept, -1 / pivot, blocks[:, :, member, member])
        edges[:, :, member] = np.where(swept, -edge / pivot, edges[:, :, member])
    return blocks, edges


def explained(moment: Float, product: Float) -> Float:
    """``p^T M^-1 p`` of small positive definite M [..., n, n] and p [..., n]: float64 [...]."""
    moment, product = moment.copy(), product.copy()
    total = np.zeros(product.shape[:-1])
    for step in range(product.shape[-1]):
        pivot = moment[..., step, step]
        scaled = moment[..., step] / pivot[..., None]
        here = product[..., step].copy()
        total += np.square(here) / pivot
        moment -= scaled[..., :, None] * moment[..., step, None, :]
        product -= scaled * here[..., None]
    return total
