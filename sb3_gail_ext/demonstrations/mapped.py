"""Rows of memory-mapped arrays: images that do not fit into memory, read when they are drawn."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np


class MappedRows:
    """Arrays of several episodes, each (T, *shape), behind one index; a batch is read at a time.

    It has the `shape`, `dtype`, `len` and indexing by rows of the array that they would make;
    NumPy's functions turn it into that array, which reads all of it.

    :param episodes: of one dtype and shape per row.
    """

    def __init__(self, episodes: Sequence[np.ndarray]) -> None:
        self.episodes = list(episodes)
        self._starts = np.cumsum([0, *map(len, self.episodes)])
        self.dtype = self.episodes[0].dtype
        self.shape = (int(self._starts[-1]), *self.episodes[0].shape[1:])
        if any((e.dtype, e.shape[1:]) != (self.dtype, self.shape[1:]) for e in self.episodes):
            raise ValueError("memory-mapped episodes must have one dtype and one shape per step")

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int | slice | np.ndarray) -> np.ndarray:
        """Copies of rows: one, a range, or those at an integer array (n,)."""
        if isinstance(index, slice):
            return self._read(np.arange(len(self))[index])
        rows = np.asarray(index)
        read = self._read(np.atleast_1d(rows))
        return read if rows.ndim else read[0]

    def _read(self, rows: np.ndarray) -> np.ndarray:
        rows = np.where(rows < 0, rows + len(self), rows)
        if len(rows) and not 0 <= rows.min() <= rows.max() < len(self):
            raise IndexError(f"rows are 0 to {len(self) - 1}")
        read = np.empty((len(rows), *self.shape[1:]), self.dtype)
        numbers = np.searchsorted(self._starts, rows, side="right") - 1
        steps = rows - self._starts[numbers]
        for at, (number, step) in enumerate(zip(numbers, steps, strict=True)):
            read[at] = self.episodes[number][step]
        return read

    def __iter__(self) -> Iterator[np.ndarray]:
        return (row for episode in self.episodes for row in episode)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.concatenate(self.episodes).astype(dtype or self.dtype, copy=False)

    def map(self, function: Callable[[np.ndarray], np.ndarray]) -> MappedRows:
        """The same of `function(episode)`, which should return a view."""
        return MappedRows([function(episode) for episode in self.episodes])


def is_mapped(array: Any) -> bool:
    """Does it lie in a memory-mapped file, or is it a view of one that does?"""
    while array is not None:
        if isinstance(array, np.memmap | mmap.mmap):
            return True
        array = array.obj if isinstance(array, memoryview) else getattr(array, "base", None)
    return False
