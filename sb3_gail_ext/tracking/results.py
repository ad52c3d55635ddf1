"""What follows training, as W&B shows it: evaluation, films, the chapter's two plots."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sb3_gail_ext.evaluation.evaluate import summarize


def evaluation_row(
    returns: np.ndarray,
    *,
    first_seed: int = 0,
    expert_return: float | None = None,
    same_starts: bool = True,
) -> dict[str, Any]:
    """The figures of `summarize` under `eval/`, and `eval/episodes`, a table.

    :param returns: (n,), true returns; episode i started from `first_seed + i`.
    :param expert_return: the expert's mean, for `eval/normalized` and a column of the table.
    :param same_starts: whether that mean is from the same starts.
    """
    import wandb

    figures = summarize(returns, expert_return, same_starts=same_starts)
    row = {f"eval/{key}": value for key, value in figures.items() if value is not None}
    share = figures.get("normalized") is not None
    columns: list[str | int] = ["episode", "seed", "return", *(["normalized"] if share else [])]
    data = [
        [i, first_seed + i, float(r), *([float(r) / expert_return] if share else [])]  # type: ignore[operator]
        for i, r in enumerate(returns)
    ]
    return {**row, "eval/episodes": wandb.Table(columns=columns, data=data)}


def video_row(folder: Path) -> dict[str, Any]:
    """Each `.mp4` in a folder, under `videos/` and its name."""
    import wandb

    films = sorted(folder.glob("*.mp4"))
    return {f"videos/{film.stem}": wandb.Video(str(film), format="mp4") for film in films}


def chapter_row(
    steps: Sequence[int],
    returns: Sequence[float],
    agent_rewards: np.ndarray,
    expert_rewards: np.ndarray,
) -> dict[str, Any]:
    """The chapter's two plots as W&B's own, arguments as in `chapter_figure`."""
    import wandb

    of_agent = wandb.plot.line_series(
        xs=list(steps), ys=[list(returns)], keys=["agent"], title="return", xname="steps"
    )
    rewards = {"agent": agent_rewards, "expert": expert_rewards}
    of_discriminator = wandb.plot.line_series(
        xs=[list(range(len(r))) for r in rewards.values()],
        ys=[[float(x) for x in r] for r in rewards.values()],
        keys=list(rewards),
        title="discriminator's reward along one episode",
        xname="step",
    )
    return {"chapter/return": of_agent, "chapter/discriminator_reward": of_discriminator}
