"""Play seeded episodes with a policy, as the environment itself sees them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
from imitation.data.types import (
    DictObs,
    TrajectoryWithRew,
    maybe_wrap_in_dictobs,
    stack_maybe_dictobs,
)
from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported
from stable_baselines3.common.vec_env import (
    VecEnv,
    VecEnvWrapper,
    VecNormalize,
    unwrap_vec_normalize,
)

from sb3_gail_ext.demonstrations.ends import TIME_LIMIT, infos_of_end

_RAW_FINAL = "sb3_gail_ext.final_observation"


class Policy(Protocol):
    """Anything with SB3's `predict`."""

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, Any]: ...


def play(
    model: Policy,
    venv: VecEnv,
    seed: int,
    *,
    deterministic: bool,
    on_step: Callable[[int], None],
) -> Iterator[tuple[int, TrajectoryWithRew]]:
    """Endlessly: a start's seed, counted up from `seed`, and the episode played from there.

    `venv`'s environments play one episode each, side by side; then the next ones.

    :param venv: a VecNormalize in it, if there is one, has to be `frozen`.
    :param on_step: called with the number of steps that those in play have taken.
    """
    while True:
        venv.seed(seed)
        for episode in _play_wave(model, venv, deterministic, on_step):
            yield seed, episode
            seed += 1


@contextmanager
def frozen(venv: VecEnv) -> Iterator[None]:
    """While the block runs, `venv`'s VecNormalize learns nothing, and leaves a copy of the last
    observations: of those SB3's own keeps no other than the normalised and clipped ones.
    """
    normalize = unwrap_vec_normalize(venv)
    if normalize is None:
        yield
        return
    was_training, below = normalize.training, normalize.venv
    normalize.training, normalize.venv = False, _KeepFinalObservations(below)
    try:
        yield
    finally:
        normalize.training, normalize.venv = was_training, below


class _KeepFinalObservations(VecEnvWrapper):
    def reset(self) -> Any:
        return self.venv.reset()

    def step_wait(self) -> Any:
        obs, rewards, dones, infos = self.venv.step_wait()
        for info in infos:
            if "terminal_observation" in info:
                info[_RAW_FINAL] = info["terminal_observation"]
        return obs, rewards, dones, infos


def _play_wave(
    model: Policy, venv: VecEnv, deterministic: bool, on_step: Callable[[int], None]
) -> list[TrajectoryWithRew]:
    """One episode in each environment. Those that end early idle in episodes nobody keeps."""
    normalize = unwrap_vec_normalize(venv)
    masked = _takes_masks(model) and is_masking_supported(venv)
    episodes: list[TrajectoryWithRew | None] = [None] * venv.num_envs
    obs: Any = venv.reset()
    raw_obs = [_as_env_gave(normalize, obs)]
    acts, rews = [], []
    state, starts = None, np.ones(venv.num_envs, dtype=bool)  # of recurrent policies
    while any(episode is None for episode in episodes):
        masks = {"action_masks": get_action_masks(venv)} if masked else {}
        actions, state = model.predict(
            obs, state=state, episode_start=starts, deterministic=deterministic, **masks
        )
        obs, rewards, starts, infos = venv.step(actions)
        acts.append(actions)
        rews.append(rewards if normalize is None else normalize.get_original_reward())
        for env in np.flatnonzero(starts):
            if episodes[env] is None:
                episodes[env] = _episode(int(env), raw_obs, acts, rews, infos[env])
        raw_obs.append(_as_env_gave(normalize, obs))
        on_step(len(acts))
    return [episode for episode in episodes if episode is not None]


def _takes_masks(model: Policy) -> bool:
    return "action_masks" in inspect.signature(model.predict).parameters


def _episode(
    env: int, raw_obs: list[Any], acts: list[Any], rews: list[Any], info: dict[str, Any]
) -> TrajectoryWithRew:
    """Environment `env`'s, out of all environments' steps, each (n_envs, ...).

    :param info: of its last step.
    """
    final = info.get(_RAW_FINAL, info["terminal_observation"])
    obs = stack_maybe_dictobs([*(step[env] for step in raw_obs), maybe_wrap_in_dictobs(final)])
    at_time_limit = bool(info.get(TIME_LIMIT, False))
    return TrajectoryWithRew(
        obs=_cast_as(raw_obs[0], obs),
        acts=np.stack([step[env] for step in acts]),
        rews=np.array([step[env] for step in rews], dtype=np.float64),
        infos=infos_of_end(len(acts), time_limit=at_time_limit),
        terminal=not at_time_limit,
    )


def _as_env_gave(normalize: VecNormalize | None, obs: Any) -> Any:
    given = maybe_wrap_in_dictobs(obs if normalize is None else normalize.get_original_obs())
    return given.map_arrays(np.array) if isinstance(given, DictObs) else np.array(given)


def _cast_as(given: Any, obs: Any) -> Any:
    """`obs` of the types that the environment gave: stacking may have made others."""
    if isinstance(given, DictObs):
        return DictObs({key: array.astype(given.get(key).dtype) for key, array in obs.items()})
    return obs.astype(given.dtype)
