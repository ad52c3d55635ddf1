"""Read a pickle of unknown origin: nothing that it names is ever imported or called.

A pickle is a program. Here its instructions may build plain containers and numbers (`unpickler`);
each name that it calls is looked up in a small table of our own stand-ins (`stand_ins`), which
rebuild arrays, bytes and containers; and instances of some classes may become inert records.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.formats.unpickler import SafeUnpickler

_LARGEST_FILE = 16 * 2**30


def safe_loads(
    data: bytes, source: str, *, records: Collection[str] = (), inert: Collection[str] = ()
) -> Any:
    """The content of a pickle: plain containers, numbers, strings, NumPy arrays and records.

    Sets and `OrderedDict`s, deques and bytearrays come back as sets, dicts, lists and bytes.

    :param source: what a message should name, such as `"x.npz: array infos"`.
    :param records: classes, as `"module.name"`, whose instances become a `Record`.
    :param inert: packages of which everything, functions too, becomes inert in this way.
    :raises DemonstrationError: if it names anything else, is damaged or is too large.
    """
    try:
        return SafeUnpickler(data, source, records, inert).load()
    except DemonstrationError:
        raise
    except Exception as error:  # foreign bytes: they fail in every way there is
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise DemonstrationError(
            f"{source} is a damaged pickle, or none of plain arrays ({reason}); copy the file again"
        ) from error


def load_pickle(path: Path, *, records: Collection[str], inert: Collection[str] = ()) -> Any:
    """The content of a file that is one pickle; the rest as in `safe_loads`."""
    try:
        size = path.stat().st_size
        if size > _LARGEST_FILE:
            raise DemonstrationError(f"{path}: {size / 2**30:.0f} GiB; save fewer steps at a time")
        data = path.read_bytes()
    except (OSError, MemoryError) as error:
        raise DemonstrationError(f"{path}: cannot be read ({error}); check the path") from error
    return safe_loads(data, f"{path}: the file", records=records, inert=inert)
