"""Presets from files, the shipped one or a user's, and settings from a command line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from sb3_gail_ext.presets.errors import PresetError
from sb3_gail_ext.presets.preset import BASES, Preset, check_setting, override
from sb3_gail_ext.presets.yaml_text import read_yaml

DEFAULT = "default"
_SUFFIXES = (".yml", ".yaml")


def shipped(algorithm: str) -> Path:
    """The file of the presets of one of `ALGORITHMS` that come with the package."""
    return Path(__file__).with_name(f"{algorithm}.yml")


def load_preset(name_or_path: str | Path | None, env_id: str, algorithm: str = "gail") -> Preset:
    """A preset of an algorithm for an environment.

    :param name_or_path: what ends in .yml or .yaml is a file, of which the section `env_id` is
        taken, or else `default`; anything else is a section of the shipped file; None chooses in
        the shipped file as in a user's.
    :raises PresetError: if there is no such preset, or it holds what the algorithm does not take.
    :raises OSError: if the file cannot be read.
    """
    named = name_or_path is not None and Path(name_or_path).suffix not in _SUFFIXES
    path = shipped(algorithm) if named or name_or_path is None else Path(name_or_path)
    sections = read_sections(path)
    wanted = [str(name_or_path)] if named else [env_id, DEFAULT]
    name = next((name for name in wanted if name in sections), None)
    if name is None:
        raise PresetError(
            f"{path}: no section {' or '.join(wanted)}; it has {', '.join(map(str, sections))}"
            + (", and a file's name ends in .yml" if named else "")
        )
    where = f"{path}, section {name}"
    if not isinstance(sections[name], dict):
        raise PresetError(f"{where}: no mapping of settings")
    label = f"{name} ({'shipped' if path == shipped(algorithm) else path})"
    return override(replace(BASES[algorithm], label=label), sections[name], where)


def read_settings(pairs: Iterable[str], where: str, algorithm: str = "gail") -> dict[str, Any]:
    """Settings as YAML gives them, from texts like `gamma=0.98`; checked, for `override`.

    :param where: the option that they are from, for errors.
    :raises PresetError: if one is no KEY=VALUE, or not what the algorithm takes.
    """
    settings = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            raise PresetError(f"{where} {pair}: no value; give KEY=VALUE, like gamma=0.98")
        settings[key] = read_yaml(text, f"{where} {pair}")
        check_setting(key, settings[key], where, algorithm)
    return settings


def read_sections(path: Path) -> dict[Any, Any]:
    """The content of a preset file, its settings unchecked.

    :raises PresetError: if it is no YAML mapping.
    :raises OSError: if it cannot be read.
    """
    sections = read_yaml(path.read_bytes(), str(path))
    if not isinstance(sections, dict):
        raise PresetError(f"{path}: no mapping of environment ids to settings")
    return sections
