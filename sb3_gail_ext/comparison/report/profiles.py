"""Performance profiles: what share of the runs scores more than a level, for every level."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from sb3_gail_ext.comparison.report.pictures import Picture, add_legend, picture
from sb3_gail_ext.comparison.report.styles import Style
from sb3_gail_ext.comparison.report.wording import runs

_MARKERS = 8  # a line


def profile_pictures(
    profiles: dict[str, dict[str, Any]], styles: dict[str, Style]
) -> list[Picture]:
    """One picture, or none if there is nothing to draw.

    :param profiles: `summary["profiles"]`.
    """
    methods = [m for m in styles if profiles.get(m, {}).get("taus")]
    if not methods:
        return []
    labels = [f"{m} ({runs([profiles[m]['n_runs']])})" for m in methods]

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        handles = []
        for method in methods:
            profile, (colour, marker) = profiles[method], styles[method]
            taus = profile["taus"]
            low, high = (np.array(profile[end], dtype=float) for end in ("low", "high"))
            axes.fill_between(taus, low, high, color=colour, alpha=0.15, linewidth=0)
            every = max(1, len(taus) // _MARKERS)
            (line,) = axes.plot(
                taus, profile["share"], color=colour, marker=marker, markevery=every, markersize=4.5
            )
            handles.append(line)
        axes.axvline(1.0, color="#7a8088", linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
        axes.set(xlabel="score (1: expert)", ylabel="share of runs above it", ylim=(-0.03, 1.03))
        add_legend(figure, handles, labels)

    total = [profiles[m]["n_runs"] for m in methods]
    return [
        picture(
            "profiles",
            paint,
            title="All runs",
            alt=f"Performance profiles of {', '.join(labels)}: share of runs above each score.",
            caption=f"All environments and numbers of demonstrations. {runs(total)} a method.",
            height=3.1,
            legend=labels,
        )
    ]
