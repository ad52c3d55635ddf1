"""What the tests of several algorithms watch a model with: its weights, its logs, its end."""

from __future__ import annotations

from typing import Any

import torch as th
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import KVWriter


def weights(model: Any) -> dict[str, th.Tensor]:
    """Copies of what policy and discriminator consist of."""
    nets = {"policy": model.policy, "discriminator": model.discriminator.net}
    return {
        f"{prefix}.{name}": value.clone()
        for prefix, net in nets.items()
        for name, value in net.state_dict().items()
    }


def tensors(model: Any) -> dict[str, th.Tensor]:
    """Copies of what the policy consists of."""
    return {name: value.clone() for name, value in model.policy.state_dict().items()}


def same(left: dict[str, th.Tensor], right: dict[str, th.Tensor]) -> bool:
    return left.keys() == right.keys() and all(th.equal(left[name], right[name]) for name in left)


class Memory(KVWriter):
    """Keeps every row that is logged, with its step."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def write(self, key_values: dict[str, Any], key_excluded: Any, step: int = 0) -> None:
        self.rows.append({**key_values, "step": step})

    def close(self) -> None:
        pass


class StopAfter(BaseCallback):
    def __init__(self, n_calls: int) -> None:
        super().__init__()
        self.limit = n_calls

    def _on_step(self) -> bool:
        return self.n_calls < self.limit
