"""The matrix as the text of docs/conformance.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from columns import COLUMNS, TITLES
from matrix import ROWS, Row
from verdicts import condition, refusal, why_not

GROUPS = {  # test file: heading
    "test_sb3_running": "Environments, spaces, learning",
    "test_sb3_policies": "Policies",
    "test_sb3_saving": "Saving, loading, going on",
    "test_sb3_callbacks": "Callbacks and logs",
}
Outcomes = Mapping[tuple[str, str], str]  # (feature, column): "passed" or "failed"


def declared() -> dict[tuple[str, str], str]:
    """The outcomes of a run in which every test passes."""
    return {
        (row.title, column.name): "passed"
        for row in ROWS
        for column in COLUMNS
        if why_not(row.title, column.name) is None
    }


def n_refused() -> int:
    return sum(refusal(feature, column) is not None for feature, column in declared())


def render(outcomes: Outcomes) -> str:
    """All tables and their footnotes."""
    notes: list[str] = []
    parts = [
        "\n".join([f"## {heading}", "", *_table(_rows_of(module), outcomes, notes)])
        for module, heading in GROUPS.items()
    ]
    footnotes = "\n".join(f"[^{number}]: {note}" for number, note in enumerate(notes, start=1))
    return "\n\n".join([*parts, footnotes]) + "\n"


def _rows_of(module: str) -> list[Row]:
    return [row for row in ROWS if row.module.split(".")[-1] == module]


def _table(rows: Sequence[Row], outcomes: Outcomes, notes: list[str]) -> list[str]:
    titles = [TITLES.get(column.name, column.name) for column in COLUMNS]
    lines = [["Feature", *titles, "SB3's tests"], ["---", *[":-:"] * len(titles), "---"]]
    for row in rows:
        cells = [_cell(row.title, column.name, outcomes, notes) for column in COLUMNS]
        sources = ", ".join(f"`{name}`" for name in row.sb3_test.split(", "))
        lines.append([row.title, *cells, sources])
    return [f"| {' | '.join(line)} |" for line in lines]


def _cell(feature: str, column: str, outcomes: Outcomes, notes: list[str]) -> str:
    reason = why_not(feature, column)
    if reason is not None:
        return "n/a" + _noted(f"Does not apply: {reason}.", notes)
    if outcomes.get((feature, column)) != "passed":
        return f"**{outcomes.get((feature, column), 'not run')}**"
    refused = refusal(feature, column)
    if refused is not None:
        words = f'the error says "{refused.pattern}"'
        return "refused" + _noted(f"Refused: {refused.reason}; {words}.", notes)
    how = condition(feature, column)
    return "✓" if how is None else "✓" + _noted(f"Passed {how}.", notes)


def _noted(note: str, notes: list[str]) -> str:
    if note not in notes:
        notes.append(note)
    return f"[^{notes.index(note) + 1}]"
