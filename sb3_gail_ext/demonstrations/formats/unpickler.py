"""Run the instructions of a pickle, with those replaced that call or change things."""

from __future__ import annotations

import io
import pickle
import re
from collections.abc import Collection, Iterable
from functools import partial
from typing import Any

from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.formats.pickled_numpy import Array, Dtype
from sb3_gail_ext.demonstrations.formats.stand_ins import Global, Record, checked_key, stand_ins

# Each takes some 150 bytes at most beyond what it reads, and a fifth of a microsecond.
_MOST_INSTRUCTIONS = 5_000_000
_MOST_SETS = 100_000  # but a set takes 220 bytes, and the garbage collector's time

_STANDARD_UNPICKLER: Any = pickle._Unpickler  # its parts are public to subclasses, not to mypy
# They read constants, or move and pack what is on the stack.
_HARMLESS = (
    *(pickle.PROTO, pickle.STOP, pickle.MARK, pickle.POP, pickle.POP_MARK, pickle.DUP),
    *(pickle.NONE, pickle.NEWTRUE, pickle.NEWFALSE, pickle.FLOAT, pickle.BINFLOAT, pickle.INT),
    *(pickle.BININT, pickle.BININT1, pickle.BININT2, pickle.LONG, pickle.LONG1, pickle.LONG4),
    *(pickle.STRING, pickle.BINSTRING, pickle.SHORT_BINSTRING, pickle.BINBYTES),
    *(pickle.SHORT_BINBYTES, pickle.BINBYTES8, pickle.UNICODE, pickle.BINUNICODE),
    *(pickle.SHORT_BINUNICODE, pickle.BINUNICODE8, pickle.EMPTY_TUPLE, pickle.TUPLE),
    *(pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3, pickle.EMPTY_LIST, pickle.LIST),
    *(pickle.EMPTY_DICT, pickle.PUT, pickle.BINPUT, pickle.LONG_BINPUT),
    *(pickle.MEMOIZE, pickle.GLOBAL, pickle.STACK_GLOBAL),  # by our `find_class`
)


class SafeUnpickler(_STANDARD_UNPICKLER):
    """The pure-Python unpickler, with the instructions that call or change things replaced.

    `pickle.Unpickler`, in C, allocates whatever LONG_BINPUT and BYTEARRAY8 ask for: gigabytes, for
    a file of ten bytes.
    """

    dispatch = {code[0]: _STANDARD_UNPICKLER.dispatch[code[0]] for code in _HARMLESS}  # noqa: RUF012

    def __init__(
        self, data: bytes, source: str, records: Collection[str], inert: Collection[str]
    ) -> None:
        file = io.BytesIO(data)
        super().__init__(file, encoding="latin1")  # of Python 2's strings
        self.read, self.readline = file.read, file.readline
        self.source, self.records, self.inert = source, records, inert
        self.budget = 2 * len(data) + 1_000
        self.n_sets = 0
        self.globals = stand_ins(self.spend, self.new_set)

    def load(self) -> Any:
        """Frames are not cut out: they only tell how far to read ahead."""
        self.metastack: list[list[Any]] = []
        self.stack: list[Any] = []
        self.append = self.stack.append
        read, dispatch = self.read, self.dispatch
        try:
            for _ in range(_MOST_INSTRUCTIONS):
                dispatch[read(1)[0]](self)
        except pickle._Stop as stop:  # type: ignore[attr-defined]
            return stop.value
        except (IndexError, KeyError) as error:
            raise EOFError("it is cut off, or has an instruction that is not allowed") from error
        raise DemonstrationError(
            f"{self.source} holds too many Python objects; save its numbers as numeric arrays, "
            "and no more infos than needed"
        )

    def spend(self, amount: int) -> None:
        """An honest pickle makes each array and string of its own bytes, once."""
        self.budget -= amount
        if self.budget < 0:
            raise ValueError("the same bytes are unpacked again and again")

    def find_class(self, module: str, name: str) -> Global:
        full = f"{module}.{name}"
        if full in self.globals:
            return self.globals[full]
        if full in self.records or module.split(".")[0] in self.inert:
            return Global(full, partial(Record, full))
        shown = full if re.fullmatch(r"[\w.]{1,100}", full, re.ASCII) else ascii(full)[:100]
        raise DemonstrationError(
            f"{self.source} names {shown}: a demonstration file may hold arrays and plain "
            "containers only, so this one was not loaded; save its numbers with np.savez"
        )

    def load_frame(self) -> None:
        self.read(8)

    dispatch[pickle.FRAME[0]] = load_frame

    def load_bytearray8(self) -> None:
        """As bytes; `read` allocates no more than there is."""
        self.append(self.read(int.from_bytes(self.read(8), "little")))

    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8

    # --- Memory ---

    def recall(self, index: int) -> None:
        value = self.memo[index]
        built = value.array if type(value) is Array else None
        self.append(value if built is None else built)

    def load_get(self) -> None:
        self.recall(int(self.readline()))

    dispatch[pickle.GET[0]] = load_get

    def load_binget(self) -> None:
        self.recall(self.read(1)[0])

    dispatch[pickle.BINGET[0]] = load_binget

    def load_long_binget(self) -> None:
        self.recall(int.from_bytes(self.read(4), "little"))

    dispatch[pickle.LONG_BINGET[0]] = load_long_binget

    # --- Containers ---

    def extend(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is list:
            target.extend(items)
        elif type(target) is not Record:
            raise TypeError(f"items appended to a {type(target).__name__}")

    def load_append(self) -> None:
        self.extend([self.stack.pop()])

    dispatch[pickle.APPEND[0]] = load_append

    def load_appends(self) -> None:
        self.extend(self.pop_mark())

    dispatch[pickle.APPENDS[0]] = load_appends

    def update(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is dict:
            for key, value in zip(items[::2], items[1::2], strict=True):
                target[checked_key(key)] = value
        elif type(target) is not Record:
            raise TypeError(f"items set in a {type(target).__name__}")

    def load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.update([key, value])

    dispatch[pickle.SETITEM[0]] = load_setitem

    def load_setitems(self) -> None:
        self.update(self.pop_mark())

    dispatch[pickle.SETITEMS[0]] = load_setitems

    def load_dict(self) -> None:
        items = self.pop_mark()
        self.append({})
        self.update(items)

    dispatch[pickle.DICT[0]] = load_dict

    def new_set(self, items: Iterable[Any] = ()) -> set[Any]:
        self.n_sets += 1
        if self.n_sets > _MOST_SETS:
            raise ValueError("more sets than a demonstration has any use for")
        return set(map(checked_key, items))

    def load_empty_set(self) -> None:
        self.append(self.new_set())

    dispatch[pickle.EMPTY_SET[0]] = load_empty_set

    def load_additems(self) -> None:
        items = self.pop_mark()
        if type(self.stack[-1]) is not set:
            raise TypeError(f"items added to a {type(self.stack[-1]).__name__}")
        self.stack[-1].update(map(checked_key, items))

    dispatch[pickle.ADDITEMS[0]] = load_additems

    def load_frozenset(self) -> None:
        items = self.pop_mark()  # which replaces `append`
        self.append(frozenset(self.new_set(items)))

    dispatch[pickle.FROZENSET[0]] = load_frozenset

    # --- Calls ---

    def call(self, called: Any, args: Iterable[Any]) -> None:
        if type(called) is not Global or type(args) not in (tuple, list):
            raise TypeError(f"a {type(called).__name__} is called")
        self.append(called.make(*args))

    def load_reduce(self) -> None:
        args, called = self.stack.pop(), self.stack.pop()
        self.call(called, args)

    dispatch[pickle.REDUCE[0]] = load_reduce
    dispatch[pickle.NEWOBJ[0]] = load_reduce

    def load_newobj_ex(self) -> None:
        keywords, args, called = self.stack.pop(), self.stack.pop(), self.stack.pop()
        self.call(called, (*args, keywords))

    dispatch[pickle.NEWOBJ_EX[0]] = load_newobj_ex

    def load_inst(self) -> None:
        module, name = (self.readline()[:-1].decode("ascii") for _ in range(2))
        self.call(self.find_class(module, name), self.pop_mark())

    dispatch[pickle.INST[0]] = load_inst

    def load_obj(self) -> None:
        called, *args = self.pop_mark()
        self.call(called, args)

    dispatch[pickle.OBJ[0]] = load_obj

    def load_build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if type(target) is Record:
            target.state = state
        elif type(target) is Dtype:
            target.build(state)
        elif type(target) is Array:
            self.stack[-1] = target.build(state, self.spend)
        else:
            raise TypeError(f"a {type(target).__name__} is given a state")

    dispatch[pickle.BUILD[0]] = load_build
