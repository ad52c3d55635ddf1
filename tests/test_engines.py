"""Engines: lost workers are retried, and the results are the same whatever runs the cells."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from io import StringIO
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from sb3_gail_ext.bench.task import Cell, Task
from sb3_gail_ext.comparison import progress
from sb3_gail_ext.comparison.engines import (
    ENGINES,
    EngineError,
    cell_folder,
    run_cells,
    unfinished,
)

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


def drive(cells: list[Cell], folder: Path) -> None:
    # What a shell starts in the background, these tests for one, would ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    run("local", cells, folder)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_no_worker_outlives_its_driver(tmp_path: Path, number: signal.Signals) -> None:
    cells = [cell(n, seconds=300, pid_file=str(tmp_path / f"{n}.pid")) for n in range(2)]
    # Forked, it need not import torch again.
    driver = get_context("fork").Process(target=drive, args=(cells, tmp_path))
    driver.start()
    children = [pids(tmp_path / f"{n}.pid") for n in range(2)]
    assert [parent for _, parent in children] == [driver.pid, driver.pid]
    assert all(is_alive(child) for child, _ in children)
    assert driver.pid is not None
    os.kill(driver.pid, number)
    driver.join(30)
    assert driver.exitcode == {signal.SIGKILL: -9, signal.SIGINT: 1, signal.SIGTERM: 143}[number]
    wait_for(lambda: not any(is_alive(child) for child, _ in children), 10)
    assert not list(tmp_path.rglob("result.json"))


def test_ctrl_c_ends_the_workers_even_if_the_driver_lives_on(tmp_path: Path) -> None:
    """In a notebook."""
    pid_file = tmp_path / "pid"

    def interrupt(id: str, state: str) -> None:
        pids(pid_file)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ENGINES["local"](
            [cell(seconds=300, pid_file=str(pid_file))],
            tmp_path,
            jobs=1,
            on_change=interrupt,
            work=WORK,
            options={},
        )
    assert not is_alive(pids(pid_file)[0])


# --- Ray and Slurm -----------------------------------------------------------------------------


def check_other_engine(engine: str, folder: Path, local: dict[int, Any], **given: Any) -> None:
    """One cell's worker is killed -9 in the middle of it, one is well, and one fails."""
    killed = cell(1, kill="parent", once=str(folder / "once"))
    good, wrong = cell(0), cell(2, error="no such reward")
    changes: list[tuple[str, str]] = []
    with pytest.raises(EngineError, match=f"{wrong.id} failed: ValueError: no such reward"):
        ENGINES[engine](
            [killed, good, wrong],
            folder,
            on_change=lambda *change: changes.append(change),
            work=WORK,
            **given,
        )
    assert results([good, killed], folder) == {seed: local[seed] for seed in (0, 1)}
    assert states(changes, killed).count("retrying") == 1
    assert "retrying" not in states(changes, good) + states(changes, wrong)
    assert [states(changes, one)[-1] for one in (killed, good, wrong)] == ["done", "done", "failed"]
    files = {path.name for path in cell_folder(killed, folder).iterdir()}
    assert files == {"log.txt", "model.zip", "progress.json", "result.json"}
    assert "Traceback" in (cell_folder(wrong, folder) / "log.txt").read_text()
    assert unfinished([killed, good, wrong], folder) == [wrong]


def test_ray_with_two_workers_one_of_which_is_killed(
    tmp_path: Path, locally: dict[int, Any]
) -> None:
    pytest.importorskip("ray")
    check_other_engine("ray", tmp_path, locally, jobs=2, options={})


def test_submitit_with_two_workers_one_of_which_is_killed(
    tmp_path: Path, locally: dict[int, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    slurm = pytest.importorskip("sb3_gail_ext.comparison.engines.slurm", exc_type=ImportError)
    monkeypatch.setattr(slurm, "_GRACE", 1.0)  # seconds: no shared disk is slow here
    check_other_engine("slurm", tmp_path, locally, jobs=2, options={"cluster": "local"})


@pytest.mark.parametrize(("engine", "package"), [("ray", "ray"), ("slurm", "submitit")])
def test_what_starts_a_cell_on_a_worker_imports_nothing_slow(
    engine: str, package: str, tmp_path: Path
) -> None:
    pytest.importorskip(package)
    module = import_module(f"sb3_gail_ext.comparison.engines.{engine}")
    cloudpickle = import_module("ray.cloudpickle" if engine == "ray" else "cloudpickle")
    (tmp_path / "code").write_bytes(cloudpickle.dumps(module._run_cell))
    script = (
        "import pickle, sys; pickle.load(open(sys.argv[1], 'rb')); print('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "code")]
    assert subprocess.check_output(command, text=True) == "False\n"


@pytest.fixture
def slurm_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Slurm that runs nothing; what it says of job n, it reads from `n.state` in this folder."""
    slurm = pytest.importorskip("sb3_gail_ext.comparison.engines.slurm", exc_type=ImportError)
    monkeypatch.setattr(slurm, "_GRACE", 0.0)
    folder = tmp_path / "bin"
    commands = {
        "sbatch": 'n=$(ls *.sh 2>/dev/null | wc -l); cp "$1" $n.sh; echo Submitted batch job $n',
        "sacct": 'echo "JobID|State|NodeList"; for f in *.state; do'
        ' echo "${f%.state}|$(cat $f)|node1"; done',
        "scancel": "echo $1 >> cancelled",
        "srun": "false",
    }
    folder.mkdir()
    for name, command in commands.items():
        (folder / name).write_text(f"#!/bin/sh\ncd {folder}\n{command}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def test_slurm_jobs_are_resubmitted_when_their_node_fails_and_cancelled_on_ctrl_c(
    slurm_says: Path, tmp_path: Path
) -> None:
    (slurm_says / "0.state").write_text("NODE_FAIL")
    (slurm_says / "1.state").write_text("RUNNING")
    seen = []

    def interrupt(id: str, state: str) -> None:
        seen.append(state)
        if state == "running":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ENGINES["slurm"](
            [cell()],
            tmp_path,
            jobs=1,
            on_change=interrupt,
            options={"partition": "cpu", "timeout_min": 30},
        )
    assert seen == ["retrying", "running"]
    assert (slurm_says / "cancelled").read_text() == "1\n"
    batch = (slurm_says / "1.sh").read_text()
    assert "#SBATCH --partition=cpu\n" in batch
    assert "#SBATCH --time=30\n" in batch
    assert "#SBATCH --cpus-per-task=1\n" in batch


def test_a_slurm_job_out_of_time_is_not_resubmitted(slurm_says: Path, tmp_path: Path) -> None:
    (slurm_says / "0.state").write_text("TIMEOUT")
    with pytest.raises(EngineError, match="ran out of time; give a longer timeout_min"):
        run("slurm", [cell()], tmp_path)


# --- What cannot be used -----------------------------------------------------------------------


@pytest.mark.parametrize(("engine", "package"), [("ray", "ray"), ("slurm", "submitit")])
def test_a_missing_package_is_named(
    engine: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, f"sb3_gail_ext.comparison.engines.{engine}", raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(EngineError) as caught:
        run(engine, [cell()], tmp_path)
    assert str(caught.value) == (
        f"engine {engine} needs {package}: pip install 'sb3_gail_ext[{engine}]'"
    )


@pytest.mark.parametrize(
    ("engine", "options", "message"),
    [
        ("local", {"address": "auto"}, "engine local has no option 'address'; it has: none"),
        ("ray", {"partition": "cpu"}, "engine ray has no option 'partition'; it has: address"),
        ("slurm", {"cluster": "cloud"}, "no cluster 'cloud'; it has slurm and local"),
        ("slurm", {"cluster": "local", "partitoin": "cpu"}, "Unknown argument 'partitoin'"),
        ("slurm", {"cluster": "local", "timeout_min": "long"}, '"timeout_min" expected type'),
    ],
)
def test_wrong_options_are_one_line(
    engine: str, options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    pytest.importorskip({"local": "json", "ray": "ray", "slurm": "submitit"}[engine])
    with pytest.raises(EngineError, match=re.escape(message)) as caught:
        run(engine, [cell()], tmp_path, options=options)
    assert "\n" not in str(caught.value)


def test_where_no_ray_is_it_says_so_at_once(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    began = time.monotonic()
    with pytest.raises(EngineError, match=r"no Ray at 127\.0\.0\.1:1: .*refused; start one with"):
        run("ray", [cell()], tmp_path, options={"address": "127.0.0.1:1"})
    assert time.monotonic() - began < 10


def test_without_slurm_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("submitit")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError, match="no Slurm here"):
        run("slurm", [cell()], tmp_path)


# --- What is shown -----------------------------------------------------------------------------


def test_finished_cells_are_not_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    done, todo = cell(0), cell(1)
    (cell_folder(done, tmp_path)).mkdir(parents=True)
    (cell_folder(done, tmp_path) / "result.json").write_text("{}")
    ran = []
    monkeypatch.setitem(ENGINES, "local", lambda cells, *_, **__: ran.extend(cells))
    run_cells([done, todo], tmp_path, jobs=1, options={})
    assert ran == [todo]
    assert "0 of 1 done" in capsys.readouterr().err
    run_cells([done], tmp_path, jobs=1, options={})
    run_cells([todo], tmp_path, jobs=1, options={}, quiet=True)
    assert capsys.readouterr().err == ""


def shown_in(console: Console, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What is shown of four cells: one done, one half done, one lost, and one waiting."""
    monkeypatch.setattr(progress, "Console", lambda **_: console)
    cells = [cell(n) for n in range(4)]
    half = cell_folder(cells[1], folder) / "progress.json"
    half.parent.mkdir(parents=True)
    half.write_text('{"steps": 50, "of": 100}')
    with progress.shown(cells, folder) as tell:
        for one, state in zip(cells, ("running", "running", "retrying"), strict=False):
            tell(one.id, state)
        tell(cells[0].id, "done")
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_a_terminal_shows_each_running_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = Console(file=StringIO(), force_terminal=True, width=120, color_system=None)
    text = shown_in(console, tmp_path, monkeypatch)
    assert f" 50 % {cell(1).id}" in text
    assert " 38 % 1 of 4 done, 1 running, 1 to be retried, about 1 min left" in text


def test_elsewhere_lines_say_what_went_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = shown_in(Console(file=StringIO(), width=60), tmp_path, monkeypatch)
    first, wrong, last = text.splitlines()
    assert first == "0 of 4 done, 0 running, time left unknown"
    assert wrong.startswith(f"{cell(2).id}: retrying; 0 of 4 done, 2 running, 1 to be retried")
    assert last.startswith("1 of 4 done, 1 running, 1 to be retried, about ")


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"steps": 1}', '{"steps": 1, "of": 0}'])
def test_progress_half_written_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "progress.json").write_text(text)
    assert progress.share_of(tmp_path / "progress.json") == 0.0


def test_time_left_is_by_what_is_done() -> None:
    assert progress.time_left(600, 0.25) == "about 30 min left"
    assert progress.time_left(3600, 0.4) == "about 1 h 30 min left"
    assert progress.time_left(5, 0.0) == "time left unknown"
