"""`sb3-gail doctor`: each thing that can be wrong is said, with what helps, and never raised."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections import namedtuple
from collections.abc import Callable
from functools import partial
from importlib import metadata
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from sb3_gail_doctor import (
    entry,
    examine,
    extras,
    installed,
    machine,
    physics,
    probe,
    python_packages,
    rendering,
    stack,
    table,
    tracking,
)
from sb3_gail_doctor.finding import Check, Finding, Line, Verdict, carry_out
from sb3_gail_ext.cli.main import main

ROOT = Path(__file__).parents[1]
IS_DEFAULT = {**stack.DEFAULT, "imitation": "1.0.1", "torch": "2.13.0+cpu", "numpy": "2.4.6"}
IS_MODERN = {**IS_DEFAULT, **stack.MODERN}
# From the packages' own metadata.
NEEDS = {
    "2.2.1": ["gymnasium <0.30,>=0.28.1", "numpy >=1.20", "torch >=1.13", "pandas; extra == 'x'"],
    "2.9.2": ["gymnasium<2.0,>=0.29.1", "numpy<3.0,>=1.20", "torch<3.0,>=2.8"],
}
TO_MODERN = "pip install --no-deps stable-baselines3==2.9.2 sb3-contrib==2.9.2 gymnasium==1.4.0"
TO_DEFAULT = "pip install --no-deps stable-baselines3==2.2.1 sb3-contrib==2.2.1 gymnasium==0.29.1"
Install = Callable[[dict[str, str]], None]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    """Have metadata say that these versions are installed, and nothing else."""

    def pretend(versions: dict[str, str]) -> None:
        def version(package: str) -> str:
            if package not in versions:
                raise metadata.PackageNotFoundError(package)
            return versions[package]

        def requires(package: str) -> list[str]:
            return NEEDS[versions[package]] if package == "stable-baselines3" else []

        monkeypatch.setattr(metadata, "version", version)
        monkeypatch.setattr(metadata, "requires", requires)

    return pretend


def answers(monkeypatch: pytest.MonkeyPatch, module: object, name: str, value: object) -> None:
    """A probe that answers with a text, or with an error."""

    def answer(*_: object, **__: object) -> object:
        if isinstance(value, Exception):
            raise value
        return value

    monkeypatch.setattr(module, name, answer)


# --- The stack ---------------------------------------------------------------------------------


def without(versions: dict[str, str], *names: str, **others: str) -> dict[str, str]:
    return {name: v for name, v in {**versions, **others}.items() if name not in names}


@pytest.mark.parametrize(("versions", "kind"), [(IS_DEFAULT, "default"), (IS_MODERN, "modern")])
def test_the_two_stacks_are_known(install: Install, versions: dict[str, str], kind: str) -> None:
    install(versions)
    found = stack.check_stack()
    assert (found.verdict, found.cure) == (Verdict.OK, "")
    assert found.found.startswith(f"{kind}: stable-baselines3 {versions['stable-baselines3']}, ")


@pytest.mark.parametrize(
    ("versions", "problem", "cure"),
    [
        (
            {**IS_DEFAULT, "gymnasium": "1.4.0"},
            "stable-baselines3 2.2.1 needs gymnasium<0.30,>=0.28.1, found 1.4.0",
            TO_DEFAULT,
        ),
        (
            {**IS_MODERN, "gymnasium": "0.29.1"},
            "stable-baselines3 2.9.2 with gymnasium 0.29.1",
            TO_MODERN,
        ),
        (
            {**IS_MODERN, "sb3-contrib": "2.2.1"},
            "stable-baselines3 2.9.2 with sb3-contrib 2.2.1",
            TO_MODERN,
        ),
        (
            {**IS_DEFAULT, "sb3-contrib": "2.9.2"},
            "stable-baselines3 2.2.1 with sb3-contrib 2.9.2",
            TO_DEFAULT,
        ),
    ],
)
def test_versions_that_do_not_go_together(
    install: Install, versions: dict[str, str], problem: str, cure: str
) -> None:
    install(versions)
    assert stack.check_stack() == Finding(f"mixed: {problem}", Verdict.BROKEN, cure)


def test_what_else_a_stack_needs_has_a_cure_of_its_own(install: Install) -> None:
    install({**IS_MODERN, "torch": "2.7.1"})
    text = "mixed: stable-baselines3 2.9.2 needs torch<3.0,>=2.8, found 2.7.1"
    assert stack.check_stack() == Finding(
        text, Verdict.BROKEN, "pip install --upgrade 'torch<3.0,>=2.8'"
    )


def test_a_stack_that_is_not_tested_is_a_note(install: Install) -> None:
    install({**IS_MODERN, "gymnasium": "1.3.0"})
    found = stack.check_stack()
    assert (found.verdict, found.cure) == (Verdict.NOTE, f"{TO_MODERN} imitation==1.0.1")
    assert "not the versions that are tested" in found.found


def test_what_is_missing_comes_in_the_version_of_the_others(install: Install) -> None:
    install(without(IS_MODERN, "imitation", "gymnasium"))
    assert stack.check_stack() == Finding(
        "no gymnasium, imitation",
        Verdict.MISSING,
        "pip install --no-deps gymnasium==1.4.0 imitation==1.0.1",
    )


def test_an_empty_machine_is_told_what_to_install(install: Install) -> None:
    install({})
    found = stack.check_stack()
    assert found.verdict is Verdict.MISSING
    assert found.found == "no stable-baselines3, sb3-contrib, gymnasium, imitation"


def pinned(path: Path) -> dict[str, str]:
    lines = re.findall(r"^([\w.-]+)==(\S+)$", path.read_text(), re.MULTILINE)
    return dict(lines)


def test_the_stacks_are_those_that_are_tested() -> None:
    default = pinned(ROOT / "constraints.txt")
    assert {name: default[name] for name in stack.DEFAULT} == stack.DEFAULT
    assert default["imitation"] == stack.IMITATION
    assert pinned(ROOT / "constraints-modern.txt") == {**stack.MODERN, "rl_zoo3": "2.9.2"}
    assert TO_MODERN in (ROOT / "docs" / "stacks.md").read_text()


def test_this_environment_is_one_of_them() -> None:
    found = stack.check_stack()
    assert found.verdict is Verdict.OK, found


def test_versions_are_compared_as_numbers() -> None:
    assert installed.numbers("2.13.0+cpu") == (2, 13)
    assert installed.numbers("0.31.0rc1") == (0, 31)
    assert installed.numbers("2.9.2") < installed.numbers("2.13.0")


# --- Processes ---------------------------------------------------------------------------------


def test_a_probe_returns_the_last_line() -> None:
    assert probe.probe("print('noise'); print('  the answer '); print()") == "the answer"


def test_a_probe_knows_how_its_process_ended() -> None:
    with pytest.raises(probe.ProbeError, match=r"^ValueError: of no use$"):
        probe.probe("raise ValueError('of no use')")
    with pytest.raises(probe.ProbeError, match=r"^crashed with SIGABRT$"):
        probe.probe("import os; os.abort()")
    with pytest.raises(probe.ProbeError, match=r"^exit status 3$"):
        probe.probe("raise SystemExit(3)")
    with pytest.raises(probe.ProbeError, match=r"^no answer within 0 s$"):
        probe.probe("import time; time.sleep(60)", seconds=0.3)


def test_a_probe_gets_variables() -> None:
    code = "import os; print(os.environ['MUJOCO_GL'], os.environ['OMP_NUM_THREADS'])"
    assert probe.probe(code, MUJOCO_GL="egl") == "egl 1"


# --- One check each ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("2.13.0+cpu||", Finding("2.13.0+cpu, for the CPU")),
        ("2.13.0|13.0|NVIDIA H100", Finding("2.13.0, CUDA 13.0 on NVIDIA H100")),
        (
            "2.13.0|13.0|",
            Finding(
                "2.13.0, some GB for CUDA 13.0, and no GPU that it can use",
                Verdict.NOTE,
                "choose 'CPU' on https://pytorch.org/get-started/locally/",
            ),
        ),
        (
            probe.ProbeError("ImportError: libc10.so: cannot open shared object file"),
            Finding(
                "ImportError: libc10.so: cannot open shared object file",
                Verdict.BROKEN,
                "pip install --force-reinstall torch",
            ),
        ),
    ],
)
def test_builds_of_torch(
    monkeypatch: pytest.MonkeyPatch, answer: object, expected: Finding
) -> None:
    answers(monkeypatch, probe, "probe", answer)
    assert python_packages.check_torch() == expected


def test_an_old_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python_packages.platform, "python_version", lambda: "3.10.2")
    monkeypatch.setattr(python_packages.sys, "version_info", (3, 10, 2))
    found = python_packages.check_python()
    assert (found.verdict, found.cure) == (Verdict.BROKEN, "python3.11 -m venv .venv")


def test_no_mujoco(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "is_modern", lambda: False)
    for module in (physics, rendering):
        monkeypatch.setattr(module, "version_of", lambda package: None)
    cure = "pip install 'sb3_gail_ext[mujoco]'"
    assert physics.check_mujoco() == Finding("not installed", Verdict.MISSING, cure)
    assert rendering.check_mujoco_frame().verdict is Verdict.NOTE
    assert physics.check_pybullet().cure == "pip install pybullet"


@pytest.fixture
def graphics(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """MuJoCo draws with these backends only."""

    def only(*working: str) -> None:
        def drawing(code: str, *, MUJOCO_GL: str) -> str:
            if MUJOCO_GL not in working:
                raise probe.ProbeError(f"no {MUJOCO_GL}")
            return "480 x 480 pixels"

        monkeypatch.setattr(rendering, "probe", drawing)
        monkeypatch.setattr(rendering, "version_of", lambda package: "4.0.0")
        monkeypatch.delenv("MUJOCO_GL", raising=False)
        monkeypatch.delenv("DISPLAY", raising=False)

    return only


def test_frames_by_the_backend_that_films_take(
    graphics: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    graphics("egl", "glfw")
    assert rendering.check_mujoco_frame() == Finding("480 x 480 pixels, MUJOCO_GL=egl")
    monkeypatch.setenv("DISPLAY", ":0")
    assert rendering.check_mujoco_frame() == Finding("480 x 480 pixels, MUJOCO_GL=glfw")
    monkeypatch.setenv("MUJOCO_GL", "egl")
    assert rendering.check_mujoco_frame() == Finding("480 x 480 pixels, MUJOCO_GL=egl")


def test_frames_by_another_backend(graphics: Callable[..., None]) -> None:
    graphics("osmesa")
    assert rendering.check_mujoco_frame() == Finding(
        "MUJOCO_GL=egl: no egl; osmesa works", Verdict.BROKEN, "export MUJOCO_GL=osmesa"
    )


def test_no_frames_at_all(graphics: Callable[..., None]) -> None:
    graphics()
    assert rendering.check_mujoco_frame() == Finding(
        "MUJOCO_GL=egl: no egl", Verdict.BROKEN, "apt install libegl1 libegl-mesa0"
    )


@pytest.mark.parametrize(
    ("mode", "answer", "expected"),
    [
        ("", "True", Finding("wandb 0.31.0, logged in")),
        (
            "",
            "False",
            Finding(
                "wandb 0.31.0, nobody is logged in: it tracks offline", Verdict.NOTE, "wandb login"
            ),
        ),
        ("offline", "True", Finding("wandb 0.31.0, WANDB_MODE=offline")),
        (
            "dryrun",
            "True",
            Finding(
                "WANDB_MODE=dryrun is none of online, offline, disabled",
                Verdict.BROKEN,
                "unset WANDB_MODE",
            ),
        ),
    ],
)
def test_where_wandb_tracks(
    monkeypatch: pytest.MonkeyPatch, mode: str, answer: str, expected: Finding
) -> None:
    monkeypatch.setenv("WANDB_MODE", mode)
    monkeypatch.setattr(tracking, "version_of", lambda package: "0.31.0")
    answers(monkeypatch, tracking, "probe", answer)
    assert tracking.check_wandb() == expected


def test_wandb_missing_or_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "is_modern", lambda: False)
    monkeypatch.setattr(tracking, "version_of", lambda package: None)
    cure = "pip install 'sb3_gail_ext[wandb]'"
    assert tracking.check_wandb() == Finding("not installed", Verdict.MISSING, cure)
    monkeypatch.setattr(tracking, "version_of", lambda package: "0.30.9")
    old = tracking.check_wandb()
    assert (old.verdict, old.cure) == (Verdict.BROKEN, cure)


def test_wandb_really_looks_for_a_login_on_this_machine_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert tracking.check_wandb().verdict is Verdict.NOTE
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    assert tracking.check_wandb().found.endswith("logged in")


def test_folders_are_written_into(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert machine.check_folders() == Finding(str(tmp_path))
    (tmp_path / "runs").touch()  # a file where the folder should be
    assert machine.check_folders() == Finding(
        f"cannot write into {tmp_path / 'runs'}: Not a directory",
        Verdict.BROKEN,
        "cd to a folder of your own, or give --out",
    )


def test_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda path: usage(9e9, 8.5e9, 5e8))
    assert machine.check_disk() == Finding(
        "0.50 GB free here", Verdict.NOTE, "du -sh runs/* | sort -h"
    )


def test_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda pid: {0, 1, 2, 3})
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert machine.check_cores() == Finding(
        "4; scripts of your own are fastest on one thread",
        Verdict.NOTE,
        "export OMP_NUM_THREADS=1",
    )
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert machine.check_cores() == Finding("4, OMP_NUM_THREADS=1")


# --- Extras ------------------------------------------------------------------------------------


def test_extras_are_those_of_the_package() -> None:
    by_extra = {
        extra: {needed.name for needed in requirements}
        for extra, requirements in extras.optional_requirements().items()
    }
    assert by_extra["ray"] == {"ray"}
    assert by_extra["slurm"] == {"submitit"}
    assert {check.name for check in extras.extras_checks()} == {
        f"extra {extra}" for extra in set(by_extra) - {"dev", "mujoco", "wandb"}
    }


def test_extras_missing_or_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    needed = [Requirement("ray>=2.9; extra == 'ray'")]
    monkeypatch.setattr(extras, "optional_requirements", lambda: {"ray": needed})
    monkeypatch.setattr(extras, "is_modern", lambda: False)
    cure = "pip install 'sb3_gail_ext[ray]'"
    monkeypatch.setattr(extras, "version_of", lambda package: None)
    assert extras.check_extra("ray", needed) == Finding("ray not installed", Verdict.MISSING, cure)
    monkeypatch.setattr(extras, "version_of", lambda package: "2.8.1")
    assert extras.check_extra("ray", needed) == Finding(
        "ray 2.8.1; ray>=2.9 is needed", Verdict.BROKEN, cure
    )
    monkeypatch.setattr(extras, "is_modern", lambda: True)  # or pip would leave that stack
    assert extras.check_extra("ray", needed).cure == "pip install 'ray>=2.9'"


def test_the_zoo_is_as_new_as_what_it_trains_with(install: Install) -> None:
    needed = [Requirement("rl_zoo3>=2.2.1; extra == 'zoo'")]
    install({**IS_DEFAULT, "rl_zoo3": "2.2.1"})
    assert extras.check_extra("zoo", needed) == Finding("rl_zoo3 2.2.1")
    install({**IS_MODERN, "rl_zoo3": "2.2.1"})
    assert extras.check_extra("zoo", needed) == Finding(
        "rl_zoo3 2.2.1 with stable-baselines3 2.9.2",
        Verdict.BROKEN,
        "pip install --no-deps rl_zoo3==2.9.2",
    )


# --- The whole ---------------------------------------------------------------------------------


def lines(*findings: tuple[str, bool, Finding]) -> list[Line]:
    return [
        carry_out(Check(name, partial(Finding, f.found, f.verdict, f.cure), needed))
        for name, needed, f in findings
    ]


def test_a_check_that_raises_is_a_line() -> None:
    def fail() -> Finding:
        raise OSError("disk\non fire")

    line = carry_out(Check("disk", fail, needed=True))
    assert line.finding == Finding("the check failed with OSError: disk on fire", Verdict.BROKEN)
    assert line.fatal


@pytest.mark.parametrize(
    ("needed", "verdict", "status"),
    [
        (True, Verdict.OK, 0),
        (True, Verdict.NOTE, 0),
        (True, Verdict.MISSING, 1),
        (True, Verdict.BROKEN, 1),
        (False, Verdict.MISSING, 0),
        (False, Verdict.BROKEN, 0),
    ],
)
def test_the_exit_status_is_about_what_training_needs(
    needed: bool, verdict: Verdict, status: int
) -> None:
    assert examine.exit_status(lines(("x", needed, Finding("", verdict)))) == status


def test_plain_lines_and_json() -> None:
    given = lines(
        ("Python", True, Finding("3.11.7")),
        ("W&B", False, Finding("not installed", Verdict.MISSING, "pip install wandb")),
    )
    assert table.plain(given) == (
        "Python          ok       3.11.7\n"
        "W&B             missing  not installed  ->  pip install wandb"
    )
    assert json.loads(table.as_json(given))[1] == {
        "name": "W&B",
        "verdict": "missing",
        "found": "not installed",
        "cure": "pip install wandb",
        "needed": False,
    }


def test_a_terminal_gets_a_table_with_commands_to_copy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(table.sys.stdout, "isatty", lambda: True)
    table.show(lines(("stack", True, Finding("mixed: " + "long " * 30, Verdict.BROKEN, TO_MODERN))))
    printed = re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out).splitlines()
    assert f"  {TO_MODERN}" in printed  # on one line, though longer than the terminal is wide
    assert all(len(line) <= 80 for line in printed if TO_MODERN not in line)


def test_without_what_draws_tables(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "rich.console", None)
    monkeypatch.setattr(table.sys.stdout, "isatty", lambda: True)
    table.show(lines(("Python", True, Finding("3.11.7"))))
    assert capsys.readouterr().out == "Python          ok       3.11.7\n"


def test_a_real_run_finds_nothing_that_training_lacks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    assert main(["doctor", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert list(rows)[: len(examine.CHECKS)] == [check.name for check in examine.CHECKS]
    assert {name for name, row in rows.items() if row["needed"] and row["verdict"] != "ok"} == set()
    for name in ("NumPy", "PyTorch", "PyBullet", "PyBullet frame", "MuJoCo", "film"):
        assert rows[name]["verdict"] == "ok", rows[name]


BROKEN_TORCH = "raise OSError('libtorch_cpu.so: cannot open shared object file')"


@pytest.fixture
def broken(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`sb3-gail` where torch cannot be imported, so that this package cannot, either."""
    (tmp_path / "torch.py").write_text(BROKEN_TORCH)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "sb3_gail_doctor.entry", *arguments],
            env={**os.environ, "WANDB_MODE": "offline", "PYTHONPATH": f"{tmp_path}:{ROOT}"},
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )

    return run


def test_other_commands_send_to_the_doctor(
    broken: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = broken("evaluate", "model.zip")
    assert done.returncode == 2
    assert done.stderr == (
        "sb3-gail: cannot start (OSError: libtorch_cpu.so: cannot open shared object file); "
        "run sb3-gail doctor\n"
    )


def test_the_doctor_works_where_the_package_cannot_be_imported(
    broken: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = broken("doctor")
    assert done.returncode == 1, done.stderr
    found = dict(line.split(None, 1) for line in done.stdout.splitlines())
    assert found["PyTorch"] == (
        "broken   OSError: libtorch_cpu.so: cannot open shared object file"
        "  ->  pip install --force-reinstall torch"
    )
    assert found["sb3_gail_ext"].startswith("broken   OSError: libtorch_cpu.so")
    assert done.stderr == "sb3-gail: not fit for training: PyTorch, sb3_gail_ext, PyBullet\n"


def test_the_program_starts_at_the_doctors_door() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert EntryPoint("sb3-gail", project["scripts"]["sb3-gail"], "").load() is entry.main
