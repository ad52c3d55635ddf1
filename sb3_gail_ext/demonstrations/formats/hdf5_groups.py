"""Walk through the groups of an HDF5 file of unknown origin, without leaving the file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sb3_gail_ext.demonstrations.errors import DemonstrationError, in_one_line

if TYPE_CHECKING:
    import h5py

_MAX_MEMBERS = 200_000  # of one group: more episodes than any data set has


def members(path: Path, group: h5py.Group) -> list[str]:
    """The names in a group; nothing of them is opened.

    :raises DemonstrationError: if there are too many.
    """
    if len(group) > _MAX_MEMBERS:
        raise DemonstrationError(
            f"{path}: group {in_one_line(group.name)} has {len(group)} members, of which "
            f"{_MAX_MEMBERS} can be read; split the file"
        )
    # h5py has names that are no UTF-8 as bytes.
    return [n if isinstance(n, str) else n.decode("utf-8", "surrogateescape") for n in group]


def has_member(group: h5py.Group, name: str) -> bool:
    """Is there anything of this name, be it a link to nowhere?"""
    return bool(group.id.links.exists(_encoded(name)))


def is_group(group: h5py.Group, name: str) -> bool:
    """Is there a group of this name, in this file?"""
    import h5py

    return _is_inside(group, name) and isinstance(group[name], h5py.Group)


def open_group(path: Path, group: h5py.Group, name: str) -> h5py.Group:
    """The group of this name in `group`.

    :raises DemonstrationError: if it is missing, no group, or a link to elsewhere.
    """
    import h5py

    found = member(path, group, name)
    if not isinstance(found, h5py.Group):
        raise DemonstrationError(f"{path}: {key_of(group, name)} is not a group of arrays")
    return found


def member(path: Path, group: h5py.Group, name: str) -> h5py.HLObject:
    """The object of this name in `group`, which may be of any kind.

    :raises DemonstrationError: if it is missing or a link to elsewhere.
    """
    if _is_inside(group, name):
        return group[name]
    key = key_of(group, name)
    if _is_name(name) and has_member(group, name):
        raise DemonstrationError(
            f"{path}: {key} is a link to elsewhere, which is never followed; copy what it points "
            "at into its place"
        )
    found = in_one_line(", ".join(members(path, group)[:8]))
    raise DemonstrationError(f"{path}: no {key} in it; found {found or 'nothing'}")


def key_of(group: h5py.Group, name: str) -> str:
    """The full name of a member, for messages."""
    return in_one_line(f"{(group.name or '').strip('/')}/{name}".lstrip("/"))


def _is_inside(group: h5py.Group, name: str) -> bool:
    """Is it an object of this file? A soft link may lead into any file through an external one."""
    import h5py

    if not _is_name(name) or not has_member(group, name):
        return False
    return bool(group.id.links.get_info(_encoded(name)).type == h5py.h5l.TYPE_HARD)


def _is_name(name: str) -> bool:
    """One name, and no path through the file."""
    return "/" not in name and name not in ("", ".")


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")
