"""Are these numbers, and finite ones?"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sb3_gail_ext.demonstrations.errors import DemonstrationError

_BLOCK_BYTES = 2**24  # looked at in one piece, so that an array on disk is never in memory


def check_numeric(source: str | Path, key: str, dtype: np.dtype) -> None:
    """:raises DemonstrationError: if these are no numbers."""
    if dtype.kind not in "fiub":
        paths = "; of images, the images, not their paths" if dtype.kind in "US" else ""
        raise DemonstrationError(
            f"{source}: array {key} has dtype {dtype}; save it as a numeric array{paths}"
        )


def first_not_finite(array: np.ndarray) -> int | None:
    """The first row of (n, ...) with NaN or infinity in it; None if all numbers are finite."""
    if array.dtype.kind != "f" or array.size == 0:
        return None
    n_rows = max(_BLOCK_BYTES * len(array) // array.nbytes, 1)
    for start in range(0, len(array), n_rows):
        finite = np.isfinite(array[start : start + n_rows])
        if not finite.all():
            return start + int(np.argmin(finite.reshape(len(finite), -1).all(axis=1)))
    return None
