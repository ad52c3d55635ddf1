"""Read HDF5 arrays that are stored in chunks; HDF5 only says where these are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from sb3_gail_ext.demonstrations.errors import DemonstrationError, in_one_line
from sb3_gail_ext.demonstrations.formats.hdf5_filters import undo

if TYPE_CHECKING:
    import h5py

Place = tuple[int, ...]


def read_chunks(dataset: h5py.Dataset, rows: slice | None = None) -> np.ndarray:
    """These rows of an array, by default all, which `hdf5_storage.check_storage` has found sound.

    :raises DemonstrationError: if a chunk is damaged.
    """
    first, last, _ = (rows or slice(None)).indices(len(dataset))
    array = np.empty((max(last - first, 0), *dataset.shape[1:]), dataset.dtype)
    filters = filters_of(dataset)
    for place, stored in stored_chunks(dataset).items():
        if place[0] < last and place[0] + dataset.chunks[0] > first:
            chunk = _read_chunk(dataset, stored, filters)
            _put(array, chunk, (place[0] - first, *place[1:]))
    return array


def stored_chunks(dataset: h5py.Dataset) -> dict[Place, h5py.h5d.StoreInfo]:
    """The chunks in the file, by the index of their first number in the array."""
    chunks: dict[Place, h5py.h5d.StoreInfo] = {}

    def note(stored: h5py.h5d.StoreInfo) -> None:
        chunks[stored.chunk_offset] = stored

    if dataset.size:
        dataset.id.chunk_iter(note)
    return chunks


def n_chunks_of(dataset: h5py.Dataset) -> int:
    """How many there must be."""
    return math.prod(-(-n // c) for n, c in zip(dataset.shape, dataset.chunks, strict=True))


def filters_of(dataset: h5py.Dataset) -> list[int]:
    """HDF5's numbers of the filters that each chunk went through, in the order of writing."""
    properties = dataset.id.get_create_plist()
    return [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]


def _read_chunk(
    dataset: h5py.Dataset, stored: h5py.h5d.StoreInfo, filters: list[int]
) -> np.ndarray:
    itemsize, size = dataset.dtype.itemsize, math.prod(dataset.chunks) * dataset.dtype.itemsize
    try:
        _, data = dataset.id.read_direct_chunk(stored.chunk_offset)
        plain = undo(data, filters, stored.filter_mask, itemsize, size)
    except Exception as error:  # foreign bytes
        raise DemonstrationError(
            f"{dataset.file.filename}: array {in_one_line(dataset.name).lstrip('/')} is damaged "
            f"({in_one_line(error)}); copy the file again"
        ) from error
    return np.frombuffer(plain, dataset.dtype).reshape(dataset.chunks)


def _put(array: np.ndarray, chunk: np.ndarray, place: Place) -> None:
    """Copy into `array` what of `chunk`, whose first number belongs at `place`, lies in it."""
    sizes = zip(place, array.shape, chunk.shape, strict=True)
    cuts = [(p, max(p, 0), min(p + c, n)) for p, n, c in sizes]
    inside = tuple(slice(low, high) for _, low, high in cuts)
    array[inside] = chunk[tuple(slice(low - p, high - p) for p, low, high in cuts)]
