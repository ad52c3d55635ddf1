"""Undo HDF5's filters: gzip, lzf, shuffle and the Fletcher checksum, each on the bytes of a chunk.

HDF5 itself does not look whether a chunk has expanded to the size it stands for, and reads behind
its end, which can end the process. Here a chunk has its size, or some exception is raised.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np

_CHECKSUM_BYTES = 4

# (bytes, size of one number, most bytes that may come of it) -> bytes
Undo = Callable[[bytes, int, int], bytes]


def _inflate(data: bytes, itemsize: int, limit: int) -> bytes:
    inflating = zlib.decompressobj()
    inflated = inflating.decompress(data, limit)
    if not inflating.eof:
        raise ValueError("a gzip stream does not end where it should")
    return inflated


def _unlzf(data: bytes, itemsize: int, limit: int) -> bytes:
    """LZF: a byte below 32 announces literal bytes, any other one a copy of earlier output."""
    out, at = bytearray(), 0
    while at < len(data) and len(out) <= limit:
        control, at = data[at], at + 1
        if control < 32:
            out += data[at : at + control + 1]
            at += control + 1
            continue
        length = (control >> 5) + 2
        if length == 9:  # the three bits are full: the rest is in a byte of its own
            length, at = length + data[at], at + 1
        start, at = len(out) - ((control & 31) << 8) - data[at] - 1, at + 1
        if start < 0:
            raise ValueError("an lzf stream copies from before its start")
        copied = out[start : start + length]
        out += (copied * (length // len(copied) + 1))[:length]  # it may overlap with itself
    return bytes(out)


def _unshuffle(data: bytes, itemsize: int, limit: int) -> bytes:
    """First bytes of all numbers, then second bytes, ...; what is no whole number comes last."""
    n_items = len(data) // itemsize
    planes = np.frombuffer(data, np.uint8, n_items * itemsize).reshape(itemsize, n_items)
    items = np.empty((n_items, itemsize), np.uint8)
    for i, plane in enumerate(planes):
        items[:, i] = plane
    return items.tobytes() + data[n_items * itemsize :]


def _check_fletcher32(data: bytes, itemsize: int, limit: int) -> bytes:
    content, stated = data[:-_CHECKSUM_BYTES], data[-_CHECKSUM_BYTES:]
    if fletcher32(content) != int.from_bytes(stated, "little"):
        raise ValueError("a checksum is wrong")
    return content


def fletcher32(content: bytes) -> int:
    """HDF5's variant: words of 16 bits, high byte first, sums modulo 65535 that are never 0."""
    words = np.frombuffer(content + b"\0" * (len(content) % 2), ">u2").astype(np.uint64)
    weights = np.arange(len(words), 0, -1, dtype=np.uint64) % np.uint64(65535)
    sums = [int(words.sum()), int((words * weights).sum())]
    low, high = ((total - 1) % 65535 + 1 if total else 0 for total in sums)
    return high << 16 | low


UNDO: dict[int, Undo] = {1: _inflate, 2: _unshuffle, 3: _check_fletcher32, 32000: _unlzf}


def undo(data: bytes, filters: list[int], skipped: int, itemsize: int, size: int) -> bytes:
    """The `size` bytes that became `data` when they went through `filters`.

    :param filters: HDF5's numbers of them, all in `UNDO`, in the order of writing.
    :param skipped: bit i is set where filter i was not applied.
    """
    limit = size + 2 * _CHECKSUM_BYTES  # never reached by what is sound
    for i in reversed(range(len(filters))):
        if not skipped >> i & 1:
            data = UNDO[filters[i]](data, itemsize, limit)
    if len(data) != size:
        raise ValueError(f"{len(data)} bytes are in the place of {size}")
    return data
