"""NumPy's pickled arrays, rebuilt from shape, dtype and bytes without its `__setstate__`.

What a pickle says:

    _reconstruct(ndarray, (0,), b"b"), then the state (1, shape, dtype, is_fortran, bytes or list)
    _frombuffer(bytes, dtype, shape, order)           since protocol 5
    scalar(dtype, bytes)
    dtype("f8", False, True), then the state (3, "<", None, None, None, -1, -1, 0)
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

_NUMBERS_OR_OBJECTS = re.compile(r"(b1|[iu][1248]|f(?:2|4|8|12|16)|O[48]?)")
_MAX_DIMS = 32

Spend = Callable[[int], None]  # told how much is about to be allocated; raises if it is too much


class Dtype:
    """A data type as a pickle describes it: inert until an array needs it.

    No message here shows what the pickle says: as text, nested lists may have no end.
    """

    __slots__ = ("code", "order")

    def __init__(self, code: Any, *_: Any) -> None:
        self.code, self.order = code, "="

    def build(self, state: Any) -> None:
        """Take the byte order out of NumPy's state, which describes structures, too."""
        _, self.order, *structure = state[:5]
        if any(part is not None for part in structure):
            self.code = "a structured type"

    def resolved(self) -> np.dtype:
        """:raises ValueError: unless these are numbers or objects."""
        if not isinstance(self.code, str) or not _NUMBERS_OR_OBJECTS.fullmatch(self.code):
            raise ValueError("an array of a dtype that is neither numbers nor objects")
        if self.order not in ("<", ">", "|", "="):
            raise ValueError("an array of unknown byte order")
        return np.dtype("O") if self.code.startswith("O") else np.dtype(self.order + self.code)


class Array:
    """An array whose state is still to come; `array` is None until then."""

    __slots__ = ("array",)

    def __init__(self) -> None:
        self.array: np.ndarray | None = None

    def build(self, state: Any, spend: Spend) -> np.ndarray:
        """The array of NumPy's state, with a version or, of old, without."""
        shape, dtype, is_fortran, content = state[-4:]
        if dtype.resolved().kind == "O":
            self.array = object_array(content, shape, spend)
        else:
            order = "F" if is_fortran else "C"
            self.array = numeric_array(content, dtype.resolved(), shape, order, spend)
        return self.array


def numeric_array(
    content: Any, dtype: np.dtype, shape: Any, order: str, spend: Spend
) -> np.ndarray:
    """A view of the bytes `content`; a copy of them if they are no native numbers.

    :raises ValueError: if the bytes are more or fewer than shape and dtype ask for.
    """
    if dtype.kind not in "fiub":
        raise ValueError(f"bytes of dtype {dtype}, not of numbers")
    if isinstance(content, str):  # Python 2's bytes
        spend(len(content))
        content = content.encode("latin1")
    if type(content) is not bytes or len(content) != _size(shape) * dtype.itemsize:
        raise ValueError("an array whose bytes do not fill its shape")
    if dtype.kind == "b":  # any byte but 0 is true, but NumPy's own bools are 0 and 1 only
        spend(len(content))
        return np.ndarray(shape, np.uint8, content, order=_order(order)) != 0
    array: np.ndarray = np.ndarray(shape, dtype, content, order=_order(order))
    if dtype.isnative:
        return array
    spend(len(content))
    return array.astype(dtype.newbyteorder("="))


def object_array(content: Any, shape: Any, spend: Spend) -> np.ndarray:
    """An array of the objects in the list `content`, which NumPy always writes in C order.

    :raises ValueError: if they are more or fewer than the shape asks for, or such arrays again:
        NumPy frees nested ones recursively, so that deep ones would crash the process.
    """
    if type(content) is not list or len(content) != _size(shape):
        raise ValueError("an array whose objects do not fill its shape")
    if any(type(item) is np.ndarray and item.dtype.kind == "O" for item in content):
        raise ValueError("an array of objects in another one")
    spend(len(content))
    return np.fromiter(content, dtype=object, count=len(content)).reshape(shape)


def from_buffer(
    spend: Spend, content: Any, dtype: Dtype, shape: Any, order: str, axes: Any = None
) -> np.ndarray:
    """As NumPy's `_frombuffer`; with `axes`, the array was in that order in memory."""
    if order == "K" and axes is not None:
        stored = numeric_array(content, dtype.resolved(), shape, "C", spend)
        return stored.transpose(axes)
    return numeric_array(content, dtype.resolved(), shape, order, spend)


def scalar(spend: Spend, dtype: Dtype, content: Any) -> Any:
    return numeric_array(content, dtype.resolved(), (), "C", spend)[()]


def _size(shape: Any) -> int:
    sound = type(shape) is tuple and len(shape) <= _MAX_DIMS
    if not sound or not all(type(n) is int and 0 <= n < 2**62 for n in shape):
        raise ValueError("an array of the impossible shape")
    return math.prod(shape)


def _order(order: str) -> Any:
    if order not in ("C", "F"):
        raise ValueError("an array of unknown order")
    return order
