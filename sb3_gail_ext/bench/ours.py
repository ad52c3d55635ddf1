"""This package's algorithms as methods: functions `(task, seed, settings) -> Method`."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.utils import set_random_seed

from sb3_gail_ext.algorithms.adversarial import adversarial
from sb3_gail_ext.algorithms.airl import AIRL
from sb3_gail_ext.algorithms.bc import BC
from sb3_gail_ext.algorithms.dac import DAC
from sb3_gail_ext.algorithms.dagger import DAgger
from sb3_gail_ext.algorithms.gail import GAIL
from sb3_gail_ext.algorithms.sqil import SQIL
from sb3_gail_ext.bench.method import BetweenRollouts, Method, sb3_method
from sb3_gail_ext.bench.task import Task
from sb3_gail_ext.chapter import CHAPTER_GENERATORS, Variant, chapter_gail_kwargs
from sb3_gail_ext.presets.preset import BASES, Preset, as_settings, override
from sb3_gail_ext.presets.resolved import resolve

N_ENVS = 8


def gail(task: Task, seed: int, settings: dict[str, Any]) -> Method:
    """This package's GAIL; `settings` are those of a preset, as YAML writes them."""
    return _on_policy(GAIL, task, seed, settings)


def airl(task: Task, seed: int, settings: dict[str, Any]) -> Method:
    """This package's AIRL, as `gail`."""
    return _on_policy(AIRL, task, seed, settings)


def _on_policy(algorithm: Any, task: Task, seed: int, settings: dict[str, Any]) -> Method:
    preset = override(Preset(n_envs=N_ENVS), settings, "settings")
    venv = make_vec_env(task.env_id, n_envs=preset.n_envs, seed=seed)
    model = algorithm(
        preset.policy, venv, task.load(seed), seed=seed, device="cpu", **preset.algorithm_kwargs
    )
    return sb3_method(
        model,
        _all_settings(preset, model),
        discriminator=(model, "_update_discriminator"),
        relabelling=(model.rollout_buffer, "relabel"),
        rehearsal=(model, "_rehearse"),
    )


def dac(task: Task, seed: int, settings: dict[str, Any]) -> Method:
    """This package's DAC, in one environment like `sac`; `settings` are its arguments."""
    venv = make_vec_env(task.env_id, n_envs=1, seed=seed)
    model = DAC("MlpPolicy", venv, task.load(seed), seed=seed, device="cpu", **settings)
    preset = replace(BASES["dac"], algorithm_kwargs=settings)
    return sb3_method(
        model,
        _all_settings(preset, model),
        discriminator=(model, "_update_discriminator"),
        relabelling=(model.replay_buffer, "sample"),
        rehearsal=(model, "_before_actor_step"),
    )


def _all_settings(preset: Preset, model: BaseAlgorithm) -> dict[str, Any]:
    """Those of a run, defaults included; as text, what JSON cannot hold."""
    known = as_settings(resolve(preset, model))
    del known["n_timesteps"]  # not the preset's here
    as_text: dict[str, Any] = json.loads(json.dumps(known, default=str))
    return as_text


def sqil(task: Task, seed: int, settings: dict[str, Any]) -> Method:
    """This package's SQIL, in one environment; `settings` are its arguments."""
    venv = make_vec_env(task.env_id, n_envs=1, seed=seed)
    return sb3_method(SQIL("MlpPolicy", venv, task.load(seed), seed=seed, device="cpu", **settings))


def chapter_printed(task: Task, seed: int, settings: dict[str, Any]) -> Method:
    """The chapter's GAIL as printed, in one environment; `settings` replace the chapter's."""
    return _chapter("printed", task, seed, settings)


def chapter_corrected(task: Task, seed: int, settings: dict[str, Any]) -> Method:
    """The chapter's GAIL without its errors, as `chapter_printed`."""
    return _chapter("corrected", task, seed, settings)


def _chapter(variant: Variant, task: Task, seed: int, settings: dict[str, Any]) -> Method:
    venv = make_vec_env(task.env_id, n_envs=1, seed=seed)
    set_random_seed(seed)  # its discriminator is made before SB3 seeds anything
    chosen = {**chapter_gail_kwargs(variant, venv), **settings}
    trainer = adversarial(CHAPTER_GENERATORS[variant])
    return sb3_method(
        trainer(env=venv, demonstrations=task.load(seed), seed=seed, device="cpu", **chosen)
    )


def dagger(task: Task, seed: int, settings: dict[str, Any]) -> Method:
    """This package's DAgger, in one environment; `settings` are its arguments, `expert` too."""
    venv = make_vec_env(task.env_id, n_envs=1, seed=seed)
    return sb3_method(
        DAgger("MlpPolicy", venv, task.load(seed), seed=seed, device="cpu", **settings)
    )


def behaviour_cloning(task: Task, seed: int, settings: dict[str, Any]) -> Method:
    """This package's behaviour cloning; no environment step, `total_timesteps` are draws."""
    draws = {key: settings.pop(key) for key in ("total_timesteps",) if key in settings}
    venv = make_vec_env(task.env_id, n_envs=1, seed=seed)
    model = BC("MlpPolicy", venv, task.load(seed), seed=seed, device="cpu", **settings)

    def learn(total_timesteps: int, between_rollouts: BetweenRollouts) -> None:
        model.learn(**draws, log_interval=None)
        between_rollouts(0)

    return Method(model, learn)
