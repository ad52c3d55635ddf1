"""How the rows look at a model: its answers, its weights, its learning rate, the moment's state."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.preprocessing import get_flattened_obs_dim
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor

PLACES = np.array([[-1.5, 0.1], [-0.3, 0.4], [0.0, 0.0], [0.6, 0.7], [1.9, 0.3]], np.float32)


def answers(model: Any) -> np.ndarray:
    """To five observations of the array Walk."""
    return np.asarray(model.predict(PLACES, deterministic=True)[0])


def parameters(model: Any) -> dict[str, Any]:
    """Copies of all that `get_parameters` returns."""
    return copy.deepcopy(model.get_parameters())


def same(left: Any, right: Any) -> bool:
    """Two nests of dictionaries and lists with the same tensors and numbers."""
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[k], right[k]) for k in left)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    return th.equal(left, right) if isinstance(left, th.Tensor) else left == right


def optimizer(model: Any) -> th.optim.Optimizer:
    """The one that `learning_rate` is for: the critics' where they have their own."""
    critic = getattr(model.policy, "critic", None)
    return model.policy.optimizer if critic is None else critic.optimizer


class AtCall(BaseCallback):
    """Looks at the model once, at the n-th step."""

    def __init__(self, n: int, look: Callable[[Any], Any]) -> None:
        super().__init__()
        self.n, self.look = n, look
        self.seen: Any = None

    def _on_step(self) -> bool:
        if self.n_calls == self.n:
            self.seen = self.look(self.model)
        return True


class Halving:
    """A schedule that remembers when it was asked."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    def __call__(self, progress_remaining: float) -> float:
        self.asked.append(progress_remaining)
        return 1e-3 * (1 + progress_remaining)


class Layers(BaseFeaturesExtractor):
    """A features extractor of the user's, with what behaves differently in training."""

    def __init__(self, observation_space: Any, width: int = 3) -> None:
        super().__init__(observation_space, width)
        self.net = th.nn.Sequential(
            th.nn.Flatten(),
            th.nn.Linear(get_flattened_obs_dim(observation_space), width),
            th.nn.BatchNorm1d(width),
            th.nn.Dropout(0.5),
        )

    def forward(self, observations: th.Tensor) -> th.Tensor:
        features: th.Tensor = self.net(observations)
        return features


def extractors(model: Any) -> list[Layers]:
    return [module for module in model.policy.modules() if isinstance(module, Layers)]
