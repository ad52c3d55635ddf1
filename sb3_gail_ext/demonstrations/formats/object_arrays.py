"""Object arrays of `.npz` files: NumPy keeps them as a pickle behind the header."""

from __future__ import annotations

from pathlib import Path
from typing import IO

import numpy as np

from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.formats.safe_pickle import safe_loads


def load_object_array(path: Path, key: str, stream: IO[bytes]) -> np.ndarray:
    """An array of dtype object, whose elements are plain containers, numbers and numeric arrays.

    :param stream: the array's bytes, behind its header, of checked size.
    :raises DemonstrationError: if it is damaged, or names anything else.
    """
    array = safe_loads(stream.read(), f"{path}: array {key}")
    if not isinstance(array, np.ndarray) or array.dtype.kind != "O":
        raise DemonstrationError(
            f"{path}: array {key} holds something else than the objects that its header promises; "
            "save it again"
        )
    return array
