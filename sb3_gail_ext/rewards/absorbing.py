"""The absorbing state that terminal states lead to (DAC, Kostrikov et al. 2019, section 4.2).

An episode that ends in a terminal state goes on for ever in one absorbing state, which leads to
itself whatever is done. A discriminator that sees it learns what ending is worth: without it a
reward that is always positive pays for not ending, one that is always negative for ending.

In arrays an absorbing observation is a row of NaN. Networks see it as (0, ..., 0, 10), and any
other as (s, 0), s scaled: the last coordinate is the indicator. It is not 1, for a gradient penalty
lets a logit change by 1 over a distance of 1: the absorbing state would never be told from the
mean of the expert's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch as th
from gymnasium import spaces
from imitation.data.types import Trajectory, Transitions
from imitation.rewards.reward_nets import RewardNet
from stable_baselines3.common.preprocessing import get_flattened_obs_dim, is_image_space

from sb3_gail_ext.demonstrations.sampling import TransitionBatch, terminal_share
from sb3_gail_ext.rewards.networks import MAX_SCALED, NormalizedRewardNet

FAR = MAX_SCALED  # the indicator in the absorbing state: as far off as a scaled state can be


def with_indicator(space: spaces.Space) -> spaces.Box:
    """What a reward net sees of observations in `space`: flat, and the indicator after them.

    :raises ValueError: if they are images.
    """
    if isinstance(space, spaces.Box) and is_image_space(space):
        raise ValueError(
            "an indicator of the absorbing state does not fit into images; use "
            "terminal_states='bootstrap'"
        )
    return spaces.Box(-np.inf, np.inf, (get_flattened_obs_dim(space) + 1,), np.float32)


def absorbing_share(demonstrations: Sequence[Trajectory] | Transitions) -> float:
    """Of transitions and the self-loops behind them, the self-loops: one for each terminal state.

    Subsampling does not change it: a transition that was kept stands for all of its episode.
    """
    terminal = terminal_share(demonstrations)
    return terminal / (1.0 + terminal)


def with_self_loops(
    transitions: TransitionBatch, rows: np.ndarray, action_space: spaces.Box
) -> TransitionBatch:
    """A copy in which `rows`, bool of shape (batch,), are the absorbing state's self-loop."""
    if not rows.any():
        return transitions
    obs, next_obs = (array.astype(np.float32) for array in (transitions.obs, transitions.next_obs))
    acts, dones = transitions.acts.copy(), transitions.dones.copy()
    obs[rows] = next_obs[rows] = np.nan
    acts[rows] = _still(action_space)
    dones[rows] = False
    return TransitionBatch(obs, acts, next_obs, dones)


def self_loop(observation_space: spaces.Space, action_space: spaces.Box) -> TransitionBatch:
    """The absorbing state's one transition, a batch of 1."""
    nowhere = np.full((1, *(observation_space.shape or ())), np.nan, np.float32)
    return TransitionBatch(nowhere, _still(action_space)[None], nowhere, np.zeros(1, bool))


def _still(space: spaces.Box) -> np.ndarray:
    """The action of the absorbing state: 0 once actions are scaled to [-1, 1]."""
    if not space.is_bounded():
        return np.zeros(space.shape, np.float32)
    return ((space.low + space.high) / 2).astype(np.float32)


class AbsorbingRewardNet(NormalizedRewardNet):
    """A NormalizedRewardNet that knows the absorbing state.

    :param base: returns logits of observations in `with_indicator(observation_space)`.
    :param observation_space: the environment's.
    :raises ValueError: if `base` is for other observations.
    """

    def __init__(self, base: RewardNet, observation_space: spaces.Space) -> None:
        expected = with_indicator(observation_space).shape
        if base.observation_space.shape != expected:
            raise ValueError(
                f"reward_net takes observations of shape {base.observation_space.shape}, but with "
                f"terminal_states='absorbing' it sees {expected}: the observation, flat, and the "
                "indicator of the absorbing state after it"
            )
        super().__init__(base, observation_space)

    def scale(
        self, state: th.Tensor, action: th.Tensor, next_state: th.Tensor, done: th.Tensor
    ) -> tuple[th.Tensor, th.Tensor, th.Tensor, th.Tensor]:
        """As in NormalizedRewardNet, with the indicator; nothing is done where all goes on."""
        nowhere = state.flatten(1).isnan().any(1)
        next_nowhere = next_state.flatten(1).isnan().any(1) | (done > 0)
        state, action, next_state, done = super().scale(state, action, next_state, done)
        return (
            _indicated(state, nowhere),
            action,
            _indicated(next_state, next_nowhere),
            th.zeros_like(done),
        )


def _indicated(obs: th.Tensor, nowhere: th.Tensor) -> th.Tensor:
    flat = obs.flatten(1).masked_fill(nowhere[:, None], 0.0)
    return th.cat([flat, FAR * nowhere[:, None].to(flat.dtype)], dim=1)
