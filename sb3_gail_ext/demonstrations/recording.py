"""Play episodes with a policy and keep them as `imitation` trajectories."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
from imitation.data.types import (
    DictObs,
    TrajectoryWithRew,
    maybe_wrap_in_dictobs,
    stack_maybe_dictobs,
)
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecNormalize, unwrap_vec_normalize

_MAX_ENVS = 20


class Policy(Protocol):
    """Anything with SB3's `predict`."""

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, Any]: ...


def record_demonstrations(
    model: Policy,
    env: str | gym.Env | VecEnv,
    n_episodes: int,
    *,
    deterministic: bool = True,
    seed: int = 0,
) -> list[TrajectoryWithRew]:
    """Play whole episodes; episode i starts from `env` seeded with `seed + i`.

    Two policies recorded with the same seed meet the same starts. Observations and rewards are
    the environment's own: a VecNormalize, around `env` or the model's own, serves the policy and is
    undone in what is recorded. Actions are those that reached the environment.

    :param model: an SB3, sb3-contrib or SBX model, or anything with `predict`.
    :param env: an id, an environment, or a VecEnv, whose environments play side by side.
    :param n_episodes: how many.
    :param deterministic: the policy's mode rather than a sample.
    :param seed: of the first episode.
    :returns: one trajectory per episode, in order; `terminal` is False at time limits. Dict
        observations are `imitation`'s `DictObs`.
    :raises ValueError: if `n_episodes` is not positive.
    """
    if n_episodes < 1:
        raise ValueError(f"n_episodes is {n_episodes}; record at least one")
    venv = with_normalization_of(model, _as_vec_env(env, n_episodes))
    normalize = unwrap_vec_normalize(venv)
    was_training = normalize is not None and normalize.training
    if normalize is not None:
        normalize.training = False
    try:
        episodes: list[TrajectoryWithRew] = []
        while len(episodes) < n_episodes:
            venv.seed(seed + len(episodes))
            wave = _play_wave(model, venv, normalize, deterministic)
            episodes.extend(wave[: n_episodes - len(episodes)])
    finally:
        if normalize is not None:
            normalize.training = was_training
        if isinstance(env, str):
            venv.close()
    return episodes


def returns(episodes: Iterable[TrajectoryWithRew]) -> np.ndarray:
    """Undiscounted return of each episode, float64 of shape (n,)."""
    return np.array([float(episode.rews.sum(dtype=np.float64)) for episode in episodes])


def with_normalization_of(model: Policy, venv: VecEnv) -> VecEnv:
    """`venv`, seen through the VecNormalize that `model` is trained with, if there is one.

    The statistics are shared, so they are the latest ones, and are not updated here.
    """
    find = getattr(model, "get_vec_normalize_env", None)
    trained = find() if find is not None else None
    if trained is None or unwrap_vec_normalize(venv) is not None:
        return venv
    wrapped = VecNormalize(
        venv,
        training=False,
        norm_obs=trained.norm_obs,
        norm_reward=False,
        clip_obs=trained.clip_obs,
        epsilon=trained.epsilon,
        norm_obs_keys=trained.norm_obs_keys,
    )
    wrapped.obs_rms = trained.obs_rms
    return wrapped


def _as_vec_env(env: str | gym.Env | VecEnv, n_episodes: int) -> VecEnv:
    if isinstance(env, VecEnv):
        return env
    if isinstance(env, str):
        return make_vec_env(env, n_envs=min(n_episodes, _MAX_ENVS))
    return DummyVecEnv([lambda: env])


def _play_wave(
    model: Policy, venv: VecEnv, normalize: VecNormalize | None, deterministic: bool
) -> list[TrajectoryWithRew]:
    """One episode in each environment. Those that end early idle in episodes nobody keeps."""
    episodes: list[TrajectoryWithRew | None] = [None] * venv.num_envs
    obs: Any = venv.reset()
    raw_obs = [_as_env_gave(normalize, obs)]
    acts, rews = [], []
    state, starts = None, np.ones(venv.num_envs, dtype=bool)  # of recurrent policies
    while any(episode is None for episode in episodes):
        actions, state = model.predict(
            obs, state=state, episode_start=starts, deterministic=deterministic
        )
        obs, rewards, starts, infos = venv.step(actions)
        acts.append(actions)
        rews.append(rewards if normalize is None else normalize.get_original_reward())
        raw_obs.append(_as_env_gave(normalize, obs))
        for env in np.flatnonzero(starts):
            if episodes[env] is None:
                final = infos[env]["terminal_observation"]
                if normalize is not None:
                    final = normalize.unnormalize_obs(final)
                ours = [*(step[env] for step in raw_obs[:-1]), maybe_wrap_in_dictobs(final)]
                episodes[env] = TrajectoryWithRew(
                    obs=_cast_as(raw_obs[0], stack_maybe_dictobs(ours)),
                    acts=np.stack([step[env] for step in acts]),
                    rews=np.array([step[env] for step in rews], dtype=np.float64),
                    infos=None,
                    terminal=not infos[env].get("TimeLimit.truncated", False),
                )
    return [episode for episode in episodes if episode is not None]


def _as_env_gave(normalize: VecNormalize | None, obs: Any) -> Any:
    given = maybe_wrap_in_dictobs(obs if normalize is None else normalize.get_original_obs())
    return given.map_arrays(np.array) if isinstance(given, DictObs) else np.array(given)


def _cast_as(given: Any, obs: Any) -> Any:
    """`obs` of the types that the environment gave: VecNormalize makes its own."""
    if isinstance(given, DictObs):
        return DictObs({key: array.astype(given.get(key).dtype) for key, array in obs.items()})
    return obs.astype(given.dtype)
