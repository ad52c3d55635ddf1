"""A check, what it found, and what a user does about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    OK = "ok"
    NOTE = "note"  # all is well, but one may want to know
    MISSING = "missing"
    BROKEN = "broken"


@dataclass(frozen=True)
class Finding:
    """
    :param found: what there is, in a few words.
    :param cure: the command that helps; empty where nothing has to be done.
    """

    found: str
    verdict: Verdict = Verdict.OK
    cure: str = ""


@dataclass(frozen=True)
class Check:
    """
    :param needed: training cannot do without it.
    """

    name: str
    look: Callable[[], Finding]
    needed: bool = False


@dataclass(frozen=True)
class Line:
    """One line of the doctor's table."""

    check: Check
    finding: Finding

    @property
    def fatal(self) -> bool:
        return self.check.needed and self.finding.verdict in (Verdict.MISSING, Verdict.BROKEN)


def carry_out(check: Check) -> Line:
    """What the check found; whatever it raises is found, too."""
    try:
        return Line(check, check.look())
    except Exception as error:
        text = " ".join(f"the check failed with {type(error).__name__}: {error}".split())
        return Line(check, Finding(text, Verdict.BROKEN))
