"""A learned reward on its own: apart from the policy that it was learned against, and in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch as th
from imitation.rewards.reward_nets import RewardNet
from stable_baselines3.common.vec_env import VecEnv

from sb3_gail_ext.atomic import atomically
from sb3_gail_ext.rewards.absorbing import AbsorbingRewardNet, with_indicator
from sb3_gail_ext.rewards.descriptions import build, describe
from sb3_gail_ext.rewards.networks import NormalizedRewardNet
from sb3_gail_ext.rewards.objectives import REWARD_FORMS
from sb3_gail_ext.rewards.storage import load_component, save_component
from sb3_gail_ext.rewards.vec_env import LearnedRewardVecEnv


class LearnedReward(RewardNet):
    """An `imitation` RewardNet that returns what a generator was, or could be, trained on.

    Takes transitions as the environment gives them, of Dict observations as flat rows: scaling by
    the demonstrations is inside. `predict(obs, acts, next_obs, dones)` gives float32 (batch,).

    :param net: returns logits (or, of AIRL, the recovered reward), its scaling fitted.
    :param reward_form: how they become rewards, a key of `REWARD_FORMS`.
    """

    def __init__(self, net: NormalizedRewardNet, reward_form: str) -> None:
        super().__init__(net.observation_space, net.action_space, net.normalize_images)
        self.net = net
        self.reward_form = reward_form

    def forward(
        self, state: th.Tensor, action: th.Tensor, next_state: th.Tensor, done: th.Tensor
    ) -> th.Tensor:
        """Preprocessed inputs to rewards (batch,)."""
        rewards: th.Tensor = REWARD_FORMS[self.reward_form](
            self.net(state, action, next_state, done)
        )
        return rewards

    def wrap(self, venv: VecEnv) -> LearnedRewardVecEnv:
        """`venv` with this reward in the place of its own, for any SB3 algorithm.

        >>> venv = load_reward("reward.pt").wrap(make_vec_env("Hopper-v4", n_envs=8))
        >>> PPO("MlpPolicy", venv).learn(1_000_000)

        :raises ValueError: if its spaces are others, or it has a VecNormalize below.
        """
        return LearnedRewardVecEnv(venv, self)


def save_reward(reward: LearnedReward, path: str | Path) -> None:
    """Weights and settings, in one file that holds no code, in the place of what was there.

    A net of a class of your own is saved without its architecture: give `load_reward` one.

    :raises ValueError: if its spaces are neither Box nor Discrete.
    :raises OSError: if it cannot be written.
    """
    settings = {
        "reward_form": reward.reward_form,
        "absorbing": isinstance(reward.net, AbsorbingRewardNet),
        "net": describe(reward.net.base),
        "net_class": type(reward.net.base).__name__,
    }
    with atomically(Path(path)) as temporary:
        save_component(temporary, reward, settings)


def load_reward(
    path: str | Path, *, reward_net: RewardNet | None = None, device: th.device | str = "cpu"
) -> LearnedReward:
    """Read what a model's `save_reward` wrote; nothing in the file is run.

    :param reward_net: of the same class and shape as the one that was trained, where that was a
        class of your own; its weights are replaced.
    :raises ValueError: if the file is no reward, or its net's class is unknown.
    """
    saved = load_component(path, LearnedReward.__name__, device)
    settings = saved.settings
    net = reward_net or _build(path, settings, saved.observation_space, saved.action_space)
    normalized = (
        AbsorbingRewardNet(net, saved.observation_space)
        if settings["absorbing"]
        else NormalizedRewardNet(net, saved.observation_space)
    )
    reward = LearnedReward(normalized, settings["reward_form"])
    try:
        reward.load_state_dict(saved.state_dict)
    except RuntimeError as error:
        raise ValueError(f"{path}: {' '.join(str(error).split())}") from error
    return reward.to(device).eval()


def _build(
    path: str | Path, settings: dict[str, Any], observation_space: Any, action_space: Any
) -> RewardNet:
    if settings["net"] is None:
        raise ValueError(
            f"{path}: the reward is a {settings['net_class']}, which only its own code can build; "
            "pass load_reward(path, reward_net=...) one"
        )
    space = observation_space
    if settings["absorbing"]:
        space = with_indicator(space)
    return build(settings["net"], space, action_space)
