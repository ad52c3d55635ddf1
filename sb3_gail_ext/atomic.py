"""Write a file, or a folder, so that nobody ever sees half of it."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomically(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; it takes `path`'s place if the block ends well.

    :raises OSError: if the folder cannot be made or written to, or `path` is a folder, a device or
        the like.
    """
    path = _target(path)
    if path.exists() and not path.is_file():
        reason = "not a regular file, so nothing is written there"
        raise FileExistsError(errno.EEXIST, reason, str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")  # keeps the suffix
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def folder_atomically(path: Path) -> Iterator[Path]:
    """An empty folder beside `path` to fill; it takes the place of what is there if the block ends
    well. Between the two renames nothing is at `path`, for folders cannot be exchanged in one step.

    :raises OSError: if the folder cannot be made or renamed; what was there is there again.
    """
    path = _target(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    shutil.rmtree(temporary, ignore_errors=True)  # of a process of this number that was killed
    temporary.mkdir()
    try:
        yield temporary
        _exchange(path, temporary)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _target(path: Path) -> Path:
    """Where a link leads to, which stays one.

    :raises OSError: if it leads in a circle.
    """
    target = Path(os.path.realpath(path))  # Path.resolve raises RuntimeError at a circle
    if target.is_symlink():
        target.stat()
    return target


def _exchange(path: Path, new: Path) -> None:
    """Put `new` in the place of `path`, if anything is there."""
    old = new.with_name(f"{new.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    existed = path.exists()
    if existed:
        path.rename(old)
    try:
        new.rename(path)
    except BaseException:
        if existed:
            old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)
