"""Results of `sb3-gail bench data` as Markdown tables and as files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sb3_gail_ext.atomic import atomically
from sb3_gail_ext.bench.data.loading import LOADERS
from sb3_gail_ext.bench.tables import markdown, spread
from sb3_gail_ext.machine import describe_machine


def write_report(results: dict[str, Any], folder: Path, command: str = "") -> str:
    """Write `bench.json` and `bench.md`; the tables are returned.

    :param results: what `run_data_suite` returns.
    :param command: what makes these results again.
    """
    text = "\n".join(
        (loading_table(results), batches_table(results["batches"]), scale_table(results["batches"]))
    )
    with atomically(folder / "bench.json") as temporary:
        temporary.write_text(json.dumps(results) + "\n")
    with atomically(folder / "bench.md") as temporary:
        temporary.write_text(f"# sb3-gail bench data\n\n{text}\n{_how(results, command)}")
    return text


def loading_table(results: dict[str, Any]) -> str:
    """Seconds and memory of each loader."""
    rows = []
    for name, loader in LOADERS.items():
        measured = [row for row in results["loading"] if row["loader"] == name]
        by = "imitation" if name == "imitation" else "load_demonstrations"
        shares = [row["peak_bytes"] / results["array_bytes"] for row in measured]
        seconds = spread([row["seconds"] for row in measured], "{:,.2f}")
        share = spread(shares, "{:.2f}")
        rows.append([loader.file, by, loader.into, seconds, share, str(len(measured))])
    header = ["file", "read by", "into", "seconds", "peak memory / arrays", "repeats"]
    return markdown(header, rows)


def batches_table(rows: Sequence[dict[str, Any]]) -> str:
    """Batches per second of both sides, and their ratio in each repeat."""
    lines = []
    for row in rows:
        if row["drawn_by"] == "ours":
            ours = row["per_second"]
            (theirs,) = (r["per_second"] for r in rows if _is_peer(r, row))
            lines.append(
                [
                    f"{row['transitions']:,}",
                    row["batch_as"],
                    spread(ours, "{:,.0f}"),
                    spread(theirs, "{:,.0f}"),
                    spread(_ratios(ours, theirs), "{:.0f}"),
                ]
            )
    header = ["transitions", "batch as", "batches/s", "imitation's", "ratio"]
    return markdown(header, lines)


def scale_table(rows: Sequence[dict[str, Any]]) -> str:
    """Rates with the most transitions, divided by those with the fewest in the same repeat."""
    fewest, most = (pick(row["transitions"] for row in rows) for pick in (min, max))
    lines = []
    for few in (row for row in rows if row["transitions"] == fewest):
        labels = {key: few[key] for key in ("drawn_by", "batch_as")}
        (many,) = (
            row for row in rows if row["transitions"] == most and labels.items() <= row.items()
        )
        ratios = _ratios(many["per_second"], few["per_second"])
        lines.append([few["drawn_by"], few["batch_as"], spread(ratios, "{:.2f}")])
    return markdown(["drawn by", "batch as", f"rate with {most:,} / with {fewest:,}"], lines)


def _is_peer(other: dict[str, Any], row: dict[str, Any]) -> bool:
    same = all(other[key] == row[key] for key in ("transitions", "batch_as"))
    return same and other["drawn_by"] == "imitation"


def _ratios(numerators: Sequence[float], denominators: Sequence[float]) -> list[float]:
    return [n / d for n, d in zip(numerators, denominators, strict=True)]


def _how(results: dict[str, Any], command: str) -> str:
    """What a reader needs to judge and to repeat the tables."""
    versions = ", ".join(f"{k} {v}" for k, v in results["versions"].items())
    return (
        f"{results['episodes']:,} episodes x {results['steps']:,} steps, arrays of "
        f"{results['array_bytes'] / 1e6:,.1f} MB, in the system's cache. Memory: the most held "
        "while loading, without what the process held before. Batches of 1,024, taken as far as "
        "PyTorch's tensors, the discriminator's inputs, or one step of it. Median (smallest "
        f"to largest) over the repeats, one thread. {describe_machine()}. {versions}.\n\n"
        f"```\n{command}\n```\n"
    )
