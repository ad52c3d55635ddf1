"""The answer in one sentence; a difference is claimed where intervals have nothing in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

NAMES = {
    "bc": "behaviour cloning",
    "dagger": "DAgger",
    "gail": "GAIL",
    "airl": "AIRL",
    "dac": "DAC",
    "sqil": "SQIL",
    "chapter_printed": "the chapter's GAIL as printed",
    "chapter_corrected": "the chapter's GAIL, corrected",
    "imitation": "imitation's GAIL",
    "imitation_bc": "imitation's behaviour cloning",
}
# Of a task, before a difference is claimed. Of normal scores that do not differ, two intervals have
# nothing in common in 2 of 100 comparisons of five runs, in 9 of three, in 38 of two
# (scripts/small_samples.py).
ENOUGH_RUNS = 5
Row = dict[str, Any]  # of the table in `summary.json`


def verdict(table: Sequence[Row], ours: str, theirs: str) -> str:
    """Where `ours` is better, worse, or not shown to differ, by the number of demonstrations.

    :param table: rows over all environments, with `n_demonstrations, method, n_runs,
        n_runs_of_a_task` and, of two runs or more, the interquartile mean's `iqm, low, high`.
    """
    if ours == theirs:
        return f"{NAMES[ours]} alone: nothing to compare it with."
    pairs = [
        (mine, other)
        for mine in table
        for other in table
        if mine["method"] == ours
        and other["method"] == theirs
        and mine["n_demonstrations"] == other["n_demonstrations"]
    ]
    fewest = min((row["n_runs_of_a_task"] for pair in pairs for row in pair), default=0)
    if fewest < ENOUGH_RUNS:
        return (
            f"Too few runs to tell {NAMES[ours]} from {NAMES[theirs]}: {fewest} of a task; give "
            f"{ENOUGH_RUNS} seeds or more."
        )
    kinds: dict[str, list[tuple[Row, Row]]] = {"better": [], "worse": [], "equal": []}
    for mine, other in pairs:
        kinds[_kind(mine, other)].append((mine, other))
    parts = [
        *(_claim(kinds[kind], kind, ours, theirs) for kind in ("better", "worse") if kinds[kind]),
        *([_no_claim(kinds["equal"], ours, theirs)] if kinds["equal"] else []),
    ]
    sentence = "; ".join(parts) + "."
    return sentence[0].upper() + sentence[1:]


def _kind(mine: Row, other: Row) -> str:
    if mine["low"] > other["high"]:
        return "better"
    return "worse" if mine["high"] < other["low"] else "equal"


def _claim(pairs: Sequence[tuple[Row, Row]], kind: str, ours: str, theirs: str) -> str:
    figures = ", ".join(f"{_figure(mine)} against {_figure(other)}" for mine, other in pairs)
    return (
        f"with {_numbers(pairs)} {NAMES[ours]} is {kind} than {NAMES[theirs]} "
        f"({figures} of the expert; {_runs(pairs)})"
    )


def _no_claim(pairs: Sequence[tuple[Row, Row]], ours: str, theirs: str) -> str:
    figures = ", ".join(f"{_figure(mine)} and {_figure(other)}" for mine, other in pairs)
    return (
        f"with {_numbers(pairs)} no difference between {NAMES[ours]} and {NAMES[theirs]} is shown "
        f"({figures}; {_runs(pairs)})"
    )


def _numbers(pairs: Sequence[tuple[Row, Row]]) -> str:
    numbers = [str(mine["n_demonstrations"]) for mine, _ in pairs]
    listed = numbers[0] if len(numbers) == 1 else f"{', '.join(numbers[:-1])} and {numbers[-1]}"
    return f"{listed} demonstration{'' if numbers == ['1'] else 's'}"


def _figure(row: Row) -> str:
    return f"{row['iqm']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"


def _runs(pairs: Sequence[tuple[Row, Row]]) -> str:
    counts = sorted({row["n_runs"] for pair in pairs for row in pair})
    return f"{' or '.join(map(str, counts))} runs each"
