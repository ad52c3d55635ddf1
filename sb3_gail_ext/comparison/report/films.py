"""Films inside the page, or why one is not."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from sb3_gail_ext.comparison.report.wording import size

LARGEST = 3_000_000  # bytes of one film: a page of a dozen has to open on a phone
_PLAYED = (b"avc1", b"avc3", b"av01", b"vp09")  # how an mp4 names codecs that browsers play


class Film(NamedTuple):
    name: str  # of who acts
    uri: str | None  # None: not embedded, see `problem`
    problem: str | None


def films_of(films: Mapping[str, Mapping[str, Path | None]] | None) -> list[tuple[str, list[Film]]]:
    """Of each environment its films, in the order given; without those that do not exist."""
    found = [
        (env_id, [_film(name, path) for name, path in named.items() if path and path.is_file()])
        for env_id, named in (films or {}).items()
    ]
    return [(env_id, of_environment) for env_id, of_environment in found if of_environment]


def _film(name: str, path: Path) -> Film:
    data = path.read_bytes()
    problem = _problem(data)
    if problem:
        return Film(name, None, f"Not shown: {path.name} {problem}.")
    return Film(name, f"data:video/mp4;base64,{base64.b64encode(data).decode()}", None)


def _problem(data: bytes) -> str | None:
    if len(data) > LARGEST:
        return f"is {size(len(data))}; more than {size(LARGEST)} is not put into a page"
    if data[4:8] != b"ftyp":
        return "is not an mp4 film"
    if not any(codec in data for codec in _PLAYED):
        return "has a codec that browsers do not play; write it as H.264"
    return None
