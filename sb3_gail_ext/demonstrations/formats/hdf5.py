"""Open HDF5 files of unknown origin: numeric arrays that are in the file itself, and nothing else.

An HDF5 file may point at other files, declare arrays that it does not hold and ask for filters that
are loaded as code. None of this is followed: `hdf5_storage` says what is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.formats.hdf5_storage import check_storage
from sb3_gail_ext.demonstrations.formats.npz import check_numeric

if TYPE_CHECKING:
    import h5py

MAPPED_FROM_BYTES = 2**30  # larger arrays are left on disk and mapped, where their layout allows
MAX_MEMBERS = 200_000  # of one group: more episodes than any data set has


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


def members(path: Path, group: h5py.Group) -> list[str]:
    """The names in a group, in the file's order; nothing of them is opened.

    :raises DemonstrationError: if there are more than `MAX_MEMBERS`.
    """
    if len(group) > MAX_MEMBERS:
        raise DemonstrationError(
            f"{path}: group {in_one_line(group.name)} has {len(group)} members; "
            f"{MAX_MEMBERS} can be read: split the file"
        )
    return list(group)


def open_group(path: Path, group: h5py.Group, name: str) -> h5py.Group:
    """The group of this name in `group`.

    :raises DemonstrationError: if it is missing, no group, or a link to elsewhere.
    """
    import h5py

    found = _member(path, group, name)
    if not isinstance(found, h5py.Group):
        raise DemonstrationError(f"{path}: {key_of(group, name)} is not a group of arrays")
    return found


def load_dataset(path: Path, group: h5py.Group, name: str) -> np.ndarray:
    """The array of this name in `group`, with the file's dtype.

    Of more than `MAPPED_FROM_BYTES` it is a read-only map of the file, if the file holds it as
    memory would.

    :raises DemonstrationError: if it is missing, is no numeric array, is not in the file itself, or
        is larger than what the file can hold.
    """
    import h5py

    found = _member(path, group, name)
    key = key_of(group, name)
    if not isinstance(found, h5py.Dataset):
        raise DemonstrationError(f"{path}: {key} is not an array, but a {type(found).__name__}")
    check_storage(path, key, found)
    check_numeric(path, key, found)
    if found.nbytes > MAPPED_FROM_BYTES and _is_mappable(found):
        return np.memmap(path, found.dtype, "r", found.id.get_offset(), found.shape)
    array = found[()]
    # An enumeration of FALSE and TRUE: any byte may stand in the file.
    return array.view(np.uint8) != 0 if array.dtype == np.bool_ else array


def has_member(group: h5py.Group, name: str) -> bool:
    """Is there anything of this name, be it a link to nowhere?"""
    return bool(group.id.links.exists(name.encode("utf-8", "surrogateescape")))


def key_of(group: h5py.Group, name: str) -> str:
    """The full name of a member, for messages."""
    return in_one_line(f"{group.name.strip('/')}/{name}".lstrip("/"))


def in_one_line(text: object) -> str:
    """Foreign text for a message: short, printable, in one line."""
    plain = " ".join(str(text).encode("ascii", "backslashreplace").decode().split())
    return plain if len(plain) <= 200 else f"{plain[:200]}..."


def _member(path: Path, group: h5py.Group, name: str) -> h5py.HLObject:
    import h5py

    key = key_of(group, name)
    if "/" in name or name in ("", ".") or not has_member(group, name):
        raise DemonstrationError(
            f"{path}: no array {key}; found {in_one_line(', '.join(members(path, group)[:8]))}"
        )
    link = group.id.links.get_info(name.encode("utf-8", "surrogateescape"))
    # A soft link may lead through an external one, and that into any file of the user.
    if link.type != h5py.h5l.TYPE_HARD:
        raise DemonstrationError(
            f"{path}: {key} is a link to elsewhere, which is never followed; copy the array into "
            "the file (h5repack, or h5py's copy with expand_external)"
        )
    return group[name]


def _is_mappable(dataset: h5py.Dataset) -> bool:
    return (
        dataset.dtype.kind in "fiu"
        and dataset.dtype.isnative
        and dataset.chunks is None
        and dataset.id.get_offset() is not None  # None: in the header, or never written
    )
