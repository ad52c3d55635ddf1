"""The committed table is the matrix's: it cannot go stale."""

import importlib
import re
from pathlib import Path

import pytest
from columns import COLUMNS
from conformance_page import GROUPS, declared, n_refused, render
from matrix import ROWS
from verdicts import CONDITIONS, DOES_NOT_APPLY, REFUSED

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"


@pytest.fixture(autouse=True)
def _all_rows() -> None:
    for module in GROUPS:
        importlib.import_module(module)


def test_the_page_holds_the_matrix() -> None:
    assert render(declared()) in PAGE.read_text(), "run scripts/conformance_table.py again"


def test_every_run_on_the_page_is_of_this_matrix_and_passed() -> None:
    runs = re.findall(r"(\d+) passed, (\d+) refused, (\d+) failed", PAGE.read_text())
    assert len(runs) >= 2  # both stacks
    n = n_refused()
    assert {tuple(map(int, run)) for run in runs} == {(len(declared()) - n, n, 0)}


def test_exceptions_are_of_rows_and_columns_that_exist() -> None:
    titles, names = [row.title for row in ROWS], {column.name for column in COLUMNS}
    assert len(titles) == len(set(titles))
    for table in (CONDITIONS, DOES_NOT_APPLY, REFUSED):
        for title, columns in table.items():
            assert title in titles
            named = [name for group in columns for name in group]
            assert set(named) <= names
            assert len(named) == len(set(named))


def test_a_failure_shows() -> None:
    outcomes = declared()
    cell = (ROWS[0].title, COLUMNS[0].name)
    assert "**" not in render(outcomes)
    assert "**failed**" in render({**outcomes, cell: "failed"})
    del outcomes[cell]
    assert "**not run**" in render(outcomes)
