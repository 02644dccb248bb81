"""Changes of initialisers, in groups with what they add up to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from lprc.core.graph_diff.grouping import Group, Item, Sign, placed, quoted
from lprc.core.graph_diff.result import InitializerChange, TensorStatistics

_SIGNS: dict[str, Sign] = {"added": "+", "removed": "-", "changed": "~"}


def weight_groups(changes: Iterable[InitializerChange]) -> Iterator[Group]:
    """Initialisers by what became of them and which operators use them."""
    kinds: dict[tuple[str, str], list[InitializerChange]] = {}
    for change in changes:
        users = ", ".join(map(quoted, change.users)) or "nothing"
        what: str = "reordered" if change.reordered else change.what
        kinds.setdefault((users, what), []).append(change)
    for (users, what), found in sorted(kinds.items(), key=lambda entry: -len(entry[1])):
        text = f"initialiser of {users} {what}{_together(found)}"
        yield Group("initialisers", _SIGNS[found[0].what], text, tuple(map(_item, found)))


def _together(changes: Sequence[InitializerChange]) -> str:
    """Types, bytes, noise and sparsity over a group."""
    parts = [
        part
        for part in (_types(changes), _bytes(changes), _noise(changes), _sparsity(changes))
        if part
    ]
    return f" ({', '.join(parts)})" if parts else ""


def _types(changes: Sequence[InitializerChange]) -> str:
    pairs = {(_element(each.before), _element(each.after)) for each in changes}
    moves = sorted(f"{before} → {after}" for before, after in pairs if before != after)
    return moves[0] if len(moves) == 1 and all(all(pair) for pair in pairs) else ""


def _element(tensor: TensorStatistics | None) -> str:
    return "" if tensor is None else tensor.type.split("[")[0]


def _bytes(changes: Sequence[InitializerChange]) -> str:
    before = sum(each.before.bytes for each in changes if each.before is not None)
    after = sum(each.after.bytes for each in changes if each.after is not None)
    if changes[0].what != "changed":
        return size_text(before or after)
    return "" if before == after else f"{size_text(before)} → {size_text(after)}"


def _noise(changes: Sequence[InitializerChange]) -> str:
    found = [each.snr_db for each in changes if each.snr_db is not None and not each.reordered]
    if not found:
        return ""
    low, high = f"{min(found):.1f}", f"{max(found):.1f}"
    return f"SNR {low} dB" if low == high else f"SNR {low} to {high} dB"


def _sparsity(changes: Sequence[InitializerChange]) -> str:
    """The fraction of zeros, weighted with sizes, where it changed anywhere."""
    changed = [each for each in changes if each.what == "changed"]
    if all(abs(_zeros(each.before) - _zeros(each.after)) < 0.005 for each in changed):
        return ""
    before = _mean_zeros([each.before for each in changed])
    after = _mean_zeros([each.after for each in changed])
    return f"zeros {before:.0%} → {after:.0%}"


def _mean_zeros(tensors: Sequence[TensorStatistics | None]) -> float:
    total = sum(each.bytes for each in tensors if each is not None)
    zeros = sum(_zeros(each) * each.bytes for each in tensors if each is not None)
    return zeros / total if total else 0.0


def _zeros(tensor: TensorStatistics | None) -> float:
    return 0.0 if tensor is None or tensor.sparsity is None else tensor.sparsity


def _item(change: InitializerChange) -> Item:
    texts = [_tensor(each) for each in (change.before, change.after) if each is not None]
    detail = " → ".join(texts)
    if change.snr_db is not None:
        detail += f"; SNR {change.snr_db:.1f} dB"
    if change.reordered:
        detail += "; the same values in another order"
    return Item(placed(change.body, change.name), detail)


def _tensor(tensor: TensorStatistics) -> str:
    parts = [quoted(tensor.type)]
    if tensor.minimum is not None and tensor.maximum is not None:
        parts.append(f"{tensor.minimum:.4g} to {tensor.maximum:.4g}")
    if tensor.mean is not None:
        parts.append(f"mean {tensor.mean:.4g}")
    if tensor.sparsity:
        parts.append(f"{tensor.sparsity:.1%} zeros")
    return " ".join([parts[0], f"({', '.join(parts[1:])})"] if parts[1:] else parts)


def size_text(size: int) -> str:
    """A size in bytes as people read it (powers of ten)."""
    for unit, factor in (("MB", 1_000_000), ("kB", 1000)):
        if size >= factor:
            return f"{size / factor:.2f} {unit}"
    return f"{size} B"
