"""One process at a time at work in a folder."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class FolderInUseError(RuntimeError):
    """Another process is at work in the folder; the message is one line."""


@contextmanager
def sole_user(folder: Path, what: str = "run") -> Iterator[None]:
    """Hold the folder until the block ends; the system lets go of it if the process dies.

    :param what: that may be at work there, for the message.
    :raises FolderInUseError: if another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise FolderInUseError(
                f"{folder} is in use by another {what}; wait for it, or give another folder"
            ) from error
        yield
