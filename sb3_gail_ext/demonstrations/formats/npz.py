"""Open `.npz` archives of unknown origin: numbers only, nothing larger than the file can hold."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from sb3_gail_ext.demonstrations.errors import DemonstrationError, in_one_line
from sb3_gail_ext.demonstrations.formats import sizes
from sb3_gail_ext.demonstrations.formats.npy_header import Header, read_header
from sb3_gail_ext.demonstrations.formats.numeric import check_numeric
from sb3_gail_ext.demonstrations.formats.object_arrays import load_object_array

_SUFFIX = ".npy"
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # NumPy's; the others expand without limit
_CHUNK_BYTES = 2**20


def load_arrays(
    path: Path,
    required: Sequence[str],
    optional: Sequence[str] = (),
    *,
    hint: str,
    objects: Sequence[str] = (),
    one_step_longer: str | None = None,
) -> dict[str, np.ndarray]:
    """The arrays of these names, checked to be numeric. Large uncompressed ones stay on disk.

    :param hint: ends the message about a missing array: what such a file holds.
    :param objects: those that may be object arrays, of plain containers and numeric arrays.
    :param one_step_longer: this array (N, T, D, ...) comes as (N, T + 1, D, ...), for a last step
        could only be appended to a copy; not if it stays on disk, see `is_one_step_longer`.
    :raises DemonstrationError: if the file is missing, is no archive, is damaged, lacks a required
        array, holds Python objects, or claims more than it can hold.
    """
    with open_npz(path) as archive:
        names = _names(archive)
        missing = [key for key in required if key not in names]
        if missing:
            raise DemonstrationError(
                f"{path}: no array {', '.join(missing)}; found "
                f"{in_one_line(', '.join(sorted(names)))}. {hint}"
            )
        wanted = [key for key in (*required, *optional) if key in names]
        return {
            key: _load_array(
                path, archive, key, objects=key in objects, spare_step=key == one_step_longer
            )
            for key in wanted
        }


def is_one_step_longer(array: np.ndarray) -> bool:
    """Of the array for which `load_arrays` was asked for that."""
    return array.ndim >= 3 and array.dtype.kind != "O" and not isinstance(array, np.memmap)


def array_names(path: Path) -> set[str]:
    """What the archive says it holds; nothing of it is loaded."""
    with open_npz(path) as archive:
        return _names(archive)


def load_text(path: Path, key: str) -> str | None:
    """The one string that an array holds; None if there is no such array.

    :raises DemonstrationError: if it holds anything else.
    """
    with open_npz(path) as archive:
        if key not in _names(archive):
            return None
        with _opened(path, archive, key) as stream:
            header = read_header(path, key, stream)
            if header.dtype.kind != "U" or header.shape != ():
                raise DemonstrationError(
                    f"{path}: array {key} has dtype {header.dtype} and shape {header.shape}, but "
                    "holds one text in such files; write the file again"
                )
            _check_size(path, key, archive, header)
            return str(np.frombuffer(stream.read(), header.dtype)[0]) if header.size else ""


@contextmanager
def open_npz(path: Path) -> Iterator[zipfile.ZipFile]:
    """:raises DemonstrationError: if the file is missing or is no archive, here or inside."""
    if not path.is_file():
        raise DemonstrationError(f"{path}: no such file; give the path of a demonstration .npz")
    if not zipfile.is_zipfile(path):
        raise DemonstrationError(
            f"{path}: not an .npz archive, or truncated; write it with np.savez, or copy it again"
        )
    try:
        archive = zipfile.ZipFile(path)
    except Exception as error:  # foreign bytes: zipfile raises whatever it stumbles on
        raise DemonstrationError(
            f"{path}: damaged archive ({in_one_line(error)}); copy it again"
        ) from error
    with archive:
        yield archive


def _names(archive: zipfile.ZipFile) -> set[str]:
    return {name.removesuffix(_SUFFIX) for name in archive.namelist()}


def _info(archive: zipfile.ZipFile, key: str) -> zipfile.ZipInfo:
    names = archive.NameToInfo
    return names.get(key + _SUFFIX) or names[key]


@contextmanager
def _opened(path: Path, archive: zipfile.ZipFile, key: str) -> Iterator[IO[bytes]]:
    """The bytes of an array's member. What zip and deflate raise becomes one line."""
    info = _info(archive, key)
    if info.compress_type not in _METHODS:
        raise DemonstrationError(
            f"{path}: array {key} is compressed by a method that NumPy does not write; save the "
            "file again with np.savez"
        )
    try:
        with archive.open(info) as stream:
            yield stream
    except DemonstrationError:
        raise
    except Exception as error:  # as in `open_npz`
        raise DemonstrationError(
            f"{path}: array {key} holds damaged data ({in_one_line(error)}); copy the file again"
        ) from error


def _load_array(
    path: Path, archive: zipfile.ZipFile, key: str, *, objects: bool, spare_step: bool
) -> np.ndarray:
    with _opened(path, archive, key) as stream:
        header = read_header(path, key, stream)
        if header.dtype.hasobject and objects:
            info = _info(archive, key)
            sizes.check_size(path, key, info.file_size, info.compress_size)
            return load_object_array(path, key, stream)
        if header.dtype.hasobject:
            raise DemonstrationError(
                f"{path}: array {key} holds pickled Python objects, which are never loaded; save "
                "it as a numeric array"
            )
        check_numeric(path, key, header.dtype)
        _check_size(path, key, archive, header)
        info = _info(archive, key)
        if info.compress_type == zipfile.ZIP_STORED and header.size >= sizes.MAPPED_FROM_BYTES:
            return _mapped(path, info, header)
        if spare_step and len(header.shape) >= 3 and header.size:
            return _read_with_spare_step(stream, header)
        return _read(stream, header)


def _check_size(path: Path, key: str, archive: zipfile.ZipFile, header: Header) -> None:
    info = _info(archive, key)
    if header.size != info.file_size - header.n_bytes:
        raise DemonstrationError(
            f"{path}: array {key} has the shape {header.shape} of {header.dtype}, {header.size} "
            f"bytes, but the file holds {info.file_size - header.n_bytes}; copy the file again"
        )
    # The directory may lie about the compressed size; nothing is larger than the file.
    stored = min(info.compress_size, path.stat().st_size)
    sizes.check_size(path, key, header.size, stored)


def _mapped(path: Path, info: zipfile.ZipInfo, header: Header) -> np.ndarray:
    """The array where it lies, for an uncompressed member is a piece of the file."""
    name_and_extra = 26  # where in its local header two lengths of two bytes are
    with path.open("rb") as file:
        file.seek(info.header_offset + name_and_extra)
        lengths = np.frombuffer(file.read(4), "<u2")
    offset = info.header_offset + 30 + int(lengths.sum()) + header.n_bytes
    order = "F" if header.fortran_order else "C"
    # Copy-on-write: whoever writes into it changes neither the file nor another's view.
    return np.memmap(path, header.dtype, "c", offset, header.shape, order)  # type: ignore[call-overload]


def _read(stream: IO[bytes], header: Header) -> np.ndarray:
    flat = np.empty(header.size // max(header.dtype.itemsize, 1), header.dtype)
    _fill(stream, flat)
    return flat.reshape(header.shape, order="F" if header.fortran_order else "C")


def _read_with_spare_step(stream: IO[bytes], header: Header) -> np.ndarray:
    """(N, T + 1, ...), the last step of each row not filled."""
    n_episodes, n_steps, *rest = header.shape
    array = np.empty((n_episodes, n_steps + 1, *rest), header.dtype)
    if header.fortran_order:
        array[:, :n_steps] = _read(stream, header)
        return array
    for episode in array:
        _fill(stream, episode[:n_steps].reshape(-1))
    return array


def _fill(stream: IO[bytes], flat: np.ndarray) -> None:
    """:raises EOFError: if the bytes end before the array is full."""
    view = flat.view(np.uint8).data
    for start in range(0, len(view), _CHUNK_BYTES):
        chunk = view[start : start + _CHUNK_BYTES]
        if stream.readinto(chunk) != len(chunk):  # type: ignore[attr-defined]
            raise EOFError("it ends too early")
