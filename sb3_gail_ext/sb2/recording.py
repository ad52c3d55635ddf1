"""`generate_expert_traj`: record an expert as Stable-Baselines 2 did."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from sb3_gail_ext.demonstrations.checks import check_supported_spaces
from sb3_gail_ext.demonstrations.formats.sb2 import sb2_arrays, write_sb2
from sb3_gail_ext.demonstrations.playing import Policy
from sb3_gail_ext.demonstrations.recording import record_demonstrations

Controller = Callable[[np.ndarray], Any]

_IMAGE_FOLDER = "recorded_images"


def generate_expert_traj(
    model: BaseAlgorithm | Policy | Controller,
    save_path: str | Path | None = None,
    env: gym.Env | VecEnv | None = None,
    n_timesteps: int = 0,
    n_episodes: int = 100,
    image_folder: str = _IMAGE_FOLDER,
    *,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Train the expert, if it is to be trained, and record whole episodes in the old layout.

    As there, off-policy models act deterministically and others sample their actions. Unlike
    there, several environments may play side by side, observations under a VecNormalize are
    recorded as the environment gave them, and the environment is not closed.

    :param model: an SB3 model, or a function from an observation to an action (from all
        environments' observations to their actions, if `env` is a VecEnv).
    :param save_path: of the `.npz` file, whose ending may be left out; None writes none.
    :param env: None: the model's own.
    :param n_timesteps: first `model.learn` so many.
    :param n_episodes: how many.
    :param image_folder: of no effect: images are kept in the arrays and the file.
    :param seed: episode i starts from `env` seeded with `seed + i`.
    :returns: `obs`, `actions`, `rewards`, `episode_returns`, `episode_starts`, as in the file.
    :raises TypeError: if `model` is neither a model nor a function.
    :raises ValueError: if there is no environment, a function is to be trained, the spaces are
        neither Box nor Discrete, or `n_episodes` is not positive.
    """
    if image_folder != _IMAGE_FOLDER:
        warnings.warn(
            f"image_folder={image_folder!r} is not used: images are kept in the arrays",
            stacklevel=2,
        )
    env = env if env is not None else _own_env(model)
    check_supported_spaces(env.observation_space, env.action_space)
    if n_timesteps > 0:
        _train(model, n_timesteps)
    episodes = record_demonstrations(
        _as_policy(model, of_all=isinstance(env, VecEnv)),
        env,
        n_episodes,
        deterministic=isinstance(model, OffPolicyAlgorithm),
        seed=seed,
    )
    arrays = sb2_arrays(episodes)
    if save_path is not None:
        write_sb2(_with_ending(Path(save_path)), arrays)
    return arrays


def _own_env(model: Any) -> VecEnv:
    env: VecEnv | None = model.get_env() if isinstance(model, BaseAlgorithm) else None
    if env is None:
        raise ValueError("there is no environment to record in: pass env=...")
    return env


def _train(model: Any, n_timesteps: int) -> None:
    if not isinstance(model, BaseAlgorithm):
        raise ValueError(f"n_timesteps is {n_timesteps}, but only a model can be trained; use 0")
    model.learn(n_timesteps)


def _as_policy(model: Any, of_all: bool) -> Any:
    if hasattr(model, "predict"):
        return model
    if not callable(model):
        raise TypeError(f"{model!r} is neither a model nor a function from observation to action")
    return _Function(model, of_all)


def _with_ending(path: Path) -> Path:
    return path if path.suffix == ".npz" else path.with_name(f"{path.name}.npz")


class _Function:
    """A function as a policy.

    :param of_all: it takes all environments' observations at once; else one after the other.
    """

    def __init__(self, function: Any, of_all: bool) -> None:
        self.function = function
        self.of_all = of_all

    def predict(self, observation: np.ndarray, **_: Any) -> tuple[np.ndarray, None]:
        if self.of_all:
            return np.asarray(self.function(observation)), None
        return np.stack([np.asarray(self.function(obs)) for obs in observation]), None
