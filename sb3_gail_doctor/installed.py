"""Versions of installed packages, read without importing them."""

from __future__ import annotations

import re
from importlib import metadata


def version_of(package: str) -> str | None:
    """None if it is not installed, or its version cannot be read."""
    try:
        return metadata.version(package) or None
    except metadata.PackageNotFoundError:
        return None


def numbers(version: str) -> tuple[int, ...]:
    """The first two numbers of a version, to compare with: '2.13.0+cpu' is (2, 13)."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])
