"""The chapter's layers and its discriminator.

Source: "Play Video Games with Generative AI: GAIL", chapter 12 of *Generative AI with Python and
TensorFlow 2*.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

import gymnasium as gym
import numpy as np
import torch as th
from imitation.rewards.reward_nets import RewardNet
from stable_baselines3.common.preprocessing import get_flattened_obs_dim
from torch import nn

from sb3_gail_ext.chapter.objectives import chapter_reward
from sb3_gail_ext.rewards.storage import load_component, save_component

Variant = Literal["printed", "corrected"]


def check_variant(variant: str) -> None:
    """Refuse anything but the two variants."""
    if variant not in get_args(Variant):
        raise ValueError(f"variant must be one of {get_args(Variant)}, not {variant!r}")


class UntrainedBatchNorm(nn.Module):
    """Keras' ``BatchNormalization`` as the chapter runs it: (batch, n) -> (batch, n).

    The chapter never calls its networks in training mode, so the moving mean stays 0 and the
    moving variance 1: what is left is a trainable scale and shift, divided by the root of
    ``1 + epsilon`` (Keras' default epsilon, 1e-3).
    """

    EPSILON = 1e-3

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(th.ones(num_features))  # gamma
        self.bias = nn.Parameter(th.zeros(num_features))  # beta

    def forward(self, x: th.Tensor) -> th.Tensor:
        return x * self.weight / (1 + self.EPSILON) ** 0.5 + self.bias


def chapter_layers(n_inputs: int, hidden_size: int, num_layers: int, variant: str) -> nn.ModuleList:
    """The chapter's list ``[Dense + ReLU, norm, Dense + ReLU, norm, ...]``.

    *Corrected* normalises with ``LayerNorm`` rather than with a batch norm that works. Batch
    statistics would mix expert and agent, or betray the label where each has its own batch; the
    two come apart during training, so the running statistics that rewards are computed with lag
    behind those that were trained with; per-sample gradient penalties lose their meaning; and
    PPO's ratio would not start at 1, as rollouts are collected in evaluation mode.
    """
    norm = UntrainedBatchNorm if variant == "printed" else nn.LayerNorm
    layers = nn.ModuleList()
    for _ in range(num_layers):
        layers += [nn.Sequential(nn.Linear(n_inputs, hidden_size), nn.ReLU()), norm(hidden_size)]
        n_inputs = hidden_size
    return layers


def initialise_as_keras(module: nn.Module) -> None:
    """Glorot-uniform kernels and zero biases, Keras' defaults for ``Dense``; for ``apply``."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)


class ChapterDiscriminator(RewardNet):
    """The chapter's discriminator on (observation, action) as an ``imitation`` ``RewardNet``.

    ``forward`` returns a logit that is high for the *expert*, as ``imitation``'s and this
    package's trainers expect; ``chapter_logit`` has the chapter's sign (expert 0, agent 1).

    *Printed*: batch norm that only scales and shifts, and the doubly squashed loss. That loss is
    what any trainer's binary cross-entropy becomes when it is given ``-sigmoid(chapter_logit)``
    for a logit; so ``forward`` returns this in training mode, in which discriminators are
    updated, and the plain logit in evaluation mode, in which rewards are computed.

    *Corrected*: layer norm (``chapter_layers`` says why), and one and the same logit in both
    modes, so that the trainer's loss is the plain cross-entropy.

    Unlike the chapter's actor-critic, its discriminator does use all of its hidden layers.
    """

    def __init__(
        self,
        observation_space: gym.Space,
        action_space: gym.Space,
        *,
        variant: Variant = "corrected",
        hidden_size: int = 32,
        num_layers: int = 2,
        normalize_images: bool = True,
    ) -> None:
        """
        :param variant: ``"corrected"`` or ``"printed"``
        :param hidden_size: units in each hidden layer
        :param num_layers: hidden layers
        :param normalize_images: divide image observations by 255, as in ``RewardNet``
        """
        check_variant(variant)
        if hidden_size < 1 or num_layers < 1:
            raise ValueError("hidden_size and num_layers must be at least 1")
        super().__init__(observation_space, action_space, normalize_images)
        self.variant = variant
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        n_inputs = get_flattened_obs_dim(observation_space) + get_flattened_obs_dim(action_space)
        self.layers = chapter_layers(n_inputs, hidden_size, num_layers, variant)
        self.output = nn.Linear(hidden_size, 1)
        self.apply(initialise_as_keras)

    def chapter_logit(self, state: th.Tensor, action: th.Tensor) -> th.Tensor:
        """Logit of "this is the agent": preprocessed (batch, ...) and (batch, ...) -> (batch,)."""
        x = th.cat([state.flatten(1), action.flatten(1)], dim=1)
        for layer in self.layers:
            x = layer(x)
        return self.output(x).squeeze(1)

    def forward(
        self, state: th.Tensor, action: th.Tensor, next_state: th.Tensor, done: th.Tensor
    ) -> th.Tensor:
        """Logit of "this is the expert", shape (batch,); see the class for the printed variant."""
        del next_state, done  # the chapter's discriminator sees neither
        chapter_logit = self.chapter_logit(state, action)
        if self.variant == "printed" and self.training:
            chapter_logit = th.sigmoid(chapter_logit)
        return -chapter_logit

    def predict_chapter_reward(
        self, state: np.ndarray, action: np.ndarray, next_state: np.ndarray, done: np.ndarray
    ) -> np.ndarray:
        """The reward that the chapter trains its agent on: arrays (batch, ...) -> (batch,)."""
        chapter_logit = -self.predict_th(state, action, next_state, done)
        return chapter_reward(chapter_logit).cpu().numpy()

    def save(self, path: str | Path) -> None:
        """Write weights and settings to one file that can be read without running code from it."""
        settings = {
            name: getattr(self, name)
            for name in ("variant", "hidden_size", "num_layers", "normalize_images")
        }
        save_component(path, self, settings)

    @classmethod
    def load(cls, path: str | Path, device: th.device | str = "cpu") -> ChapterDiscriminator:
        """Read a discriminator that ``save`` wrote."""
        saved = load_component(path, cls.__name__, device)
        discriminator = cls(saved.observation_space, saved.action_space, **saved.settings)
        discriminator.load_state_dict(saved.state_dict)
        return discriminator.to(device)
