"""Lengths of the episodes of a rectangular file that pads them, with zeros or NaN, at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np


def unpadded_lengths(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Steps per episode, int64 of shape (N,), with all-zero (or all-NaN) rows at the end cut."""
    n_episodes, n_steps = arrays["obs"].shape[:2]
    lengths = np.full(n_episodes, n_steps)
    for row in np.flatnonzero(~_is_used([a[:, -1] for a in _per_step(arrays)])):
        used = _is_used([array[row] for array in _per_step(arrays)])
        lengths[row] = n_steps - np.argmax(used[::-1]) if used.any() else 0
    return lengths


def _per_step(arrays: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    return [arrays[key] for key in ("obs", "acs", "rews") if key in arrays]


def _is_used(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Which rows hold anything but zeros and NaN, of arrays (n, ...): bool (n,)."""
    used = np.zeros(len(arrays[0]), dtype=bool)
    for array in arrays:
        rows = array.reshape(len(array), -1)
        used |= ((rows != 0) & (rows == rows)).any(axis=1)  # NaN is not equal to itself
    return used
