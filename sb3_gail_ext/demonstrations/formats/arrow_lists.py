"""Nested lists of Arrow columns as NumPy arrays, without a copy and without a loop over samples."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sb3_gail_ext.demonstrations.errors import DemonstrationError

if TYPE_CHECKING:
    import pyarrow as pa


def array_of(path: Path, key: str, column: pa.Array) -> np.ndarray:
    """A column of n numbers, or of n lists of one shape, as an array (n, ...).

    Its dtype is the column's.

    :raises DemonstrationError: if a value is missing, lists differ in length, or these are no
        numbers.
    """
    shape = [len(column)]
    while _is_list(column):
        _check_no_nulls(path, key, column)
        shape.append(_width(path, key, column))
        column = column.flatten()
    _check_no_nulls(path, key, column)
    return _numbers(path, key, column).reshape(shape)


def arrays_of(path: Path, key: str, column: pa.Array) -> list[np.ndarray]:
    """A column of lists of unequal length, each as an array (its length, ...).

    :raises DemonstrationError: as `array_of` does.
    """
    _check_ragged(path, key, column)
    if not len(column):
        return []
    starts = column.offsets.to_numpy()
    return np.split(array_of(path, key, column.flatten()), starts[1:-1] - starts[0])


def last_texts_of(path: Path, key: str, column: pa.Array) -> list[str]:
    """The last text of each list; empty where a list is.

    :raises DemonstrationError: if these are no lists of texts, or one is missing.
    """
    import pyarrow.types as types

    _check_ragged(path, key, column)
    texts, starts = column.flatten(), column.offsets.to_numpy()
    if not (types.is_string(texts.type) or types.is_large_string(texts.type)):
        raise DemonstrationError(f"{path}: column {key} is of type {column.type}, not of texts")
    _check_no_nulls(path, key, texts)
    ends = starts - starts[0]
    return [
        texts[end - 1].as_py() if end > start else ""
        for start, end in itertools.pairwise(ends.tolist())
    ]


def binaries_of(path: Path, key: str, column: pa.Array) -> list[bytes]:
    """:raises DemonstrationError: if these are no bytes, or one is missing."""
    import pyarrow.types as types

    if not (types.is_binary(column.type) or types.is_large_binary(column.type)):
        raise DemonstrationError(f"{path}: column {key} is of type {column.type}, not of bytes")
    _check_no_nulls(path, key, column)
    binaries: list[bytes] = column.to_pylist()
    return binaries


def bools_of(path: Path, key: str, column: pa.Array) -> list[bool]:
    """:raises DemonstrationError: if these are no bools, or one is missing."""
    import pyarrow.types as types

    if not types.is_boolean(column.type):
        raise DemonstrationError(f"{path}: column {key} is of type {column.type}, not bool")
    _check_no_nulls(path, key, column)
    bools: list[bool] = column.to_pylist()
    return bools


def _is_list(column: pa.Array) -> bool:
    import pyarrow.types as types

    kind = column.type
    return types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)


def _check_ragged(path: Path, key: str, column: pa.Array) -> None:
    import pyarrow.types as types

    if not (types.is_list(column.type) or types.is_large_list(column.type)):
        raise DemonstrationError(f"{path}: column {key} is of type {column.type}, not of lists")
    _check_no_nulls(path, key, column)


def _width(path: Path, key: str, column: pa.Array) -> int:
    """The one length of all these lists."""
    import pyarrow.types as types

    if types.is_fixed_size_list(column.type):
        return int(column.type.list_size)
    lengths = np.diff(column.offsets.to_numpy())
    if not len(lengths):
        return 0
    if (lengths != lengths[0]).any():
        row = int(np.argmax(lengths != lengths[0]))
        raise DemonstrationError(
            f"{path}: column {key} holds lists of lengths {lengths[0]} and {lengths[row]}; all "
            "steps must have one shape"
        )
    return int(lengths[0])


def _check_no_nulls(path: Path, key: str, column: pa.Array) -> None:
    if column.null_count:
        raise DemonstrationError(
            f"{path}: column {key} lacks {column.null_count} values; record the file again"
        )


def _numbers(path: Path, key: str, column: pa.Array) -> np.ndarray:
    import pyarrow.types as types

    kind = column.type
    if not (types.is_floating(kind) or types.is_integer(kind) or types.is_boolean(kind)):
        raise DemonstrationError(f"{path}: column {key} is of type {kind}; save it as numbers")
    # Booleans are packed, eight a byte; all others stay where they are.
    numbers: np.ndarray = column.to_numpy(zero_copy_only=not types.is_boolean(kind))
    return numbers
