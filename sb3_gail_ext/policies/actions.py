"""Transitions of the environment as a policy knows them, and how probable it makes its actions."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from imitation.data.types import DictObs, Observation, maybe_unwrap_dictobs
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.utils import obs_as_tensor

from sb3_gail_ext.demonstrations.dict_observations import unflatten_obs

_AT_BOUND = 1e-5  # float32 rounding of a clipped action, as demonstrations may have it


def as_policy_knows(
    model: BaseAlgorithm, obs: np.ndarray, acts: np.ndarray
) -> tuple[Any, np.ndarray]:
    """Observations normalised as by the model's VecNormalize, actions as its policy gives them.

    :param obs: (n, *obs_shape), as the environment gives them; a Dict space's flat, (n, D).
    :param acts: (n, *act_shape), as the environment takes them.
    :returns: observations of the same shape, a Dict space's as `DictObs`, and actions
        (n, action_dim), a Box's flattened; (n,) where they are Discrete.
    """
    seen = unflatten_obs(model.observation_space, obs)
    normalize = model.get_vec_normalize_env()
    if normalize is not None and normalize.norm_obs:
        seen = normalize.normalize_obs(seen)
    if model.policy.squash_output:
        acts = model.policy.scale_action(acts)
    if isinstance(model.action_space, spaces.Box):
        acts = acts.reshape(len(acts), -1)
    return DictObs(seen) if isinstance(seen, dict) else seen, acts


def as_tensors(obs: Observation, device: th.device) -> th.Tensor | dict[str, th.Tensor]:
    """Observations as `as_policy_knows` returns them, as a policy takes them."""
    return obs_as_tensor(maybe_unwrap_dictobs(obs), device)


def executed_log_prob(policy: ActorCriticPolicy, obs: Observation, acts: np.ndarray) -> th.Tensor:
    """How probable it is that `policy`'s actions, once clipped by SB3, are `acts`: log, in nats.

    A Gaussian policy's actions leave the action space, and what is executed, recorded, and seen
    by a discriminator is clipped. That has a density inside the bounds only; on them sits, in each
    dimension, the whole mass beyond, and its logarithm is what counts there. The same function of
    what was executed for both sides: with the density of the unclipped action on the agent's side,
    or with a density on the bounds, where the expert has mass, |a| = 1 alone would tell them apart.

    :param policy: SB3's own distributions: Gaussian, gSDE's (squashed, too) or categorical.
    :param obs: (n, *obs_shape), as the policy sees them.
    :param acts: (n, *act_shape), as it gives them, but clipped.
    :returns: (n,) without gradients, on the policy's device.
    """
    with th.no_grad():
        distribution = policy.get_distribution(as_tensors(obs, policy.device))
        actions, space = th.as_tensor(acts, device=policy.device), policy.action_space
        if not isinstance(space, spaces.Box):
            return distribution.log_prob(actions)
        actions = actions.flatten(1)
        if policy.squash_output:  # never clipped
            return distribution.log_prob(actions)
        bounds = (th.as_tensor(b.ravel(), device=policy.device) for b in (space.low, space.high))
        return clipped_normal_log_prob(distribution.distribution, actions, *bounds)


def clipped_normal_log_prob(
    normal: th.distributions.Normal, values: th.Tensor, low: th.Tensor, high: th.Tensor
) -> th.Tensor:
    """Log-density of clip(x, low, high), x ~ `normal` with independent dimensions.

    :param normal: of batch shape (n, k).
    :param values: (n, k), from `low` to `high`.
    :param low: (k,), may be infinite, as may `high`.
    :returns: (n,): densities inside the bounds, masses on them, multiplied over the dimensions.
    """
    below = th.special.log_ndtr((low - normal.mean) / normal.stddev)
    above = th.special.log_ndtr((normal.mean - high) / normal.stddev)
    inside = normal.log_prob(values)
    upper = th.where(values >= high - _AT_BOUND, above, inside)
    return th.where(values <= low + _AT_BOUND, below, upper).sum(dim=1)
