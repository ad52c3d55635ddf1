"""Arrays with one row per step, (T, ...), as files keep them: do they fit together?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.formats.numeric import first_not_finite


def check_steps(source: str | Path, shapes: Mapping[str, Sequence[int]]) -> None:
    """All arrays have the same number of rows, at least one.

    :raises DemonstrationError: naming the first array that differs from the first one.
    """
    first, *others = shapes
    if not shapes[first] or not shapes[first][0]:
        raise DemonstrationError(
            f"{source}: array {first} has the shape {shapes[first]}: no steps; record it again"
        )
    for key in others:
        if tuple(shapes[key][:1]) != tuple(shapes[first][:1]):
            raise DemonstrationError(
                f"{source}: array {key} has the shape {shapes[key]}, but {first} has "
                f"{shapes[first]}: all steps must be in both"
            )


def check_finite(source: str | Path, arrays: Mapping[str, np.ndarray]) -> None:
    """:raises DemonstrationError: naming the array and the first step that is NaN or infinite."""
    for key, array in arrays.items():
        step = first_not_finite(array)
        if step is not None:
            raise DemonstrationError(
                f"{source}: array {key} is not finite in step {step}; remove its episode or "
                "record it again"
            )


def in_dtype_of(obs: np.ndarray, final_obs: np.ndarray) -> np.ndarray:
    """Final observations as the others are, if those are floating: float32 stays float32. What is
    too large for it becomes infinite.
    """
    if obs.dtype.kind != "f":
        return final_obs
    with np.errstate(over="ignore"):
        return final_obs.astype(obs.dtype, copy=False)


def one_per_step(source: str | Path, key: str, array: np.ndarray) -> np.ndarray:
    """An array (T,), which recorders of vectorised environments write as (T, 1).

    :raises DemonstrationError: if it has any other shape.
    """
    if array.shape not in ((len(array),), (len(array), 1)):
        raise DemonstrationError(
            f"{source}: array {key} has the shape {array.shape}; expected one number per step"
        )
    return array.reshape(-1)


def flags(source: str | Path, key: str, array: np.ndarray) -> np.ndarray:
    """Bool (T,) of an array of zeros and ones of any dtype.

    :raises DemonstrationError: if there are other numbers in it.
    """
    flat = one_per_step(source, key, array)
    if not ((flat == 0) | (flat == 1)).all():
        raise DemonstrationError(f"{source}: array {key} holds other numbers than 0 and 1")
    return flat.astype(bool, copy=False)


def rewards(source: str | Path, key: str, array: np.ndarray) -> np.ndarray:
    """Floating rewards (T,)."""
    flat = one_per_step(source, key, array)
    return flat if flat.dtype.kind == "f" else flat.astype(np.float64)
