"""Where a comparison's cells are run: processes of this machine, Ray, or Slurm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from sb3_gail_ext.bench.task import Cell
from sb3_gail_ext.comparison.engines.engine import Engine
from sb3_gail_ext.comparison.engines.errors import EngineError
from sb3_gail_ext.comparison.layout import cell_folder, unfinished
from sb3_gail_ext.comparison.progress import shown

__all__ = ["ENGINES", "Engine", "EngineError", "cell_folder", "run_cells", "unfinished"]

_PACKAGES = {"ray": "ray", "slurm": "submitit"}  # of an engine, what its extra installs


def _run(name: str, cells: Sequence[Cell], folder: Path, **arguments: Any) -> None:
    try:
        engine = import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        if error.name != _PACKAGES.get(name):
            raise
        raise EngineError(
            f"engine {name} needs {error.name}: pip install 'sb3_gail_ext[{name}]'"
        ) from error
    engine.run(cells, folder, **arguments)


# Each engine's module is imported when it is called: no package is needed for the other engines.
ENGINES: dict[str, Engine] = {name: partial(_run, name) for name in ("local", "ray", "slurm")}


def run_cells(
    cells: Sequence[Cell],
    folder: Path,
    *,
    engine: str = "local",
    jobs: int,
    options: Mapping[str, Any],
    quiet: bool = False,
) -> None:
    """Run what is unfinished of a comparison on an engine, and show how far it is.

    :param engine: a key of `ENGINES`.
    :param jobs: cells at once.
    :param options: the engine's own, e.g. `{"address": "auto"}` of Ray.
    :param quiet: show nothing.
    :raises EngineError: after the last cell has ended, if one failed; before the first, if the
        engine cannot be used.
    """
    todo = unfinished(cells, folder)
    if not todo:
        return
    with shown(todo, folder, quiet=quiet) as on_change:
        ENGINES[engine](todo, folder, jobs=jobs, on_change=on_change, options=options)
