"""Read offline W&B runs back, with W&B's own reader."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from sb3_gail_ext.tracking.writer import STEP

PATIENCE = 60  # seconds for W&B's background process on a busy machine


def inspect(file: Path, *options: str) -> str:
    """What W&B's own reader prints of a run's file."""
    program = Path(sys.executable).with_name("wandb")
    done = subprocess.run(
        [program, "leet", "inspect", *options, "--json", file],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    return done.stdout


class ReadBack(NamedTuple):
    """A run as its file tells it."""

    summary: dict[str, Any]
    records: list[dict[str, Any]]

    @property
    def history(self) -> list[dict[str, Any]]:
        return [r["history"]["item"] for r in self.records if r["type"] == "history"]

    @property
    def run(self) -> dict[str, Any]:
        return next(r["run"] for r in self.records if r["type"] == "run")

    def artifacts(self, kind: str) -> list[dict[str, Any]]:
        of_all = [r["artifact"] for r in self.records if r["type"] == "artifact"]
        of_kind = [a for a in of_all if a["type"] == kind]
        return [{**a, "metadata": json.loads(a["metadata"])} for a in of_kind]


def files_of(folder: Path) -> list[Path]:
    return sorted(folder.glob("wandb/offline-run-*/run-*.wandb"))


def read_back(folder: Path) -> ReadBack:
    [file] = files_of(folder)
    return read_file(file)


def read_file(file: Path) -> ReadBack:
    records = [json.loads(line) for line in inspect(file).splitlines()]
    return ReadBack(json.loads(inspect(file, "--summary")), records)


def metrics(history: list[dict[str, Any]]) -> list[dict[str, float]]:
    """Rows of SB3's logger, by step: neither W&B's own entries nor pictures."""
    rows = [row for row in history if "time/total_timesteps" in row]
    return [
        {k: float(v) for k, v in row.items() if k[0] != "_" and not k.startswith("chapter/")}
        for row in rows
    ]


def csv_rows(path: Path) -> list[dict[str, float]]:
    with path.open() as file:
        rows = [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]
    return [{**row, STEP: row["time/total_timesteps"]} for row in rows]
