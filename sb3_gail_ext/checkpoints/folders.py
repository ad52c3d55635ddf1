"""The folders of checkpoints on disk: each appears whole or not at all, and the latest are kept."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_UNFINISHED = ".unfinished-"
_DIGITS = 12  # so that names sort as their steps do


def checkpoint_folder(folder: Path, step: int) -> Path:
    """Of the checkpoint of a step, whether it exists or not."""
    return folder / f"{step:0{_DIGITS}d}"


def checkpoint_folders(folder: Path) -> list[Path]:
    """All that are there, the latest last."""
    return sorted(path for path in folder.glob("[0-9]" * _DIGITS) if path.is_dir())


def latest_step(folder: str | Path) -> int | None:
    """The environment steps behind the latest checkpoint, by its name; None: there is none."""
    folders = checkpoint_folders(Path(folder))
    return int(folders[-1].name) if folders else None


@contextmanager
def new_checkpoint(folder: Path, step: int) -> Iterator[Path]:
    """A hidden folder to fill; it becomes the checkpoint of `step` if the block ends well.

    Its files are on the disk before its name is: a power cut leaves the ones before it.

    :raises OSError: if it cannot be written, as on a full disk; nothing is left of it then.
    """
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f"{_UNFINISHED}{step}"
    shutil.rmtree(unfinished, ignore_errors=True)  # of a process that was killed
    unfinished.mkdir()
    try:
        yield unfinished
        for path in (*unfinished.iterdir(), unfinished):
            _to_disk(path)
        _replace(checkpoint_folder(folder, step), unfinished)
        _to_disk(folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def keep_latest(folder: Path, n: int) -> None:
    """Remove all checkpoints but the latest `n`, and what killed processes left unfinished."""
    for path in checkpoint_folders(folder)[:-n]:
        _remove(path)
    for path in folder.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(path, ignore_errors=True)


def remove_all(folder: Path) -> None:
    """Of an earlier run."""
    shutil.rmtree(folder, ignore_errors=True)


def set_aside(path: Path) -> None:
    """A checkpoint that cannot be read: it stays, under a name that nobody takes for one."""
    aside = path.with_name(f"broken-{path.name}")
    shutil.rmtree(aside, ignore_errors=True)
    path.rename(aside)


def _replace(path: Path, new: Path) -> None:
    """`new` in the place of a checkpoint of the same step, if there is one."""
    old = path.with_name(f"{_UNFINISHED}{path.name}-old")
    if path.exists():
        path.rename(old)
    new.rename(path)
    shutil.rmtree(old, ignore_errors=True)


def _remove(path: Path) -> None:
    """First its name, so that nobody finds half of it."""
    doomed = path.with_name(f"{_UNFINISHED}{path.name}-old")
    path.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
