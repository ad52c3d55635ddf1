"""One try at a cell, wherever it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True)
class Ended:
    """How an attempt ended, and why in one line unless it ended well."""

    how: Literal["done", "failed", "lost"]
    why: str = ""


class Attempt(Protocol):
    def look(self) -> Literal["waiting", "running"] | Ended:
        """How it stands now, without waiting. Nobody looks again after it has ended."""

    def stop(self) -> None:
        """End it, and wait until it is gone; it may have ended already."""
