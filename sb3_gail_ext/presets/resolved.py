"""The settings that a run really has, written as a preset file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from sb3_gail_ext.algorithms.gail import GAIL
from sb3_gail_ext.atomic import atomically
from sb3_gail_ext.presets.errors import PresetError
from sb3_gail_ext.presets.preset import Preset, as_settings, check_setting, gail_arguments
from sb3_gail_ext.presets.values import as_data
from sb3_gail_ext.presets.yaml_text import write_yaml

_HEADER = "# Every setting of a run. To repeat it: sb3-gail train --preset THIS_FILE\n"


def resolve(preset: Preset, model: GAIL) -> Preset:
    """The preset with the defaults of GAIL, and what it worked out for itself, filled in.

    :param model: made with the preset.
    """
    defaults = {name: argument.default for name, argument in gail_arguments().items()}
    kwargs = {**defaults, **preset.algorithm_kwargs}
    ours = {k: v for k, v in model.policy_kwargs.items() if not isinstance(v, type)}
    kwargs["policy_kwargs"] = {**ours, **(kwargs["policy_kwargs"] or {})}
    for name, value in kwargs.items():
        worked_out = getattr(model, name, None)
        if value is None and isinstance(worked_out, int | float):  # n_steps
            kwargs[name] = worked_out
    return replace(preset, algorithm_kwargs=kwargs)


def write_preset(path: Path, preset: Preset, env_id: str) -> None:
    """Write a file of which `load_preset(path, env_id)` makes an equal preset.

    What only Python can express, a network or a function, is named in a comment instead.

    :raises OSError: if it cannot be written.
    """
    settings = as_settings(preset)
    written = {key: value for key, value in settings.items() if _is_data(key, value)}
    left_out = [
        f"# {key}: only Python can express {' '.join(repr(value).split())}\n"
        for key, value in settings.items()
        if key not in written
    ]
    with atomically(path) as temporary:
        text = _HEADER + write_yaml({env_id: written}) + "".join(left_out)
        temporary.write_text(text, encoding="utf-8")


def _is_data(key: str, value: Any) -> bool:
    try:
        return bool(as_data(check_setting(key, value, "")) == value)
    except PresetError:
        return False
