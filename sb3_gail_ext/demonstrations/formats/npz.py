"""Open `.npz` archives of unknown origin: numeric arrays only, and no pickle, ever."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.formats.object_arrays import load_object_array


def load_arrays(
    path: Path,
    required: Sequence[str],
    optional: Sequence[str] = (),
    *,
    objects: Sequence[str] = (),
    hint: str,
) -> dict[str, np.ndarray]:
    """The arrays of these names, checked to be numeric.

    :param objects: those that may be object arrays of plain containers instead.
    :param hint: ends the message about a missing array: what such a file holds.
    :raises DemonstrationError: if the file is missing, is no archive, is damaged, lacks a required
        array, or holds Python objects.
    """
    with open_npz(path) as npz:
        missing = [key for key in required if key not in npz]
        if missing:
            raise DemonstrationError(
                f"{path}: no array {', '.join(missing)}; found {', '.join(sorted(npz))}. {hint}"
            )
        wanted = [key for key in (*required, *optional) if key in npz]
        return {key: _load_array(path, npz, key, key in objects) for key in wanted}


def array_names(path: Path) -> set[str]:
    """What the archive says it holds; nothing of it is loaded."""
    with open_npz(path) as npz:
        return set(npz)


def open_npz(path: Path) -> np.lib.npyio.NpzFile:
    """:raises DemonstrationError: if the file is missing or is no archive."""
    if not path.is_file():
        raise DemonstrationError(f"{path}: no such file; give the path of a demonstration .npz")
    # Asked first, for NumPy takes anything that is no archive for a pickle, and says so.
    if not zipfile.is_zipfile(path):
        raise DemonstrationError(
            f"{path}: not an .npz archive, or truncated; write it with np.savez, or copy it again"
        )
    try:
        npz: np.lib.npyio.NpzFile = np.load(path, allow_pickle=False)
    except Exception as error:  # foreign bytes: NumPy and zipfile raise whatever they stumble on
        raise DemonstrationError(f"{path}: damaged archive ({error}); copy it again") from error
    return npz


def _load_array(
    path: Path, npz: np.lib.npyio.NpzFile, key: str, may_hold_objects: bool
) -> np.ndarray:
    try:
        array = npz[key]
    except Exception as error:  # as in `open_npz`; a header may also ask for more than the memory
        if may_hold_objects and "allow_pickle" in str(error):
            return _objects(path, npz, key)
        cause = (
            "pickled Python objects, which are never loaded; save it as a numeric array"
            if "allow_pickle" in str(error)
            else f"damaged data ({error}); copy the file again"
        )
        raise DemonstrationError(f"{path}: array {key} holds {cause}") from error
    check_numeric(path, key, array)
    return array


def _objects(path: Path, npz: np.lib.npyio.NpzFile, key: str) -> np.ndarray:
    with npz.zip.open(f"{key}.npy") as stream:
        version = np.lib.format.read_magic(stream)
        read = {(1, 0): np.lib.format.read_array_header_1_0}.get(
            version, np.lib.format.read_array_header_2_0
        )
        read(stream)
        return load_object_array(path, key, stream)


def check_numeric(source: str | Path, key: str, array: np.ndarray) -> None:
    """:raises DemonstrationError: if these are no numbers."""
    if array.dtype.kind not in "fiub":
        paths = "; of images, the images, not their paths" if array.dtype.kind in "US" else ""
        raise DemonstrationError(
            f"{source}: array {key} has dtype {array.dtype}; save it as a numeric array{paths}"
        )
