"""The first figure: score over the number of demonstrations, one picture an environment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from sb3_gail_ext.comparison.report.grouping import by_environment, environment_of
from sb3_gail_ext.comparison.report.over_demonstrations import (
    Point,
    Series,
    draw_over_demonstrations,
)
from sb3_gail_ext.comparison.report.pictures import Picture, file_name, picture
from sb3_gail_ext.comparison.report.styles import Style
from sb3_gail_ext.comparison.report.wording import ALL, environment, interval, number, runs

LEVELS = {0.0: "random agent", 1.0: "expert"}


def score_pictures(
    entries: Sequence[dict[str, Any]], results: Sequence[dict[str, Any]], styles: dict[str, Style]
) -> list[Picture]:
    """:param entries: `summary["by_demonstrations"]`."""
    return [
        _picture(index, env_id, group, results, styles)
        for index, (env_id, group) in enumerate(by_environment(entries), 1)
    ]


def _picture(
    index: int,
    env_id: str,
    entries: Sequence[dict[str, Any]],
    results: Sequence[dict[str, Any]],
    styles: dict[str, Style],
) -> Picture:
    ordered = sorted(entries, key=lambda e: list(styles).index(e["method"]))
    series = [_series(entry, _runs_of(results, env_id, entry), styles) for entry in ordered]

    def paint(figure: Figure) -> None:
        axes = draw_over_demonstrations(
            figure, series, levels=LEVELS, ylabel="score (interquartile mean)"
        )
        bottom, top = axes.get_ylim()
        axes.set_ylim(min(bottom, -0.05), max(top, 1.12))

    return picture(
        file_name("score", index, env_id),
        paint,
        title=environment(env_id),
        alt=f"Score over demonstrations, {environment(env_id)}. {_in_words(ordered)}",
        caption=f"{environment(env_id)}. {_runs_in_words(ordered)}.",
        height=3.2,
        legend=[s.legend for s in series],
    )


def _series(
    entry: dict[str, Any], single_runs: dict[int | None, list[float]], styles: dict[str, Style]
) -> Series:
    columns = (entry[key] for key in ("n_demonstrations", "iqm", "low", "high"))
    points = {
        n: Point(iqm, low, high, single_runs.get(n, ()))
        for n, iqm, low, high in zip(*columns, strict=True)
    }
    return Series(f"{entry['method']} ({runs(entry['n_runs'])})", styles[entry["method"]], points)


def _runs_of(
    results: Sequence[dict[str, Any]], env_id: str, entry: dict[str, Any]
) -> dict[int | None, list[float]]:
    """Scores of single runs by number of demonstrations."""
    scores: dict[int | None, list[float]] = {}
    for result in results:
        if result["label"] == entry["method"] and env_id in (ALL, environment_of(result)):
            scores.setdefault(result["task"]["n_demonstrations"], []).append(
                result["result"]["score"]
            )
    return scores


def _in_words(entries: Sequence[dict[str, Any]]) -> str:
    return " ".join(
        f"{e['method']}: "
        + ", ".join(
            f"{number(iqm)} ({interval(low, high)}) with {'all' if n is None else n}"
            for n, iqm, low, high in zip(
                e["n_demonstrations"], e["iqm"], e["low"], e["high"], strict=True
            )
        )
        + "."
        for e in entries
    )


def _runs_in_words(entries: Sequence[dict[str, Any]]) -> str:
    counts = [n for entry in entries for n in entry["n_runs"]]
    return f"Each point is {runs(counts)}; the faint dots are single runs"
