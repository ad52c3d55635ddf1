"""Who this package is measured against: `imitation`'s GAIL and cloning, plain PPO and SAC."""

from __future__ import annotations

import math
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from imitation.algorithms import bc
from imitation.algorithms.adversarial.gail import GAIL as ImitationGAIL
from imitation.rewards.reward_nets import BasicRewardNet
from imitation.util import logger as imitation_logger
from imitation.util.logger import HierarchicalLogger
from imitation.util.networks import RunningNorm
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.utils import set_random_seed

from sb3_gail_ext.bench.method import BetweenRollouts, Method, sb3_method, sb3_stages
from sb3_gail_ext.bench.ours import N_ENVS
from sb3_gail_ext.bench.task import Task

# SB3's defaults for PPO, with the 2,048 steps of a rollout spread over eight environments.
PPO_SETTINGS: dict[str, Any] = {
    "n_steps": 256,
    "batch_size": 64,
    "n_epochs": 10,
    "learning_rate": 3e-4,
}


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
    scratch = TemporaryDirectory()  # its logger has to have a folder
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
        custom_logger=imitation_logger.configure(scratch.name, format_strs=[]),
    )

    def learn(total_timesteps: int, between_rollouts: BetweenRollouts) -> None:
        between_rollouts(0)
        rounds = math.ceil(total_timesteps / trainer.gen_train_timesteps)  # as SB3 rounds: up
        trainer.train(
            rounds * trainer.gen_train_timesteps,
            callback=lambda _: between_rollouts(generator.num_timesteps),
        )
        scratch.cleanup()

    stages = {
        **sb3_stages(generator),
        "discriminator": (trainer, "train_disc"),
        "relabelling": (trainer.venv_wrapped, "reward_fn"),
    }
    return Method(generator, learn, stages)


def imitation_behaviour_cloning(task: Task, seed: int, settings: dict[str, Any]) -> Method:
    """`imitation`'s behaviour cloning of PPO's policy; no environment step.

    :param settings: `n_epochs` or `n_batches`, of 32 transitions each; 50 epochs by default.
    :raises ValueError: if there is another one.
    """
    unknown = settings.keys() - {"n_epochs", "n_batches"}
    if unknown:
        raise ValueError(f"imitation_bc has no setting {min(unknown)}; give n_epochs or n_batches")
    set_random_seed(seed)
    venv = make_vec_env(task.env_id, n_envs=1, seed=seed)
    policy = ActorCriticPolicy(venv.observation_space, venv.action_space, lambda _: 1e-3)
    demonstrations = task.load(seed)
    trainer = bc.BC(
        observation_space=venv.observation_space,
        action_space=venv.action_space,
        rng=np.random.default_rng(seed),
        policy=policy,
        demonstrations=demonstrations,
        batch_size=min(32, sum(map(len, demonstrations))),  # it refuses to draw more
        custom_logger=HierarchicalLogger(Logger(None, [])),
    )
    length = settings or {"n_epochs": 50}

    def learn(total_timesteps: int, between_rollouts: BetweenRollouts) -> None:
        trainer.train(**length, progress_bar=False)
        between_rollouts(0)

    return Method(policy, learn, settings=length)
