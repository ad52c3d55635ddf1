"""The spaces in a Minari dataset's metadata.json: JSON, as Minari serialises Gymnasium's.

{"type": "Box", "dtype": "float32", "shape": [3], "low": [...], "high": [...]}
{"type": "Discrete", "dtype": "int64", "start": 0, "n": 2}
{"type": "MultiDiscrete", "dtype": ..., "nvec": [...]}, {"type": "MultiBinary", "n": 4}
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from sb3_gail_ext.demonstrations.errors import DemonstrationError, in_one_line
from sb3_gail_ext.demonstrations.formats.json_files import parsed_object

_MOST_DIMENSIONS = 32  # of NumPy's arrays
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
            "MultiBinary can be read: write it again with flat observations"
        )
    encoded = bool(metadata.get("jpeg_encoding", True)) and _is_image(space, shape)
    return MinariSpace(shape, encoded)


def _shape(space: Mapping[str, Any]) -> tuple[int, ...] | None:
    kind = space.get("type")
    if kind == "Discrete":
        return ()
    try:
        if kind == "MultiDiscrete":
            return _lengths(space["nvec"])
        if kind not in ("Box", "MultiBinary"):
            return None
        stated = space["shape" if kind == "Box" else "n"]
        shape = tuple(stated if isinstance(stated, list) else [stated])
    except (KeyError, ValueError):
        return None
    sizes = all(type(size) is int and 0 <= size < 2**31 for size in shape)
    return shape if sizes and len(shape) < _MOST_DIMENSIONS else None


def _is_image(space: Mapping[str, Any], shape: tuple[int, ...]) -> bool:
    """As `minari.dataset.minari_storage.is_image_space` has it."""
    if space.get("dtype") != "uint8" or len(shape) not in (2, 3):
        return False
    if min(shape[:2]) < _SMALLEST_IMAGE:
        return False
    low, high = space.get("low"), space.get("high")
    return _all_are(0, low, len(shape)) and _all_are(255, high, len(shape))


# NumPy would make an array of foreign lists, in which one long text makes all others as long.


def _lengths(nested: Any) -> tuple[int, ...]:
    """The shape of lists of lists, as far as their first entries tell."""
    lengths: list[int] = []
    while isinstance(nested, list) and len(lengths) < _MOST_DIMENSIONS:
        lengths.append(len(nested))
        nested = nested[0] if nested else None
    return tuple(lengths)


def _all_are(number: int, nested: Any, depth: int) -> bool:
    """Is this the number, or lists of nothing else, at most so deep?"""
    if isinstance(nested, list):
        return depth > 0 and all(_all_are(number, entry, depth - 1) for entry in nested)
    return bool(nested == number)


def _named(space: Mapping[str, Any]) -> str:
    parts = space.get("subspaces")
    if isinstance(parts, dict):
        return in_one_line(f"a Dict of {', '.join(map(str, parts))}")
    return in_one_line(f"of type {space.get('type')}")
