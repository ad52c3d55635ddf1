"""The point at which a run that goes on and one that was resumed are the same, to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np

from sb3_gail_ext.algorithms.random_states import RandomStates, restore_random_states


def restart(model: Any, states: RandomStates) -> None:
    """Go on from an on-policy model's checkpoint, in the process that wrote it and in any other.

    An environment's state cannot be saved in general, so that at a checkpoint each episode is cut,
    as at the end of a rollout, and all begin anew from a seed that the model's generator draws.

    :param model: an adversarial on-policy model between two rollouts.
    :param states: those in its checkpoint.
    """
    restore_random_states(states)
    model.env.seed(int(model._rng.integers(2**31)))
    model._last_obs = model.env.reset()
    model._last_episode_starts = np.ones(model.n_envs, dtype=bool)
    if model.use_sde:
        model.policy.reset_noise(model.n_envs)
