"""Results of cells as Markdown tables: medians over seeds, with the smallest and largest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

Result = dict[str, Any]  # the content of a cell's result file

_STAGES = (
    *("environment", "policy", "relabelling", "discriminator"),
    *("generator", "rehearsal", "rest"),
)


_BASELINES = {"dac": "sac", "sac": "sac"}  # of the others: ppo


def throughput_table(results: Sequence[Result]) -> str:
    """Steps per second, their ratio to the plain learner's in that repeat, and where time goes."""
    header = [
        "method",
        "transitions",
        "steps/s",
        "ratio to the plain learner",
        *_STAGES,
        "peak memory (largest)",
    ]
    rows = []
    for (label, transitions), group in _grouped(results, _label, _transitions):
        baseline = _BASELINES.get(label, "ppo")
        ratios = _paired_ratios(group, [r for r in results if _label(r) == baseline])
        rows.append(
            [
                label,
                f"{transitions:,}" if transitions else "as drawn",
                spread([r["result"]["steps_per_second"] for r in group], "{:,.0f}"),
                spread(ratios, "{:.2f}"),
                *(_share(group, stage) for stage in _STAGES),
                f"{max(r['result']['peak_memory_mb'] for r in group):,} MB",
            ]
        )
    return markdown(header, rows)


def learning_table(results: Sequence[Result], peer: str = "imitation") -> str:
    """Steps and seconds to each level of the expert, and what happened afterwards."""
    header = [
        "environment",
        "method",
        "at step 0",
        "reached 90 %",
        "steps to 50 %",
        "steps to 90 %",
        "steps to 95 %",
        "seconds to 90 %",
        f"median time / {peer}'s",
        "worst after 90 % (of all seeds)",
        "final",
        "picked without reward / best",
        "peak memory (largest)",
    ]
    rows = []
    for (env_id, label), group in _grouped(results, _env_id, _label):
        peers = [r for r in results if _env_id(r) == env_id and _label(r) == peer]
        worst = [w for w in _values(group, "worst_after_90") if w is not None]
        rows.append(
            [
                env_id,
                label,
                spread([r["result"]["evaluations"][0][2] for r in group], "{:.2f}"),
                f"{sum(s is not None for s in _values(group, 'steps_to_90'))} of {len(group)}",
                *(spread(_values(group, f"steps_to_{n}"), "{:,.0f}") for n in ("50", "90", "95")),
                spread(_values(group, "seconds_to_90"), "{:,.0f}"),
                _time_ratio(group, peers),
                f"{min(worst):.2f}" if worst else "-",
                spread(_values(group, "final"), "{:.2f}"),
                spread([p for p in map(_picked, group) if p is not None], "{:.2f}"),
                f"{max(_values(group, 'peak_memory_mb')):,} MB",
            ]
        )
    return markdown(header, rows)


def _picked(cell: Result) -> float | None:
    """What the imitation distance picks, as a share of the best; None: not measured."""
    result = cell["result"]
    return result["picked"] / result["best"] if "picked" in result else None


def median_reached(values: Sequence[float | None]) -> float | None:
    """The median, where None means never: None if half or more never got there."""
    middle = np.median([np.inf if value is None else value for value in values])
    return float(middle) if np.isfinite(middle) else None


def _time_ratio(group: Sequence[Result], peers: Sequence[Result]) -> str:
    """Median seconds to 90 %, divided by the peer's; an upper bound if the peer never got there."""
    ours = median_reached(_values(group, "seconds_to_90"))
    if ours is None or not peers:
        return "-"
    theirs = median_reached(_values(peers, "seconds_to_90"))
    if theirs is not None:
        return f"{ours / theirs:.2f}"
    # Whoever never got there needs longer than all of its training.
    at_least = [p["result"]["seconds_to_90"] or p["result"]["seconds"] for p in peers]
    return f"under {ours / float(np.median(at_least)):.2f}"


def _paired_ratios(group: Sequence[Result], baseline: Sequence[Result]) -> list[float]:
    speed = {r["seed"]: r["result"]["steps_per_second"] for r in baseline}
    return [r["result"]["steps_per_second"] / speed[r["seed"]] for r in group if r["seed"] in speed]


def spread(values: Sequence[float | None], form: str) -> str:
    """Median (smallest to largest); `never` where a level was not reached."""
    if not values:
        return "-"
    middle = median_reached(values)
    known = [v for v in values if v is not None]
    largest = form.format(max(known)) if len(known) == len(values) else "never"
    median = form.format(middle) if middle is not None else "never"
    smallest = form.format(min(known)) if known else "never"
    return median if smallest == largest else f"{median} ({smallest} to {largest})"


def _share(group: Sequence[Result], stage: str) -> str:
    shares = [
        r["result"]["seconds"].get(stage, 0.0) / sum(r["result"]["seconds"].values()) for r in group
    ]
    return f"{np.median(shares):.0%}"


def _values(group: Iterable[Result], name: str) -> list[Any]:
    return [r["result"][name] for r in group]


def _label(result: Result) -> str:
    return str(result["label"])


def _env_id(result: Result) -> str:
    return str(result["task"]["env_id"])


def _transitions(result: Result) -> int | None:
    return result["task"]["n_transitions"]


def _grouped(
    results: Sequence[Result], *keys: Callable[[Result], Any]
) -> list[tuple[tuple[Any, ...], list[Result]]]:
    groups: dict[tuple[Any, ...], list[Result]] = {}
    for result in results:
        groups.setdefault(tuple(key(result) for key in keys), []).append(result)
    return list(groups.items())


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
