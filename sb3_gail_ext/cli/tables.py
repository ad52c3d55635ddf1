"""Tables on standard output: with rules in a terminal, plain aligned text elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sb3_gail_ext.cli.common import one_line

_PLAIN_WIDTH = 10_000  # characters: in a pipe no line is broken


def print_facts(facts: Mapping[str, object]) -> None:
    """One fact a line, its name first."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(_text(name), _text(value))
    _print(table)


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """One row a line below `header`; the first column is a name, the others are figures."""
    table = Table(box=box.SIMPLE_HEAD if Console().is_terminal else None, pad_edge=False)
    for column, name in enumerate(header):
        table.add_column(name, justify="right" if column else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(_text, row))
    _print(table)


def _text(value: object) -> Text:
    return Text(one_line(value))  # as it is: rich would take [brackets] for markup


def _print(table: Table) -> None:
    console = Console()
    if console.is_terminal:
        console.print(table)
        return
    plain = Console(width=_PLAIN_WIDTH)
    with plain.capture() as captured:
        plain.print(table)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))
