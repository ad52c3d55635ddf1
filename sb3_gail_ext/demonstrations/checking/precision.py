"""How exactly a demonstration's numbers are known, and how large their differences are."""

from __future__ import annotations

import numpy as np

_DIGITS = range(1, 7)  # behind the point
_FLOATS = (np.float16, np.float32, np.float64)
_SLACK = {np.float16: 1e-3, np.float32: 2e-7, np.float64: 1e-14}
_MANY = 4  # decimals, from which on they may be significant digits
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
    decimals = _digits_that_hold(numbers, np.ones_like(numbers), slack)
    of_decimals = 0.0 if decimals is None else 0.5 * 10.0**-decimals
    if decimals is not None and decimals < _MANY:
        return max(of_decimals, of_type)
    # Few significant digits look like many decimals, as far as the small numbers go.
    unit = 10.0 ** np.floor(np.log10(np.where(numbers == 0, 1.0, np.abs(numbers))))
    digits = _digits_that_hold(numbers, unit, slack)
    of_digits = 0.0 if digits is None else 0.5 * 10.0**-digits * size
    return max(of_digits, of_decimals, of_type)


def _digits_that_hold(numbers: np.ndarray, unit: np.ndarray, slack: np.ndarray) -> int | None:
    """So many digits behind the point, in multiples of `unit`, are all that there are."""
    for digits in _DIGITS:
        if (np.abs(numbers - np.round(numbers / unit, digits) * unit) <= slack).all():
            return digits
    return None
