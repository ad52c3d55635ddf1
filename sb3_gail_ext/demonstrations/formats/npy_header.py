"""The header of an array in an `.npz`: what it says, and whether the file can hold that."""

from __future__ import annotations

import io
import math
import re
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from sb3_gail_ext.demonstrations.errors import DemonstrationError, in_one_line

_LONGEST_HEADER = 10_000  # bytes, NumPy's own limit: beyond, its parser can be made to crash
_READERS = {
    (1, 0): (2, np.lib.format.read_array_header_1_0),  # bytes of the length, parser
    (2, 0): (4, np.lib.format.read_array_header_2_0),
}


class Header(NamedTuple):
    """Of one array."""

    shape: tuple[int, ...]
    dtype: np.dtype
    fortran_order: bool
    n_bytes: int  # of the header itself

    @property
    def size(self) -> int:
        """Bytes of the array."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(source: str | Path, key: str, stream: IO[bytes]) -> Header:
    """:raises DemonstrationError: if this is no header, or one of a shape that no array has."""
    try:
        width, parse = _READERS[np.lib.format.read_magic(stream)]
        length = stream.read(width)
        text = stream.read(min(int.from_bytes(length, "little"), _LONGEST_HEADER))
        shape, fortran_order, dtype = parse(io.BytesIO(length + text))
    except Exception as error:  # foreign bytes: NumPy raises whatever it stumbles on
        cause = in_one_line(f"version {error}" if isinstance(error, KeyError) else error)
        cause = re.sub(r": <.* object at \w+>", "", cause)  # said of what is no literal
        raise DemonstrationError(
            f"{source}: array {key} has no NumPy header that can be read ({cause}); copy the file "
            "again"
        ) from error
    if len(shape) > 32 or any(isinstance(n, bool) or n < 0 for n in shape):
        raise DemonstrationError(
            f"{source}: array {key} has the impossible shape {shape}; copy the file again"
        )
    return Header(shape, dtype, fortran_order, stream.tell())
