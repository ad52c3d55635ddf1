"""Which classes and functions a pickle names, read off its first instructions; nothing is run."""

from __future__ import annotations

import contextlib
import pickletools
import re
from itertools import islice
from typing import Any

_MOST_INSTRUCTIONS = 1_000
_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", re.ASCII)


def pickled_names(data: bytes) -> set[str]:
    """`"module.name"` of what the first instructions of a pickle name.

    :param data: its first bytes; where they are cut off or damaged, the names before that count.
    """
    names: set[str] = set()
    memo: dict[Any, str] = {}
    strings = ["", ""]  # what was pushed, as far as it is text
    # Foreign bytes: the disassembler raises whatever it stumbles on.
    with contextlib.suppress(Exception):
        for opcode, argument, _ in islice(pickletools.genops(data), _MOST_INSTRUCTIONS):
            if opcode.name == "MEMOIZE":
                memo[len(memo)] = strings[-1]
            elif opcode.name.endswith("PUT"):
                memo[argument] = strings[-1]
            elif opcode.name.endswith("GET"):
                strings.append(memo[argument])
            elif opcode.name == "STACK_GLOBAL":
                names.add(".".join(strings[-2:]))
                strings.append("")
            elif opcode.name in ("GLOBAL", "INST"):
                names.add(str(argument).replace(" ", "."))
                strings.append("")
            elif opcode.name not in ("PROTO", "FRAME"):
                strings.append(argument if isinstance(argument, str) else "")
    return {name for name in names if _NAME.fullmatch(name)}
