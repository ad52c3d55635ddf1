"""From an algorithm's name to a demonstration file with its data card."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from imitation.data.types import TrajectoryWithRew
from stable_baselines3.common.callbacks import BaseCallback

from sb3_gail_ext.demonstrations.cards import write_card
from sb3_gail_ext.demonstrations.files import save_demonstrations
from sb3_gail_ext.demonstrations.returns import returns
from sb3_gail_ext.demonstrations.summary import describe
from sb3_gail_ext.evaluation.evaluate import EVALUATION_SEED
from sb3_gail_ext.experts.training import (
    EXPERT_SETTINGS,
    Checkpoint,
    ExpertError,
    best_checkpoint,
    train_expert,
)

RECORDING_SEED = 1_000  # the demonstrations start elsewhere
N_EVALUATION_EPISODES = 100


def make_expert(
    env_id: str,
    algo: str,
    total_timesteps: int,
    *,
    seed: int = 0,
    n_episodes: int = 25,
    folder: Path,
    checkpoints_folder: Path,
    progress_bar: bool = True,
    command: str = "",
    callback: BaseCallback | None = None,
) -> Path:
    """Train an expert, keep its best checkpoint, record demonstrations and describe them.

    Demonstrations are full episodes: those that last until the time limit. So this is for tasks
    whose episodes end early only in failure, as walking does.

    :param n_episodes: full episodes to record.
    :param folder: where the `.npz` and its card go.
    :param checkpoints_folder: where training leaves its checkpoints.
    :param command: what made this, for the card.
    :param callback: of the training, e.g. a `WandbTracker`.
    :returns: the path of the `.npz`, named as the chapter's: `deterministic.trpo.Hopper.0.00.npz`.
    :raises ExpertError: if the algorithm is unknown or unfit, or its episodes are never full.
    """
    if algo not in EXPERT_SETTINGS:
        raise ExpertError(f"unknown algorithm {algo!r}; use one of {', '.join(EXPERT_SETTINGS)}")
    checkpoints = train_expert(
        env_id,
        algo,
        total_timesteps,
        seed=seed,
        folder=checkpoints_folder,
        progress_bar=progress_bar,
        callback=callback,
    )
    best = best_checkpoint(checkpoints)
    evaluated = best.play(N_EVALUATION_EPISODES, EVALUATION_SEED)
    demonstrations, seeds = record_full_episodes(best, n_episodes)
    path = folder / f"deterministic.{algo}.{_robot(env_id)}.0.00.npz"
    save_demonstrations(path, demonstrations, metadata={"env_id": env_id, "seeds": seeds})
    card = {
        "environment": env_id,
        "algorithm": algo,
        "training_steps": total_timesteps,
        "checkpoint_steps": best.steps,
        "training_seed": seed,
        "deterministic": True,
        "demonstrations": {
            "n_episodes": len(demonstrations),
            "kept": "full episodes only: those that reached the time limit",
            "seeds": seeds,
            **describe(demonstrations),
        },
        "evaluation": {
            "n_episodes": N_EVALUATION_EPISODES,
            "first_seed": EVALUATION_SEED,
            "kept": "all episodes, falls included",
            **describe(evaluated),
            "share_terminated": float(np.mean([e.terminal for e in evaluated])),
            "returns": [round(float(r), 2) for r in returns(evaluated)],
        },
        "command": command,
    }
    write_card(path, card)
    return path


def record_full_episodes(
    expert: Checkpoint, n_episodes: int, *, attempts: int = 10
) -> tuple[list[TrajectoryWithRew], list[int]]:
    """The first `n_episodes` that reach the time limit, and the seeds of their starts.

    :raises ExpertError: if fewer than one episode in `attempts` is full.
    """
    kept: list[TrajectoryWithRew] = []
    seeds: list[int] = []
    for wave in range(attempts):
        first = RECORDING_SEED + wave * n_episodes
        for offset, episode in enumerate(expert.play(n_episodes, first)):
            if not episode.terminal and len(kept) < n_episodes:
                kept.append(episode)
                seeds.append(first + offset)
        if len(kept) == n_episodes:
            return kept, seeds
    raise ExpertError(
        f"only {len(kept)} of {attempts * n_episodes} episodes of this expert reached the time "
        f"limit; train it for longer than {expert.steps} steps, or record it in Python with "
        "record_demonstrations if in this task good episodes end early"
    )


def _robot(env_id: str) -> str:
    """`HopperMuJoCoEnv-v0` and `Hopper-v4` are both a Hopper."""
    return re.sub(r"(MuJoCoEnv)?(-v\d+)?$", "", env_id.rpartition("/")[2], count=1)
