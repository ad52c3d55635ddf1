"""Put an environment into the state that an observation shows.

Each way is for a family of environments, and none is trusted: what the environment observes after
it has been put there must be the observation.

    PyBullet    the robots of this package: `start_from`
    MuJoCo      positions and velocities lead the observation, but for the root's x (and y)
    classic     CartPole, Pendulum, MountainCar, Acrobot: their `state`
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium.envs.classic_control import (
    AcrobotEnv,
    CartPoleEnv,
    Continuous_MountainCarEnv,
    MountainCarEnv,
    PendulumEnv,
)

from sb3_gail_ext.demonstrations.dict_observations import flatten_one

_TOLERANCE = 1e-3  # between the observation asked for and the one found, and relative to it
_CLIPPED_SPEED = 10.0  # what Hopper and Walker2D show of any higher speed


class Way(NamedTuple):
    """How to put an environment of one family into a state."""

    put: Callable[[np.ndarray], Any]  # takes an observation, float64
    look: Callable[[], Any]  # what is observed now, below all wrappers
    complete: bool  # the state is all there is; else e.g. the forces in contacts are lost
    n_shown: int  # so many numbers at an observation's head are the state; the rest follow from it


def way_into(env: gym.Env, obs: np.ndarray) -> Way | None:
    """The way that puts `env` into the state of `obs` (*obs_shape); None if there is none.

    Nor is there one if wrappers change the observations: what they remember cannot be set.
    """
    if obs.ndim != 1:
        return None
    raw = env.unwrapped
    ways = (*_bullet(raw), *_mujoco(raw, obs.size), *_classic(raw, obs.size))
    return next((way for way in ways if _unwrapped(env, way) and put_into(env, way, obs)), None)


def _unwrapped(env: gym.Env, way: Way) -> bool:
    """Do the wrappers leave the observations as they are?"""
    first = env.reset(seed=0)[0]
    return not isinstance(first, dict) and _near(way.look(), first)


def put_into(env: gym.Env, way: Way, obs: np.ndarray, seed: int = 0) -> bool:
    """Reset `env`, put it into the state of `obs` and see whether it shows that state."""
    env.reset(seed=seed)
    way.put(obs.astype(np.float64))
    return _near(np.asarray(way.look())[: way.n_shown], obs[: way.n_shown])


def reset_to(env: gym.Env, seed: int, obs: np.ndarray) -> bool:
    """Reset `env` with the seed of an episode; is its first observation `obs` then?"""
    return _near(flatten_one(env.observation_space, env.reset(seed=seed)[0]), obs)


def may_hide_speed(obs: np.ndarray) -> bool:
    """Is a number, but for rounding, where MuJoCo's Hopper and Walker2D clip speeds?"""
    return bool(np.isclose(np.abs(obs), _CLIPPED_SPEED, rtol=1e-4).any())


def _near(found: Any, wanted: np.ndarray) -> bool:
    found, wanted = np.asarray(found, np.float64), np.asarray(wanted, np.float64)
    return found.shape == wanted.shape and np.allclose(found, wanted, _TOLERANCE, _TOLERANCE)


def _bullet(raw: Any) -> Iterator[Way]:
    if hasattr(raw, "start_from"):
        yield Way(raw.start_from, raw._observe, False, raw.observation_size)


def _mujoco(raw: Any, size: int) -> Iterator[Way]:
    if not (hasattr(raw, "set_state") and hasattr(raw, "_get_obs") and hasattr(raw, "model")):
        return
    nq, nv = raw.model.nq, raw.model.nv
    for hidden in (0, 1, 2):  # the root's x, x and y
        n_shown = nq - hidden + nv
        if n_shown <= size:
            yield Way(_put_mujoco(raw, hidden), raw._get_obs, True, n_shown)


def _put_mujoco(raw: Any, hidden: int) -> Callable[[np.ndarray], None]:
    nq, nv = raw.model.nq, raw.model.nv

    def put(obs: np.ndarray) -> None:
        positions = np.concatenate([np.zeros(hidden), obs[: nq - hidden]])
        raw.set_state(positions, obs[nq - hidden : nq - hidden + nv])

    return put


def _classic(raw: Any, size: int) -> Iterator[Way]:
    if isinstance(raw, CartPoleEnv | MountainCarEnv | Continuous_MountainCarEnv):
        yield Way(lambda obs: setattr(raw, "state", obs), lambda: raw.state, True, size)
    if isinstance(raw, PendulumEnv):
        yield Way(
            lambda obs: setattr(raw, "state", np.array([np.arctan2(obs[1], obs[0]), obs[2]])),
            raw._get_obs,
            True,
            size,
        )
    if isinstance(raw, AcrobotEnv):
        yield Way(
            lambda obs: setattr(
                raw, "state", np.array([*np.arctan2(obs[[1, 3]], obs[[0, 2]]), *obs[4:]])
            ),
            raw._get_ob,
            True,
            size,
        )
