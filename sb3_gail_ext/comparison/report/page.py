"""What the templates show, gathered, and the two texts they make of it."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from sb3_gail_ext.comparison.report import wording
from sb3_gail_ext.comparison.report.cards import data_cards
from sb3_gail_ext.comparison.report.discriminator import discriminator_pictures
from sb3_gail_ext.comparison.report.films import films_of
from sb3_gail_ext.comparison.report.grouping import environment_of
from sb3_gail_ext.comparison.report.improvement import (
    against,
    improvement_pictures,
    improvement_rows,
)
from sb3_gail_ext.comparison.report.learning import learning_pictures
from sb3_gail_ext.comparison.report.machine import costs, machines, versions
from sb3_gail_ext.comparison.report.pictures import Picture
from sb3_gail_ext.comparison.report.profiles import profile_pictures
from sb3_gail_ext.comparison.report.scores import score_pictures
from sb3_gail_ext.comparison.report.settings import settings_of
from sb3_gail_ext.comparison.report.styles import styles_of
from sb3_gail_ext.comparison.report.table import table_rows

Content = dict[str, Any]  # by the names that the templates use


def gather(
    folder: Path,
    summary: dict[str, Any],
    results: Sequence[dict[str, Any]],
    command: str,
    films: Mapping[str, Mapping[str, Path | None]] | None,
) -> Content:
    """Draw every figure and read what lies beside the results."""
    methods = [*(r["label"] for r in results), *(row["method"] for row in summary["table"])]
    styles = styles_of(methods)
    return {
        "summary": summary,
        "command": command,
        "styles": styles,
        "n_seeds": len({r["seed"] for r in results}),
        "seconds": sum(r["seconds"] for r in results),
        "env_ids": list(dict.fromkeys(map(environment_of, results))),
        "numbers": _numbers(results),
        "scores": score_pictures(summary["by_demonstrations"], results, styles),
        "table": table_rows(summary["table"], list(styles)),
        "improvement": improvement_pictures(summary["improvement"], styles),
        "improvement_rows": improvement_rows(summary["improvement"]),
        "profiles": profile_pictures(summary["profiles"], styles),
        "learning": learning_pictures(summary["curves"], styles),
        "discriminator": discriminator_pictures(folder, results, styles),
        "films": films_of(films),
        "cards": data_cards(results),
        "settings": settings_of(results, styles),
        "versions": versions(results),
        "machines": machines(results),
        "costs": costs(results, styles),
    }


def pictures_of(content: Content) -> Iterator[Picture]:
    for section in ("scores", "improvement", "profiles"):
        yield from content[section]
    for section in ("learning", "discriminator"):
        for _, pictures in content[section]:
            yield from pictures


def render(template: str, content: Content) -> str:
    """Fill a template of `templates/`; whatever comes from `content` is escaped."""
    return _environment().get_template(template).render(content)


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("sb3_gail_ext.comparison.report"),
        autoescape=True,  # of Markdown too, in which HTML is HTML
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    words = {name: getattr(wording, name) for name in ("number", "interval", "count", "duration")}
    environment.filters.update(words, md=markdown, fenced=fenced, against=against)
    environment.globals.update(
        interval=wording.interval,
        demonstrations=wording.demonstrations,
        environment=wording.environment,
    )
    return environment


def markdown(value: object) -> Markup:
    """Text that neither ends a cell of a table nor becomes HTML, a link or emphasis."""
    one_line = " ".join(str(value).split())
    return Markup(re.sub(r"([\\`*\[\]|])", r"\\\1", html.escape(one_line, quote=False)))


def fenced(text: str) -> Markup:
    """A block of code with a fence longer than any in it."""
    longest = max(map(len, re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return Markup(f"{fence}\n{text}\n{fence}")


def _numbers(results: Sequence[dict[str, Any]]) -> list[int | None]:
    numbers = {r["task"]["n_demonstrations"] for r in results}
    return sorted(numbers, key=wording.demonstrations_order)
