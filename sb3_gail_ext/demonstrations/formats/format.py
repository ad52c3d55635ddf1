"""What a format of demonstration files is: how it is known, read and written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from imitation.data.types import Trajectory, TrajectoryWithRew

Reader = Callable[[Path], list[TrajectoryWithRew]]
MetadataReader = Callable[[Path], dict[str, Any]]
Writer = Callable[[Path, Sequence[Trajectory], Mapping[str, Any] | None], None]


class Format(NamedTuple):
    """One format of demonstration files.

    A file is of the format of its container that has most of the names in `keys`; what is missing
    then, the reader says.
    """

    container: str  # of `contents.contents_of`: "npz", "hdf5", "pickle" or "folder"
    keys: frozenset[str]  # of what it holds: arrays, groups, classes or files
    read: Reader
    write: Writer | None = None
    metadata: MetadataReader | None = None  # of what the writer was given, if it keeps that
