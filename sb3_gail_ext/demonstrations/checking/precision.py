"""How exactly a demonstration's numbers are known, and how large their differences are."""

from __future__ import annotations

import numpy as np

_DIGITS = range(1, 6)
_FLOATS = (np.float16, np.float32, np.float64)
_HELD_STILL = 1e-3  # of the usual deviation; a smaller one would make rounding loud


def spread(rows: np.ndarray) -> np.ndarray:
    """The deviation of each number of the observations (n, *shape), never 0: float64 (*shape)."""
    std = rows.astype(np.float64).std(axis=0)
    usual = np.median(std[std > 0]) if (std > 0).any() else 1.0
    return np.maximum(std, _HELD_STILL * usual)


def rounding(rows: np.ndarray) -> np.ndarray:
    """By how much each number of the observations (n, *shape) may have been rounded: (*shape).

    That of their type, or of the smallest one that holds them, or of few decimals.
    """
    exact = rows.astype(np.float64)
    size = np.abs(exact).max(axis=0)
    for digits in _DIGITS:
        if np.allclose(exact, np.round(exact, digits), rtol=2e-7, atol=1e-9):
            return np.full(size.shape, 0.5 * 10.0**-digits)
    with np.errstate(over="ignore"):
        smallest = next(t for t in _FLOATS if (exact == exact.astype(t)).all())
    return float(np.finfo(smallest).eps) * size
