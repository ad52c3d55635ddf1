"""Films of what was compared: the expert and each method, from the same start."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sb3_gail_ext.comparison.layout import CELLS
from sb3_gail_ext.evaluation.films import film_all
from sb3_gail_ext.policies.loading import load_policy

Result = dict[str, Any]  # the content of a unit's `result.json`


def film_methods(
    results: Sequence[Result], folder: Path, say: Callable[[str], None]
) -> dict[str, dict[str, Path]]:
    """Of each environment the expert and every method, with the fewest demonstrations.

    There they differ most. Of a method's runs the one of median score is filmed, neither the best
    nor the worst.

    :param folder: the comparison's, with the units' models.
    :returns: the films by environment id and by method, and the expert's.
    """
    films = {}
    for env_id in sorted({r["task"]["env_id"] for r in results}):
        of_env = [r for r in results if r["task"]["env_id"] == env_id]
        fewest = min(r["task"]["n_demonstrations"] for r in of_env)
        policies = {}
        for method in dict.fromkeys(r["method"] for r in of_env):
            runs = [
                r
                for r in of_env
                if r["method"] == method and r["task"]["n_demonstrations"] == fewest
            ]
            run = _median(runs)
            try:
                policies[method] = load_policy(folder / CELLS / run["id"] / "model.zip")
            except ValueError as error:  # a bare policy's file, like that of imitation's cloning
                say(f"no film of {method}: {error}")
        demonstrations = Path(of_env[0]["task"]["demonstrations"])
        films[env_id] = film_all(env_id, demonstrations, policies, folder / "films" / env_id, say)
    return films


def _median(runs: Sequence[Result]) -> Result:
    return sorted(runs, key=lambda r: r["result"]["score"])[len(runs) // 2]
