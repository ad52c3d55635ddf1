"""How probable it is that a run of one method beats a run of another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from sb3_gail_ext.comparison.report.grouping import by_environment
from sb3_gail_ext.comparison.report.over_demonstrations import (
    Point,
    Series,
    draw_over_demonstrations,
)
from sb3_gail_ext.comparison.report.pictures import Picture, file_name, picture, plain
from sb3_gail_ext.comparison.report.styles import Style
from sb3_gail_ext.comparison.report.wording import count, environment, number


def improvement_pictures(
    entries: Sequence[dict[str, Any]], styles: dict[str, Style]
) -> list[Picture]:
    """One picture an environment and method that is to be beaten.

    :param entries: `summary["improvement"]`.
    """
    wanted = [
        (env_id, over, [e for e in group if e["over"] == over])
        for env_id, group in by_environment(entries)
        for over in dict.fromkeys(e["over"] for e in group)
    ]
    return [_picture(index, *what, styles) for index, what in enumerate(wanted, 1)]


def improvement_rows(entries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same as rows of a table."""
    return [entry for _, group in by_environment(entries) for entry in group]


def against(n_runs: Sequence[int]) -> str:
    """`5 against 5 runs`."""
    return f"{n_runs[0]} against {count(n_runs[1], 'run')}"


def _picture(
    index: int,
    env_id: str,
    over: str,
    entries: Sequence[dict[str, Any]],
    styles: dict[str, Style],
) -> Picture:
    methods = sorted({e["method"] for e in entries}, key=list(styles).index)
    series = [_series([e for e in entries if e["method"] == m], styles[m]) for m in methods]

    def paint(figure: Figure) -> None:
        axes = draw_over_demonstrations(
            figure,
            series,
            levels={0.5: "a coin toss"},
            ylabel=f"probability of beating {plain(over)}",
        )
        axes.set_ylim(-0.03, 1.05)

    said = "; ".join(
        f"{e['method']} with {e['n_demonstrations']}: {number(e['probability'])}" for e in entries
    )
    compared = sorted({against(e["n_runs"]) for e in entries})
    return picture(
        file_name("improvement", index, env_id, "over", over),
        paint,
        title=environment(env_id),
        alt=f"Probability of beating {over}, {environment(env_id)}: {said}.",
        caption=f"{environment(env_id)}, over {over}. Each point is {' or '.join(compared)}.",
        height=2.7,
        legend=[s.legend for s in series],
    )


def _series(entries: Sequence[dict[str, Any]], style: Style) -> Series:
    counts = dict.fromkeys(against(e["n_runs"]) for e in entries)
    points = {e["n_demonstrations"]: Point(e["probability"], e["low"], e["high"]) for e in entries}
    return Series(f"{entries[0]['method']} ({', '.join(counts)})", style, points)
