"""A preset: every hyperparameter of a training run, checked against its algorithm's signatures."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sb3_gail_ext.algorithms.dac import DAC
from sb3_gail_ext.algorithms.gail import GAIL
from sb3_gail_ext.presets.errors import PresetError
from sb3_gail_ext.presets.signatures import Argument, arguments_of
from sb3_gail_ext.presets.values import as_data, fit

ALGORITHMS: dict[str, Any] = {"gail": GAIL, "dac": DAC}
# Their arguments that are no hyperparameters, or that another option or the class itself gives.
_NOT_SETTABLE = {
    *("env", "demonstrations", "reward_net", "seed", "device", "verbose"),
    *("tensorboard_log", "rollout_buffer_class", "rollout_buffer_kwargs", "_init_setup_model"),
    *("replay_buffer_class", "replay_buffer_kwargs", "optimize_memory_usage"),
}


@dataclass(frozen=True)
class Preset:
    """What to train with, and for how long; without arguments, GAIL's defaults; `BASES` has all."""

    n_timesteps: int = 600_000
    n_envs: int = 8
    policy: str = "MlpPolicy"
    algorithm_kwargs: dict[str, Any] = field(default_factory=dict)
    label: str = field(default="none", compare=False)  # for people: where it is from
    algorithm: str = "gail"  # a key of `ALGORITHMS`


BASES = {"gail": Preset(), "dac": Preset(n_timesteps=100_000, n_envs=1, algorithm="dac")}

_OWN = {name: arguments_of(Preset)[name] for name in ("n_timesteps", "n_envs", "policy")}


def algorithm_arguments(algorithm: str) -> dict[str, Argument]:
    """The arguments of one of `ALGORITHMS` that `Preset.algorithm_kwargs` may hold."""
    arguments = arguments_of(ALGORITHMS[algorithm]).items()
    return {k: argument for k, argument in arguments if k not in {*_NOT_SETTABLE, *_OWN}}


def as_settings(preset: Preset) -> dict[str, Any]:
    """The preset's settings by key, as YAML writes them, where it can: what `override` takes."""
    own = {name: getattr(preset, name) for name in _OWN}
    return {key: as_data(value) for key, value in {**own, **preset.algorithm_kwargs}.items()}


def override(preset: Preset, settings: Mapping[Any, Any], where: str) -> Preset:
    """The preset with these settings, as YAML gives them, in the place of its own.

    :param where: where the settings are from, for errors.
    :raises PresetError: if a key is unknown or its value is of the wrong type.
    """
    kwargs = {
        key: check_setting(key, value, where, preset.algorithm) for key, value in settings.items()
    }
    own = {key: kwargs.pop(key) for key in _OWN if key in kwargs}
    return replace(preset, **own, algorithm_kwargs={**preset.algorithm_kwargs, **kwargs})


def check_setting(key: Any, value: Any, where: str, algorithm: str) -> Any:
    """The argument of one of `ALGORITHMS` that a key's value stands for.

    :raises PresetError: if the key is unknown or the value is of the wrong type.
    """
    known = {**_OWN, **algorithm_arguments(algorithm)}
    if key in _NOT_SETTABLE:
        raise PresetError(f"{where}: {key} cannot be set in a preset")
    if key not in known:
        nearest = difflib.get_close_matches(str(key), known, n=1, cutoff=0.0)[0]
        others = [f"--algo {a}" for a in ALGORITHMS if key in algorithm_arguments(a)]
        raise PresetError(
            f"{where}: unknown key {key!r}; the nearest known one is {nearest!r}"
            + (f", and {others[0]} knows it" if others else "")
        )
    try:
        argument = fit(value, known[key].annotation)
    except (TypeError, RecursionError) as error:  # the latter: a list that holds itself
        raise PresetError(f"{where}: {key} is {reprlib.repr(value)}; {error}") from error
    if key in ("n_timesteps", "n_envs") and argument < 1:
        raise PresetError(f"{where}: {key} is {argument}; give a positive number")
    policies = ALGORITHMS[algorithm].policy_aliases
    if key == "policy" and argument not in policies:
        names = ", ".join(policies)
        raise PresetError(f"{where}: policy is {argument!r}; give one of {names}")
    return argument
