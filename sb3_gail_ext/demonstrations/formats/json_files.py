"""Open JSON files of unknown origin: objects of a sane size, parsed and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sb3_gail_ext.demonstrations.errors import DemonstrationError

_LARGEST = 2**24  # bytes; the bounds of large observation spaces are written out in full


def load_json(path: Path) -> dict[str, Any]:
    """The object in a file.

    :raises DemonstrationError: if there is no such file, or no object in it.
    """
    if not path.is_file():
        raise DemonstrationError(f"{path}: no such file, but the dataset needs it; copy it again")
    if path.stat().st_size > _LARGEST:
        raise DemonstrationError(f"{path}: larger than {_LARGEST} bytes, which no dataset needs")
    try:
        return parsed_object(path, path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise DemonstrationError(f"{path}: cannot be read ({error}); copy it again") from error


def parsed_object(path: Path, text: str) -> dict[str, Any]:
    """The object that a text of this file holds.

    :raises DemonstrationError: if it is no JSON, or no object.
    """
    try:
        stored = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DemonstrationError(f"{path}: not JSON ({error}); copy it again") from error
    if not isinstance(stored, dict):
        raise DemonstrationError(f"{path}: holds {type(stored).__name__}, not an object")
    return stored
