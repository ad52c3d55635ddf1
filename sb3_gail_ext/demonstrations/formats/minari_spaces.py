"""The spaces in a Minari dataset's metadata.json: JSON, as Minari serialises Gymnasium's.

{"type": "Box", "dtype": "float32", "shape": [3], "low": [...], "high": [...]}
{"type": "Discrete", "dtype": "int64", "start": 0, "n": 2}
{"type": "MultiDiscrete", "dtype": ..., "nvec": [...]}, {"type": "MultiBinary", "n": 4}
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sb3_gail_ext.demonstrations.errors import DemonstrationError, in_one_line
from sb3_gail_ext.demonstrations.formats.json_files import parsed_object

_SMALLEST_IMAGE = 32  # height and width; Minari does not encode smaller ones


class MinariSpace(NamedTuple):
    """What is needed of a space to read arrays that are in it."""

    shape: tuple[int, ...] | None  # None if nobody knows, as in old datasets
    is_encoded: bool  # as JPEG images


class MinariSpaces(NamedTuple):
    observation: MinariSpace
    action: MinariSpace


def spaces_of(file: Path, metadata: Mapping[str, Any]) -> MinariSpaces:
    """:param file: where the metadata is from, for messages.
    :raises DemonstrationError: if one is none of the above.
    """
    observation, action = (
        _space(file, metadata, key) for key in ("observation_space", "action_space")
    )
    return MinariSpaces(observation, action)


def _space(file: Path, metadata: Mapping[str, Any], key: str) -> MinariSpace:
    text = metadata.get(key)
    if not isinstance(text, str):  # Minari would make the environment, of the file's entry point
        return MinariSpace(None, is_encoded=False)
    space = parsed_object(file, text)
    shape = _shape(space)
    if shape is None:
        raise DemonstrationError(
            f"{file}: {key} is {_named(space)}; only datasets of Box, Discrete, MultiDiscrete and "
            "MultiBinary can be read: flatten it with Minari first"
        )
    encoded = bool(metadata.get("jpeg_encoding", True)) and _is_image(space, shape)
    return MinariSpace(shape, encoded)


def _shape(space: Mapping[str, Any]) -> tuple[int, ...] | None:
    kind = space.get("type")
    if kind == "Discrete":
        return ()
    try:
        if kind == "MultiDiscrete":
            return tuple(np.shape(space["nvec"]))
        if kind not in ("Box", "MultiBinary"):
            return None
        stated = space["shape" if kind == "Box" else "n"]
        shape = tuple(stated if isinstance(stated, list) else [stated])
    except (KeyError, ValueError):
        return None
    sizes = all(type(size) is int and 0 <= size < 2**31 for size in shape)
    return shape if sizes and len(shape) < 32 else None


def _is_image(space: Mapping[str, Any], shape: tuple[int, ...]) -> bool:
    """As `minari.dataset.minari_storage.is_image_space` has it."""
    if space.get("dtype") != "uint8" or len(shape) not in (2, 3):
        return False
    if min(shape[:2]) < _SMALLEST_IMAGE:
        return False
    try:
        low, high = np.asarray(space["low"]), np.asarray(space["high"])
    except (KeyError, ValueError):
        return False
    return bool(np.all(low == 0) and np.all(high == 255))


def _named(space: Mapping[str, Any]) -> str:
    parts = space.get("subspaces")
    if isinstance(parts, dict):
        return in_one_line(f"a Dict of {', '.join(map(str, parts))}")
    return in_one_line(f"of type {space.get('type')}")
