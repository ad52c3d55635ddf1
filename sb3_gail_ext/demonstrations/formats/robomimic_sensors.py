"""The observations of one robomimic demonstration: one array, or several sensors side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sb3_gail_ext.demonstrations.errors import DemonstrationError, in_one_line
from sb3_gail_ext.demonstrations.formats.hdf5 import load_dataset, open_dataset, read
from sb3_gail_ext.demonstrations.formats.hdf5_groups import (
    has_member,
    is_group,
    key_of,
    members,
    open_group,
)
from sb3_gail_ext.demonstrations.formats.steps import check_steps

if TYPE_CHECKING:
    import h5py

_LAST = slice(-1, None)


def sensors_of(path: Path, demo: h5py.Group) -> list[str] | None:
    """The names of the arrays in obs, sorted; None if obs is an array itself."""
    if not is_group(demo, "obs"):
        return None
    obs = open_group(path, demo, "obs")
    names = sorted(members(path, obs))
    if not names:
        raise DemonstrationError(f"{path}: group {key_of(demo, 'obs')} is empty; record it again")
    images = [name for name in names if len(open_dataset(path, obs, name).shape) > 2]
    if images and len(names) > 1:
        raise DemonstrationError(
            f"{path}: {in_one_line(', '.join(images))} in {key_of(demo, 'obs')} cannot be put side "
            f"by side with the other sensors ({in_one_line(', '.join(names))}); write a file with "
            "one of them, or with the vectors only"
        )
    return names


def observations(path: Path, demo: h5py.Group, sensors: list[str] | None) -> np.ndarray:
    """(T, *obs_shape)."""
    places = _places(path, demo, "obs", sensors)
    arrays = [load_dataset(path, *place) for place in places]
    check_steps(path, {key_of(*place): a.shape for place, a in zip(places, arrays, strict=True)})
    return _side_by_side(arrays)


def final_observation(
    path: Path, demo: h5py.Group, sensors: list[str] | None, obs: np.ndarray
) -> np.ndarray:
    """(1, *obs_shape), and (0, *obs_shape) if the file does not have it."""
    if not has_member(demo, "next_obs"):
        return obs[:0]
    places = _places(path, demo, "next_obs", sensors)
    datasets = [open_dataset(path, *place) for place in places]
    shapes = {key_of(*place): d.shape for place, d in zip(places, datasets, strict=True)}
    check_steps(path, {key_of(demo, "obs"): obs.shape} | shapes)
    final = _side_by_side([read(dataset, _LAST) for dataset in datasets])
    if final.shape[1:] != obs.shape[1:]:
        raise DemonstrationError(
            f"{path}: {key_of(demo, 'next_obs')} has the shape {final.shape[1:]} per step, but obs "
            f"has {obs.shape[1:]}; they must be the same"
        )
    return final


def _places(
    path: Path, demo: h5py.Group, name: str, sensors: list[str] | None
) -> list[tuple[h5py.Group, str]]:
    """Groups and names of the arrays that make up `name`."""
    if sensors is None:
        return [(demo, name)]
    group = open_group(path, demo, name)
    return [(group, sensor) for sensor in sensors]


def _side_by_side(arrays: list[np.ndarray]) -> np.ndarray:
    """One array as it is; several, each (T,) or (T, d), as one floating array (T, D)."""
    if len(arrays) == 1:
        return arrays[0]
    joined = np.concatenate([array.reshape(len(array), -1) for array in arrays], axis=1)
    return joined if joined.dtype.kind == "f" else joined.astype(np.float64)
