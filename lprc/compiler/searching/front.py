"""Which trials are the best ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lprc.compiler.searching.study import Objective, Trial


def value(trial: Trial, objective: Objective, latencies: Mapping[int, float]) -> float:
    """An objective of a feasible trial; the smaller the better.

    Args:
        trial: A feasible one.
        objective: Which.
        latencies: Of trials by number, where they were measured together; the others count by
            what was measured in their turn.
    """
    if objective == "latency":
        latency = latencies.get(trial.number, trial.latency)
        return float("inf") if latency is None else latency
    if objective == "size":
        return float(trial.outcome.size_bytes or 0)
    return float(trial.outcome.drop or 0.0)


def pareto_front(
    trials: Sequence[Trial],
    objectives: Sequence[Objective],
    latencies: Mapping[int, float] | None = None,
) -> list[Trial]:
    """The feasible trials that no other is as good as in all objectives and better in one.

    Of equal ones the first stays. In the order of the first objective.

    Args:
        trials: All.
        objectives: What counts.
        latencies: As of `value`.
    """
    feasible = [trial for trial in trials if trial.outcome.is_feasible and trial.same_as is None]
    rows = [
        (tuple(value(trial, goal, latencies or {}) for goal in objectives), trial)
        for trial in feasible
    ]
    rows.sort(key=lambda row: (row[0], row[1].number))
    front: list[tuple[tuple[float, ...], Trial]] = []
    for values, trial in rows:
        if not any(all(a <= b for a, b in zip(other, values, strict=True)) for other, _ in front):
            front.append((values, trial))
    return [trial for _, trial in front]


def hypervolume(points: Sequence[tuple[float, float]], reference: tuple[float, float]) -> float:
    """The area that points dominate below a reference point; smaller coordinates are better.

    Zitzler and Thiele, "Multiobjective evolutionary algorithms", IEEE TEVC 1999.

    Args:
        points: In two objectives.
        reference: What is just not acceptable any more, in both.
    """
    area, above = 0.0, reference[1]
    for x, y in sorted(points):
        if x < reference[0] and y < above:
            area += (reference[0] - x) * (above - y)
            above = y
    return area
