"""Write a report of a comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sb3_gail_ext.atomic import atomically
from sb3_gail_ext.comparison.report.page import gather, pictures_of, render


def write_report(
    folder: Path,
    summary: dict[str, Any],
    results: Sequence[dict[str, Any]],
    *,
    command: str,
    films: Mapping[str, Mapping[str, Path | None]] | None = None,
) -> Path:
    """Write `report.html`, which needs nothing beside it, `report.md` and its `images/*.png`.

    Nothing is written before all of it is made, and no file is ever seen half written.

    :param folder: of the comparison; a run's `metrics.csv` is read from `cells/<id>/` in it.
    :param summary: the content of `summary.json`.
    :param results: of each run the content of its `result.json`.
    :param command: what makes this comparison again.
    :param films: of each environment, `.mp4` files by who acts in them ("expert", or a method).
    :returns: the HTML's path.
    :raises OSError: if a file cannot be written.
    """
    content = gather(folder, summary, results, command, films)
    page, text = render("report.html", content), render("report.md", content)
    for picture in pictures_of(content):
        with atomically(folder / "images" / f"{picture.name}.png") as temporary:
            temporary.write_bytes(picture.png)
    with atomically(folder / "report.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
    path = folder / "report.html"
    with atomically(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path
