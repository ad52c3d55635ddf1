"""The arguments that a class takes, its bases' included."""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any, NamedTuple


class Argument(NamedTuple):
    annotation: Any
    default: Any


@cache
def arguments_of(cls: type) -> dict[str, Argument]:
    """Every named argument of `cls(...)`, as the first class that names it declares it.

    A class whose constructor takes `**kwargs` hands them on; the next one's arguments are the
    class's, too, until one takes none.
    """
    found: dict[str, Argument] = {}
    for owner in cls.__mro__:
        init = vars(owner).get("__init__")
        if init is None:
            continue
        parameters = list(inspect.signature(init, eval_str=True).parameters.values())[1:]
        kinds = {parameter.kind for parameter in parameters}
        for parameter in parameters:
            if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                found.setdefault(parameter.name, Argument(parameter.annotation, parameter.default))
        if inspect.Parameter.VAR_KEYWORD not in kinds:
            break
    return found
