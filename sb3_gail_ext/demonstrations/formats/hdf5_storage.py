"""Is an HDF5 array really in its file, and as large as it says? Asked before anything is read.

Refused are arrays whose bytes are in other files (external storage, virtual datasets), filters that
HDF5 would have to load, arrays that were never written, and those that no compression could have
made so small.
"""

from __future__ import annotations

import math
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.formats.sizes import check_size

if TYPE_CHECKING:
    import h5py

_DEFLATE = 1
_COMPRESSORS = {_DEFLATE, 4, 32000}  # gzip, szip, lzf
_FILTERS = {*_COMPRESSORS, 2, 3}  # shuffle, fletcher32
_LOOKED_INTO_FROM = 2**16  # smaller chunks cannot inflate to more than 64 MiB


def check_storage(path: Path, key: str, dataset: h5py.Dataset) -> None:
    """:raises DemonstrationError: if the array cannot be read safely; see this module's text."""
    properties = dataset.id.get_create_plist()
    _check_place(path, key, properties)
    filters = _checked_filters(path, key, properties)
    if dataset.shape is None:
        raise DemonstrationError(f"{path}: array {key} is empty; record the file again")
    itemsize = dataset.id.get_type().get_size()
    size = math.prod(dataset.shape) * itemsize
    chunk = math.prod(dataset.chunks) * itemsize if dataset.chunks and size else 0
    # The file itself says what is stored of an array, so that it may say too much.
    stored = min(dataset.id.get_storage_size(), path.stat().st_size)
    if size > stored and not filters & _COMPRESSORS:
        raise DemonstrationError(
            f"{path}: array {key} has the shape {dataset.shape} of {dataset.dtype}, but {stored} "
            "bytes in the file: it was not written to the end; record it again"
        )
    check_size(path, key, max(size, chunk), stored)
    if _DEFLATE in filters:
        _check_inflation(path, key, dataset, chunk)


def _check_place(path: Path, key: str, properties: h5py.h5p.PropDCID) -> None:
    import h5py

    virtual = properties.get_layout() == h5py.h5d.VIRTUAL
    if virtual or properties.get_external_count():
        raise DemonstrationError(
            f"{path}: array {key} is kept in other files, which are never opened; copy it into "
            "this one (h5repack)"
        )


def _checked_filters(path: Path, key: str, properties: h5py.h5p.PropDCID) -> set[int]:
    filters = [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]
    unknown = [code for code in filters if code not in _FILTERS]
    if unknown:
        raise DemonstrationError(
            f"{path}: array {key} needs HDF5 filter {unknown[0]}, which is not loaded; write it "
            "with gzip or lzf (h5repack -f GZIP=4)"
        )
    if len(_COMPRESSORS & set(filters)) > 1 or len(filters) > len(set(filters)):
        raise DemonstrationError(
            f"{path}: array {key} went through {len(filters)} filters, some of them twice; write "
            "it with gzip (h5repack -f GZIP=4)"
        )
    return set(filters)


def _check_inflation(path: Path, key: str, dataset: h5py.Dataset, chunk: int) -> None:
    """HDF5 inflates a chunk to whatever is in it, and only then looks at its size."""
    large: list[h5py.h5d.StoreInfo] = []

    def look(stored: h5py.h5d.StoreInfo) -> None:
        if stored.size > _LOOKED_INTO_FROM and not stored.filter_mask:
            large.append(stored)

    dataset.id.chunk_iter(look)
    for stored in large:
        # Bytes that deflate cannot shrink grow by less than a hundredth.
        fits = stored.size <= chunk + chunk // 100 + 64
        if not fits or _inflated_size(dataset, stored, chunk + 64) > chunk + 4:  # a checksum
            raise DemonstrationError(
                f"{path}: array {key} has a chunk of {stored.size} bytes that is more than the "
                f"{chunk} bytes it stands for: damaged, or made to fill the memory; copy it again"
            )


def _inflated_size(dataset: h5py.Dataset, stored: h5py.h5d.StoreInfo, limit: int) -> int:
    _, compressed = dataset.id.read_direct_chunk(stored.chunk_offset)
    return len(zlib.decompressobj().decompress(compressed, limit))
