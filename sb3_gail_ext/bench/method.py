"""What is measured: something that learns and can be evaluated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from stable_baselines3 import SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback

BetweenRollouts = Callable[[int], None]  # is given the environment steps so far


@dataclass(frozen=True)
class Method:
    """Something that learns and can be evaluated."""

    model: Any  # has `predict`
    learn: Callable[[int, BetweenRollouts], None]
    stages: dict[str, tuple[Any, str]] = field(default_factory=dict)  # name: object, its method
    settings: dict[str, Any] = field(default_factory=dict)  # all that it has, defaults included


class _BetweenRollouts(BaseCallback):
    """Calls `function` before each rollout and at the end, when the policy is at rest."""

    def __init__(self, function: BetweenRollouts) -> None:
        super().__init__()
        self.function = function

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        self.function(self.num_timesteps)

    def _on_training_end(self) -> None:
        self.function(self.num_timesteps)


def sb3_method(
    model: BaseAlgorithm, settings: dict[str, Any] | None = None, **stages: tuple[Any, str]
) -> Method:
    """Any SB3 algorithm, with `stages` to time beyond its own."""

    def learn(total_timesteps: int, between_rollouts: BetweenRollouts) -> None:
        model.learn(total_timesteps, callback=_BetweenRollouts(between_rollouts))

    return Method(model, learn, {**sb3_stages(model), **stages}, settings or {})


def sb3_stages(model: Any) -> dict[str, tuple[Any, str]]:
    """The stages of SB3's own loops, to time."""
    # DAC has several policies that act.
    acts = (model, "_sample_action") if isinstance(model, SAC) else (model.policy, "forward")
    return {
        "environment": (model.env.unwrapped, "step_wait"),  # below what wraps it
        "policy": acts,
        "generator": (model, "train"),
    }
