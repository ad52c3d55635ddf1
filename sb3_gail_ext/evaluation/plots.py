"""The chapter's figure: return over training, and the discriminator's reward over one rollout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from sb3_gail_ext.atomic import atomically


def chapter_figure(
    steps: Sequence[int],
    returns: Sequence[float],
    agent_rewards: np.ndarray,
    expert_rewards: np.ndarray,
    *,
    expert_return: float | None = None,
    title: str = "",
) -> Figure:
    """Two panels, as the chapter draws them.

    :param steps: environment steps at which the agent was tested, (n,).
    :param returns: mean test return at each, (n,).
    :param agent_rewards: the discriminator's reward along one agent episode, (t,).
    :param expert_rewards: along one expert episode, (u,).
    :param expert_return: drawn as a dashed line.
    """
    figure = Figure(figsize=(11, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_returns(left, steps, [returns], expert_return=expert_return)
    draw_rewards(right, agent_rewards, expert_rewards)
    if title:
        figure.suptitle(title)
    return figure


def draw_returns(
    axes: Axes,
    steps: Sequence[int],
    runs: Sequence[Sequence[float]],
    *,
    expert_return: float | None = None,
) -> None:
    """Test return over training, one line per run; the expert's as a dashed line.

    :param steps: environment steps of the tests, (n,).
    :param runs: each (n,).
    """
    for run in runs:
        axes.plot(steps, run, color="tab:blue", marker="." if len(steps) < 40 else "")
    if expert_return is not None:
        axes.axhline(expert_return, color="tab:orange", linestyle="--", label="expert")
        axes.legend(loc="lower right")
    axes.set(xlabel="environment steps", ylabel="mean return of test episodes", title="agent")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))  # 400k, not 400000
    axes.set_ylim(bottom=min([0.0, *(value for run in runs for value in run)]))
    axes.grid(alpha=0.3)


def draw_rewards(axes: Axes, agent_rewards: np.ndarray, expert_rewards: np.ndarray) -> None:
    """The discriminator's reward along one episode of the agent, (t,), and of the expert, (u,)."""
    axes.plot(expert_rewards, color="tab:orange", linewidth=0.8, label="expert")
    axes.plot(agent_rewards, color="tab:blue", linewidth=0.8, label="agent")
    axes.set(xlabel="step of one episode", ylabel="reward", title="discriminator's reward")
    axes.legend(loc="upper right")
    axes.grid(alpha=0.3)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure in the format of its suffix."""
    with atomically(path) as temporary:
        figure.savefig(temporary, dpi=110)
