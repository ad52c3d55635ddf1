"""The findings, for people on a terminal, for pipes, and for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from sb3_gail_doctor.finding import Line, Verdict

_STYLES = {
    Verdict.OK: "green",
    Verdict.NOTE: "cyan",
    Verdict.MISSING: "yellow",
    Verdict.BROKEN: "bold red",
}


def show(lines: Sequence[Line]) -> None:
    """A table on a terminal, plain lines elsewhere."""
    if not sys.stdout.isatty():
        print(plain(lines))
        return
    try:
        _show_table(lines)
    except ImportError:  # what draws tables is among what may be missing
        print(plain(lines))


def plain(lines: Sequence[Line]) -> str:
    """One line a check: name, verdict, what was found, and after an arrow the cure."""
    return "\n".join(
        f"{line.check.name:<14}  {line.finding.verdict:<7}  {line.finding.found}"
        + (f"  ->  {line.finding.cure}" if line.finding.cure else "")
        for line in lines
    )


def as_json(lines: Sequence[Line]) -> str:
    rows = [
        {
            "name": line.check.name,
            "verdict": line.finding.verdict,
            "found": line.finding.found,
            "cure": line.finding.cure,
            "needed": line.check.needed,
        }
        for line in lines
    ]
    return json.dumps(rows, indent=1)


def summary(lines: Sequence[Line]) -> str:
    fatal = [line.check.name for line in lines if line.fatal]
    if fatal:
        return f"not fit for training: {', '.join(fatal)}"
    return "fit for training"


def _show_table(lines: Sequence[Line]) -> None:
    """Cures below the table, each on a line that can be copied as it is."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("check", "verdict", "found"):
        table.add_column(title, no_wrap=title != "found", overflow="fold")
    for line in lines:
        verdict = Text(line.finding.verdict, _STYLES[line.finding.verdict])
        table.add_row(line.check.name, verdict, Text(line.finding.found))
    console.print(table)
    cures = [line for line in lines if line.finding.cure]
    if cures:
        console.print("\n[bold]What helps[/bold]")
    for line in cures:
        console.print(Text(f"# {line.check.name}", "dim"))
        console.print(Text(f"  {line.finding.cure}"), soft_wrap=True)
