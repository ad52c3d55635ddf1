"""Rows: a feature is a test, run for every column unless `verdicts` says something else."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from columns import COLUMNS
from verdicts import refusal, why_not


class Row(NamedTuple):
    title: str
    sb3_test: str  # where SB3 or sb3-contrib test it
    module: str  # of ours


ROWS: list[Row] = []  # in the order of definition, filled as the test files are imported
REFUSALS = (ValueError, TypeError, NotImplementedError)


def feature(title: str, sb3_test: str) -> Callable[[Callable[..., None]], Any]:
    """A row.

    :param title: as in the table.
    :param sb3_test: where SB3 or sb3-contrib test it.
    """

    def as_row(test: Callable[..., None]) -> Any:
        ROWS.append(Row(title, sb3_test, test.__module__))
        applies = [column for column in COLUMNS if why_not(title, column.name) is None]
        parametrize = pytest.mark.parametrize("algorithm", applies, ids=str)
        return pytest.mark.conformance(title, sb3_test)(parametrize(_or_refused(title, test)))

    return as_row


def _or_refused(title: str, test: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(test)
    def cell(**kwargs: Any) -> None:
        refused = refusal(title, kwargs["algorithm"].name)
        if refused is None:
            test(**kwargs)
            return
        with pytest.raises(REFUSALS, match=refused.pattern) as raised:
            test(**kwargs)
        assert "\n" not in str(raised.value)

    cell.__signature__ = inspect.signature(test)  # type: ignore[attr-defined]
    return cell
