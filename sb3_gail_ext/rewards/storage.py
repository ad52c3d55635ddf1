"""Saving networks as weights, settings and spaces: no pickled code.

``imitation`` and Stable-Baselines3 2.2 store whole Python objects, which torch 2.6 and later
refuses to read back by default, with reason: reading a pickle can run any code.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import gymnasium as gym
import numpy as np
import torch as th
from gymnasium import spaces


class Component(Protocol):
    """A network that knows the spaces it was built for."""

    observation_space: Any
    action_space: Any

    def state_dict(self) -> dict[str, Any]: ...


class SavedComponent(NamedTuple):
    """What ``load_component`` reads."""

    state_dict: dict[str, th.Tensor]
    settings: dict[str, Any]
    observation_space: gym.Space
    action_space: gym.Space


def _space_to_plain(space: gym.Space) -> dict[str, Any]:
    """Tensors and numbers that describe a Box or Discrete space."""
    if isinstance(space, spaces.Box):
        low, high = th.as_tensor(space.low), th.as_tensor(space.high)
        return {"low": low, "high": high, "dtype": str(space.dtype)}
    if isinstance(space, spaces.Discrete):
        return {"n": int(space.n), "start": int(space.start)}
    raise ValueError(f"only Box and Discrete spaces can be saved, not {space}")


def _space_from_plain(plain: dict[str, Any]) -> gym.Space:
    """The inverse of ``_space_to_plain``."""
    if "n" in plain:
        return spaces.Discrete(plain["n"], start=plain["start"])
    low, high = plain["low"].cpu().numpy(), plain["high"].cpu().numpy()
    return spaces.Box(low, high, dtype=np.dtype(plain["dtype"]).type)


def save_component(path: str | Path, component: Component, settings: dict[str, Any]) -> None:
    """Write a network's class name, settings (plain values only), spaces and weights."""
    content = {
        "component": type(component).__name__,
        "settings": settings,
        "observation_space": _space_to_plain(component.observation_space),
        "action_space": _space_to_plain(component.action_space),
        "state_dict": component.state_dict(),
    }
    written = io.BytesIO()
    th.save(content, written)
    Path(path).write_bytes(written.getvalue())  # torch itself says nothing of a full disk


def load_component(path: str | Path, name: str, device: th.device | str = "cpu") -> SavedComponent:
    """Read what ``save_component`` wrote for the class called ``name``."""
    not_ours = f"{path} was not written by {name}.save()"
    try:
        content = th.load(path, map_location=device, weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ValueError(not_ours) from error
    if not isinstance(content, dict) or content.get("component") != name:
        raise ValueError(not_ours)
    return SavedComponent(
        content["state_dict"],
        content["settings"],
        _space_from_plain(content["observation_space"]),
        _space_from_plain(content["action_space"]),
    )
