"""A comparison's table, curves and verdict, from results written by hand."""

from typing import Any

import numpy as np
import pytest

from sb3_gail_ext.comparison.summary import summarize_results
from sb3_gail_ext.comparison.verdict import ENOUGH_RUNS, verdict


def result(
    method: str, score: float, seed: int, *, n: int = 4, env_id: str = "Hopper-v4"
) -> dict[str, Any]:
    curve = [[0, 0.0]] if method == "bc" else [[0, 0.0], [1000, score / 2], [2000, score]]
    return {
        "method": method,
        "seed": seed,
        "task": {"env_id": env_id, "n_demonstrations": n},
        "result": {"score": score, "curve": curve, "same_starts": True},
    }


def runs(method: str, scores: list[float], **task: Any) -> list[dict[str, Any]]:
    return [result(method, score, seed, **task) for seed, score in enumerate(scores)]


GAIL, BC = [0.90, 0.94, 0.96, 1.00], [0.20, 0.30, 0.40, 0.90]


def test_a_row_has_the_mean_of_the_middle_half_and_its_interval() -> None:
    summary = summarize_results(runs("gail", GAIL) + runs("bc", BC), "gail", "bc")
    row = next(row for row in summary["table"] if row["method"] == "gail")
    assert row["iqm"] == pytest.approx(0.95)
    assert 0.90 <= row["low"] < 0.95 < row["high"] <= 1.0
    assert (row["n_runs"], row["mean"], row["lowest"]) == (4, 0.95, 0.90)
    assert row["note"] == "fewer than 5 runs: the interval is too narrow"


def test_the_order_of_results_changes_nothing() -> None:
    results = runs("gail", GAIL) + runs("bc", BC) + runs("gail", GAIL, n=1) + runs("bc", BC, n=1)
    assert summarize_results(results[::-1], "gail", "bc") == summarize_results(
        results, "gail", "bc"
    )


def test_improvement_counts_pairs() -> None:
    summary = summarize_results(runs("gail", [0.5, 0.9]) + runs("bc", [0.6, 0.8]), "gail", "bc")
    (row,) = summary["improvement"]
    assert row["probability"] == 0.5
    assert (row["method"], row["over"], row["n_runs"]) == ("gail", "bc", [2, 2])


def test_several_environments_are_taken_together_as_well() -> None:
    results = [r for env_id in ("A-v0", "B-v0") for r in runs("gail", GAIL, env_id=env_id)] + [
        r for env_id in ("A-v0", "B-v0") for r in runs("bc", BC, env_id=env_id)
    ]
    summary = summarize_results(results, "gail", "bc")
    together = [row for row in summary["table"] if row["env_id"] == "all"]
    assert {row["method"]: row["n_runs"] for row in together} == {"gail": 8, "bc": 8}
    assert {row["env_id"] for row in summary["improvement"]} == {"A-v0", "B-v0", "all"}


def test_curves_are_of_steps_at_which_all_were_evaluated() -> None:
    results = runs("gail", GAIL)
    results[0]["result"]["curve"] = [[0, 0.0], [500, 9.0], [1000, 0.45]]
    (curve,) = summarize_results(results, "gail", "gail")["curves"]
    assert curve["steps"] == [0, 1000]
    assert curve["iqm"][1] == pytest.approx(0.475)
    assert curve["n_runs"] == 4


def test_one_run_has_no_interquartile_mean() -> None:
    summary = summarize_results(runs("gail", [0.9]) + runs("bc", [0.1]), "gail", "bc")
    assert [row["iqm"] for row in summary["table"]] == [None, None]
    assert "one run" in summary["table"][0]["note"]
    assert (summary["improvement"], summary["curves"], summary["profiles"]) == ([], [], {})
    assert summary["verdict"].startswith("Too few runs to tell GAIL from behaviour cloning: 1 of")


def test_profiles_pool_all_tasks() -> None:
    results = runs("gail", [0.2, 0.4], n=1) + runs("gail", [0.6, 0.8], n=4)
    profile = summarize_results(results, "gail", "gail")["profiles"]["gail"]
    share = dict(zip(profile["taus"], profile["share"], strict=True))
    assert (share[0.0], share[0.5], share[0.7], share[1.0]) == (1.0, 0.5, 0.25, 0.0)
    assert profile["n_runs"] == 4


# --- The verdict -------------------------------------------------------------------------------


def row(method: str, n: int, iqm: float, low: float, high: float) -> dict[str, Any]:
    return {
        "method": method,
        "n_demonstrations": n,
        "n_runs": 5,
        "n_runs_of_a_task": 5,
        "iqm": iqm,
        "low": low,
        "high": high,
    }


def test_a_difference_is_claimed_where_intervals_are_apart() -> None:
    table = [
        *(row("gail", 1, 0.97, 0.95, 0.99), row("bc", 1, 0.40, 0.30, 0.50)),
        *(row("gail", 4, 0.98, 0.94, 1.00), row("bc", 4, 0.90, 0.80, 0.95)),
    ]
    assert verdict(table, "gail", "bc") == (
        "With 1 demonstration GAIL is better than behaviour cloning (0.97 [0.95, 0.99] against "
        "0.40 [0.30, 0.50] of the expert; 5 runs each); with 4 demonstrations no difference "
        "between GAIL and behaviour cloning is shown (0.98 [0.94, 1.00] and 0.90 [0.80, 0.95]; "
        "5 runs each)."
    )


def test_worse_is_said_as_plainly() -> None:
    table = [row("gail", 1, 0.3, 0.2, 0.4), row("bc", 1, 0.9, 0.8, 1.0)]
    assert verdict(table, "gail", "bc").startswith("With 1 demonstration GAIL is worse than")


def test_intervals_that_touch_show_nothing() -> None:
    table = [row("gail", 1, 0.8, 0.7, 0.9), row("bc", 1, 0.6, 0.5, 0.7)]
    assert "no difference" in verdict(table, "gail", "bc")


def test_three_runs_that_are_apart_show_nothing() -> None:
    results = runs("gail", [0.9, 0.95, 1.0]) + runs("bc", [0.0, 0.1, 0.2])
    assert summarize_results(results, "gail", "bc")["verdict"] == (
        "Too few runs to tell GAIL from behaviour cloning: 3 of a task; give 5 seeds or more."
    )


def test_five_runs_that_do_not_differ_are_seldom_told_apart() -> None:
    """What is claimed of scores from one distribution is false: 5 in 100 at most."""
    dice, false = np.random.default_rng(0), 0
    for _ in range(200):
        ours, theirs = dice.normal(0.8, 0.1, (2, ENOUGH_RUNS))
        summary = summarize_results(
            runs("gail", list(ours)) + runs("bc", list(theirs)), "gail", "bc"
        )
        false += "no difference" not in summary["verdict"]
    assert false <= 10


def test_other_starts_are_said() -> None:
    results = runs("gail", GAIL)
    assert summarize_results(results, "gail", "gail")["score"].endswith("on the same starts")
    results[0]["result"]["same_starts"] = False
    assert (
        "in Hopper-v4 the expert's returns" in summarize_results(results, "gail", "gail")["score"]
    )
