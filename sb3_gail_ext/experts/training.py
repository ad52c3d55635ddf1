"""Train an expert with the true reward and choose its best checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from imitation.data.types import TrajectoryWithRew
from sb3_contrib import TQC, TRPO
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback, CheckpointCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecEnv, VecNormalize
from tqdm import tqdm

from sb3_gail_ext.demonstrations.recording import record_demonstrations
from sb3_gail_ext.demonstrations.returns import returns


class ExpertError(ValueError):
    """An expert that cannot be trained or does not do its task; the line says what to do."""


@dataclass(frozen=True)
class ExpertSettings:
    """How one algorithm is trained as an expert."""

    algorithm: type[BaseAlgorithm]
    n_envs: int
    normalize: bool  # running normalisation of observations and rewards (VecNormalize)
    kwargs: dict[str, Any] = field(default_factory=dict)


# TRPO: rl-baselines3-zoo's settings for MuJoCo and PyBullet locomotion. TQC and SAC: Stable-
# Baselines3's defaults, with TQC's batch halved for speed on a CPU.
EXPERT_SETTINGS = {
    "trpo": ExpertSettings(
        TRPO,
        n_envs=2,
        normalize=True,
        kwargs={
            "n_steps": 1024,
            "batch_size": 128,
            "learning_rate": 1e-3,
            "gamma": 0.99,
            "gae_lambda": 0.95,
            "cg_max_steps": 25,
            "cg_damping": 0.1,
            "n_critic_updates": 20,
            "sub_sampling_factor": 1,
        },
    ),
    "tqc": ExpertSettings(
        TQC, n_envs=1, normalize=False, kwargs={"batch_size": 128, "learning_starts": 10_000}
    ),
    "sac": ExpertSettings(SAC, n_envs=1, normalize=False, kwargs={"learning_starts": 10_000}),
    "ppo": ExpertSettings(PPO, n_envs=8, normalize=True, kwargs={"n_steps": 256, "batch_size": 64}),
}


def make_expert_env(env_id: str, settings: ExpertSettings, seed: int) -> VecEnv:
    """The vectorised training environment of an expert."""
    venv = make_vec_env(env_id, n_envs=settings.n_envs, seed=seed)
    return VecNormalize(venv) if settings.normalize else venv


def train_expert(
    env_id: str,
    algo: str,
    total_timesteps: int,
    *,
    seed: int,
    folder: Path,
    checkpoint_every: int = 20_000,
    progress_bar: bool = True,
    callback: BaseCallback | None = None,
) -> list[Checkpoint]:
    """Train `algo` on the true reward of `env_id` and return its checkpoints, oldest first.

    :param total_timesteps: environment steps.
    :raises ExpertError: if the algorithm does not fit the environment's actions.
    :param folder: where the checkpoints go; older ones there are removed.
    :param checkpoint_every: environment steps between two checkpoints.
    :param callback: another one, e.g. a `WandbTracker`.
    """
    for old in folder.glob("expert_*_steps.*"):
        old.unlink()
    settings = EXPERT_SETTINGS[algo]
    venv = make_expert_env(env_id, settings, seed)
    try:
        model = settings.algorithm("MlpPolicy", venv, seed=seed, **settings.kwargs)
    except AssertionError as error:  # how SB3 refuses an action space
        raise ExpertError(f"{algo} cannot be trained in {env_id}: {error}") from error
    keep = CheckpointCallback(
        max(checkpoint_every // settings.n_envs, 1),
        str(folder),
        name_prefix="expert",
        save_vecnormalize=True,
    )
    callbacks = [keep, *([callback] if callback is not None else [])]
    model.learn(total_timesteps, callback=callbacks, progress_bar=progress_bar)
    last = model.num_timesteps  # kept as well: it is seldom a multiple of `checkpoint_every`
    model.save(folder / f"expert_{last}_steps.zip")
    if isinstance(venv, VecNormalize):
        venv.save(str(folder / f"expert_vecnormalize_{last}_steps.pkl"))
    venv.close()
    steps = sorted(int(path.stem.split("_")[1]) for path in folder.glob("expert_*_steps.zip"))
    return [Checkpoint(env_id, settings, folder, n) for n in steps]


@dataclass(frozen=True)
class Checkpoint:
    """A model saved during training, with the normalisation it was trained under."""

    env_id: str
    settings: ExpertSettings
    folder: Path
    steps: int

    def load(self) -> BaseAlgorithm:
        return self.settings.algorithm.load(self.folder / f"expert_{self.steps}_steps.zip")

    def make_env(self, n_envs: int = 20) -> VecEnv:
        """Environments whose observations are normalised as in training."""
        venv = make_vec_env(self.env_id, n_envs=n_envs)
        if not self.settings.normalize:
            return venv
        statistics = self.folder / f"expert_vecnormalize_{self.steps}_steps.pkl"
        return VecNormalize.load(str(statistics), venv)

    def play(self, n_episodes: int, seed: int) -> list[TrajectoryWithRew]:
        """Deterministic episodes; episode i starts from `seed + i`."""
        venv = self.make_env()
        try:
            return record_demonstrations(self.load(), venv, n_episodes, seed=seed)
        finally:
            venv.close()


def best_checkpoint(
    checkpoints: Sequence[Checkpoint], *, n_finalists: int = 8, seed: int = 10_000
) -> Checkpoint:
    """The checkpoint with the highest mean return over 100 seeded starts.

    A few starts decide who plays all of them: of all checkpoints, the `n_finalists` with the
    highest mean over the first 20.
    """
    heats = [returns(c.play(20, seed)).mean() for c in tqdm(checkpoints, "choosing")]
    finalists = [checkpoints[i] for i in np.argsort(heats)[::-1][:n_finalists]]
    finals = [returns(c.play(100, seed)).mean() for c in tqdm(finalists, "finalists")]
    return finalists[int(np.argmax(finals))]
