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

if TYPE_CHECKING:
    import h5py

BEST_RATIO = 1032  # of deflate, the best of the compressors below
_DEFLATE, _LZF = 1, 32000
COMPRESSORS = {_DEFLATE: "gzip", 4: "szip", _LZF: "lzf"}
FILTERS = {**COMPRESSORS, 2: "shuffle", 3: "fletcher32"}
_HARMLESS_BYTES = 2**26  # what one chunk may become without being looked at first


def check_storage(path: Path, key: str, dataset: h5py.Dataset) -> None:
    """:raises DemonstrationError: if the array cannot be read safely; see this module's text."""
    properties = dataset.id.get_create_plist()
    _check_place(path, key, properties)
    filters = _checked_filters(path, key, properties)
    if dataset.shape is None:
        raise DemonstrationError(f"{path}: array {key} is empty; record the file again")
    itemsize = dataset.id.get_type().get_size()
    chunk = math.prod(dataset.chunks) * itemsize if dataset.chunks else 0
    declared = max(math.prod(dataset.shape) * itemsize, chunk if dataset.size else 0)
    stored = min(dataset.id.get_storage_size(), path.stat().st_size)
    check_expansion(path, key, declared, stored, BEST_RATIO if filters & set(COMPRESSORS) else 1)
    if _DEFLATE in filters:
        _check_inflation(path, key, dataset, chunk)


def check_expansion(
    source: str | Path, key: str, declared: int, stored: int, ratio: int = BEST_RATIO
) -> None:
    """:param declared: bytes that an array is said to have.
    :param stored: bytes of it in the file.
    :param ratio: the best that its compression can do; 1 without.
    :raises DemonstrationError: if the one cannot become the other.
    """
    if declared > ratio * stored:
        raise DemonstrationError(
            f"{source}: array {key} is said to have {declared} bytes, but the file holds {stored} "
            "of them: it was never written, or the file is damaged or a trap; record it again"
        )


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
    unknown = [code for code in filters if code not in FILTERS]
    if unknown:
        raise DemonstrationError(
            f"{path}: array {key} needs HDF5 filter {unknown[0]}, which is not loaded; write it "
            "with gzip or lzf (h5repack -f GZIP=4)"
        )
    if sum(code in COMPRESSORS for code in filters) > 1 or len(filters) > len(set(filters)):
        raise DemonstrationError(f"{path}: array {key} is compressed twice; write it with gzip")
    return set(filters)


def _check_inflation(path: Path, key: str, dataset: h5py.Dataset, chunk: int) -> None:
    """HDF5 inflates a chunk to whatever is in it, and only then looks at its size."""

    large: list[h5py.h5d.StoreInfo] = []

    def look(stored: h5py.h5d.StoreInfo) -> None:
        if stored.size * BEST_RATIO > _HARMLESS_BYTES and not stored.filter_mask:
            large.append(stored)

    dataset.id.chunk_iter(look)
    for stored in large:
        check_expansion(path, key, stored.size, chunk + chunk // 8 + 64, ratio=1)
        _, compressed = dataset.id.read_direct_chunk(stored.chunk_offset)
        inflated = zlib.decompressobj().decompress(compressed, chunk + 64)
        check_expansion(path, key, len(inflated), chunk + 4, ratio=1)  # 4 of a checksum
