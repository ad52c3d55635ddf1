"""Replay demonstrations in an environment: do the states come out as they were recorded?

Whole episodes are replayed from their start, and single steps from states all along them. Errors
are root mean squares over the numbers of an observation, each in units of its deviation in the
demonstrations.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from imitation.data.types import Trajectory

from sb3_gail_ext.demonstrations.checking.precision import rounding, spread
from sb3_gail_ext.demonstrations.checking.starting import (
    Way,
    may_hide_speed,
    put_into,
    reset_to,
    way_into,
)
from sb3_gail_ext.demonstrations.dict_observations import flatten_one
from sb3_gail_ext.demonstrations.sampling import are_whole, array_obs

MAX_STEPS = 1_000  # replayed of an episode
N_SINGLE_STEPS = 200
SAME_STEP = 1e-5  # error of a single step that is rounding; see docs/demonstrations_check.md
_AMPLIFIED = 10.0  # a step may enlarge the rounding of where it starts by so much
_FELT = 0.3  # of an action's rounding, at most, in the next state
PARTED = 0.01  # error from which on two states are not the same any more
_N_LOOKED_AT = 20  # episodes, to see how actions were rounded
_N_TWICE = 5  # single steps that are tried twice, for chance

Start = Literal["seed", "state"]  # how it was reached: `reset(seed=...)`, or the state was set


class Replay(NamedTuple):
    """One episode's actions, played again from its start."""

    episode: int
    start: Start
    n_steps: int  # of the demonstration, at most MAX_STEPS
    errors: np.ndarray  # of each step's next state (n,), n < n_steps if the environment ended it
    parted_at: int | None  # number of the first step, from 1, that led elsewhere
    rewards: np.ndarray  # what the environment gave for each step (n,), float64, NaN if no number

    @property
    def ended_at(self) -> int | None:
        """After how many steps the environment ended the episode; None if not before its end."""
        return len(self.errors) if len(self.errors) < self.n_steps else None

    @property
    def same(self) -> bool:
        return self.parted_at is None and self.ended_at is None


class Dynamics(NamedTuple):
    """What replaying has shown."""

    replays: list[Replay]
    single_steps: np.ndarray  # their errors (n,)
    tolerance: float  # of a single step's error: what rounding explains
    complete: bool  # the states that were set are all there is; else e.g. contact forces are lost
    chance: bool  # the same step from the same state led to different states


def replay(
    episodes: Sequence[Trajectory],
    env: gym.Env,
    rows: np.ndarray,
    *,
    seeds: Sequence[int] | None = None,
    n_episodes: int = 5,
) -> Dynamics:
    """Replay some of the episodes, evenly spread, in `env`, which is reset many times.

    :param episodes: with array observations and actions that fit the environment.
    :param rows: some observations of all of them, (n, *obs_shape).
    :param seeds: those that the episodes' starts were drawn with, if known.
    """
    unit = spread(rows)
    whole = are_whole(episodes)
    chosen = _evenly(len(episodes), n_episodes if whole else N_SINGLE_STEPS)
    way = _way(env, [array_obs(episodes[i].obs)[0] for i in chosen])
    rounded = max(
        _AMPLIFIED * _size(rounding(rows) / unit),
        _FELT * _rounding_of_actions(episodes, env),
    )
    replays = []
    for i in chosen if whole else ():
        start = _start(env, array_obs(episodes[i].obs)[0], None if seeds is None else seeds[i], way)
        if start is not None:
            n_shown = way.n_shown if start == "state" and way is not None else None
            played = _play_on(env, episodes[i], unit, n_shown)
            replays.append(_judged(i, start, len(episodes[i]), *played, max(PARTED, rounded)))
    firsts = [r.errors[0] for r in replays if r.start == "seed"]  # single steps, too
    singles = () if way is None else _single_steps(env, way, [episodes[i] for i in chosen], unit)
    return Dynamics(
        replays,
        np.array([*firsts, *singles]),
        max(SAME_STEP, rounded),
        complete=way is None or way.complete,
        chance=way is not None and _is_chance(env, way, episodes[chosen[0]], unit),
    )


def _rounding_of_actions(episodes: Sequence[Trajectory], env: gym.Env) -> float:
    """In units of their deviation; 0 if they are choices."""
    if not isinstance(env.action_space, spaces.Box):
        return 0.0
    acts = np.concatenate([episode.acts for episode in episodes[:_N_LOOKED_AT]])
    return _size(rounding(acts) / spread(acts))


def _evenly(n: int, at_most: int) -> list[int]:
    """Up to `at_most` of 0 to n - 1, first and last among them."""
    return np.unique(np.linspace(0, n - 1, min(n, at_most)).astype(int)).tolist()


def _way(env: gym.Env, starts: Sequence[np.ndarray]) -> Way | None:
    return next((way for obs in starts if (way := way_into(env, obs)) is not None), None)


def _start(env: gym.Env, obs: np.ndarray, seed: int | None, way: Way | None) -> Start | None:
    """Put `env` where `obs` is, if that can be done."""
    if seed is not None and reset_to(env, seed, obs):
        return "seed"
    return "state" if way is not None and put_into(env, way, obs) else None


def _play_on(
    env: gym.Env, episode: Trajectory, unit: np.ndarray, n_shown: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Errors of the states after each action, and rewards, until `env` ends the episode."""
    errors, rewards = [], []
    for act, wanted in zip(episode.acts[:MAX_STEPS], array_obs(episode.obs)[1:], strict=False):
        obs, reward, ended = _step(env, act)
        errors.append(_error(obs, wanted, unit, n_shown))
        rewards.append(reward)
        if ended:
            break
    return np.array(errors), np.array(rewards)


def _judged(
    episode: int,
    start: Start,
    length: int,
    errors: np.ndarray,
    rewards: np.ndarray,
    parted: float,
) -> Replay:
    elsewhere = np.flatnonzero(~(errors <= parted))  # NaN is elsewhere
    first = int(elsewhere[0]) + 1 if len(elsewhere) else None
    return Replay(episode, start, min(length, MAX_STEPS), errors, first, rewards)


def _single_steps(
    env: gym.Env, way: Way, episodes: Sequence[Trajectory], unit: np.ndarray
) -> Iterator[float]:
    """The errors of single steps along the episodes, where the state can be set."""
    for episode in episodes:
        obs = array_obs(episode.obs)
        for t in _evenly(len(episode), max(N_SINGLE_STEPS // len(episodes), 1)):
            found = None if may_hide_speed(obs[t]) else _single(env, way, obs[t], episode.acts[t])
            if found is not None:
                yield _error(found, obs[t + 1], unit, way.n_shown)


def _is_chance(env: gym.Env, way: Way, episode: Trajectory, unit: np.ndarray) -> bool:
    """Does the same step from the same state lead elsewhere after another reset?"""
    obs = array_obs(episode.obs)
    for t in _evenly(len(episode), _N_TWICE):
        one, other = (_single(env, way, obs[t], episode.acts[t], seed) for seed in (0, 1))
        if one is None or other is None:
            continue
        if _error(one, other, unit, way.n_shown) > SAME_STEP:
            return True
    return False


def _single(
    env: gym.Env, way: Way, obs: np.ndarray, act: np.ndarray, seed: int = 0
) -> np.ndarray | None:
    """The observation after `act` from the state of `obs`; None if that cannot be reached."""
    return _step(env, act)[0] if put_into(env, way, obs, seed) else None


def _step(env: gym.Env, act: np.ndarray) -> tuple[np.ndarray, float, bool]:
    """The next observation, the reward, and whether the episode is over."""
    space = env.action_space
    action: Any = int(act) if isinstance(space, spaces.Discrete) else np.asarray(act, space.dtype)
    obs, reward, terminated, truncated, _ = env.step(action)
    return flatten_one(env.observation_space, obs), _number(reward), terminated or truncated


def _number(reward: Any) -> float:
    """NaN of what some environments return instead: nothing, or a reward for each objective."""
    return float(reward) if reward is not None and np.size(reward) == 1 else np.nan


def _error(
    found: np.ndarray, wanted: np.ndarray, unit: np.ndarray, n_shown: int | None = None
) -> float:
    """Of an observation, or of its first `n_shown` numbers."""
    return _size(((found.astype(np.float64) - wanted) / unit)[:n_shown])


def _size(array: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(array))))
