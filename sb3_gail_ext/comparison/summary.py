"""All results of a comparison in one mapping: the table, the intervals, the curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sb3_gail_ext.comparison.statistics import (
    interquartile_mean,
    performance_profile,
    probability_of_improvement,
)
from sb3_gail_ext.comparison.verdict import ENOUGH_RUNS, verdict

Result = dict[str, Any]  # the content of a unit's `result.json`
ALL = "all"  # environments together
_STEP, _HIGHEST = 0.025, 1.2  # of the levels of performance profiles


def summarize_results(
    results: Sequence[Result], main: str, baseline: str, *, n_missing: int = 0
) -> dict[str, Any]:
    """What `summary.json` holds; of the same results always the same.

    :param results: of the units, in any order.
    :param main: the method of the verdict.
    :param baseline: the method that it and the others are compared with.
    :param n_missing: runs that have no result.
    :returns: `verdict`, `score`, `n_runs`, `n_missing`, `table`, `improvement`,
        `by_demonstrations`, `curves`, `profiles`; every figure with its number of runs. Where there
        is one run only, what would need an interval is None or left out.
    """
    results = sorted(results, key=_order)
    table = _table(results)
    return {
        "verdict": verdict([r for r in table if r["env_id"] == _widest(results)], main, baseline),
        "score": _scale(results),
        "n_runs": len(results),
        "n_missing": n_missing,
        "table": table,
        "improvement": [
            row
            for env_id in _scopes(results)
            for n in _values(results, "n_demonstrations")
            for method in _values(results, "method")
            if method != baseline
            if (row := _improvement(results, env_id, n, method, baseline))
        ],
        "by_demonstrations": [
            _by_demonstrations(table, env_id, method)
            for env_id in _scopes(results)
            for method in _values(results, "method")
        ],
        "curves": _curves(results),
        "profiles": {
            method: profile
            for method in _values(results, "method")
            if (profile := _profile(results, method))
        },
    }


def _scale(results: Sequence[Result]) -> str:
    text = "expert-normalised: 0 is a random agent, 1 the expert"
    other = sorted({r["task"]["env_id"] for r in results if not r["result"]["same_starts"]})
    if not other:
        return f"{text}, on the same starts"
    return (
        f"{text}; in {', '.join(other)} the expert's returns are those of its demonstrations, from "
        "other and maybe easier starts: a data card would know better"
    )


def _order(result: Result) -> tuple[Any, ...]:
    return (
        result["task"]["env_id"],
        result["task"]["n_demonstrations"],
        result["method"],
        result["seed"],
    )


def _value(result: Result, name: str) -> Any:
    return result["task"][name] if name in result["task"] else result[name]


def _values(results: Sequence[Result], name: str) -> list[Any]:
    return sorted({_value(result, name) for result in results})


def _scopes(results: Sequence[Result]) -> list[str]:
    """Each environment and, of several, all of them together."""
    env_ids = _values(results, "env_id")
    return [*env_ids, ALL] if len(env_ids) > 1 else env_ids


def _widest(results: Sequence[Result]) -> str:
    return _scopes(results)[-1]


def _select(results: Sequence[Result], env_id: str, n: int | None, method: str) -> list[Result]:
    return [
        r
        for r in results
        if r["method"] == method
        and env_id in (ALL, r["task"]["env_id"])
        and n in (None, r["task"]["n_demonstrations"])
    ]


def _by_task(results: Sequence[Result]) -> dict[tuple[str, int], np.ndarray]:
    """Scores by environment and number of demonstrations."""
    tasks: dict[tuple[str, int], list[float]] = {}
    for r in results:
        key = (r["task"]["env_id"], r["task"]["n_demonstrations"])
        tasks.setdefault(key, []).append(r["result"]["score"])
    return {key: np.array(scores) for key, scores in tasks.items()}


def _groups(results: Sequence[Result]) -> list[np.ndarray]:
    return list(_by_task(results).values())


def _have_intervals(groups: Sequence[np.ndarray]) -> bool:
    return bool(groups) and min(map(len, groups)) >= 2


def _table(results: Sequence[Result]) -> list[dict[str, Any]]:
    return [
        _row(selected, env_id, n, method)
        for env_id in _scopes(results)
        for n in _values(results, "n_demonstrations")
        for method in _values(results, "method")
        if (selected := _select(results, env_id, n, method))
    ]


def _row(selected: Sequence[Result], env_id: str, n: int, method: str) -> dict[str, Any]:
    groups = _groups(selected)
    scores = np.concatenate(groups)
    row: dict[str, Any] = {
        "env_id": env_id,
        "n_demonstrations": n,
        "method": method,
        "n_runs": len(scores),
        "n_runs_of_a_task": min(map(len, groups)),
        "mean": round(float(scores.mean()), 4),
        "median": round(float(np.median(scores)), 4),
        "lowest": round(float(scores.min()), 4),
    }
    if not _have_intervals(groups):
        return {
            **row,
            **dict.fromkeys(("iqm", "low", "high")),
            "note": "one run: no interquartile mean",
        }
    estimate = (round(value, 4) for value in interquartile_mean(groups))
    few = row["n_runs_of_a_task"] < ENOUGH_RUNS
    note = f"fewer than {ENOUGH_RUNS} runs: the interval is too narrow" if few else None
    return {**row, **dict(zip(("iqm", "low", "high"), estimate, strict=True)), "note": note}


def _improvement(
    results: Sequence[Result], env_id: str, n: int, method: str, baseline: str
) -> dict[str, Any] | None:
    of_method = _by_task(_select(results, env_id, n, method))
    of_baseline = _by_task(_select(results, env_id, n, baseline))
    if of_method.keys() != of_baseline.keys():  # something is missing
        return None
    ours, theirs = list(of_method.values()), [of_baseline[task] for task in of_method]
    if not (_have_intervals(ours) and _have_intervals(theirs)):
        return None
    estimate = probability_of_improvement(ours, theirs)
    return {
        "env_id": env_id,
        "n_demonstrations": n,
        "method": method,
        "over": baseline,
        "probability": round(estimate.value, 4),
        "low": round(estimate.low, 4),
        "high": round(estimate.high, 4),
        "n_runs": [sum(map(len, ours)), sum(map(len, theirs))],
    }


def _by_demonstrations(table: Sequence[dict[str, Any]], env_id: str, method: str) -> dict[str, Any]:
    rows = [row for row in table if row["env_id"] == env_id and row["method"] == method]
    columns = ("n_demonstrations", "iqm", "low", "high", "n_runs")
    return {"env_id": env_id, "method": method, **{c: [row[c] for row in rows] for c in columns}}


def _profile(results: Sequence[Result], method: str) -> dict[str, Any] | None:
    groups = _groups(_select(results, ALL, None, method))
    if not _have_intervals(groups):
        return None
    lowest = min(0.0, *(float(group.min()) for group in groups))
    taus = np.arange(np.floor(lowest / _STEP) * _STEP, _HIGHEST + _STEP / 2, _STEP).round(3)
    profile = performance_profile(groups, taus)
    return {
        **{name: np.round(column, 4).tolist() for name, column in profile._asdict().items()},
        "n_runs": sum(map(len, groups)),
    }


def _curves(results: Sequence[Result]) -> list[dict[str, Any]]:
    return [
        _curve(selected, env_id, n, method)
        for env_id in _values(results, "env_id")
        for n in _values(results, "n_demonstrations")
        for method in _values(results, "method")
        if len(selected := _select(results, env_id, n, method)) >= 2
    ]


def _curve(selected: Sequence[Result], env_id: str, n: int, method: str) -> dict[str, Any]:
    """At the steps at which all of the runs were evaluated."""
    curves = [dict(map(tuple, r["result"]["curve"])) for r in selected]
    steps = sorted(set.intersection(*(set(curve) for curve in curves)))
    estimates = [interquartile_mean([np.array([c[step] for c in curves])]) for step in steps]
    return {
        "env_id": env_id,
        "n_demonstrations": n,
        "method": method,
        "steps": steps,
        **{
            name: [round(getattr(estimate, field), 4) for estimate in estimates]
            for name, field in (("iqm", "value"), ("low", "low"), ("high", "high"))
        },
        "n_runs": len(curves),
    }
