"""Object arrays of `.npz` files: NumPy keeps them as a pickle behind the header."""

from __future__ import annotations

from pathlib import Path
from typing import IO

import numpy as np

from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.formats.safe_pickle import safe_loads

# Infos that are all alike shrink a thousandfold, but are small; nothing else shrinks so much.
_ALWAYS_UNPACKED = 2**26
_MOST_COMPRESSED = 100


def load_object_array(path: Path, key: str, stream: IO[bytes]) -> np.ndarray:
    """An array of dtype object, whose elements are plain containers, numbers and numeric arrays.

    :param stream: the array's bytes, behind its header.
    :raises DemonstrationError: if it is damaged, unpacks to too much, or names anything else.
    """
    most = max(_ALWAYS_UNPACKED, _MOST_COMPRESSED * path.stat().st_size)
    try:
        data = stream.read(most + 1)
    except Exception as error:  # foreign bytes, in a compressed stream
        raise DemonstrationError(
            f"{path}: array {key} holds damaged data ({error}); copy the file again"
        ) from error
    if len(data) > most:
        raise DemonstrationError(
            f"{path}: array {key} unpacks to more than {most / 2**20:.0f} MiB, far more than the "
            "file's size; save it as a numeric array"
        )
    array = safe_loads(data, f"{path}: array {key}")
    if not isinstance(array, np.ndarray) or array.dtype.kind != "O":
        raise DemonstrationError(
            f"{path}: array {key} holds something else than the objects that its header promises; "
            "save it again"
        )
    return array
