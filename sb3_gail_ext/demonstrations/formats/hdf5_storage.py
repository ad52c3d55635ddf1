"""Is an HDF5 array really in its file, and as large as it says? Asked before anything is read.

Refused are arrays whose bytes are in other files (external storage, virtual datasets), filters that
HDF5 would have to load, arrays that were not written to the end (HDF5 would fill them), and those
that no compression could have made so small.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.formats.hdf5_chunks import (
    filters_of,
    n_chunks_of,
    stored_chunks,
)
from sb3_gail_ext.demonstrations.formats.hdf5_filters import UNDO
from sb3_gail_ext.demonstrations.formats.sizes import check_size

if TYPE_CHECKING:
    import h5py


def check_storage(path: Path, key: str, dataset: h5py.Dataset) -> None:
    """:raises DemonstrationError: if the array cannot be read safely; see this module's text."""
    _check_place(path, key, dataset)
    if dataset.shape is None:
        raise DemonstrationError(f"{path}: array {key} is empty; record the file again")
    if dataset.chunks:
        _check_filters(path, key, dataset)
        _check_number_type(path, key, dataset)
        _check_chunks(path, key, dataset)
    else:
        _check_contiguous(path, key, dataset)


def _check_place(path: Path, key: str, dataset: h5py.Dataset) -> None:
    import h5py

    properties = dataset.id.get_create_plist()
    virtual = properties.get_layout() == h5py.h5d.VIRTUAL
    if virtual or properties.get_external_count():
        raise DemonstrationError(
            f"{path}: array {key} is kept in other files, which are never opened; copy it into "
            "this one (h5repack)"
        )


def _check_filters(path: Path, key: str, dataset: h5py.Dataset) -> None:
    filters = filters_of(dataset)
    unknown = [code for code in filters if code not in UNDO]
    if unknown or len(filters) > len(set(filters)):
        raise DemonstrationError(
            f"{path}: array {key} went through the HDF5 filters {filters}; "
            f"{', '.join(map(str, UNDO))} (gzip, shuffle, fletcher32, lzf) can be undone, each "
            "once: write it with gzip (h5repack -f GZIP=4)"
        )


def _check_number_type(path: Path, key: str, dataset: h5py.Dataset) -> None:
    """Chunks are taken as memory has its numbers."""
    import h5py

    if not dataset.id.get_type().equal(h5py.h5t.py_create(dataset.dtype, logical=True)):
        raise DemonstrationError(
            f"{path}: array {key} has numbers of an unusual layout; save it as {dataset.dtype}"
        )


def _check_chunks(path: Path, key: str, dataset: h5py.Dataset) -> None:
    chunks = stored_chunks(dataset)
    if len(chunks) != n_chunks_of(dataset):
        raise DemonstrationError(
            f"{path}: array {key} has the shape {dataset.shape}, but {len(chunks)} of its "
            f"{n_chunks_of(dataset)} chunks are in the file: it was not written to the end; record "
            "it again"
        )
    # A chunk's size is what the file says, so that one chunk, or all, may be too large for it.
    stored = min(sum(chunk.size for chunk in chunks.values()), path.stat().st_size)
    largest = max((chunk.size for chunk in chunks.values()), default=0)
    one_chunk = math.prod(dataset.chunks) * dataset.dtype.itemsize if chunks else 0
    check_size(path, key, max(dataset.nbytes, one_chunk), stored)
    if largest > stored:
        raise DemonstrationError(f"{path}: array {key} is cut off; copy the file again")


def _check_contiguous(path: Path, key: str, dataset: h5py.Dataset) -> None:
    shape = dataset.shape
    size = math.prod(shape) * dataset.id.get_type().get_size()
    stored = min(dataset.id.get_storage_size(), path.stat().st_size)
    if size > stored:
        raise DemonstrationError(
            f"{path}: array {key} has the shape {shape} of {dataset.dtype}, but {stored} bytes in "
            "the file: it was not written to the end; record it again"
        )
