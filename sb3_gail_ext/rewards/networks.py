"""The discriminator's networks: `imitation` RewardNets on inputs scaled by the demonstrations."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from imitation.rewards.reward_nets import (
    BasicPotentialCNN,
    BasicPotentialMLP,
    BasicRewardNet,
    CnnRewardNet,
    RewardNet,
    ShapedRewardNet,
)
from imitation.util.networks import evaluating
from stable_baselines3.common.preprocessing import (
    is_image_space,
    is_image_space_channels_first,
)
from torch.nn.utils.parametrize import is_parametrized

from sb3_gail_ext.demonstrations.scaling import ObservationScaling

MAX_SCALED = 10.0


def default_reward_net(
    observation_space: spaces.Space,
    action_space: spaces.Space,
    *,
    spectral_norm: bool = False,
    **kwargs: Any,
) -> RewardNet:
    """`imitation`'s MLP (its CNN for images) from observation and action to one logit.

    :param spectral_norm: keep the largest singular value of each linear layer at 1 (Miyato et al.
        2018), a bound on the slope where the gradient penalty is a pull.
    :param kwargs: of that class, e.g. `hid_sizes=(128, 128)`, `use_next_state=True`,
        `dropout_prob=0.5`.
    """
    if isinstance(observation_space, spaces.Box) and is_image_space(observation_space):
        channels_last = not is_image_space_channels_first(observation_space)
        settings = {"hwc_format": channels_last, **kwargs}
        net: RewardNet = CnnRewardNet(observation_space, action_space, **settings)
    else:
        settings = {"hid_sizes": (64, 64), "activation": th.nn.Tanh, **kwargs}
        net = BasicRewardNet(observation_space, action_space, **settings)
    if spectral_norm:
        _normalize_spectra(net)
    return net


def shaped_reward_net(
    observation_space: spaces.Space,
    action_space: spaces.Space,
    *,
    discount_factor: float,
    potential_hid_sizes: Sequence[int] = (64, 64),
    spectral_norm: bool = False,
    **kwargs: Any,
) -> ShapedRewardNet:
    """f(s, a, s') = g(s, a) + discount_factor h(s') - h(s) (Fu et al. 2018, eq. 4).

    `imitation`'s ShapedRewardNet: h(s') counts as 0 where the transition ends in a terminal state.

    :param discount_factor: the generator's gamma; with another the shaping changes what is optimal.
    :param potential_hid_sizes: hidden layers of h, or its channels where it is a CNN, for images.
    :param spectral_norm: as in `default_reward_net`; of g and h.
    :param kwargs: of g, which is the `default_reward_net`; `use_action=False` makes it g(s).
    """
    reward = default_reward_net(observation_space, action_space, **kwargs)
    if isinstance(reward, CnnRewardNet):
        potential: th.nn.Module = BasicPotentialCNN(
            observation_space, potential_hid_sizes, hwc_format=reward.hwc_format
        )
    else:
        activation = kwargs.get("activation", th.nn.Tanh)
        potential = BasicPotentialMLP(observation_space, potential_hid_sizes, activation=activation)
    net = ShapedRewardNet(reward, potential, discount_factor)
    if spectral_norm:
        _normalize_spectra(net)
    return net


def _normalize_spectra(net: th.nn.Module) -> None:
    for module in list(net.modules()):
        if isinstance(module, th.nn.Linear | th.nn.Conv2d):
            th.nn.utils.parametrizations.spectral_norm(module)


def _some_obs(space: spaces.Space) -> np.ndarray:
    """16 of moderate size: those drawn between CartPole's bounds saturate any net."""
    if not np.issubdtype(space.dtype, np.floating):
        return np.stack([space.sample() for _ in range(16)])
    drawn = space.np_random.normal(size=(16, *(space.shape or ())))
    return drawn.astype(np.float32)


def check_ignores_actions(net: RewardNet) -> None:
    """Try a few transitions with other actions.

    :raises ValueError: if the net's output differs.
    """
    obs_space, act_space = deepcopy((net.observation_space, net.action_space))  # own generators
    obs_space.seed(0)
    act_space.seed(0)
    obs, next_obs = _some_obs(obs_space), _some_obs(obs_space)
    outputs = []
    with evaluating(net), th.no_grad():
        for _ in range(2):
            acts = np.stack([act_space.sample() for _ in range(16)])
            outputs.append(net(*net.preprocess(obs, acts, next_obs, np.zeros(16, bool))))
    if not th.equal(*outputs):
        raise ValueError(
            "reward_net looks at actions, which state-only imitation does not know of the expert; "
            "build it with use_action=False, use_next_state=True"
        )


def check_can_be_saved(net: RewardNet) -> None:
    """:raises ValueError: if a layer is parametrized by torch, which cannot be pickled."""
    for name, module in net.named_modules():
        if is_parametrized(module):
            raise ValueError(
                f"reward_net has a parametrized layer, {name}, which no model file can hold; "
                "for spectral norm pass reward_net_kwargs={'spectral_norm': True} instead"
            )


class NormalizedRewardNet(RewardNet):
    """A reward net that sees observations scaled by fixed statistics and actions by their bounds.

    The statistics are those of the demonstrations, not of the agent: they do not move while the
    discriminator learns, and are saved with its weights. Actions of a bounded Box are mapped to
    [-1, 1]. Before `fit_once` the observations pass unscaled.

    :param base: the net behind, which returns logits, high = expert.
    :param observation_space: the environment's; None: that of `base`.
    """

    def __init__(self, base: RewardNet, observation_space: spaces.Space | None = None) -> None:
        space = observation_space or base.observation_space
        super().__init__(space, base.action_space, base.normalize_images)
        self.base = base
        self.obs_scaling = ObservationScaling(space)
        low, high = _finite_bounds(base.action_space)
        self.act_centre: th.Tensor
        self.act_half_range: th.Tensor
        self.register_buffer("act_centre", th.as_tensor((high + low) / 2, dtype=th.float32))
        half_range = np.where(high > low, (high - low) / 2, 1.0)  # a fixed action stays 0
        self.register_buffer("act_half_range", th.as_tensor(half_range, dtype=th.float32))

    def fit_once(self, obs: np.ndarray) -> None:
        """Take the scaling from observations (n, *obs_shape), the first time only."""
        self.obs_scaling.fit_once(obs)

    def scale(
        self, state: th.Tensor, action: th.Tensor, next_state: th.Tensor, done: th.Tensor
    ) -> tuple[th.Tensor, th.Tensor, th.Tensor, th.Tensor]:
        """Preprocessed inputs, each (n, ...), scaled for `base`."""
        return self._scale_obs(state), self._scale_act(action), self._scale_obs(next_state), done

    def forward(
        self, state: th.Tensor, action: th.Tensor, next_state: th.Tensor, done: th.Tensor
    ) -> th.Tensor:
        """Logits (n,), high = expert."""
        return self.base(*self.scale(state, action, next_state, done))

    def _scale_obs(self, obs: th.Tensor) -> th.Tensor:
        if not self.obs_scaling.fitted:
            return obs
        return self.obs_scaling(obs).clamp(-MAX_SCALED, MAX_SCALED)

    def _scale_act(self, action: th.Tensor) -> th.Tensor:
        if not isinstance(self.action_space, spaces.Box):
            return action
        return (action - self.act_centre) / self.act_half_range


def _finite_bounds(space: spaces.Space) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of a bounded Box; -1 and 1, which scale nothing, for any other space."""
    if isinstance(space, spaces.Box) and space.is_bounded():
        return space.low.astype(np.float64), space.high.astype(np.float64)
    return np.array(-1.0), np.array(1.0)
