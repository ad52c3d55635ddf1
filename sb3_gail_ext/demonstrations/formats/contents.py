"""What kind of file this is, and the names in it; nothing of it is loaded."""

from __future__ import annotations

import os
import re
import zipfile
from pathlib import Path
from typing import NamedTuple

from sb3_gail_ext.demonstrations.errors import DemonstrationError, in_one_line
from sb3_gail_ext.demonstrations.formats.hdf5 import opened
from sb3_gail_ext.demonstrations.formats.hdf5_groups import (
    is_group,
    members,
    open_group,
)
from sb3_gail_ext.demonstrations.formats.npz import array_names
from sb3_gail_ext.demonstrations.formats.pickled_names import pickled_names

_LOOKED_AT = 2**16  # bytes of a pickle in which names are looked for
_ZIP_MAGIC = b"PK\x03\x04"
_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"


class Contents(NamedTuple):
    """A container and the names of what it holds."""

    container: str  # "npz", "hdf5", "pickle" or "folder"
    names: frozenset[str]  # of arrays, groups, classes or files


def contents_of(path: Path) -> Contents:
    """:raises DemonstrationError: if there is no file, or none that could hold demonstrations."""
    if path.is_dir():
        return Contents("folder", frozenset(_files_in(path)))
    if not path.is_file():
        what = "not a regular file" if path.exists() else "no such file"
        raise DemonstrationError(f"{path}: {what}; give the path of demonstrations")
    if _is_hdf5(path):
        return Contents("hdf5", _hdf5_names(path))
    if zipfile.is_zipfile(path):
        return Contents("npz", frozenset(array_names(path)))
    if _is_pickle(path):
        return Contents("pickle", frozenset(pickled_names(_first_bytes(path))))
    if _first_bytes(path).startswith(_ZIP_MAGIC):
        raise DemonstrationError(f"{path}: truncated archive, its end is missing; copy it again")
    if path.suffix in (".arrow", ".parquet"):
        raise DemonstrationError(f"{path}: one file of a dataset; give the folder that it is in")
    raise DemonstrationError(
        f"{path}: not an .npz archive, HDF5 file, pickle or dataset; see docs/demonstrations.md "
        "for what can be read"
    )


def _files_in(folder: Path) -> set[str]:
    """Names in a folder, and in `data` in it: by `data` alone no format could be known."""
    inner = folder / "data"
    names = {entry.name for entry in folder.iterdir()}
    return names | {f"data/{e.name}" for e in (inner.iterdir() if inner.is_dir() else ())}


def _is_pickle(path: Path) -> bool:
    """Protocols from 2 on say so; those before are text that names classes and ends with a dot."""
    first = _first_bytes(path)
    if first[:1] == b"\x80" and first[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return True
    if first[:1] not in (b"(", b"c", b"]"):
        return False
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() == b"." and bool(pickled_names(first))


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_LOOKED_AT)


def _is_hdf5(path: Path) -> bool:
    """Its signature is at the start, or, behind a user's own block, at 512, 1024, 2048, ..."""
    size, offset = path.stat().st_size, 0
    with path.open("rb") as file:
        while offset < size:
            file.seek(offset)
            if file.read(len(_HDF5_MAGIC)) == _HDF5_MAGIC:
                return True
            offset = max(512, 2 * offset)
    return False


def _hdf5_names(path: Path) -> frozenset[str]:
    """Names at the root, and in the first group of each kind there: `data`, `data/demo_#`.

    Numbers at the end become `#`, for episodes are numbered groups.
    """
    with opened(path) as file:
        kinds = {_unnumbered(name): name for name in reversed(members(path, file))}
        names = set(kinds)
        for kind, name in kinds.items():
            if is_group(file, name):
                within = members(path, open_group(path, file, name))
                names |= {f"{kind}/{_unnumbered(member)}" for member in within}
        return frozenset(names)


def _unnumbered(name: str) -> str:
    return re.sub(r"\d+$", "#", in_one_line(name))
