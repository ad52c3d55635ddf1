"""Demonstrations at a glance: returns, lengths, and how each observation and action is spread."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import NamedTuple

import numpy as np
from imitation.data.types import TrajectoryWithRew
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import EngFormatter, MaxNLocator, PercentFormatter

from sb3_gail_ext.demonstrations.dimensions import (
    actions,
    are_choices,
    are_images,
    named_columns,
    observations,
)
from sb3_gail_ext.demonstrations.ends import end_of
from sb3_gail_ext.demonstrations.frames import draw_frames
from sb3_gail_ext.demonstrations.returns import returns

MAX_DIMENSIONS = 40
_COLUMNS = (4, 8)  # small panels side by side, at least and at most
_ROW_HEIGHT = 1.25  # inches, of small panels
_WIDTH = 13.0  # inches
_END_COLOURS = {"terminal": "tab:red", "time limit": "tab:blue", "unknown": "tab:grey"}
_OBS_COLOUR, _ACT_COLOUR = "tab:blue", "tab:orange"
_CONSTANT = 1e-9  # relative range, below which bins cannot be told apart

Column = tuple[str, np.ndarray]  # a dimension's name and its values, (n,)


class _Part(NamedTuple):
    """Some dimensions under a heading."""

    heading: str
    columns: list[Column]
    colour: str

    @property
    def n_rows(self) -> int:
        return max(1, ceil(len(self.columns) / _COLUMNS[1]))

    @property
    def n_columns(self) -> int:
        """So many that the rows are as long as each other, or nearly so."""
        return max(_COLUMNS[0], ceil(len(self.columns) / self.n_rows))


def demonstrations_figure(episodes: Sequence[TrajectoryWithRew], title: str = "") -> Figure:
    """Episodes above; below them images, and one small panel a dimension.

    Of more than `MAX_DIMENSIONS` dimensions the first are drawn, and the heading says so.
    """
    seen, acts = observations(episodes), actions(episodes)
    images = {name: array for name, array in seen.items() if are_images(array)}
    vectors = {name: array for name, array in seen.items() if name not in images}
    parts = [_part("observations", named_columns(vectors), _OBS_COLOUR)] if vectors else []
    if acts.size and not are_choices(acts):
        parts.append(_part("actions", named_columns({"act": acts}), _ACT_COLOUR))
    heights = [2.9, *[2.4] * len(images), *[0.4 + _ROW_HEIGHT * p.n_rows for p in parts]]
    heights += [2.4] if are_choices(acts) else []
    figure = Figure(figsize=(_WIDTH, sum(heights) + 0.4), layout="constrained")
    figure.suptitle(title, fontsize=12)
    rows = iter(figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0])
    _draw_episodes(next(rows), episodes)
    for name, array in images.items():
        draw_frames(next(rows), array, name)
    for part in parts:
        _draw_part(next(rows), part)
    if are_choices(acts):
        _draw_choices(next(rows), acts)
    return figure


def _part(heading: str, columns: list[Column], colour: str) -> _Part:
    if len(columns) > MAX_DIMENSIONS:
        heading += f": the first {MAX_DIMENSIONS} of {len(columns)} dimensions"
    return _Part(heading, columns[:MAX_DIMENSIONS], colour)


def _draw_episodes(figure: SubFigure, episodes: Sequence[TrajectoryWithRew]) -> None:
    """Return and length of each, in the file's order, and their distributions beside them."""
    lengths = np.array([len(episode) for episode in episodes])
    ends = np.array([end_of(episode) for episode in episodes])
    axes = figure.subplots(1, 4, width_ratios=(4, 1, 4, 1))
    for left, right, values, name in (
        (axes[0], axes[1], returns(episodes), "return"),
        (axes[2], axes[3], lengths, "length in steps"),
    ):
        if np.isnan(values).any():
            _draw_nothing(left, right, f"{name}: unknown, some episodes have no rewards")
            continue
        for end in (e for e in _END_COLOURS if e in ends):
            at = np.flatnonzero(ends == end)
            label = f"{end} ({len(at):,})"
            left.plot(at, values[at], ".", color=_END_COLOURS[end], alpha=0.7, label=label)
        left.set(xlabel="episode", ylabel=name)
        left.set_ylim(_room_around(values))
        left.xaxis.set_major_locator(MaxNLocator(integer=True))
        left.yaxis.set_major_formatter(EngFormatter(sep=""))
        left.grid(alpha=0.3)
        right.hist(
            values, bins=25, range=left.get_ylim(), orientation="horizontal", color="tab:grey"
        )
        right.set(xlabel="episodes", ylim=left.get_ylim(), yticklabels=[])
        right.xaxis.set_major_locator(MaxNLocator(3, integer=True))
        right.grid(alpha=0.3)
    axes[2].legend(title="how they ended", fontsize=8, title_fontsize=8, loc="best")


def _draw_nothing(left: Axes, right: Axes, why: str) -> None:
    left.text(0.5, 0.5, why, ha="center", va="center", fontsize=8, transform=left.transAxes)
    left.set_axis_off()
    right.set_axis_off()


def _room_around(values: np.ndarray) -> tuple[float, float]:
    """Limits of an axis; equal values get some room, too."""
    low, high = float(values.min()), float(values.max())
    room = 0.05 * (high - low) or 0.05 * max(abs(high), 1.0)
    return low - room, high + room


def _draw_part(figure: SubFigure, part: _Part) -> None:
    figure.suptitle(f"{part.heading} (line: median; shaded: 5 to 95 %)", fontsize=10)
    grid = figure.subplots(part.n_rows, part.n_columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, (name, values) in zip(grid.flat, part.columns, strict=False):
        axes.set_axis_on()
        _draw_dimension(axes, name, values, part.colour)


def _draw_dimension(axes: Axes, name: str, values: np.ndarray, colour: str) -> None:
    axes.set_title(name, fontsize=8, pad=2)
    axes.set_yticks([])
    axes.spines[["left", "right", "top"]].set_visible(False)
    axes.tick_params(labelsize=7, length=2, pad=1)
    low, median, high = np.quantile(values, (0.05, 0.5, 0.95))
    values = values.astype(np.float64)
    if np.ptp(values) <= _CONSTANT * max(1.0, abs(median)):
        axes.set_xticks([])
        axes.text(0.5, 0.5, f"always {median:.4g}", ha="center", va="center", fontsize=8)
        return
    axes.axvspan(low, high, color=colour, alpha=0.12, linewidth=0)
    axes.hist(values, bins=40, color=colour, alpha=0.8)
    axes.axvline(median, color="black", linewidth=0.8)
    axes.xaxis.set_major_locator(MaxNLocator(3))


def _draw_choices(figure: SubFigure, acts: np.ndarray) -> None:
    figure.suptitle("actions: how often each is chosen", fontsize=10)
    axes = figure.subplots()
    choices, counts = np.unique(acts, return_counts=True)
    axes.bar(choices, counts / len(acts), width=0.6, color=_ACT_COLOUR)
    axes.set(xlabel="action", ylabel="share of steps")
    axes.set_xlim(choices.min() - 1.5, choices.max() + 1.5)
    if len(choices) <= MAX_DIMENSIONS:
        axes.set_xticks(choices)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.grid(axis="y", alpha=0.3)
