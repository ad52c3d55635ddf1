"""What a pickle may name, and our own stand-ins for it; and records of what was not imported."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from sb3_gail_ext.demonstrations.formats import pickled_numpy
from sb3_gail_ext.demonstrations.formats.pickled_numpy import Array, Dtype

_LONGEST_KEY = 1_000


class Record:
    """An object of a class that was not imported: the arguments and the state it was given."""

    __slots__ = ("args", "name", "state")

    def __init__(self, name: str, *args: Any) -> None:
        self.name, self.args, self.state = name, args, None

    def get(self, key: str) -> Any:
        """An attribute; None if the state has none of this name."""
        return self.state.get(key) if isinstance(self.state, dict) else None


class Global:
    """A class or function that a pickle names, and what we do where it is called."""

    __slots__ = ("make", "name")

    def __init__(self, name: str, make: Callable[..., Any]) -> None:
        self.name, self.make = name, make


# Not NumPy's own: long doubles beyond a double's range all have one hash.
_SHORT_KEYS = (float, bool, type(None), np.float64, np.int64, np.int32, np.bool_)


def checked_key(value: Any) -> Any:
    """`value`, if it can be hashed and compared quickly: nested ones may take for ever, and so may
    many long ones or large integers of the same hash.
    """
    kind = type(value)
    if kind is str or kind is bytes:
        sound = len(value) <= _LONGEST_KEY
    elif kind is int:
        sound = value.bit_length() <= 60
    else:
        sound = kind in (*_SHORT_KEYS, Record, Global)
    if not sound:
        raise TypeError(f"a {kind.__name__} that is too large or nested as a key")
    return value


def stand_ins(
    spend: Callable[[int], None], new_set: Callable[[list[Any]], set[Any]]
) -> dict[str, Global]:
    """What pickles of arrays and plain containers name, by every name it ever had.

    :param spend: told how much is about to be allocated; raises if it is too much.
    :param new_set: makes a set; raises if there are too many.
    """

    def encode(text: str, encoding: str = "latin1") -> bytes:
        if type(text) is not str or encoding not in ("latin1", "latin-1"):
            raise ValueError("bytes that are not encoded as latin1")
        spend(len(text))
        return text.encode("latin1")

    def to_bytes(content: Any = b"", *encoding: str) -> bytes:
        return encode(content, *encoding) if encoding or type(content) is not bytes else content

    def to_list(items: Any = (), *_: Any) -> list[Any]:
        if type(items) not in (list, tuple):
            raise TypeError("a container made of no list")
        spend(len(items))
        return list(items)

    def to_dict(items: Any = ()) -> dict[Any, Any]:
        return {checked_key(key): value for key, value in to_list(items)}

    def to_set(items: Any = ()) -> set[Any]:
        return new_set(to_list(items))

    def rebuild(cls: Any, *_: Any) -> Any:
        """Protocol 0 and 1: `copyreg._reconstructor(cls, object, None)`."""
        return cls.make() if type(cls) is Global else nothing()

    def array(cls: Any, *_: Any) -> Array:
        if cls is not named["numpy.ndarray"]:
            raise TypeError("an array of a class of its own")
        return Array()

    def nothing(*_: Any) -> None:
        raise TypeError("a class is called that only describes")

    makers: dict[str, Callable[..., Any]] = {
        "numpy.ndarray": nothing,
        "numpy.dtype": Dtype,
        "_codecs.encode": encode,
        "collections.OrderedDict": to_dict,
        "collections.deque": to_list,
    }
    for core in ("numpy.core", "numpy._core"):
        makers[f"{core}.multiarray._reconstruct"] = array
        makers[f"{core}.multiarray.scalar"] = partial(pickled_numpy.scalar, spend)
        makers[f"{core}.numeric._frombuffer"] = partial(pickled_numpy.from_buffer, spend)
    for builtins, copyreg in (("builtins", "copyreg"), ("__builtin__", "copy_reg")):
        makers[f"{builtins}.object"] = nothing
        makers[f"{builtins}.set"] = makers[f"{builtins}.frozenset"] = to_set
        makers[f"{builtins}.bytes"] = makers[f"{builtins}.bytearray"] = to_bytes
        makers[f"{copyreg}._reconstructor"] = rebuild
    named = {name: Global(name, make) for name, make in makers.items()}
    return named
