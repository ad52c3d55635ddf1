"""Learning curves of a benchmark: one panel an environment, one line a seed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from sb3_gail_ext.evaluation.plots import save_figure

_COLOURS = ("tab:blue", "tab:orange", "tab:green", "tab:red", "tab:purple", "tab:brown")


def plot_learning(results: Sequence[dict[str, Any]], path: Path) -> None:
    """Normalized return over seconds of training, evaluations not counted."""
    env_ids = list(dict.fromkeys(r["task"]["env_id"] for r in results))
    labels = list(dict.fromkeys(r["label"] for r in results))
    figure = Figure(figsize=(5.5 * len(env_ids), 4), layout="constrained")
    axes = figure.subplots(1, len(env_ids), squeeze=False)[0]
    for axis, env_id in zip(axes, env_ids, strict=True):
        axis.set(title=env_id, xlabel="seconds of training", ylabel="return / expert's")
        axis.axhline(0.9, color="grey", linewidth=0.8, linestyle=":")
        axis.axhline(1.0, color="grey", linewidth=0.8)
        for result in (r for r in results if r["task"]["env_id"] == env_id):
            number = labels.index(result["label"])
            _, seconds, scores = zip(*result["result"]["evaluations"], strict=True)
            marker = "o" if len(seconds) == 1 else None  # behaviour cloning is one evaluation
            colour = _COLOURS[number % len(_COLOURS)]
            axis.plot(seconds, scores, color=colour, marker=marker, alpha=0.8, linewidth=1.2)
        for number, label in enumerate(labels):
            axis.plot([], [], color=_COLOURS[number % len(_COLOURS)], label=label)
        axis.legend(loc="lower right", fontsize=8)
    save_figure(figure, path)
