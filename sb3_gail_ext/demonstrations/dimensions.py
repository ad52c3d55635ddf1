"""Observations and actions of many episodes, taken apart: vectors, images, choices."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np
from imitation.data.types import DictObs, TrajectoryWithRew

MAX_FRAMES = 1_000  # images that are looked at: more may not fit into memory, and tell no more


def observations(episodes: Sequence[TrajectoryWithRew]) -> dict[str, np.ndarray]:
    """All observations, those behind the last steps too, by name: (n, ...) each.

    :returns: `{"obs": ...}`, or one array for each key of dictionaries. Of images some
        `MAX_FRAMES`, evenly spaced.
    """
    seen: list[Any] = [e.obs for e in episodes]
    if isinstance(seen[0], DictObs):
        keys = seen[0].keys()
        return {key: _joined([obs.get(key) for obs in seen]) for key in keys}
    return {"obs": _joined(seen)}


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    every = ceil(sum(map(len, parts)) / MAX_FRAMES) if are_images(parts[0]) else 1
    return np.concatenate([part[::every] for part in parts])


def actions(episodes: Sequence[TrajectoryWithRew]) -> np.ndarray:
    """All actions, (n, *act_shape); (n,) of choices."""
    return np.concatenate([e.acts for e in episodes])


def are_images(array: np.ndarray) -> bool:
    """(n, height, width, channels) or (n, channels, height, width) or (n, height, width)?"""
    return array.dtype == np.uint8 and array.ndim in (3, 4)


def are_choices(array: np.ndarray) -> bool:
    """Integers, one per step: of a Discrete space."""
    return array.dtype.kind in "iu" and array.ndim == 1


def as_columns(array: np.ndarray) -> np.ndarray:
    """(n, D): each step's numbers in a row."""
    return array.reshape(len(array), -1)


def named_columns(arrays: dict[str, np.ndarray]) -> list[tuple[str, np.ndarray]]:
    """Every dimension of every array under its name: `obs 0`, `obs 1`, ..., each (n,)."""
    return [
        (f"{name} {i}", column)
        for name, array in arrays.items()
        for i, column in enumerate(as_columns(array).T)
    ]
