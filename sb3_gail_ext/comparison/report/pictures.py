"""A figure, drawn once, as SVG for the page (sharp on every screen) and PNG for the Markdown."""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.figure import Figure

WIDTH = 4.8  # inches: on a phone its letters are still 10 pixels high
_TITLE, _LEGEND_ROW = 0.2, 0.22

_LOOK: Any = {  # which names there are depends on matplotlib's version
    "font.size": 10,
    "axes.titlesize": 9.5,
    "axes.titlecolor": "#33373d",
    "figure.titlesize": 10.5,
    "figure.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#9aa0a8",
    "axes.labelcolor": "#33373d",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e9ebee",
    "xtick.color": "#9aa0a8",
    "ytick.color": "#9aa0a8",
    "xtick.labelcolor": "#33373d",
    "ytick.labelcolor": "#33373d",
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "svg.fonttype": "path",
    "svg.hashsalt": "sb3_gail_ext",  # the same figure has the same bytes
}


class Picture(NamedTuple):
    name: str  # of the PNG, without its suffix
    alt: str
    caption: str
    svg: bytes
    png: bytes

    @property
    def uri(self) -> str:
        return f"data:image/svg+xml;base64,{base64.b64encode(self.svg).decode()}"


def picture(
    name: str,
    paint: Callable[[Figure], None],
    *,
    title: str,
    alt: str,
    caption: str,
    height: float = 3.0,
    legend: Sequence[str] = (),
) -> Picture:
    """Draw one figure of a phone's width.

    :param paint: draws into the empty figure it is given.
    :param height: in inches, without title and legend.
    :param legend: what `add_legend` will be given the labels of; makes room for them.
    """
    with rc_context(_LOOK):
        rows = math.ceil(len(legend) / _columns(legend)) if legend else 0
        figure = Figure(figsize=(WIDTH, _TITLE + height + _LEGEND_ROW * rows), layout="constrained")
        figure.suptitle(plain(title), x=0.01, ha="left")
        paint(figure)
        svg = _slim(_saved(figure, "svg"))
        figure.set_layout_engine("none")  # laid out already, and that is the slow part
        return Picture(name, alt, caption, svg, _saved(figure, "png"))


def add_legend(figure: Figure, handles: Sequence[Artist], labels: Sequence[str]) -> None:
    """Below the axes, where no curve runs."""
    names = [plain(label) for label in labels]
    figure.legend(handles, names, loc="outside lower center", ncols=_columns(labels))


def plain(text: str) -> str:
    """`text` for matplotlib, which would read dollars as mathematics."""
    return text.replace("$", r"\$")


def file_name(section: str, index: int, *parts: object) -> str:
    """A name that is safe in a path and in Markdown; the index keeps it from meeting another."""
    words = "-".join(str(part) for part in parts)
    return re.sub(r"[^A-Za-z0-9.-]+", "-", f"{section}-{index}-{words}").strip("-.")


def _columns(labels: Sequence[str]) -> int:
    longest = max(map(len, labels))
    letters = int(WIDTH / 0.08)  # that fit beside each other; a line and gaps take seven
    return max(1, min(3, len(labels), letters // (longest + 7)))


def _slim(svg: bytes) -> bytes:
    """The same picture in half the bytes: a tenth of a point is finer than a screen shows."""

    def shorter(attribute: re.Match[bytes]) -> bytes:
        # Below one stand scales, of which every digit counts; below ten, small markers.
        rounded = re.sub(rb"(?<![\d.])([1-9]\d+\.\d|[1-9]\.\d\d)\d+", rb"\1", attribute[2])
        if attribute[1] == b"d":
            rounded = re.sub(rb"\s*([A-Za-z])\s*", rb"\1", rounded).strip()
        return b' %s="%s"' % (attribute[1], rounded)

    slim = re.sub(rb' (d|x|y|transform)="([^"]*)"', shorter, svg)
    return re.sub(rb"\n\s*", b"\n", slim)


def _saved(figure: Figure, form: str) -> bytes:
    buffer = io.BytesIO()
    undated = {"Date": None} if form == "svg" else {"Software": None}
    figure.savefig(buffer, format=form, dpi=150, metadata=undated)
    return buffer.getvalue()
