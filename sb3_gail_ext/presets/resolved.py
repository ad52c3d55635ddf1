"""The settings that a run really has, written as a preset file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm

from sb3_gail_ext.atomic import atomically
from sb3_gail_ext.presets.errors import PresetError
from sb3_gail_ext.presets.preset import Preset, algorithm_arguments, as_settings, check_setting
from sb3_gail_ext.presets.values import as_data
from sb3_gail_ext.presets.yaml_text import write_yaml

_HEADER = "# Every setting of a run. To repeat it: sb3-gail train --algo {} --preset THIS_FILE\n"


def resolve(preset: Preset, model: BaseAlgorithm) -> Preset:
    """The preset with the algorithm's defaults, and what it worked out for itself, filled in.

    :param model: made with the preset.
    """
    arguments = algorithm_arguments(preset.algorithm)
    defaults = {name: argument.default for name, argument in arguments.items()}
    kwargs = {**defaults, **preset.algorithm_kwargs}
    ours = {k: v for k, v in model.policy_kwargs.items() if not isinstance(v, type)}
    kwargs["policy_kwargs"] = {**ours, **(kwargs["policy_kwargs"] or {})}
    for name, value in kwargs.items():
        worked_out = getattr(model, name, None)
        if value is None and isinstance(worked_out, int | float):  # n_steps
            kwargs[name] = worked_out
    return replace(preset, algorithm_kwargs=kwargs)


def write_preset(path: Path, preset: Preset, env_id: str) -> None:
    """Write a file of which `load_preset(path, env_id, algorithm)` makes an equal preset.

    What only Python can express, a network or a function, is named in a comment instead.

    :raises OSError: if it cannot be written.
    """
    settings = as_settings(preset)
    written = {
        key: value for key, value in settings.items() if _is_data(key, value, preset.algorithm)
    }
    left_out = [
        f"# {key}: only Python can express {' '.join(repr(value).split())}\n"
        for key, value in settings.items()
        if key not in written
    ]
    with atomically(path) as temporary:
        text = _HEADER.format(preset.algorithm) + write_yaml({env_id: written}) + "".join(left_out)
        temporary.write_text(text, encoding="utf-8")


def _is_data(key: str, value: Any, algorithm: str) -> bool:
    try:
        return bool(as_data(check_setting(key, value, "", algorithm)) == value)
    except PresetError:
        return False
