"""One colour and one marker for a method, the same in every figure and table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Style(NamedTuple):
    colour: str  # "#rrggbb"
    marker: str  # of matplotlib


# Okabe and Ito's colours, which the colour-blind tell apart. Their yellow is not to be seen on
# white, so a grey and a dark yellow stand at the end; markers tell apart what is left.
_STYLES = (
    Style("#0072B2", "o"),
    Style("#D55E00", "s"),
    Style("#009E73", "^"),
    Style("#CC79A7", "D"),
    Style("#E69F00", "v"),
    Style("#56B4E9", "P"),
    Style("#000000", "X"),
    Style("#8C8C8C", "<"),
    Style("#A89C00", ">"),
)
_FIRST = ("gail", "bc")  # these two keep their colours from one report to the next


def styles_of(methods: Iterable[str]) -> dict[str, Style]:
    """:returns: a style a method, in the order to show them: GAIL, cloning, others as they came."""
    seen = list(dict.fromkeys(methods))
    others = (style for style in _STYLES[len(_FIRST) :] * len(seen))
    reserved = {m: style for m, style in zip(_FIRST, _STYLES, strict=False) if m in seen}
    return {**reserved, **{m: next(others) for m in seen if m not in reserved}}
