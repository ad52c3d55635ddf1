"""Learning curves with bands: one picture an environment and number of demonstrations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from sb3_gail_ext.comparison.report.grouping import by_demonstrations, by_environment
from sb3_gail_ext.comparison.report.over_demonstrations import draw_level
from sb3_gail_ext.comparison.report.pictures import Picture, add_legend, file_name, picture
from sb3_gail_ext.comparison.report.scores import LEVELS
from sb3_gail_ext.comparison.report.styles import Style
from sb3_gail_ext.comparison.report.wording import demonstrations, number, runs


def learning_pictures(
    curves: Sequence[dict[str, Any]], styles: dict[str, Style]
) -> list[tuple[str, list[Picture]]]:
    """:param curves: `summary["curves"]`.

    :returns: of each environment its pictures, the fewest demonstrations first.
    """
    return [
        (
            env_id,
            [
                _picture(file_name("learning", place, env_id, n), env_id, n, group, styles)
                for n, group in by_demonstrations(of_environment)
            ],
        )
        for place, (env_id, of_environment) in enumerate(by_environment(curves), 1)
    ]


def _picture(
    name: str,
    env_id: str,
    n: int | None,
    curves: Sequence[dict[str, Any]],
    styles: dict[str, Style],
) -> Picture:
    ordered = sorted(curves, key=lambda c: list(styles).index(c["method"]))
    labels = [f"{c['method']} ({runs([c['n_runs']])})" for c in ordered]

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        for level, text in LEVELS.items():
            draw_level(axes, level, text)
        handles = [_draw(axes, curve, styles[curve["method"]]) for curve in ordered]
        _set_axes(axes, ordered)
        add_legend(figure, handles, labels)

    last = ", ".join(f"{c['method']} {number(c['iqm'][-1])}" for c in ordered if c["iqm"])
    counted = runs([c["n_runs"] for c in ordered])
    return picture(
        name,
        paint,
        title=f"{env_id}, {demonstrations(n)}",
        alt=f"Learning curves on {env_id} with {demonstrations(n)}. At the end: {last}.",
        caption=f"{env_id}, {demonstrations(n)}. {counted} a method.",
        legend=labels,
    )


def _draw(axes: Axes, curve: dict[str, Any], style: Style) -> Artist:
    middle, low, high = (np.array(curve[key], dtype=float) for key in ("iqm", "low", "high"))
    if len(middle) == 1:  # learned without a step: as good at every step
        if np.isfinite([low[0], high[0]]).all():
            axes.axhspan(low[0], high[0], color=style.colour, alpha=0.1, linewidth=0)
        return axes.axhline(
            middle[0], color=style.colour, linewidth=1.8, linestyle=(0, (6, 2)), zorder=2.5
        )
    axes.fill_between(curve["steps"], low, high, color=style.colour, alpha=0.18, linewidth=0)
    (line,) = axes.plot(
        curve["steps"],
        middle,
        color=style.colour,
        linewidth=1.8,
        marker=style.marker,
        markevery=max(1, len(middle) // 6),
        markersize=4.5,
    )
    return line


def _set_axes(axes: Axes, curves: Sequence[dict[str, Any]]) -> None:
    bottom, top = axes.get_ylim()
    axes.set_ylim(min(bottom, -0.05), max(top, 1.12))
    axes.set(xlabel="environment steps", ylabel="score")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))  # 400k, not 400000
    steps = [step for c in curves for step in c["steps"]]
    if len(set(steps)) > 1:
        axes.set_xlim(min(steps), max(steps))
    else:
        axes.set_xticks([])  # nobody took a step
