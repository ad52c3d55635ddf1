"""Open HDF5 files of unknown origin: numeric arrays that are in the file itself, and nothing else.

An HDF5 file may point at other files, declare arrays that it does not hold and ask for filters that
are loaded as code. None of this is followed; `hdf5_storage` says what is refused of an array, and
why `hdf5_chunks` reads what was compressed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sb3_gail_ext.demonstrations.errors import DemonstrationError, in_one_line
from sb3_gail_ext.demonstrations.formats import sizes
from sb3_gail_ext.demonstrations.formats.hdf5_chunks import read_chunks
from sb3_gail_ext.demonstrations.formats.hdf5_groups import key_of, member
from sb3_gail_ext.demonstrations.formats.hdf5_storage import check_storage
from sb3_gail_ext.demonstrations.formats.numeric import check_numeric

if TYPE_CHECKING:
    import h5py


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """The file, open for reading. Whatever goes wrong inside the block is an error of the file.

    :raises DemonstrationError: if h5py is missing, or the file is missing, truncated or damaged.
    """
    try:
        import h5py
    except ImportError as error:
        raise DemonstrationError(
            f"{path}: HDF5 files need h5py; pip install 'sb3_gail_ext[hdf5]'"
        ) from error
    if not path.is_file():
        raise DemonstrationError(f"{path}: no such file; give the path of an HDF5 file")
    try:
        with h5py.File(path, "r", locking=False) as file:
            yield file
    except DemonstrationError:
        raise
    except Exception as error:  # foreign bytes: h5py raises whatever it stumbles on
        raise DemonstrationError(
            f"{path}: damaged or truncated HDF5 file ({in_one_line(error)}); copy it again"
        ) from error


def open_dataset(path: Path, group: h5py.Group, name: str) -> h5py.Dataset:
    """The array of this name in `group`, not read yet, but safe to `read`.

    :raises DemonstrationError: if it is missing, is no numeric array, is not in the file itself, or
        is larger than what the file can hold.
    """
    import h5py

    found, key = member(path, group, name), key_of(group, name)
    if not isinstance(found, h5py.Dataset):
        raise DemonstrationError(f"{path}: {key} is a group, not an array")
    check_numeric(path, key, found.dtype)
    check_storage(path, key, found)
    return found


def size_of(path: Path, group: h5py.Group, name: str) -> int:
    """Bytes of the array of this name in `group`, as its header has it; 0 if it is no array.

    :raises DemonstrationError: if it is missing or a link to elsewhere.
    """
    import h5py

    found = member(path, group, name)
    if not isinstance(found, h5py.Dataset) or found.shape is None:
        return 0
    return math.prod(found.shape) * found.dtype.itemsize  # h5py's nbytes may overflow


def load_dataset(path: Path, group: h5py.Group, name: str) -> np.ndarray:
    """The array of this name in `group`, with the file's dtype.

    A large one stays on disk, if the file holds it as memory would.

    :raises DemonstrationError: as `open_dataset`.
    """
    dataset = open_dataset(path, group, name)
    if dataset.nbytes >= sizes.MAPPED_FROM_BYTES and _is_mappable(dataset):
        # Copy-on-write, as the large arrays of `npz`.
        return np.memmap(path, dataset.dtype, "c", dataset.id.get_offset(), dataset.shape)
    return read(dataset)


def read(dataset: h5py.Dataset, rows: slice | None = None) -> np.ndarray:
    """All of an array that `open_dataset` has checked, or these rows of it."""
    array = read_chunks(dataset, rows) if dataset.chunks else dataset[rows or ()]
    if array.dtype == np.bool_:  # an enumeration of FALSE and TRUE, but any byte may be in it
        return array.view(np.uint8) != 0
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def read_blocks(dataset: h5py.Dataset, n_bytes: int = 2**24) -> Iterator[tuple[slice, np.ndarray]]:
    """The rows of an array in pieces of about `n_bytes` and their places. No chunk is in two."""
    rows_of_chunk = dataset.chunks[0] if dataset.chunks else 1
    n_rows = n_bytes // max(dataset.nbytes // len(dataset), 1)
    n_rows = max(n_rows // rows_of_chunk, 1) * rows_of_chunk
    for start in range(0, len(dataset), n_rows):
        rows = slice(start, start + n_rows)
        yield rows, read(dataset, rows)


def _is_mappable(dataset: h5py.Dataset) -> bool:
    return (
        dataset.dtype.kind in "fiu"
        and dataset.dtype.isnative
        and dataset.chunks is None
        and dataset.id.get_offset() is not None  # it is among the file's own bookkeeping
    )
