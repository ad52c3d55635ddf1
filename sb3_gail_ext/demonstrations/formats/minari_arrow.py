"""Minari's Arrow storage: a folder `i` per episode, in it one Arrow file of T + 1 rows.

The last row of all columns but `observations` is padding. Arrays are flat: fixed-size lists of
numbers, whose shape the spaces know. Images are JPEG, as bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.formats.arrow_ipc import load_batches, writable
from sb3_gail_ext.demonstrations.formats.arrow_lists import array_of, binaries_of
from sb3_gail_ext.demonstrations.formats.jpeg_frames import decoded
from sb3_gail_ext.demonstrations.formats.minari_spaces import MinariSpace, MinariSpaces
from sb3_gail_ext.demonstrations.formats.minari_steps import MinariSteps

if TYPE_CHECKING:
    import pyarrow as pa


def arrow_episodes(data: Path, n_episodes: int, spaces: MinariSpaces) -> Iterator[MinariSteps]:
    """The episodes of a folder `data`, in order.

    :raises DemonstrationError: if it holds other episodes than these many, or one is damaged.
    """
    found = sum(entry.name.isdecimal() for entry in data.iterdir())
    if found != n_episodes:
        raise DemonstrationError(
            f"{data}: holds {found} episodes, but metadata.json says {n_episodes}; copy the whole "
            "folder again"
        )
    for row in range(n_episodes):
        yield _steps(_file(data / str(row)), spaces)


def _file(folder: Path) -> Path:
    files = [*folder.glob("*.arrow")]
    if len(files) != 1:
        raise DemonstrationError(
            f"{folder}: holds {len(files)} Arrow files, but an episode is one; copy the folder "
            "again"
        )
    return files[0]


def _steps(path: Path, spaces: MinariSpaces) -> MinariSteps:
    batches, content = load_batches(path, MinariSteps._fields)
    columns = {
        key: writable(
            content, _concatenated([_array(path, key, b.column(key), spaces) for b in batches])
        )
        for key in MinariSteps._fields
    }
    padded = {key: column[:-1] for key, column in columns.items() if key != "observations"}
    return MinariSteps(columns["observations"], **padded)


def _array(path: Path, key: str, column: pa.Array, spaces: MinariSpaces) -> np.ndarray:
    space = {"observations": spaces.observation, "actions": spaces.action}.get(key)
    if space is None:
        return array_of(path, key, column)
    if space.shape is None:
        raise DemonstrationError(
            f"{path}: metadata.json does not say of what shape {key} are; write it again with "
            "Minari 0.5 or later"
        )
    if space.is_encoded:
        return decoded(path, key, binaries_of(path, key, column), space.shape)
    return _reshaped(path, key, array_of(path, key, column), space)


def _reshaped(path: Path, key: str, array: np.ndarray, space: MinariSpace) -> np.ndarray:
    shape = (len(array), *(space.shape or ()))
    if array.size != np.prod(shape, dtype=object):
        raise DemonstrationError(
            f"{path}: {key} are {array.shape[1:]} numbers per step, but metadata.json says "
            f"{space.shape}; copy the folder again"
        )
    return array.reshape(shape)


def _concatenated(parts: list[np.ndarray]) -> np.ndarray:
    if not parts:
        return np.zeros(0)
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
