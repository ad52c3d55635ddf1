"""Who is measured: this package, `imitation`'s GAIL, plain SB3 algorithms, behaviour cloning.

Every method is a function `(task, seed, settings) -> Method`; `METHODS` lists them.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from imitation.algorithms import bc
from imitation.algorithms.adversarial.gail import GAIL as ImitationGAIL
from imitation.rewards.reward_nets import BasicRewardNet
from imitation.util import logger as imitation_logger
from imitation.util.networks import RunningNorm
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.utils import set_random_seed

from sb3_gail_ext.algorithms.bc import BC
from sb3_gail_ext.algorithms.dac import DAC
from sb3_gail_ext.algorithms.gail import GAIL
from sb3_gail_ext.bench.task import Task
from sb3_gail_ext.presets.preset import Preset, override

N_ENVS = 8
# SB3's defaults for PPO, with the 2,048 steps of a rollout spread over eight environments.
PPO_SETTINGS: dict[str, Any] = {
    "n_steps": 256,
    "batch_size": 64,
    "n_epochs": 10,
    "learning_rate": 3e-4,
}

BetweenRollouts = Callable[[int], None]  # is given the environment steps so far


@dataclass(frozen=True)
class Method:
    """Something that learns and can be evaluated."""

    model: Any  # has `predict`
    learn: Callable[[int, BetweenRollouts], None]
    stages: dict[str, tuple[Any, str]] = field(default_factory=dict)  # name: object, its method


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


def sb3_method(model: BaseAlgorithm, **stages: tuple[Any, str]) -> Method:
    """Any SB3 algorithm, with `stages` to time beyond its own."""

    def learn(total_timesteps: int, between_rollouts: BetweenRollouts) -> None:
        model.learn(total_timesteps, callback=_BetweenRollouts(between_rollouts))

    return Method(model, learn, {**_sb3_stages(model), **stages})


def _sb3_stages(model: Any) -> dict[str, tuple[Any, str]]:
    # DAC has several policies that act.
    acts = (model, "_sample_action") if isinstance(model, SAC) else (model.policy, "forward")
    return {
        "environment": (model.env.unwrapped, "step_wait"),  # below what wraps it
        "policy": acts,
        "generator": (model, "train"),
    }


def gail(task: Task, seed: int, settings: dict[str, Any]) -> Method:
    """This package's GAIL; `settings` are those of a preset, as YAML writes them."""
    preset = override(Preset(n_envs=N_ENVS), settings, "settings")
    venv = make_vec_env(task.env_id, n_envs=preset.n_envs, seed=seed)
    model = GAIL(
        preset.policy, venv, task.load(seed), seed=seed, device="cpu", **preset.algorithm_kwargs
    )
    return sb3_method(
        model,
        discriminator=(model, "_update_discriminator"),
        relabelling=(model.rollout_buffer, "relabel"),
        rehearsal=(model, "_rehearse"),
    )


def dac(task: Task, seed: int, settings: dict[str, Any]) -> Method:
    """This package's DAC, in one environment like `sac`; `settings` are its arguments."""
    venv = make_vec_env(task.env_id, n_envs=1, seed=seed)
    model = DAC("MlpPolicy", venv, task.load(seed), seed=seed, device="cpu", **settings)
    return sb3_method(
        model,
        discriminator=(model, "_update_discriminator"),
        relabelling=(model.replay_buffer, "sample"),
        rehearsal=(model, "_before_actor_step"),
    )


def ppo(task: Task, seed: int, settings: dict[str, Any]) -> Method:
    """Plain PPO on the true reward."""
    venv = make_vec_env(task.env_id, n_envs=N_ENVS, seed=seed)
    return sb3_method(
        PPO("MlpPolicy", venv, seed=seed, device="cpu", **{**PPO_SETTINGS, **settings})
    )


def sac(task: Task, seed: int, settings: dict[str, Any]) -> Method:
    """Plain SAC on the true reward, SB3's defaults."""
    venv = make_vec_env(task.env_id, n_envs=1, seed=seed)
    return sb3_method(SAC("MlpPolicy", venv, seed=seed, device="cpu", **settings))


def imitation_gail(task: Task, seed: int, settings: dict[str, Any]) -> Method:
    """`imitation`'s GAIL on SB3-default PPO; `settings` are those of its trainer."""
    venv = make_vec_env(task.env_id, n_envs=N_ENVS, seed=seed)
    generator = PPO("MlpPolicy", venv, seed=seed, device="cpu", **PPO_SETTINGS)
    net = BasicRewardNet(
        venv.observation_space, venv.action_space, normalize_input_layer=RunningNorm
    )
    demonstrations = task.load(seed)
    n_transitions = sum(len(episode) for episode in demonstrations)
    trainer = ImitationGAIL(
        demonstrations=demonstrations,
        venv=venv,
        gen_algo=generator,
        reward_net=net,
        **{
            "demo_batch_size": min(1024, n_transitions),  # it refuses to draw more
            "n_disc_updates_per_round": 4,
            **settings,
        },
        allow_variable_horizon=True,  # episodes end early here as they do for every other method
        custom_logger=imitation_logger.configure(tempfile.mkdtemp(), format_strs=[]),
    )

    def learn(total_timesteps: int, between_rollouts: BetweenRollouts) -> None:
        between_rollouts(0)
        rounds = math.ceil(total_timesteps / trainer.gen_train_timesteps)  # as SB3 rounds: up
        trainer.train(
            rounds * trainer.gen_train_timesteps,
            callback=lambda _: between_rollouts(generator.num_timesteps),
        )

    stages = {
        **_sb3_stages(generator),
        "discriminator": (trainer, "train_disc"),
        "relabelling": (trainer.venv_wrapped, "reward_fn"),
    }
    return Method(generator, learn, stages)


def behaviour_cloning(task: Task, seed: int, settings: dict[str, Any]) -> Method:
    """This package's behaviour cloning; no environment step, `total_timesteps` are draws."""
    draws = {key: settings.pop(key) for key in ("total_timesteps",) if key in settings}
    venv = make_vec_env(task.env_id, n_envs=1, seed=seed)
    model = BC("MlpPolicy", venv, task.load(seed), seed=seed, device="cpu", **settings)

    def learn(total_timesteps: int, between_rollouts: BetweenRollouts) -> None:
        model.learn(**draws, log_interval=None)
        between_rollouts(0)

    return Method(model, learn)


def imitation_behaviour_cloning(task: Task, seed: int, settings: dict[str, Any]) -> Method:
    """`imitation`'s behaviour cloning of PPO's policy; no environment step."""
    set_random_seed(seed)
    venv = make_vec_env(task.env_id, n_envs=1, seed=seed)
    policy = ActorCriticPolicy(venv.observation_space, venv.action_space, lambda _: 1e-3)
    trainer = bc.BC(
        observation_space=venv.observation_space,
        action_space=venv.action_space,
        rng=np.random.default_rng(seed),
        policy=policy,
        demonstrations=task.load(seed),
        custom_logger=imitation_logger.configure(tempfile.mkdtemp(), format_strs=[]),
    )

    def learn(total_timesteps: int, between_rollouts: BetweenRollouts) -> None:
        trainer.train(n_epochs=settings.get("n_epochs", 50), progress_bar=False)
        between_rollouts(0)

    return Method(policy, learn)


METHODS: dict[str, Callable[[Task, int, dict[str, Any]], Method]] = {
    "gail": gail,
    "dac": dac,
    "imitation": imitation_gail,
    "ppo": ppo,
    "sac": sac,
    "bc": behaviour_cloning,
    "imitation_bc": imitation_behaviour_cloning,
}
