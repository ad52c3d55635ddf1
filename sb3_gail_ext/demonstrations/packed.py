"""All demonstrations in one matrix, a row per transition, from which batches are drawn by index.

A batch drawn at random from millions of transitions waits for memory, not for the processor. Where
obs, acts and next_obs of a transition lie side by side, it waits once per transition instead of
three times.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from sb3_gail_ext.demonstrations.mapped import MappedRows, is_mapped
from sb3_gail_ext.demonstrations.transitions import TransitionBatch


class PackedTransitions(TransitionBatch):
    """A TransitionBatch whose float arrays are columns of one float32 matrix.

    `obs`, `acts` and `next_obs` are views of it, unless they are integers (images, discrete
    actions): those stay arrays of their own, in their dtype.
    """

    rows: np.ndarray  # (n, D) float32, contiguous
    columns: tuple[slice | None, ...]  # of each of the four in `rows`; None: it is not there

    def take(self, index: np.ndarray) -> TransitionBatch:
        """The transitions at `index`, an integer array of shape (n,); a copy."""
        drawn = self.rows.take(index, axis=0)
        return TransitionBatch(
            *(
                array[index] if at is None else drawn[:, at].reshape(-1, *array.shape[1:])
                for array, at in zip(self, self.columns, strict=True)
            )
        )


def pack(
    obs: Sequence[np.ndarray],
    acts: Sequence[np.ndarray],
    next_obs: Sequence[np.ndarray],
    dones: np.ndarray,
) -> PackedTransitions:
    """Copy episodes' arrays, each (T, ...), one after the other: floats into one float32 matrix.

    Integers keep their dtype, and of images that are memory-mapped nothing is read.

    :param dones: (n,) bool, of all episodes.
    """
    parts = (obs, acts, next_obs)
    widths = [_n_floats(part) for part in parts]
    rows = np.empty((len(dones), sum(widths)), np.float32)
    columns = tuple(_side_by_side(widths))
    stored_obs, stored_acts, stored_next_obs = (
        _joined(part) if at is None else _copied(part, rows[:, at])
        for part, at in zip(parts, columns, strict=True)
    )
    packed = PackedTransitions(stored_obs, stored_acts, stored_next_obs, dones)
    packed.rows, packed.columns = rows, (*columns, None)
    return packed


def _n_floats(part: Sequence[np.ndarray]) -> int:
    """Numbers per row, if they are floats: columns that they need."""
    is_float = np.result_type(*{array.dtype for array in part}).kind == "f"
    return int(np.prod(part[0].shape[1:])) if is_float else 0


def _side_by_side(widths: Sequence[int]) -> Iterator[slice | None]:
    for width, end in zip(widths, accumulate(widths), strict=True):
        yield slice(end - width, end) if width else None


def _copied(part: Sequence[np.ndarray], columns: np.ndarray) -> np.ndarray:
    """Into these columns; returns them in the shape that `part` has."""
    into = columns.reshape(len(columns), *part[0].shape[1:])  # a view: a row's are contiguous
    return np.concatenate(part, out=into, casting="same_kind")


def _joined(part: Sequence[np.ndarray]) -> Any:
    is_image = part[0].ndim > 2  # actions are small
    if is_image and any(map(is_mapped, part)):
        return MappedRows(part)
    joined = part[0] if len(part) == 1 else np.concatenate(part)
    return np.ascontiguousarray(joined, np.float32 if joined.dtype.kind == "f" else None)
