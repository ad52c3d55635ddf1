"""Which demonstrations these are: a name for people and a digest of what was learned from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sb3_gail_ext.demonstrations.sampling import TransitionBatch

_AT_ONCE = 2**22  # bytes


@dataclass(frozen=True)  # SB3 would write a tuple as a JSON list
class Identity:
    """Of a set of demonstrations, whatever file or list it came from."""

    name: str  # of the file, or "in memory"
    n_transitions: int
    sha256: str  # of the transitions' arrays

    def __str__(self) -> str:
        return f"{self.n_transitions:,} transitions of {self.name}, sha256 {self.sha256[:12]}"


def identify(expert: TransitionBatch, path: Path | None) -> Identity:
    """:param path: of the file that they are from, if any."""
    name = path.name if path is not None else "a list in memory"
    return Identity(name, len(expert), arrays_sha256(expert))


def arrays_sha256(expert: TransitionBatch) -> str:
    """Of obs, acts, next_obs and dones, one after the other, in C order, 64 hex digits."""
    digest = hashlib.sha256()
    for array in expert:
        for rows in _a_few_at_a_time(array):
            digest.update(np.ascontiguousarray(rows).data)
    return digest.hexdigest()


def _a_few_at_a_time(array: np.ndarray) -> Iterator[np.ndarray]:
    """Parts of a few MB: columns of a matrix are copied, and images may not fit into memory."""
    bytes_per_row = int(np.prod(array.shape[1:])) * array.dtype.itemsize
    n = max(_AT_ONCE // max(bytes_per_row, 1), 1)
    return (array[start : start + n] for start in range(0, len(array), n))
