"""Open a W&B run: online or offline, in which folder, under which id."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from sb3_gail_ext.tracking.writer import STEP

MODES = ("online", "offline", "disabled")
# W&B keeps rows for 15 s before it writes them to its file, and a killed process takes them along.
_SECONDS_UNTIL_WRITTEN = 0.05


class TrackingError(ValueError):
    """A run that W&B cannot track; the line says what to do."""


def require_wandb() -> ModuleType:
    """W&B's package.

    :raises ImportError: with a hint, if it is not installed.
    """
    try:
        import wandb
    except ImportError as error:
        raise ImportError(
            "W&B is not installed; pip install 'sb3_gail_ext[wandb]', or track with TensorBoard "
            "and metrics.csv, which need nothing more"
        ) from error
    return wandb


def choose_mode(mode: str | None) -> str | None:
    """The given mode, or what WANDB_MODE says, or offline where nobody is logged in.

    :returns: None leaves it to W&B: somebody is logged in, or WANDB_MODE is set.
    :raises TrackingError: if there is no such mode.
    """
    if mode is not None and mode not in MODES:
        raise TrackingError(f"W&B has no mode {mode!r}; give one of {', '.join(MODES)}")
    if mode is not None or os.environ.get("WANDB_MODE"):
        return mode
    return None if require_wandb().login(prompt=False, verify=False) else "offline"


def open_run(folder: Path, *, mode: str | None = None, **init: Any) -> Any:
    """A W&B run whose files lie in `folder/wandb`, with every metric against `global_step`.

    :param init: arguments of `wandb.init`.
    :raises TrackingError: if a run is open already, or W&B does not answer.
    """
    wandb = require_wandb()
    if wandb.run is not None:
        raise TrackingError(
            "a W&B run is open already: pass run=wandb.run to go on with it, or end it with "
            "wandb.finish() or the tracker's finish()"
        )
    folder.mkdir(parents=True, exist_ok=True)
    settings = wandb.Settings(quiet=True, x_transaction_log_flush_interval=_SECONDS_UNTIL_WRITTEN)
    # W&B's background process may have been started in another working directory.
    where = {"dir": str(folder.absolute()), "mode": choose_mode(mode)}
    try:
        run = wandb.init(settings=settings, **where, **init)
    except wandb.Error as error:
        raise TrackingError(f"W&B: {error}; WANDB_MODE=offline tracks without it") from error
    run.define_metric(STEP)
    run.define_metric("*", step_metric=STEP)
    return run


@contextmanager
def files_in(folder: Path) -> Iterator[None]:
    """W&B's copies of artifacts and its own logs go into `folder/wandb`, not into the home folder.

    An offline run needs these copies until it is uploaded. Where the user has set the variables,
    they stay.
    """
    wanted = {
        "WANDB_DATA_DIR": folder / "wandb" / "data",
        "WANDB_CACHE_DIR": folder / "wandb" / "cache",
    }
    ours = {name: path for name, path in wanted.items() if name not in os.environ}
    os.environ.update({name: str(path.absolute()) for name, path in ours.items()})
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)
