"""Where a run's log goes: a CSV, which a resumed run goes on with, and TensorBoard."""

from __future__ import annotations

import csv
from pathlib import Path

from stable_baselines3.common.logger import (
    CSVOutputFormat,
    KVWriter,
    Logger,
    TensorBoardOutputFormat,
)

from sb3_gail_ext.training.run import TrainingRun

METRICS = "metrics.csv"


def make_logger(run: TrainingRun, *, resumed_at: int | None) -> Logger:
    """:param resumed_at: the step that the run goes on from; None: a new run."""
    path = run.folder / METRICS
    outputs: list[KVWriter] = [
        CSVOutputFormat(str(path)) if resumed_at is None else ResumedCSV(path)
    ]
    if run.tensorboard:
        outputs.append(_tensorboard(run.folder / "tensorboard", resumed_at))
    return Logger(str(run.folder), outputs)


class ResumedCSV(CSVOutputFormat):
    """SB3's, after the rows that are there already, which SB3's own would delete."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("r+t")
        self.keys = next(csv.reader(self.file), [])
        self.file.seek(0, 2)
        self.separator, self.quotechar = ",", '"'


def _tensorboard(folder: Path, resumed_at: int | None) -> TensorBoardOutputFormat:
    output = TensorBoardOutputFormat(str(folder))
    if resumed_at is not None:  # hides what a killed run had written after its checkpoint
        output.writer.close()
        output.writer = type(output.writer)(log_dir=str(folder), purge_step=resumed_at + 1)
    return output
