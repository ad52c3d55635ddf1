"""Policies that see observations as scaled by the demonstrations."""

from __future__ import annotations

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.preprocessing import get_flattened_obs_dim
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor

from sb3_gail_ext.demonstrations.scaling import ObservationScaling


class ScaledFlattenExtractor(BaseFeaturesExtractor):
    """SB3's FlattenExtractor behind the demonstrations' scaling: (batch, *shape) to (batch, D).

    In the place of VecNormalize, for a learner that knows before it starts where it should end: the
    scaling does not drift, and it is part of the policy, so that prediction needs no wrapper. It
    does not clip, or it could not be folded into a layer.
    """

    def __init__(self, observation_space: spaces.Space) -> None:
        super().__init__(observation_space, get_flattened_obs_dim(observation_space))
        self.scaling = ObservationScaling(observation_space)

    def fit_once(self, obs: np.ndarray) -> None:
        """Take the scaling from observations (n, *shape), the first time only."""
        self.scaling.fit_once(obs)

    def forward(self, observations: th.Tensor) -> th.Tensor:
        scaled: th.Tensor = self.scaling(observations)
        return scaled.flatten(1)


def fit_scaling(policy: th.nn.Module, obs: np.ndarray) -> None:
    """Fit the scaling of a policy, of actor and critic where they have one each."""
    for module in policy.modules():
        if isinstance(module, ScaledFlattenExtractor):
            module.fit_once(obs)


def fold_scaling(policy: ActorCriticPolicy) -> dict[str, th.Tensor]:
    """The weights of `policy` without its scaling, which the first layers take over, exactly.

    W((x - mean) / std) + b = (W / std) x + (b - (W / std) mean): a plain FlattenExtractor with
    these weights predicts the same.

    :param policy: one with ScaledFlattenExtractors.
    :returns: its state dict as that of a policy with SB3's FlattenExtractor.
    """
    weights = {
        name: value.clone()
        for name, value in policy.state_dict().items()
        if "features_extractor." not in name
    }
    towers = (
        (policy.pi_features_extractor, "mlp_extractor.policy_net.0", "action_net"),
        (policy.vf_features_extractor, "mlp_extractor.value_net.0", "value_net"),
    )
    for extractor, hidden, head in towers:
        assert isinstance(extractor, ScaledFlattenExtractor)
        if extractor.scaling.applies:
            layer = hidden if f"{hidden}.weight" in weights else head
            mean, std = extractor.scaling.mean.flatten(), extractor.scaling.std.flatten()
            weights[f"{layer}.weight"] = weights[f"{layer}.weight"] / std
            weights[f"{layer}.bias"] -= weights[f"{layer}.weight"] @ mean
    return weights
