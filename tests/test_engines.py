"""Engines: lost workers are retried, and the results are the same whatever runs the cells."""

import json
import os
import signal
import time
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from sb3_gail_ext.bench.task import Cell, Task
from sb3_gail_ext.comparison.engines import ENGINES, EngineError, cell_folder, unfinished

TESTS = Path(__file__).parent
WORK = "engine_work"


@pytest.fixture(autouse=True, scope="module")
def work_can_be_found() -> Iterator[None]:
    """By processes that are not started by pytest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{TESTS.parent}:{TESTS}")
        patch.setenv("OMP_NUM_THREADS", "2")  # the engines set it to 1
        yield


def cell(seed: int = 0, **settings: Any) -> Cell:
    task = Task("Line-v0", "expert.npz")
    return Cell("comparison", "bc", "bc", task, seed, total_timesteps=100, settings=settings)


def run(engine: str, cells: list[Cell], folder: Path, **arguments: Any) -> list[tuple[str, str]]:
    """:returns: the changes that the engine told of."""
    changes: list[tuple[str, str]] = []
    given = {"jobs": 2, "options": {}, "work": WORK, **arguments}
    ENGINES[engine](cells, folder, on_change=lambda *change: changes.append(change), **given)
    return changes


def results(cells: list[Cell], folder: Path) -> dict[int, Any]:
    """By seed: an ill-behaved cell has another id than a good one, but must come to the same."""
    paths = {cell.seed: cell_folder(cell, folder) / "result.json" for cell in cells}
    return {seed: json.loads(path.read_text())["result"] for seed, path in paths.items()}


def states(changes: list[tuple[str, str]], cell: Cell) -> list[str]:
    return [state for id, state in changes if id == cell.id]


def wait_for(condition: Any, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def pids(path: Path) -> list[int]:
    """A cell's process and the one that started it, once they are known."""
    wait_for(lambda: path.is_file() and len(path.read_text().split()) == 2)
    return [int(pid) for pid in path.read_text().split()]


# --- Local: what every engine is compared with -------------------------------------------------


@pytest.fixture(scope="module")
def locally(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Any]:
    """Results by seed."""
    folder = tmp_path_factory.mktemp("local")
    cells = [cell(seed) for seed in range(3)]
    run("local", cells, folder)
    return results(cells, folder)


def test_each_cell_runs_in_a_process_of_its_own_on_one_thread(locally: dict[int, Any]) -> None:
    one = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    assert [(result["runs"], result["threads"]) for result in locally.values()] == [(1, one)] * 3


def test_order_does_not_matter_and_one_killed_worker_is_retried(
    tmp_path: Path, locally: dict[int, Any]
) -> None:
    killed = cell(1, kill="self", once=str(tmp_path / "once"))
    cells = [cell(2), killed, cell(0)]
    changes = run("local", cells, tmp_path)
    assert results(cells, tmp_path) == locally
    assert states(changes, killed) == ["running", "retrying", "running", "done"]
    assert states(changes, cells[0]) == ["running", "done"]
    assert unfinished([*cells, cell(7)], tmp_path) == [cell(7)]


def test_what_failed_is_said_after_the_others_are_done(tmp_path: Path) -> None:
    wrong, good = cell(0, error="no such reward"), cell(1, seconds=1)
    doomed = cell(2, kill="self")
    changes: list[tuple[str, str]] = []
    with pytest.raises(EngineError) as caught:
        ENGINES["local"](
            [wrong, doomed, good],
            tmp_path,
            jobs=3,
            on_change=lambda *change: changes.append(change),
            work=WORK,
            retries=1,
            options={},
        )
    log = cell_folder(wrong, tmp_path) / "log.txt"
    assert str(caught.value) == (
        f"{wrong.id} failed: ValueError: no such reward (all of it: {log}); "
        "1 more failed, of 3 cells"
    )
    assert "Traceback" in log.read_text()
    assert states(changes, wrong) == ["running", "failed"]  # an error comes again: no retry
    assert states(changes, doomed) == ["running", "retrying", "running", "failed"]
    assert "lost 2 times" in (cell_folder(doomed, tmp_path) / "log.txt").read_text()
    assert states(changes, good)[-1] == "done"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_no_worker_outlives_its_driver(tmp_path: Path, number: signal.Signals) -> None:
    cells = [cell(n, seconds=300, pid_file=str(tmp_path / f"{n}.pid")) for n in range(2)]
    # Forked, it need not import torch again.
    driver = get_context("fork").Process(target=run, args=("local", cells, tmp_path))
    driver.start()
    children = [pids(tmp_path / f"{n}.pid") for n in range(2)]
    assert [parent for _, parent in children] == [driver.pid, driver.pid]
    assert all(is_alive(child) for child, _ in children)
    assert driver.pid is not None
    os.kill(driver.pid, number)
    driver.join(30)
    assert driver.exitcode not in (0, None)
    wait_for(lambda: not any(is_alive(child) for child, _ in children), 10)
    assert not list(tmp_path.rglob("result.json"))


# --- Ray and Slurm -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two_ray_workers(work_can_be_found: None) -> Iterator[None]:
    pytest.importorskip("ray")
    from sb3_gail_ext.comparison.engines.ray import connected

    with connected(2, None):
        yield


def check_killed_worker(engine: str, folder: Path, local: dict[int, Any], **arguments: Any) -> None:
    """Run three cells, and kill -9 the worker that runs the first one in the middle of it."""
    pid_file = folder / "pid"
    killed = cell(1, kill="parent", once=str(folder / "once"), pid_file=str(pid_file))
    cells = [killed, cell(0), cell(2)]
    changes = run(engine, cells, folder, **arguments)
    assert results(cells, folder) == local
    assert states(changes, killed).count("retrying") == 1
    assert [states(changes, one)[-1] for one in cells] == ["done"] * 3
    assert "retrying" not in states(changes, cells[1]) + states(changes, cells[2])
    files = {path.name for path in cell_folder(killed, folder).iterdir()}
    assert files == {"log.txt", "model.zip", "progress.json", "result.json"}


@pytest.mark.usefixtures("two_ray_workers")
def test_ray_retries_the_cell_of_a_killed_worker(tmp_path: Path, locally: dict[int, Any]) -> None:
    check_killed_worker("ray", tmp_path, locally)


@pytest.mark.usefixtures("two_ray_workers")
def test_ray_says_what_failed_and_brings_its_log(tmp_path: Path) -> None:
    wrong, good = cell(0, error="no such reward", seconds=2), cell(1)
    with pytest.raises(EngineError, match=f"{wrong.id} failed: ValueError: no such reward"):
        run("ray", [wrong, good], tmp_path)
    folder = cell_folder(wrong, tmp_path)
    assert "Traceback" in (folder / "log.txt").read_text()
    assert json.loads((folder / "progress.json").read_text()) == {"steps": 1, "of": 4}
    assert unfinished([wrong, good], tmp_path) == [wrong]


def test_submitit_retries_the_cell_of_a_killed_worker(
    tmp_path: Path, locally: dict[int, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    slurm = pytest.importorskip("sb3_gail_ext.comparison.engines.slurm", exc_type=ImportError)
    monkeypatch.setattr(slurm, "_GRACE", 1.0)  # seconds: no shared disk is slow here
    check_killed_worker("slurm", tmp_path, locally, options={"cluster": "local"}, jobs=3)
