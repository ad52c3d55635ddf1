"""Episodes of unequal length in a chapter file: object arrays with one array or list per episode.

    obs (N,) of (T_i, D)   acs (N,) of (T_i, A)   rews (N,) of (T_i,)

`np.savez` makes these of lists of episodes. Where all happen to be equally long, it makes object
arrays (N, T, D) of single numbers. Nothing is padded: one long episode beside many short ones
would fill the memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.formats import sizes
from sb3_gail_ext.demonstrations.formats.numeric import check_numeric

RAGGED_KEYS = ("obs", "acs", "rews")
_DEEPEST = 6  # lists: episodes, steps, an image's height, width, channels, and numbers in them
_BYTES_OF_NUMBER = 8
_NUMBERS = (bool, int, float, np.generic)

Arrays = Mapping[str, np.ndarray]


def is_ragged(arrays: Arrays) -> bool:
    return bool(_ragged_keys(arrays))


def _ragged_keys(arrays: Arrays) -> list[str]:
    return [key for key in RAGGED_KEYS if key in arrays and arrays[key].dtype.kind == "O"]


def one_by_one(path: Path, arrays: Arrays) -> Iterator[dict[str, np.ndarray]]:
    """Each episode as the arrays of a file with this episode only, of shapes (1, T_i, ...).

    :raises DemonstrationError: if the arrays do not hold the same number of episodes, or what they
        hold is not numeric.
    """
    _check_counts(path, arrays)
    columns: dict[str, Any] = {
        key: _rows(path, key, array) if array.dtype.kind == "O" else array
        for key, array in arrays.items()
        if key != "final_obs"  # nobody writes it into ragged files, and it costs a copy to append
    }
    ragged = _ragged_keys(arrays)
    for row in range(len(arrays["obs"])):
        n_steps = len(columns[ragged[0]][row])
        episode = {key: np.asarray(column[row])[None] for key, column in columns.items()}
        for key in RAGGED_KEYS:  # one that is not ragged is padded
            if key in episode and key not in ragged:
                episode[key] = episode[key][:, :n_steps]
        yield {"lengths": np.array([n_steps]), **episode}


def _check_counts(path: Path, arrays: Arrays) -> None:
    shapes = {key: array.shape for key, array in arrays.items()}
    if not all(shapes.values()) or len({shape[0] for shape in shapes.values()}) > 1:
        raise DemonstrationError(f"{path}: arrays of unequal numbers of episodes: {shapes}")
    if not len(arrays["obs"]):
        raise DemonstrationError(f"{path}: array obs has shape {shapes['obs']}: no steps")


def _rows(path: Path, key: str, array: np.ndarray) -> list[np.ndarray]:
    """The episodes of one object array, all of the same shape per step."""
    contents = array.tolist()  # arrays inside stay arrays
    try:
        n_bytes = _n_bytes(contents, {})
    except TypeError as error:
        raise DemonstrationError(
            f"{path}: array {key} holds more than lists of numbers; save it as numeric arrays"
        ) from error
    sizes.check_size(path, key, n_bytes, path.stat().st_size)
    rows = [_numeric(path, key, content) for content in contents]
    shapes = sorted({row.shape[1:] for row in rows})
    if len(shapes) > 1:
        raise DemonstrationError(
            f"{path}: episodes in array {key} differ in shape per step ({shapes[:3]}); write one "
            "file per environment"
        )
    return rows


def _n_bytes(item: Any, known: dict[int, int], depth: int = 0) -> int:
    """What episodes will take as arrays. One array or list may lie in many places of a pickle, so
    this is asked before anything is made of them.

    :param known: of the lists that were met, by their id.
    :raises TypeError: if there is anything but lists of numbers.
    """
    if isinstance(item, np.ndarray):
        return item.nbytes + _BYTES_OF_NUMBER
    if isinstance(item, _NUMBERS):
        return _BYTES_OF_NUMBER
    if not isinstance(item, list | tuple) or depth > _DEEPEST:
        raise TypeError
    if id(item) not in known:
        # An empty list weighs, too: a hundred shared ones in each other are a hundred million.
        inside = sum(_n_bytes(part, known, depth + 1) for part in item)
        known[id(item)] = _BYTES_OF_NUMBER + inside
    return known[id(item)]


def _numeric(path: Path, key: str, content: Any) -> np.ndarray:
    """A copy, for arrays of a pickle cannot be written to."""
    try:
        row = np.array(content)
    except (ValueError, OverflowError, MemoryError) as error:  # lists of unequal lengths
        raise DemonstrationError(
            f"{path}: an episode in array {key} is no array of steps ({error})"
        ) from error
    check_numeric(path, key, row.dtype)
    if row.ndim == 0:
        raise DemonstrationError(f"{path}: array {key} holds single numbers, not episodes")
    return row
