"""How well the discriminator told expert from agent: one picture an environment and number."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from sb3_gail_ext.comparison.report.grouping import by_demonstrations, environment_of
from sb3_gail_ext.comparison.report.metrics import read_metrics
from sb3_gail_ext.comparison.report.pictures import Picture, add_legend, file_name, picture
from sb3_gail_ext.comparison.report.styles import Style
from sb3_gail_ext.comparison.report.wording import demonstrations, runs

_PANELS = {
    "discriminator/accuracy_expert": "right about the expert",
    "discriminator/accuracy_agent": "right about the agent",
    "discriminator/entropy": "entropy of its judgement",
    "discriminator/gradient_penalty": "gradient penalty",
}
_SHARES = tuple(_PANELS)[:2]
_POINTS = 40  # a curve: more is not to be seen, and the page stays small

Runs = list[dict[str, np.ndarray]]  # of each run, of each column (n, 2)


class Diagnosed(NamedTuple):
    """The runs of one method in one environment with one number of demonstrations."""

    method: str
    n_runs: int
    logs: Runs  # of those that logged a discriminator


def discriminator_pictures(
    folder: Path, results: Sequence[dict[str, Any]], styles: dict[str, Style]
) -> list[tuple[str, list[Picture]]]:
    """Of each environment its pictures; only of methods that have logged a discriminator.

    :param folder: of the comparison; a run's log is `cells/<id>/metrics.csv` in it.
    """
    env_ids = dict.fromkeys(environment_of(result) for result in results)
    pictures = []
    for place, env_id in enumerate(env_ids, 1):
        tasks = [
            {**r, "n_demonstrations": r["task"]["n_demonstrations"]}
            for r in results
            if environment_of(r) == env_id
        ]
        drawn = [
            _picture(file_name("discriminator", place, env_id, n), env_id, n, diagnosed, styles)
            for n, group in by_demonstrations(tasks)
            if (diagnosed := _diagnosed(folder, group, styles))
        ]
        if drawn:
            pictures.append((env_id, drawn))
    return pictures


def _diagnosed(
    folder: Path, results: Sequence[dict[str, Any]], styles: dict[str, Style]
) -> list[Diagnosed]:
    found = []
    for method in styles:
        ids = [r["id"] for r in results if r["label"] == method]
        logs = [read_metrics(folder / "cells" / i / "metrics.csv", tuple(_PANELS)) for i in ids]
        logged = [log for log in logs if log]
        if logged:
            found.append(Diagnosed(method, len(ids), logged))
    return found


def _picture(
    name: str,
    env_id: str,
    n: int | None,
    diagnosed: Sequence[Diagnosed],
    styles: dict[str, Style],
) -> Picture:
    columns = [c for c in _PANELS if any(c in log for d in diagnosed for log in d.logs)]
    labels = [f"{d.method} ({_logged(d)})" for d in diagnosed]

    def paint(figure: Figure) -> None:
        grid = figure.subplots(len(columns), 1, sharex=True, squeeze=False)[:, 0]
        handles: dict[str, Artist] = {}
        for axes, column in zip(grid, columns, strict=True):
            axes.set_title(_PANELS[column], loc="left")
            if column in _SHARES:
                axes.set(ylim=(-0.03, 1.03), yticks=[0.0, 0.5, 1.0])
                axes.axhline(0.5, color="#7a8088", linewidth=0.9, linestyle=(0, (4, 3)))
            for d in diagnosed:
                logs = [log[column] for log in d.logs if column in log]
                if logs:
                    handles[d.method] = _draw(axes, logs, styles[d.method])
        grid[-1].set_xlabel("environment steps")
        grid[-1].xaxis.set_major_formatter(EngFormatter(sep=""))
        add_legend(figure, [handles[d.method] for d in diagnosed], labels)

    return picture(
        name,
        paint,
        title=f"{env_id}, {demonstrations(n)}",
        alt=f"The discriminator over training on {env_id} with {demonstrations(n)}: "
        + ", ".join(_PANELS[c] for c in columns)
        + ".",
        caption=f"{env_id}, {demonstrations(n)}. {'; '.join(labels)}: median, and the range of "
        "all runs.",
        height=0.3 + 1.15 * len(columns),
        legend=labels,
    )


def _logged(diagnosed: Diagnosed) -> str:
    logged = len(diagnosed.logs)
    return runs([logged]) if logged == diagnosed.n_runs else f"{logged} of {diagnosed.n_runs} runs"


def _draw(axes: Axes, logs: Sequence[np.ndarray], style: Style) -> Artist:
    """:param logs: of each run (n, 2): steps and values."""
    steps = np.linspace(
        min(log[0, 0] for log in logs), max(log[-1, 0] for log in logs), num=_POINTS
    )
    values = np.array(  # (runs, steps); NaN where a run has not begun or is over
        [np.interp(steps, log[:, 0], log[:, 1], left=np.nan, right=np.nan) for log in logs]
    )
    lowest, highest = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
    axes.fill_between(steps, lowest, highest, color=style.colour, alpha=0.18, linewidth=0)
    middle = np.nanmedian(values, axis=0)
    (line,) = axes.plot(steps, middle, color=style.colour, linewidth=1.6)
    return line
