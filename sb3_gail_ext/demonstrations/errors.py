"""The one error that unusable demonstrations raise, and foreign text in its messages."""

from __future__ import annotations


class DemonstrationError(ValueError):
    """Demonstrations cannot be used: the message says which file, which array and what to do."""


def in_one_line(text: object) -> str:
    """Foreign text for a message: printable, short, in one line."""
    plain = " ".join(str(text).encode("ascii", "backslashreplace").decode().split())
    if not plain.isprintable():
        plain = "".join(c if c.isprintable() else "?" for c in plain)
    return plain if len(plain) <= 200 else f"{plain[:200]}..."
