"""The columns of the matrix: every algorithm, as small as it goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium as gym
from gymnasium import spaces
from sb3_contrib import TQC, TRPO
from stable_baselines3 import A2C, TD3
from stable_baselines3.common.vec_env import VecEnv
from walk import ACTIONS, Constant, Walk, expert_of

from sb3_gail_ext import AIRL, BC, DAC, GAIL, DAgger, GAIfO, adversarial
from sb3_gail_ext.algorithms.sqil import SQILWithDQN, SQILWithSAC

STEPS = 32  # that one `learn` takes in most rows

_ROLLOUTS = {"n_steps": 16, "discriminator_batch_size": 16}
_CLONED = {"warm_start_updates": 2}
_MINIBATCHES = {"batch_size": 16, "n_epochs": 1}
_PPO = {**_ROLLOUTS, **_CLONED, **_MINIBATCHES, "critic_warm_up_rollouts": 0}
_REPLAY = {"buffer_size": 200, "learning_starts": 4, "batch_size": 8, "train_freq": 4}
_DAC = {**_REPLAY, **_CLONED, "critic_warm_up_updates": 1, "discriminator_batch_size": 8}


@dataclass(frozen=True)
class Algorithm:
    """One column.

    :param actions: what the ordinary rows use: a key of `walk.ACTIONS`.
    """

    name: str
    cls: Any
    settings: dict[str, Any]
    actions: str = "box"

    def __str__(self) -> str:
        return self.name

    @property
    def replays(self) -> bool:
        return "buffer_size" in self.settings

    @property
    def discriminates(self) -> bool:
        return "discriminator_batch_size" in self.settings

    @property
    def steps_per_call(self) -> int:
        """Timesteps between two calls of a callback, with one environment."""
        return self.settings["batch_size"] if self.cls is BC else 1

    def env(self, observations: str = "array", actions: str | None = None, **kwargs: Any) -> Walk:
        return Walk(observations, actions or self.actions, **kwargs)

    def untaught(self, env: Any = None, policy: Any = None, **kwargs: Any) -> Any:
        """A model that has seen no demonstrations yet."""
        env = self.env() if env is None else env
        settings = {
            "device": "cpu",
            "seed": 0,
            "policy_kwargs": small(env),
            **self.settings,
            **kwargs,
        }
        if self.cls is DAgger:
            settings.setdefault("expert", Constant(_of(env).action_space))
        return self.cls(policy or policy_for(env), env, **settings)

    def make(self, env: Any = None, policy: Any = None, *, like: str = "", **kwargs: Any) -> Any:
        """A model that is ready to learn.

        :param env: a new Walk by default.
        :param like: whose demonstrations, as in `expert_of`.
        """
        return self.untaught(env, policy, demonstrations=self.expert(like), **kwargs)

    def teach(self, model: Any) -> None:
        """What must be attached to a model after `load`."""
        model.set_demonstrations(self.expert())
        if self.cls is DAgger:
            model.set_expert(Constant(ACTIONS[self.actions]))

    def expert(self, like: str = "") -> Any:
        like = like or "array"
        stacked = 2 if like.endswith("stacked") else 1
        kind = like.removesuffix(" stacked")
        if kind in ("array", "float64", "picture", "dict", "boxes"):
            kind = f"{kind} {self.actions}"
        return expert_of(kind, stacked)


COLUMNS = (
    Algorithm("GAIL", GAIL, _PPO),
    Algorithm("AIRL", AIRL, _PPO),
    Algorithm("GAIfO", GAIfO, {**_ROLLOUTS, **_MINIBATCHES}),
    Algorithm("TRPO", adversarial(TRPO), {**_ROLLOUTS, **_CLONED, "batch_size": 16}),
    Algorithm("A2C", adversarial(A2C), {**_ROLLOUTS, **_CLONED, "critic_warm_up_rollouts": 0}),
    Algorithm("DAC", DAC, _DAC),
    Algorithm("TD3", adversarial(TD3), _DAC),
    Algorithm("TQC", adversarial(TQC), _DAC),
    Algorithm("SQIL (DQN)", SQILWithDQN, _REPLAY, "discrete"),
    Algorithm("SQIL (SAC)", SQILWithSAC, _REPLAY),
    Algorithm("BC", BC, {"batch_size": 8}),
    Algorithm("DAgger", DAgger, {"batch_size": 8, "steps_per_round": 16, "updates_per_round": 2}),
)
TITLES = {"TRPO": "`adversarial(TRPO)`", "A2C": "`adversarial(A2C)`", "TD3": "`adversarial(TD3)`"}
TITLES |= {"TQC": "`adversarial(TQC)`"}


def _of(env: Any) -> Any:
    """The environment itself, or a new one of an id."""
    return gym.make(env) if isinstance(env, str) else env


def policy_for(env: Any) -> str:
    space = _of(env).observation_space
    if isinstance(space, spaces.Dict):
        return "MultiInputPolicy"
    return "CnnPolicy" if len(space.shape or ()) == 3 else "MlpPolicy"


def small(env: Any) -> dict[str, Any]:
    net: dict[str, Any] = {"net_arch": [8]}
    if policy_for(env) == "CnnPolicy":
        net["features_extractor_kwargs"] = {"features_dim": 8}
    return net


def reset(venv: VecEnv | None) -> Any:
    """Observations to predict from."""
    assert venv is not None
    return venv.reset()
