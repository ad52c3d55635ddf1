"""Drawing one value a method over the number of demonstrations, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sb3_gail_ext.comparison.report.pictures import add_legend
from sb3_gail_ext.comparison.report.styles import Style
from sb3_gail_ext.comparison.report.wording import demonstrations_order

_BESIDE = 0.05  # from the mean to its single runs; methods are 0.12 apart


class Point(NamedTuple):
    """What is known of one method with one number of demonstrations; None: not computed."""

    middle: float | None
    low: float | None
    high: float | None
    single_runs: Sequence[float] = ()


class Series(NamedTuple):
    legend: str
    style: Style
    points: dict[int | None, Point]  # by number of demonstrations


def draw_over_demonstrations(
    figure: Figure, series: Sequence[Series], *, levels: dict[float, str], ylabel: str
) -> Axes:
    """Numbers of demonstrations stand at equal distances, methods side by side at each.

    :param levels: horizontal lines to judge by, and what to write at them.
    """
    axes = figure.add_subplot()
    for level, text in levels.items():
        draw_level(axes, level, text)
    numbers = sorted({n for s in series for n in s.points}, key=demonstrations_order)
    places = {n: place for place, n in enumerate(numbers)}
    shifts = _side_by_side(len(series))
    handles = [
        _draw_series(axes, s, places, shift) for s, shift in zip(series, shifts, strict=True)
    ]
    axes.set_xticks(list(places.values()), ["all" if n is None else str(n) for n in numbers])
    axes.set_xlim(-0.5, len(numbers) - 0.5)
    axes.grid(visible=False, axis="x")
    axes.set(xlabel="demonstrations", ylabel=ylabel)
    add_legend(figure, handles, [s.legend for s in series])
    return axes


def draw_level(axes: Axes, level: float, text: str) -> None:
    """A dashed line across the axes, with its name at the right end above it."""
    axes.axhline(level, color="#7a8088", linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    axes.annotate(
        text,
        (1.0, level),
        xycoords=("axes fraction", "data"),
        xytext=(0, 2),
        textcoords="offset points",
        ha="right",
        va="bottom",
        fontsize=8.5,
        color="#5f6670",
        zorder=1,  # below the curves
    )


def _side_by_side(n: int) -> np.ndarray:
    """Offsets (n,) that keep the intervals of `n` methods apart."""
    width = min(0.7, 0.12 * (n - 1))
    return np.linspace(-width / 2, width / 2, n)


def _draw_series(axes: Axes, series: Series, places: dict[int | None, int], shift: float) -> Artist:
    colour, marker = series.style
    for n, point in series.points.items():
        at = places[n] + shift
        if point.low is not None and point.high is not None:
            axes.vlines(at, point.low, point.high, color=colour, linewidth=2.2, alpha=0.75)
        runs, beside = point.single_runs, at + _BESIDE
        axes.plot([beside] * len(runs), runs, "o", color=colour, markersize=3, alpha=0.4, mew=0)
    known = sorted(
        (places[n] + shift, point.middle)
        for n, point in series.points.items()
        if point.middle is not None
    )
    (line,) = axes.plot(
        [at for at, _ in known],
        [middle for _, middle in known],
        color=colour,
        marker=marker,
        markersize=6,
        linewidth=1.3,
        markeredgecolor="white",
        markeredgewidth=0.6,
        zorder=3,
    )
    return line
