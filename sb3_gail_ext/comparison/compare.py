"""Run a comparison, or what is missing of it, and report on it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sb3_gail_ext.atomic import atomically
from sb3_gail_ext.bench.task import Cell
from sb3_gail_ext.comparison.engines import ENGINES, EngineError, run_cells
from sb3_gail_ext.comparison.films import film_methods
from sb3_gail_ext.comparison.layout import RESULT, cell_folder
from sb3_gail_ext.comparison.report import write_report
from sb3_gail_ext.comparison.study import Study, cells_of, check_demonstrations_suffice
from sb3_gail_ext.comparison.summary import summarize_results
from sb3_gail_ext.comparison.tracking import track_results
from sb3_gail_ext.folder_lock import sole_user

BASELINE = "bc"


def compare(
    methods: Sequence[str],
    demonstrations: Mapping[str, str | Path],
    folder: str | Path = "runs/compare",
    *,
    baseline: str | None = None,
    engine: str = "local",
    jobs: int = 2,
    engine_options: Mapping[str, Any] | None = None,
    films: bool = True,
    wandb_project: str | None = None,
    command: str = "",
    say: Callable[[str], None] = print,
    **study: Any,
) -> dict[str, Any]:
    """Train every method on the same demonstrations, several seeds each, and compare the scores.

    A run whose result lies in `folder` already is not done again, so that a comparison goes on
    where it was stopped, and grows by a seed or a method for no more than what that costs.

    :param methods: of `COMPARABLE`, e.g. `["bc", "gail"]`.
    :param demonstrations: a file by environment id.
    :param folder: where `report.html`, `report.md`, `summary.json` and `cells/` go.
    :param baseline: the method that the others are compared with; None: bc, or the first.
    :param engine: `"local"`, `"ray"` or `"slurm"`.
    :param jobs: runs at once.
    :param engine_options: of the engine, e.g. `{"address": "auto"}` of Ray.
    :param films: draw the methods side by side.
    :param wandb_project: track every run in this W&B project, once all are done.
    :param command: what makes the report again, for its readers.
    :param say: receives lines for people.
    :param study: the other fields of `Study`: `n_demonstrations`, `seeds`, `subsample`, `steps`...
    :returns: the content of `summary.json`.
    :raises DemonstrationError: before any run, if the demonstrations cannot be used.
    :raises ValueError: likewise, if an argument cannot.
    :raises FolderInUseError: if another comparison is at work in `folder`.
    :raises EngineError: if a run failed; the others are done and reported then.

    >>> compare(["bc", "gail"], {"Hopper-v4": "hopper.npz"}, n_demonstrations=(1, 4))
    """
    files = {env_id: Path(path) for env_id, path in demonstrations.items()}
    plan, folder = Study(tuple(methods), files, **study), Path(folder)
    pair = _whom_to_compare(plan.methods, baseline)
    if engine not in ENGINES:
        raise ValueError(f"unknown engine {engine!r}; give one of {', '.join(ENGINES)}")
    if jobs < 1:
        raise ValueError(f"jobs is {jobs}; give a positive number")
    check_demonstrations_suffice(plan)
    cells = cells_of(plan)
    failure: EngineError | None = None
    with sole_user(folder, "comparison"):
        try:
            run_cells(cells, folder, engine=engine, jobs=jobs, options=dict(engine_options or {}))
        except EngineError as error:  # what is done is reported all the same
            failure = error
        done = [cell for cell in cells if (cell_folder(cell, folder) / RESULT).is_file()]
        if failure is not None and not done:
            raise failure
        results = read_results(done, folder)
        summary = summarize_results(results, *pair, n_missing=len(cells) - len(done))
        with atomically(folder / "summary.json") as temporary:
            temporary.write_text(json.dumps(summary, indent=1) + "\n")
        filmed = film_methods(results, folder, say) if films else None
        say(f"report: {write_report(folder, summary, results, command=command, films=filmed)}")
        if wandb_project is not None:
            track_results(done, results, folder, wandb_project, say)
    if failure is not None:
        raise failure
    return summary


def _whom_to_compare(methods: Sequence[str], baseline: str | None) -> tuple[str, str]:
    """The method of the verdict (gail, or the first other one), and whom it is compared with.

    :raises ValueError: if `baseline` is none of the methods.
    """
    chosen = baseline or (BASELINE if BASELINE in methods else methods[0])
    if chosen not in methods:
        raise ValueError(f"baseline {chosen!r} is none of the methods; add it, or name one of them")
    others = [method for method in methods if method != chosen]
    return ("gail" if "gail" in others else next(iter(others), chosen)), chosen


def read_results(cells: Sequence[Cell], folder: Path) -> list[dict[str, Any]]:
    """The results of these cells in a comparison's folder, in their order."""
    return [json.loads((cell_folder(cell, folder) / RESULT).read_text()) for cell in cells]
