"""Byte strings of unequal length in an HDF5 file, read without HDF5.

Where HDF5 follows such strings in a damaged file, it may never return (2.0.0 does not). The array
holds of each string its length (4 bytes), the place of its heap in the file (8) and its number in
that (4). A heap is a header of 16 bytes, with its size, and objects one behind the other, each of
them a header of 16 bytes and a string, padded to a multiple of eight.
https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path
from typing import TYPE_CHECKING

from sb3_gail_ext.demonstrations.errors import DemonstrationError, in_one_line
from sb3_gail_ext.demonstrations.formats.hdf5_chunks import filters_of, stored_chunks

if TYPE_CHECKING:
    import h5py

_REFERENCE = struct.Struct("<IQI")  # length, heap, number
_HEAP = struct.Struct("<5s3xQ")  # magic and version, size
_OBJECT = struct.Struct("<HH4xQ")  # number, count of references, size
_MAGIC = b"GCOL\x01"


def load_byte_strings(path: Path, dataset: h5py.Dataset) -> list[bytes]:
    """The strings of an array (n,).

    :raises DemonstrationError: if they are damaged, or were written with filters.
    """
    name = in_one_line(dataset.name)
    if filters_of(dataset) or dataset.file.userblock_size:
        raise DemonstrationError(f"{path}: {name} went through filters; write it with none")
    try:
        with _mapped(path) as content:
            return _strings(content, _references(content, dataset))
    except (struct.error, KeyError, ValueError, OSError) as error:
        raise DemonstrationError(
            f"{path}: {name} is damaged ({in_one_line(error)}); copy the file again"
        ) from error


def _mapped(path: Path) -> mmap.mmap:
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _references(content: mmap.mmap, dataset: h5py.Dataset) -> list[tuple[int, int, int]]:
    """Length, heap and number of each string.

    :raises ValueError: if a chunk of them, or all the strings together, cannot be in the file.
    """
    n_bytes = len(dataset) * _REFERENCE.size
    size, starts = n_bytes, [dataset.id.get_offset() or 0]
    if dataset.chunks is not None:
        size = dataset.chunks[0] * _REFERENCE.size
        starts = [chunk.byte_offset for _, chunk in sorted(stored_chunks(dataset).items())]
    if size * len(starts) > len(content):
        raise ValueError("it is larger than the file")
    stored = b"".join(content[start : start + size] for start in starts)
    references = list(_REFERENCE.iter_unpack(stored[:n_bytes]))
    if len(references) != len(dataset) or sum(r[0] for r in references) > len(content):
        raise ValueError("its strings are not in the file")
    return references


def _strings(content: mmap.mmap, references: list[tuple[int, int, int]]) -> list[bytes]:
    heaps = {heap: _heap_end(content, heap) for _, heap, _ in references}
    if sum(end - start for start, end in heaps.items()) > len(content):
        raise ValueError("its heaps overlap")  # each would be read once for every other
    objects = {start: _objects(content, start, end) for start, end in heaps.items()}
    return [_string(content, length, *objects[heap][n]) for length, heap, n in references]


def _heap_end(content: mmap.mmap, start: int) -> int:
    magic, size = _HEAP.unpack_from(content, start)
    if magic != _MAGIC or not _HEAP.size <= size <= len(content) - start:
        raise ValueError("no heap where it should be")
    return start + int(size)


def _objects(content: mmap.mmap, start: int, end: int) -> dict[int, tuple[int, int]]:
    """Start and size of each string in a heap, by its number."""
    found: dict[int, tuple[int, int]] = {}
    at = start + _HEAP.size
    while at + _OBJECT.size <= end:
        number, _, size = _OBJECT.unpack_from(content, at)
        if number == 0:  # the rest is free
            break
        at += _OBJECT.size
        if number in found or size > end - at:
            raise ValueError("a heap with objects that cannot be")
        found[number] = at, size
        at += size + -size % 8
    return found


def _string(content: mmap.mmap, length: int, start: int, size: int) -> bytes:
    if length > size:
        raise ValueError("a string is longer than its place")
    return content[start : start + length]
