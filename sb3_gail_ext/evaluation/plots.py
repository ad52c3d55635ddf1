"""The chapter's figure: return over training, and the discriminator's reward over one rollout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure


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
    left.plot(steps, returns, color="tab:blue", marker="." if len(steps) < 40 else "")
    if expert_return is not None:
        left.axhline(expert_return, color="tab:orange", linestyle="--", label="expert")
        left.legend(loc="lower right")
    left.set(xlabel="environment steps", ylabel="return (10 test episodes)", title="agent")
    left.set_ylim(bottom=min(0.0, *returns) if len(returns) else 0.0)
    left.grid(alpha=0.3)
    right.plot(expert_rewards, color="tab:orange", linewidth=0.8, label="expert")
    right.plot(agent_rewards, color="tab:blue", linewidth=0.8, label="agent")
    right.set(xlabel="step of one episode", ylabel="reward", title="discriminator's reward")
    right.legend(loc="upper right")
    right.grid(alpha=0.3)
    if title:
        figure.suptitle(title)
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure; a reader never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}")
    figure.savefig(temporary, dpi=110, format=path.suffix[1:])
    temporary.replace(path)
