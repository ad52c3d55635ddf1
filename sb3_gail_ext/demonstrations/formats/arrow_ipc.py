"""Open Arrow IPC streams and files of unknown origin: mapped into memory, never decompressed.

A stream is a schema and record batches, one message after the other; a file is the same behind
eight bytes of magic. What a message says of itself is a FlatBuffers table, which Arrow has verified
before anything here looks into it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sb3_gail_ext.demonstrations.errors import DemonstrationError, in_one_line
from sb3_gail_ext.demonstrations.formats import sizes

if TYPE_CHECKING:
    import pyarrow as pa

_MAGIC = b"ARROW1\0\0"
_END = b"\xff\xff\xff\xff\0\0\0\0"  # of messages
_HEADER, _COMPRESSION = 2, 3  # which field of a Message, and of a RecordBatch
_SAFE_PYARROW = (14, 0, 1)  # older ones unpickle what a file holds (CVE-2023-47248)


class ArrowFile(NamedTuple):
    """What a file holds."""

    batches: list[pa.RecordBatch]
    content: np.memmap  # its bytes, copy-on-write, in which the batches have their numbers


def load_batches(path: Path, columns: Sequence[str], optional: Sequence[str] = ()) -> ArrowFile:
    """The record batches of a file, of which these columns are there and valid.

    :param optional: columns that are valid, too, if they are there.
    :raises DemonstrationError: if the file is missing, damaged, compressed, or lacks a column.
    """
    import pyarrow as pa

    check_pyarrow(path)
    if not path.is_file():
        raise DemonstrationError(f"{path}: no such file, but the dataset needs it; copy it again")
    try:
        content = np.memmap(path, dtype=np.uint8, mode="c")
        messages = _messages(pa.py_buffer(content))
        _check_plain(path, messages)
        with pa.ipc.open_stream(messages, options=pa.ipc.IpcReadOptions(use_threads=False)) as file:
            columns = [*columns, *(name for name in optional if name in file.schema.names)]
            check_columns(path, file.schema, columns)
            batches = list(file)
        for batch in batches:
            check_valid(batch, columns)
    except DemonstrationError:
        raise
    except Exception as error:  # foreign bytes: Arrow raises whatever it stumbles on
        raise damaged(path, error) from error
    return ArrowFile(batches, content)


def writable(content: np.memmap, array: np.ndarray) -> np.ndarray:
    """An array of a file as one that can be written to: in memory, or of a large file on disk."""
    start = array.ctypes.data - content.ctypes.data
    is_inside = 0 <= start <= content.nbytes - array.nbytes
    if array.flags.writeable:
        return array
    if content.nbytes < sizes.MAPPED_FROM_BYTES or not is_inside:
        return array.copy()
    return np.ndarray(array.shape, array.dtype, content, start, array.strides)


def damaged(path: Path, error: Exception) -> DemonstrationError:
    """What to raise for whatever Arrow raised."""
    said = in_one_line(error) or type(error).__name__
    return DemonstrationError(f"{path}: damaged or truncated data ({said}); copy the file again")


def check_pyarrow(path: Path) -> None:
    """:raises DemonstrationError: if the installed pyarrow would run a file's code."""
    import pyarrow as pa

    if tuple(int(part) for part in pa.__version__.split(".")[:3]) < _SAFE_PYARROW:
        raise DemonstrationError(
            f"{path}: pyarrow {pa.__version__} runs code that a file may hold; "
            "pip install 'pyarrow>=14.0.1'"
        )


def check_columns(path: Path, schema: pa.Schema, columns: Sequence[str]) -> None:
    """:raises DemonstrationError: unless each of these is there once."""
    missing = [name for name in columns if schema.names.count(name) != 1]
    if missing:
        raise DemonstrationError(
            f"{path}: no column {', '.join(missing)}; found "
            f"{in_one_line(', '.join(sorted(schema.names)[:9]))}"
        )


def check_valid(batch: pa.RecordBatch, columns: Sequence[str]) -> None:
    """:raises pyarrow.ArrowInvalid: if offsets, lengths or texts are not what they should be."""
    for name in columns:
        batch.column(name).validate(full=True)


def _messages(content: pa.Buffer) -> pa.Buffer:
    """The stream, without what a file has around it.

    :raises ValueError: if it has no end.
    """
    if content[: len(_MAGIC)].to_pybytes() == _MAGIC:
        footer = struct.unpack("<i6s", content[-10:].to_pybytes())
        if footer[1] != _MAGIC[:6] or not 0 < footer[0] < content.size - 18:
            raise ValueError("truncated")
        content = content[len(_MAGIC) : -10 - footer[0]]
    if content[-8:].to_pybytes() != _END:
        raise ValueError("truncated")
    return content


def _check_plain(path: Path, messages: pa.Buffer) -> None:
    """A schema and record batches, to the end, none of which would be decompressed into anything.

    :raises DemonstrationError: if one would be.
    :raises ValueError: if there is anything else, or no end.
    """
    import pyarrow as pa

    source = pa.BufferReader(messages)
    for message in pa.ipc.MessageReader.open_stream(source):
        if message.type not in ("schema", "record batch"):
            raise ValueError(f"there is a {message.type} message in it")
        if message.type == "record batch" and _is_compressed(message.metadata.to_pybytes()):
            raise DemonstrationError(
                f"{path}: compressed Arrow data, which can become any size; write it uncompressed"
            )
    if source.tell() != messages.size:
        raise ValueError("it ends too early")


def _is_compressed(message: bytes) -> bool:
    """Does this message's record batch name a codec?"""
    table = struct.unpack_from("<I", message)[0]
    batch = _field(message, table, _HEADER)
    if batch == 0:
        return False
    batch += struct.unpack_from("<I", message, batch)[0]
    return _field(message, batch, _COMPRESSION) != 0


def _field(message: bytes, table: int, index: int) -> int:
    """Where a FlatBuffers table keeps its field; 0 if it has none."""
    vtable = table - struct.unpack_from("<i", message, table)[0]
    entry = 4 + 2 * index
    if entry >= struct.unpack_from("<H", message, vtable)[0]:
        return 0
    offset = struct.unpack_from("<H", message, vtable + entry)[0]
    return table + offset if offset else 0
