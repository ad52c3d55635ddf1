"""How exactly a demonstration's numbers are known, and how large their differences are."""

from __future__ import annotations

import numpy as np

_DIGITS = range(1, 7)  # behind the point
_FLOATS = (np.float16, np.float32, np.float64)
_SLACK = {np.float16: 1e-3, np.float32: 2e-7, np.float64: 1e-14}
_N_LOOKED_AT = 1_000  # rows: enough to see how numbers were rounded
_HELD_STILL = 1e-3  # of the usual deviation; a smaller one would make rounding loud


def spread(rows: np.ndarray) -> np.ndarray:
    """The deviation of each number of the observations (n, *shape), never 0: float64 (*shape)."""
    std = rows.astype(np.float64).std(axis=0)
    usual = np.median(std[std > 0]) if (std > 0).any() else 1.0
    return np.maximum(std, _HELD_STILL * usual)


def rounding(rows: np.ndarray) -> np.ndarray:
    """By how much each number of the rows (n, *shape) may have been rounded: (*shape).

    That of their type, or of the smallest one that holds them, or of few decimals or digits.
    """
    some = rows[:: max(len(rows) // _N_LOOKED_AT, 1)].astype(np.float64)
    columns = some.reshape(len(some), -1).T
    return np.array([_rounding_of(column) for column in columns]).reshape(rows.shape[1:])


def _rounding_of(numbers: np.ndarray) -> float:
    size = float(np.abs(numbers).max())
    with np.errstate(over="ignore"):
        smallest = next(t for t in _FLOATS if (numbers == numbers.astype(t)).all())
    of_type = float(np.finfo(smallest).eps) * size
    slack = _SLACK[smallest] * np.abs(numbers)  # rounded first, then stored in that type
    for digits in _DIGITS:
        if (np.abs(numbers - np.round(numbers, digits)) <= slack).all():
            return max(0.5 * 10.0**-digits, of_type)
    unit = 10.0 ** np.floor(np.log10(np.where(numbers == 0, 1.0, np.abs(numbers))))
    for digits in _DIGITS:
        if (np.abs(numbers - np.round(numbers / unit, digits) * unit) <= slack).all():
            return max(0.5 * 10.0**-digits * size, of_type)
    return of_type
