"""Values of a YAML file against the annotations of Python arguments."""

from __future__ import annotations

import collections.abc
import math
import re
from contextlib import suppress
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from sb3_gail_ext.algorithms.schedules import LinearSchedule

_IN_WORDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a string",
    NoneType: "null",
    Any: "numbers, strings, lists and mappings",
}
_LINEAR = re.compile(r"lin_(\d.*|\.\d.*)")


def fit(value: Any, annotation: Any) -> Any:
    """The argument that `value` stands for: itself, or a schedule where one is written.

    Stricter than Python: true is no number, and 2.0 no whole number.

    :raises TypeError: if no such argument may be given, or no YAML can express it.
    """
    origin, options = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        for option in options:
            with suppress(TypeError):
                return fit(value, option)
    elif origin is collections.abc.Callable and isinstance(value, str):
        return _schedule(value)
    elif origin is dict and isinstance(value, dict):
        of_key, of_item = options
        return {fit(key, of_key): fit(item, of_item) for key, item in value.items()}
    elif origin is list and isinstance(value, list):
        return [fit(item, options[0]) for item in value]
    elif _is(value, annotation):
        return value
    raise TypeError(f"give {in_words(annotation)}")


def in_words(annotation: Any) -> str:
    """What `fit` accepts, for people."""
    origin, options = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        return " or ".join(in_words(option) for option in options)
    if origin is Literal:
        return "one of " + ", ".join(map(repr, options))
    if origin is collections.abc.Callable:
        return "a schedule like lin_5e-4"
    if origin is dict:
        return "a mapping"
    if origin is list:
        return f"a list of {in_words(options[0])}"
    return _IN_WORDS.get(annotation, "nothing: only Python can make one")


def as_data(value: Any) -> Any:
    """How YAML writes an argument: the inverse of `fit`, as far as there is one."""
    if isinstance(value, LinearSchedule) and value == LinearSchedule(value.initial):
        return f"lin_{value.initial!r}"
    return value


def _is(value: Any, annotation: Any) -> bool:
    if annotation is Any:
        return _is_plain(value)
    if annotation is float:
        return type(value) is int or (type(value) is float and not math.isnan(value))
    if get_origin(annotation) is Literal:
        return any(type(value) is type(one) and value == one for one in get_args(annotation))
    return annotation in (bool, int, str, NoneType) and type(value) is annotation


def _schedule(text: str) -> LinearSchedule:
    written = _LINEAR.fullmatch(text)
    try:
        initial = float(written[1]) if written else math.nan
    except ValueError:
        initial = math.nan
    if not math.isfinite(initial):
        raise TypeError("no schedule")
    return LinearSchedule(initial)


def _is_plain(value: Any) -> bool:
    """Whether YAML writes it as it is: no date, no bytes, no object."""
    if isinstance(value, dict):
        return all(type(key) is str and _is_plain(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return type(value) in (bool, int, float, str, NoneType)
