"""Minari's HDF5 storage: a group `episode_i` per episode, with an array per name.

Images are JPEG: uint8 (n, bytes) if all have as many bytes, else (n,) of unequal length.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.formats.hdf5 import load_dataset, opened, size_of
from sb3_gail_ext.demonstrations.formats.hdf5_bytes import load_byte_strings
from sb3_gail_ext.demonstrations.formats.hdf5_groups import key_of, member, members, open_group
from sb3_gail_ext.demonstrations.formats.hdf5_storage import check_storage
from sb3_gail_ext.demonstrations.formats.jpeg_frames import decoded
from sb3_gail_ext.demonstrations.formats.minari_spaces import MinariSpace, MinariSpaces
from sb3_gail_ext.demonstrations.formats.minari_steps import MinariSteps
from sb3_gail_ext.demonstrations.formats.sizes import check_total

if TYPE_CHECKING:
    import h5py


def hdf5_episodes(data: Path, n_episodes: int, spaces: MinariSpaces) -> Iterator[MinariSteps]:
    """The episodes of a folder `data`, in order.

    :raises DemonstrationError: if the file is damaged or holds other episodes than these many.
    """
    path = data / "main_data.hdf5"
    with opened(path) as file:
        found = members(path, file)
        if len(found) != n_episodes:
            raise DemonstrationError(
                f"{path}: holds {len(found)} episodes, but metadata.json says {n_episodes}; copy "
                "the whole folder again"
            )
        _check_sizes(path, file, n_episodes, spaces)
        for row in range(n_episodes):
            yield _steps(path, open_group(path, file, f"episode_{row}"), spaces)


def _check_sizes(path: Path, file: h5py.File, n_episodes: int, spaces: MinariSpaces) -> None:
    total = 0
    for row in range(n_episodes):
        group = open_group(path, file, f"episode_{row}")
        total += sum(size_of(path, group, key) for key in MinariSteps._fields)
        total += _decoded_size(path, group, "observations", spaces.observation)
        total += _decoded_size(path, group, "actions", spaces.action)
        check_total(path, total)


def _decoded_size(path: Path, group: h5py.Group, name: str, space: MinariSpace) -> int:
    """Bytes of the images that an array of JPEG stands for."""
    shape = getattr(member(path, group, name), "shape", None)
    if not space.is_encoded or space.shape is None or not shape:
        return 0
    return int(shape[0]) * math.prod(space.shape)


def _steps(path: Path, group: h5py.Group, spaces: MinariSpaces) -> MinariSteps:
    observations = _array(path, group, "observations", spaces.observation)
    actions = _array(path, group, "actions", spaces.action)
    others = [load_dataset(path, group, key) for key in MinariSteps._fields[2:]]
    return MinariSteps(observations, actions, *others)


def _array(path: Path, group: h5py.Group, name: str, space: MinariSpace) -> np.ndarray:
    if not space.is_encoded or space.shape is None:
        return load_dataset(path, group, name)
    return decoded(path, name, _frames(path, group, name), space.shape)


def _frames(path: Path, group: h5py.Group, name: str) -> list[bytes]:
    import h5py

    found = member(path, group, name)
    key = key_of(group, name)
    if isinstance(found, h5py.Dataset) and h5py.check_vlen_dtype(found.dtype) == np.uint8:
        check_storage(path, key, found)
        if found.ndim == 1:
            return load_byte_strings(path, found)
    frames = load_dataset(path, group, name)
    if frames.dtype != np.uint8 or frames.ndim != 2:
        raise DemonstrationError(
            f"{path}: {key} is {frames.dtype} {frames.shape}, not JPEG images; write it again with "
            "Minari"
        )
    return [frame.tobytes() for frame in frames]
