"""A whole comparison: units, engine, results, report; stopped, resumed, grown."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from imitation.data.types import TrajectoryWithRew
from wandb_files import csv_rows, metrics, read_back

from sb3_gail_ext import compare, save_demonstrations
from sb3_gail_ext.cli.main import main
from sb3_gail_ext.comparison.engines import EngineError
from sb3_gail_ext.folder_lock import sole_user
from sb3_gail_ext.policies.loading import load_policy

CARTPOLE = "CartPole-v1"
# A few updates of each: what is tested here is everything around them.
SMALL: dict[str, Any] = {
    "n_demonstrations": (2,),
    "seeds": (0, 1),
    "steps": 512,
    "every": 256,
    "n_episodes": 2,
    "n_final_episodes": 3,
    "settings": {
        "bc": {"total_timesteps": 512},
        "gail": {
            "n_envs": 2,
            "n_steps": 128,
            "batch_size": 64,
            "n_epochs": 1,
            "warm_start_updates": 20,
            "rehearsal_updates": 1,
        },
    },
}


@pytest.fixture(scope="module")
def cartpole_file(
    cartpole_expert: list[TrajectoryWithRew], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    path = tmp_path_factory.mktemp("demonstrations") / "cartpole.npz"
    save_demonstrations(path, cartpole_expert)
    return path


@pytest.fixture(scope="module")
def finished(cartpole_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison that nobody stopped."""
    folder = tmp_path_factory.mktemp("compare")
    run(cartpole_file, folder)
    return folder


def run(demonstrations: Path, folder: Path, **changes: Any) -> dict[str, Any]:
    return compare(
        ["bc", "gail"],
        {CARTPOLE: demonstrations},
        folder,
        films=False,
        **{"say": lambda _: None, **SMALL, **changes},
    )


def results_of(folder: Path) -> dict[str, dict[str, Any]]:
    return {p.parent.name: json.loads(p.read_text()) for p in folder.glob("cells/*/result.json")}


def times_of(folder: Path) -> dict[str, int]:
    """When each result was written."""
    return {p.parent.name: p.stat().st_mtime_ns for p in folder.glob("cells/*/result.json")}


def test_every_unit_leaves_its_result_and_model(finished: Path) -> None:
    results = results_of(finished)
    assert len(results) == 4
    for name, result in results.items():
        assert result["id"] == name
        assert len(result["result"]["returns"]) == 3
        policy = load_policy(finished / "cells" / name / "model.zip")
        assert policy.predict(np.zeros(4, np.float32), deterministic=True)[0] in (0, 1)
        has_metrics = (finished / "cells" / name / "metrics.csv").is_file()
        assert has_metrics == (result["method"] == "gail")


def test_scores_are_of_returns_between_chance_and_expert(finished: Path) -> None:
    for result in results_of(finished).values():
        r = result["result"]
        share = (np.mean(r["returns"]) - r["random_mean"]) / (r["expert_mean"] - r["random_mean"])
        assert r["score"] == pytest.approx(share, abs=1e-3)
        assert r["random_mean"] < r["expert_mean"]


def test_curves_begin_at_the_first_step_and_end_at_the_last(finished: Path) -> None:
    for result in results_of(finished).values():
        steps = [step for step, _ in result["result"]["curve"]]
        assert steps == ([0] if result["method"] == "bc" else [0, 256, 512])


def test_the_summary_counts_its_runs(finished: Path) -> None:
    summary = json.loads((finished / "summary.json").read_text())
    assert summary["n_runs"] == 4
    assert [row["n_runs"] for row in summary["table"]] == [2, 2]
    page = (finished / "report.html").read_text()
    assert summary["verdict"].split(" (")[0] in page


def test_nothing_is_run_twice(finished: Path, cartpole_file: Path, tmp_path: Path) -> None:
    finished = Path(shutil.copytree(finished, tmp_path / "grown"))
    before = times_of(finished)
    summary = run(cartpole_file, finished, seeds=(0, 1, 2))
    assert summary["n_runs"] == 6
    assert times_of(finished).items() >= before.items()
    assert len(results_of(finished)) == 6
    again = run(cartpole_file, finished)  # as it was
    assert again["n_runs"] == 4


def test_a_killed_comparison_ends_with_the_same_table(
    finished: Path, cartpole_file: Path, tmp_path: Path
) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        f"from sb3_gail_ext import compare\ncompare(['bc', 'gail'], {{{CARTPOLE!r}: "
        f"{str(cartpole_file)!r}}}, {str(tmp_path / 'killed')!r}, films=False, **{SMALL!r})\n"
    )
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.DEVNULL)
    while not (before := times_of(tmp_path / "killed")):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(before) < 4
    summary = run(cartpole_file, tmp_path / "killed")
    assert times_of(tmp_path / "killed").items() >= before.items()  # what was done still is
    assert len(times_of(tmp_path / "killed")) == 4
    run(cartpole_file, finished)
    assert json.loads((finished / "summary.json").read_text()) == summary


def test_every_run_is_tracked_once(
    finished: Path, cartpole_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    said: list[str] = []
    run(cartpole_file, finished, wandb_project="tested", say=said.append)
    assert "W&B: 4 runs tracked in project tested" in said
    run(cartpole_file, finished, wandb_project="tested", say=said.append)
    assert "W&B: 0 runs tracked in project tested" in said
    gail = next(r for r in results_of(finished).values() if r["method"] == "gail" and not r["seed"])
    folder = finished / "cells" / gail["id"]
    tracked = read_back(folder)
    config = tracked.summary["config"]
    assert (config["algo"], config["env"], config["seed"]) == ("gail", CARTPOLE, 0)
    assert metrics(tracked.history) == csv_rows(folder / "metrics.csv")
    scores = {
        row["global_step"]: row["eval/score"] for row in tracked.history if "eval/score" in row
    }
    assert [[step, score] for step, score in scores.items()] == gail["result"]["curve"]
    assert tracked.summary["summary"]["score"] == gail["result"]["score"]


def test_a_failed_run_does_not_keep_the_others_from_being_reported(
    finished: Path, cartpole_file: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(finished, tmp_path / "failed"))
    (folder / "report.html").unlink()
    settings = {**SMALL["settings"], "sqil": {"batch_sise": 1}}
    with pytest.raises(EngineError, match=r"sqil.*failed"):
        compare(
            ["bc", "gail", "sqil"],
            {CARTPOLE: cartpole_file},
            folder,
            films=False,
            say=lambda _: None,
            **{**SMALL, "settings": settings, "seeds": (0,)},
        )
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["n_runs"], summary["n_missing"]) == (2, 1)
    assert (folder / "report.html").is_file()


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"engine": "lcoal"}, "unknown engine 'lcoal'"), ({"jobs": 0}, "jobs is 0")],
)
def test_bad_arguments(
    changes: dict[str, Any], message: str, cartpole_file: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        run(cartpole_file, tmp_path / "never", **changes)
    assert not (tmp_path / "never").exists()


# --- The command line --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--methods", "gial"], "gial"),
        (["--n-demos", "1", "99"], "99 demonstrations were asked for"),
        (["--demos", "nowhere.npz"], "nowhere.npz"),
        (["--env", "Nowhere-v0"], "Nowhere-v0"),
        (["--seeds", "0"], "--seeds is 0; give a positive number"),
        (["--methods", "bc", "dagger"], "nobody to ask"),
        (["--baseline", "gail", "--methods", "bc", "dac"], "none of the methods"),
        (["--env", CARTPOLE, CARTPOLE], "2 environment(s) and 1 file(s)"),
        (["--address", "head:6379"], "--address is for --engine ray"),
        (["--slurm", "partition=cpu"], "--slurm is for --engine slurm"),
        (["--engine", "slurm", "--slurm", "cpu"], "--slurm cpu: no value"),
        (["--expert-models", "expert.zip"], "--expert-models are for dagger"),
    ],
)
def test_bad_input_ends_in_one_line(
    arguments: list[str],
    message: str,
    cartpole_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    usual = ["compare", "--env", CARTPOLE, "--demos", str(cartpole_file), "--n-demos", "1"]
    try:
        status = main([*usual, *arguments, "--out", str(tmp_path / "out")])
    except SystemExit as error:  # argparse's
        status = int(error.code or 0)
    assert status == 2
    captured = capsys.readouterr().err.strip()
    assert message in captured
    assert len(captured.splitlines()) == 1
    assert not (tmp_path / "out" / "cells").exists()


def test_nothing_to_compare_in(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare"]) == 2
    assert "--preset quick" in capsys.readouterr().err


def test_a_folder_in_use(
    cartpole_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    usual = ["compare", "--env", CARTPOLE, "--demos", str(cartpole_file), "--n-demos", "1"]
    with sole_user(tmp_path):
        assert main([*usual, "--out", str(tmp_path)]) == 2
    assert "in use by another comparison" in capsys.readouterr().err
