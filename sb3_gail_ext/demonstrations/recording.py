"""Record episodes of a policy: play them, and keep them as `imitation` trajectories."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import NamedTuple

import gymnasium as gym
import numpy as np
import torch as th
from imitation.data.types import TrajectoryWithRew
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.preprocessing import get_obs_shape
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecNormalize, unwrap_vec_normalize
from tqdm import tqdm

from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.playing import Policy, frozen, play
from sb3_gail_ext.demonstrations.returns import returns

TRIES = 10  # episodes played for each that is asked for, before `min_return` is given up
_MAX_ENVS = 20
_BEAT = 100  # steps between two looks of the bar


class Recorded(NamedTuple):
    """Episodes, and the seeds of the starts they were played from."""

    episodes: list[TrajectoryWithRew]
    seeds: list[int]


def record_demonstrations(
    model: Policy,
    env: str | gym.Env | VecEnv,
    n_episodes: int,
    *,
    deterministic: bool = True,
    seed: int = 0,
    min_return: float | None = None,
    progress_bar: bool = False,
) -> list[TrajectoryWithRew]:
    """Play whole episodes; episode i starts from `env` seeded with `seed + i`.

    Two policies recorded with the same seed meet the same starts. Observations and rewards are
    the environment's own: a VecNormalize, around `env` or the model's own, serves the policy and is
    undone in what is recorded. Actions are those that reached the environment.

    :param model: an SB3, sb3-contrib or SBX model, or anything with `predict`. If it takes action
        masks and the environments have `action_masks()`, it gets them.
    :param env: an id, an environment, or a VecEnv, whose environments play side by side.
    :param n_episodes: how many.
    :param deterministic: the policy's mode rather than a sample.
    :param seed: of the first episode.
    :param min_return: keep only episodes of at least this true, undiscounted return, and play up to
        10 x `n_episodes` until there are enough.
    :param progress_bar: show one, with the time left, on standard error.
    :returns: one trajectory per episode, in order; `terminal` is False at time limits, and the
        last info then says so (`ends.end_of`). Dict observations are `imitation`'s `DictObs`.
    :raises ValueError: if `n_episodes` is not positive, or the observations are not of the shape
        that the model's VecNormalize has seen.
    :raises DemonstrationError: if too few episodes reach `min_return`.
    """
    return record_with_seeds(
        model,
        env,
        n_episodes,
        deterministic=deterministic,
        seed=seed,
        min_return=min_return,
        progress_bar=progress_bar,
    ).episodes


def record_with_seeds(
    model: Policy,
    env: str | gym.Env | VecEnv,
    n_episodes: int,
    *,
    deterministic: bool = True,
    seed: int = 0,
    min_return: float | None = None,
    progress_bar: bool = False,
) -> Recorded:
    """As `record_demonstrations`, and which seeds the episodes that were kept started from."""
    if n_episodes < 1:
        raise ValueError(f"n_episodes is {n_episodes}; record at least one")
    venv = with_normalization_of(model, _as_vec_env(env, n_episodes))
    bar = tqdm(total=n_episodes, desc="recording", unit="episode", disable=not progress_bar)

    def on_step(n_steps: int) -> None:
        if n_steps % _BEAT == 0:
            bar.set_postfix_str(f"step {n_steps:,}")

    try:
        with bar, frozen(venv), _seeded(seed):
            played = play(model, venv, seed, deterministic=deterministic, on_step=on_step)
            return _first_good(played, n_episodes, min_return, bar)
    finally:
        if isinstance(env, str):
            venv.close()


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Sampled actions are those of the seed; whoever drew numbers before goes on as if not."""
    numpy_state = np.random.get_state()  # noqa: NPY002 (DQN's exploration draws from it)
    with th.random.fork_rng():
        th.manual_seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        try:
            yield
        finally:
            np.random.set_state(numpy_state)  # noqa: NPY002


def _first_good(
    played: Iterator[tuple[int, TrajectoryWithRew]],
    n_episodes: int,
    min_return: float | None,
    bar: tqdm,
) -> Recorded:
    kept, seeds, seen = [], [], []
    for seed, episode in islice(played, n_episodes * (1 if min_return is None else TRIES)):
        seen.append(float(returns([episode])[0]))
        if min_return is not None and np.isnan(seen[-1]):
            raise DemonstrationError(
                f"rewards of the episode from seed {seed} are NaN; mend the environment or, if it "
                "has no rewards, record without min_return"
            )
        if min_return is None or seen[-1] >= min_return:
            kept.append(episode)
            seeds.append(seed)
            bar.update()
            if len(kept) == n_episodes:
                return Recorded(kept, seeds)
    raise DemonstrationError(
        f"only {len(kept)} of {len(seen)} episodes reached a return of {min_return:g}, and "
        f"{n_episodes} were asked for; their mean is {np.mean(seen):.1f}, the best "
        f"{max(seen):.1f}: ask for fewer or less, or train for longer"
    )


def with_normalization_of(model: Policy, venv: VecEnv) -> VecEnv:
    """`venv`, seen through the VecNormalize that `model` is trained with, if there is one.

    The statistics are shared, so they are the latest ones, and are not updated here.

    :raises ValueError: if the observations differ in shape.
    """
    find = getattr(model, "get_vec_normalize_env", None)
    trained = find() if find is not None else None
    if trained is None or unwrap_vec_normalize(venv) is not None:
        return venv
    if get_obs_shape(trained.observation_space) != get_obs_shape(venv.observation_space):
        raise ValueError(
            f"the model sees {trained.observation_space} through its VecNormalize, but the "
            f"environment has {venv.observation_space}; give the one it was trained in"
        )
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
