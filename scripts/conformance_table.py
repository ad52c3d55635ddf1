"""Run the conformance matrix of tests/conformance and write what came out to docs/conformance.md.

Ends with 1 if a cell failed. Run it once for each stack of dependencies; each keeps its own line.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from sb3_gail_ext.atomic import atomically

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "conformance.md"
STACK = ("stable-baselines3", "sb3-contrib", "gymnasium")
HEADER = """# Conformance with Stable-Baselines3

Every algorithm here is one of SB3's, so what SB3's users rely on must hold. The rows are what the
tests of SB3 and sb3-contrib check (last column: where). Each cell is a test in
[tests/conformance](../tests/conformance) that trains a little and looks at what the feature is for.

- **✓**: passed.
- **refused**: one line says so before anything is done, and a test checks that it does.
- **n/a**: does not apply; a note says why.

Dict observations: demonstrations are `imitation` trajectories with `DictObs`, as
`record_demonstrations` makes them; no file format holds them yet, so the command line refuses such
environments. The discriminator sees one flat float32 row per step: keys in the space's order,
Discrete and MultiDiscrete one-hot, images divided by 255, which its default, an MLP, takes for mere
numbers. A `reward_net` of your own is built for `flat_space(observation_space)` of
`sb3_gail_ext.demonstrations.dict_observations`. The policy sees the dictionary.

This page is written by `python scripts/conformance_table.py`, from a run of these tests.

"""


class Recorder:
    """A pytest plugin: what became of each cell."""

    def __init__(self) -> None:
        self.cells: dict[str, tuple[str, str]] = {}
        self.outcomes: dict[tuple[str, str], str] = {}

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        for item in items:
            marker = item.get_closest_marker("conformance")
            if marker is not None:
                self.cells[item.nodeid] = (marker.args[0], item.callspec.params["algorithm"].name)

    def pytest_runtest_logreport(self, report: Any) -> None:
        cell = self.cells.get(report.nodeid)
        if cell is None or (report.when != "call" and report.outcome == "passed"):
            return
        if self.outcomes.get(cell) != "failed":
            self.outcomes[cell] = "passed" if report.outcome == "passed" else "failed"


def main() -> int:
    recorder = Recorder()
    folder = ROOT / "tests" / "conformance"
    pytest.main([str(folder), "-q", "-m", "conformance"], plugins=[recorder])
    import conformance_page  # of `folder`, which pytest has put on the path

    runs = {**_former_runs(), _stack(): _counts(recorder.outcomes, conformance_page.refusal)}
    lines = "\n".join(f"- {stack}: {counts}." for stack, counts in sorted(runs.items()))
    with atomically(PAGE) as temporary:
        tables = conformance_page.render(recorder.outcomes)
        temporary.write_text(f"{HEADER}Runs:\n\n{lines}\n\n{tables}")
    return int(recorder.outcomes != conformance_page.declared())


def _stack() -> str:
    return ", ".join(f"{package} {version(package)}" for package in STACK)


def _counts(outcomes: dict[tuple[str, str], str], refusal: Any) -> str:
    passed = [cell for cell, outcome in outcomes.items() if outcome == "passed"]
    refused = sum(refusal(*cell) is not None for cell in passed)
    failed = len(outcomes) - len(passed)
    return f"{len(passed) - refused} passed, {refused} refused, {failed} failed"


def _former_runs() -> dict[str, str]:
    if not PAGE.exists():
        return {}
    lines = [line[2:-1] for line in PAGE.read_text().splitlines() if line.startswith("- stable-")]
    return dict(line.split(": ", 1) for line in lines)


if __name__ == "__main__":
    sys.exit(main())
