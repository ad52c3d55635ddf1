"""Write a dataset that is a folder: in one step, and over nothing but another such dataset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath

from sb3_gail_ext.atomic import folder_atomically
from sb3_gail_ext.demonstrations.errors import DemonstrationError


@contextmanager
def replacing(path: Path, files: Sequence[str]) -> Iterator[Path]:
    """An empty folder that takes the place of `path` if the block ends well.

    :param files: patterns of the relative paths of all files that such a dataset has.
    :raises DemonstrationError: if `path` is a file, or a folder that holds anything else; a folder
        of the user is never deleted.
    """
    if path.exists() and not path.is_dir():
        raise DemonstrationError(f"{path}: is a file, but this format is a folder; give another")
    for found in path.rglob("*") if path.is_dir() else ():
        name = found.relative_to(path)
        if not any(_fits(name, pattern, found.is_dir()) for pattern in files):
            raise DemonstrationError(
                f"{path}: holds {name}, which is not of such a dataset, so that the folder is not "
                "replaced; give another one, or delete it yourself"
            )
    with folder_atomically(path) as temporary:
        yield temporary


def _fits(name: PurePath, pattern: str, is_folder: bool) -> bool:
    """Is it such a file, or a folder that such files may be in?"""
    parts = PurePath(pattern).parts
    depth = len(name.parts)
    if depth > len(parts) or (depth == len(parts)) == is_folder:
        return False
    return all(PurePath(n).match(p) for n, p in zip(name.parts, parts, strict=False))
