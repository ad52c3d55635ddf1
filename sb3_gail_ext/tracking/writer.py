"""An output of SB3's logger that writes every row to a W&B run."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any

import matplotlib.figure
import numpy as np
import torch as th
from stable_baselines3.common.logger import Figure, KVWriter, filter_excluded_keys

STEP = "global_step"  # what every metric is drawn against


class WandbWriter(KVWriter):
    """Logs each dump of SB3's logger as one row of the run, with its step as `global_step`.

    Numbers are those of the CSV, to the last digit; figures become pictures; what is neither
    (histograms, videos of tensors) is left out. A key recorded with `exclude="wandb"` is, too.

    :param run: a W&B run; it is not finished here, whoever closes the logger.
    :param on_row: is told of each row before it is written.
    """

    def __init__(
        self, run: Any, on_row: Callable[[Mapping[str, Any]], None] = lambda row: None
    ) -> None:
        self.run = run
        self.on_row = on_row

    def write(
        self,
        key_values: dict[str, Any],
        key_excluded: dict[str, tuple[str, ...]],
        step: int = 0,
    ) -> None:
        """One row."""
        kept = filter_excluded_keys(key_values, key_excluded, "wandb")
        self.on_row(kept)
        row = {key: _as_wandb(value) for key, value in kept.items()}
        row = {key: value for key, value in row.items() if value is not None}
        if row:
            # Not W&B's own `step=`: it refuses a row that is not after the last one.
            self.run.log({**row, STEP: step})

    def close(self) -> None:
        """Nothing: evaluations and models are logged after training."""


def picture(figure: matplotlib.figure.Figure) -> Any:
    """A W&B image of a figure."""
    import wandb
    from PIL import Image

    png = BytesIO()
    figure.savefig(png, format="png", dpi=100)
    return wandb.Image(Image.open(png))


def _as_wandb(value: Any) -> Any:
    """What W&B can show of a logged value; None: nothing."""
    if isinstance(value, Figure):
        return picture(value.figure)
    if isinstance(value, np.floating):
        return float(str(value))  # as the CSV has it: 0.1, not 0.10000000149011612
    if isinstance(value, np.generic | th.Tensor):
        return value.item()
    return value if isinstance(value, str | bool | numbers.Number) else None
