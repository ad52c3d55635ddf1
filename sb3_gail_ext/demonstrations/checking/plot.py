"""A picture of how replayed states leave the recorded ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from sb3_gail_ext.demonstrations.checking.dynamics import PARTED, Dynamics
from sb3_gail_ext.evaluation.plots import save_figure

_LEAST = 1e-17  # an error of 0 has no place on a logarithmic axis


def plot_divergence(dynamics: Dynamics, env_name: str, path: Path) -> None:
    """Error of the state over steps, a line an episode, to a file of any format Matplotlib has."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axis = figure.subplots()
    for replay in dynamics.replays:
        steps = np.arange(1, len(replay.errors) + 1)
        label = f"episode {replay.episode}, from its {replay.start}"
        (line,) = axis.plot(steps, np.maximum(replay.errors, _LEAST), label=label, linewidth=1)
        if replay.ended_at is not None:
            axis.plot(steps[-1], replay.errors[-1], "x", color=line.get_color())
    axis.axhline(PARTED, color="grey", linestyle="--", label="the states part")
    axis.set(
        xlabel="step (x: the environment ended the episode)",
        ylabel="error / deviation of the states",
        yscale="log",
        title=f"the demonstrations' actions, replayed in {env_name}",
    )
    axis.legend(fontsize="small")
    save_figure(figure, path)
