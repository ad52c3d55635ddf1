"""Learning curves of a benchmark: one panel an environment, one line a seed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from sb3_gail_ext.evaluation.plots import save_figure

_COLOURS = ("tab:blue", "tab:orange", "tab:green", "tab:red", "tab:purple", "tab:brown")


def plot_learning(results: Sequence[dict[str, Any]], path: Path) -> None:
    """Normalized return over environment steps (above) and seconds of training (below).

    Seconds leave out evaluations and count what comes before the first step.
    """
    env_ids = list(dict.fromkeys(r["task"]["env_id"] for r in results))
    labels = list(dict.fromkeys(r["label"] for r in results))
    colours = {label: _COLOURS[n % len(_COLOURS)] for n, label in enumerate(labels)}
    figure = Figure(figsize=(5.5 * len(env_ids), 7), layout="constrained")
    grid = figure.subplots(2, len(env_ids), squeeze=False, sharey="col")
    for column, env_id in enumerate(env_ids):
        of_env = [r for r in results if r["task"]["env_id"] == env_id]
        for row, xlabel in enumerate(("environment steps", "seconds of training")):
            axis = grid[row, column]
            axis.set(title=env_id, xlabel=xlabel, ylabel="return / expert's")
            axis.axhline(0.9, color="grey", linewidth=0.8, linestyle=":")
            axis.axhline(1.0, color="grey", linewidth=0.8)
            for result in of_env:
                _draw_run(axis, result, row, colours[result["label"]])
            for label in dict.fromkeys(r["label"] for r in of_env):
                axis.plot([], [], color=colours[label], label=label)
            axis.set_ylim(0.0, max(axis.get_ylim()[1], 1.05))
            axis.xaxis.set_major_formatter(EngFormatter())  # 50 k
            axis.legend(loc="lower right", fontsize=8)
    save_figure(figure, path)


def _draw_run(axis: Any, result: dict[str, Any], at: int, colour: str) -> None:
    """:param at: the column of `evaluations` that is the time."""
    evaluations = result["result"]["evaluations"]
    times, scores = ([row[i] for row in evaluations] for i in (at, 2))
    marker = "o" if len(times) == 1 else None  # behaviour cloning is one evaluation
    axis.plot(times, scores, color=colour, marker=marker, alpha=0.8, linewidth=1.2)
