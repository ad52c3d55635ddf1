"""Run many cells, interleaved, each in a process of its own, and report on them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tqdm import tqdm

from sb3_gail_ext.atomic import atomically
from sb3_gail_ext.bench.plots import plot_learning
from sb3_gail_ext.bench.process import run_module
from sb3_gail_ext.bench.tables import learning_table, throughput_table
from sb3_gail_ext.bench.task import Cell
from sb3_gail_ext.machine import describe_machine


def run_suite(cells: Sequence[Cell], folder: Path, *, jobs: int = 1) -> list[dict[str, Any]]:
    """Run the cells in the order given and return their results in that order.

    Put the methods of one seed side by side and all of them meet the same conditions. A cell
    whose result lies in `folder` already is not run again.

    :param jobs: processes at once; one leaves the machine to the cell that is timed.
    :raises BenchError: if a cell fails.
    """
    (folder / "cells").mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(jobs) as pool, tqdm(total=len(cells), desc="cells") as bar:
        results = []
        for result in pool.map(lambda cell: _result_of(cell, folder / "cells"), cells):
            results.append(result)
            bar.update()
    return results


def write_report(
    results: Sequence[dict[str, Any]], folder: Path, title: str, command: str = ""
) -> str:
    """Write `bench.json`, `bench.md` and, of learning, `learning.png`.

    :param command: what makes these results again.
    :returns: the tables, in Markdown.
    """
    learning = [r for r in results if r["kind"] == "learning"]
    throughput = [r for r in results if r["kind"] == "throughput"]
    tables = [
        *([learning_table(learning)] if learning else []),
        *([throughput_table(throughput)] if throughput else []),
    ]
    text = "\n".join(tables)
    with atomically(folder / "bench.json") as temporary:
        temporary.write_text(json.dumps(list(results)) + "\n")
    with atomically(folder / "bench.md") as temporary:
        temporary.write_text(f"# {title}\n\n{text}\n{_how(results, command)}")
    if learning:
        plot_learning(learning, folder / "learning.png")
    return text


def _how(results: Sequence[dict[str, Any]], command: str) -> str:
    """What a reader needs to judge and to repeat the tables."""
    versions = ", ".join(f"{k} {v}" for k, v in results[0]["versions"].items())
    n_seeds, machine = len({r["seed"] for r in results}), describe_machine()
    return (
        f"Median (smallest to largest) over {n_seeds} seeds, one thread each. {machine}. "
        f"{versions}.\n\n```\n{command}\n```\n"
    )


def _result_of(cell: Cell, folder: Path) -> dict[str, Any]:
    path = folder / f"{cell.id}.json"
    if not path.is_file():
        _run_in_process(cell, path)
    result: dict[str, Any] = json.loads(path.read_text())
    return result


def _run_in_process(cell: Cell, path: Path) -> None:
    specification, log = path.with_suffix(".cell"), path.with_suffix(".log")
    specification.write_text(cell.to_json())
    run_module("sb3_gail_ext.bench.run", specification, path, name=cell.id, log=log)
    specification.unlink()
