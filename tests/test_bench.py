"""The benchmark harness: what it reads off curves and clocks, its tables, and one real run."""

import inspect
import itertools
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sb3_gail_ext import DemonstrationError, load_demonstrations, save_demonstrations
from sb3_gail_ext.algorithms.off_policy import AdversarialOffPolicy
from sb3_gail_ext.bench.data import memory
from sb3_gail_ext.bench.data.batches import BATCH_SIZE, DRAWS
from sb3_gail_ext.bench.data.child import measure
from sb3_gail_ext.bench.data.loading import LOADERS, measure_loading
from sb3_gail_ext.bench.data.report import batches_table, loading_table, scale_table
from sb3_gail_ext.bench.data.report import write_report as write_data_report
from sb3_gail_ext.bench.data.suite import run_data_suite
from sb3_gail_ext.bench.data.synthetic import random_episodes, write_files
from sb3_gail_ext.bench.learning import time_to_levels
from sb3_gail_ext.bench.methods import METHODS
from sb3_gail_ext.bench.process import BenchError, run_module
from sb3_gail_ext.bench.stopwatch import Stopwatch
from sb3_gail_ext.bench.suite import run_suite, write_report
from sb3_gail_ext.bench.tables import learning_table, median_reached, throughput_table
from sb3_gail_ext.bench.task import Cell, Task
from sb3_gail_ext.cli.bench import data as data_command
from sb3_gail_ext.cli.bench import training as bench_command
from sb3_gail_ext.cli.main import build_parser, main

HOPPER = "expert_data/HopperMuJoCoEnv-v0/deterministic.trpo.Hopper.0.00.npz"


def cell(**kwargs: Any) -> Cell:
    values = {
        "kind": "learning",
        "method": "gail",
        "label": "gail",
        "task": Task("HopperMuJoCoEnv-v0", HOPPER, 1),
        "seed": 0,
        "total_timesteps": 256,
    }
    return Cell(**{**values, **kwargs})


# --- Reading curves ----------------------------------------------------------------------------


def test_levels_are_first_crossings_and_the_worst_is_what_followed() -> None:
    curve = [[0, 1.0, 0.2], [10, 2.0, 0.6], [20, 3.0, 0.91], [30, 4.0, 0.7], [40, 5.0, 0.96]]
    found = time_to_levels(curve)
    assert (found["steps_to_50"], found["steps_to_90"], found["steps_to_95"]) == (10, 20, 40)
    assert (found["seconds_to_50"], found["seconds_to_90"]) == (2.0, 3.0)
    assert (found["worst_after_90"], found["final"]) == (0.7, 0.96)


def test_a_level_reached_before_the_first_step_counts() -> None:
    found = time_to_levels([[0, 1.5, 0.93], [10, 2.0, 0.4], [20, 3.0, 0.97]])
    assert (found["steps_to_90"], found["seconds_to_90"], found["worst_after_90"]) == (0, 1.5, 0.4)


def test_what_was_never_reached_has_no_number() -> None:
    found = time_to_levels([[0, 1.0, -0.1], [10, 2.0, 0.55]])
    assert found["steps_to_50"] == 10
    assert found["steps_to_90"] is None
    assert found["seconds_to_95"] is None
    assert found["worst_after_90"] is None


def test_nothing_follows_a_crossing_at_the_end() -> None:
    assert time_to_levels([[0, 1.0, 0.0], [10, 2.0, 0.99]])["worst_after_90"] is None


@pytest.mark.parametrize(
    ("values", "median"),
    [([3, 1, 2], 2), ([1, 2, 3, 4], 2.5), ([1, None, 2], 2), ([1, None, None], None)],
)
def test_never_counts_as_later_than_any_number(values: Any, median: Any) -> None:
    assert median_reached(values) == median


def test_half_never_is_never() -> None:
    assert median_reached([1, 2, None, None]) is None


# --- The clock ---------------------------------------------------------------------------------


class Loop:
    """An outer method that calls an inner one."""

    def outer(self) -> str:
        time.sleep(0.02)
        self.inner()
        return "done"

    def inner(self) -> None:
        time.sleep(0.06)


def test_stages_are_exclusive_and_add_up_to_the_wall_clock() -> None:
    loop, stopwatch = Loop(), Stopwatch()
    stopwatch.watch(loop, "outer", "a")
    stopwatch.watch(loop, "inner", "b")
    started = time.perf_counter()
    stopwatch.restart()
    assert loop.outer() == "done"
    time.sleep(0.03)
    seconds = stopwatch.read()
    assert sum(seconds.values()) == pytest.approx(time.perf_counter() - started, abs=0.05)
    assert 0.02 <= seconds["a"] < seconds["b"]  # without the inner's 0.06 in it
    assert seconds["b"] >= 0.06
    assert seconds["rest"] >= 0.03


def test_a_stage_that_raises_ends() -> None:
    loop, stopwatch = Loop(), Stopwatch()
    loop.inner = lambda: 1 / 0  # type: ignore[method-assign, return-value]
    stopwatch.watch(loop, "inner", "b")
    with pytest.raises(ZeroDivisionError):
        loop.inner()
    stopwatch.restart()
    time.sleep(0.01)
    assert set(stopwatch.read()) == {"rest"}


# --- Tables ------------------------------------------------------------------------------------


def throughput_result(label: str, seed: int, speed: float, **seconds: float) -> dict[str, Any]:
    return {
        **json.loads(cell(kind="throughput", label=label, seed=seed).to_json()),
        "result": {"steps_per_second": speed, "seconds": seconds, "peak_memory_mb": 300 + seed},
    }


def test_throughput_ratios_pair_the_repeats() -> None:
    results = [
        throughput_result("ppo", 0, 1000.0, environment=1.0, generator=3.0),
        throughput_result("gail", 0, 900.0, environment=1.0, generator=3.0),
        throughput_result("ppo", 1, 500.0, environment=1.0, generator=3.0),
        throughput_result("gail", 1, 475.0, environment=1.0, generator=3.0),
    ]
    header, _, ppo, gail = throughput_table(results).strip().splitlines()
    assert "ratio to the plain learner" in header
    assert "| ppo | as drawn | 750 (500 to 1,000) | 1.00 |" in ppo
    # 0.90 and 0.95: not 687.5 / 750.
    assert "| 0.93 (0.90 to 0.95) | 25% |" in gail or "| 0.92 (0.90 to 0.95) | 25% |" in gail
    assert gail.endswith("| 301 MB |")


def learning_result(label: str, seed: int, evaluations: list[list[float]]) -> dict[str, Any]:
    measured = {
        "evaluations": evaluations,
        "peak_memory_mb": 400,
        "seconds": evaluations[-1][1] + 1,
        **time_to_levels(evaluations),
    }
    return {**json.loads(cell(label=label, seed=seed).to_json()), "result": measured}


def test_learning_table_counts_who_got_there_and_compares_times() -> None:
    results = [
        learning_result("gail", 0, [[0, 1.0, 0.1], [10, 5.0, 0.95], [20, 9.0, 0.85]]),
        learning_result("imitation", 0, [[0, 1.0, 0.1], [10, 10.0, 0.5], [20, 20.0, 0.97]]),
        learning_result("gail", 1, [[0, 1.0, 0.1], [10, 5.0, 0.95], [20, 9.0, 0.99]]),
        learning_result("imitation", 1, [[0, 1.0, 0.1], [10, 10.0, 0.5], [20, 20.0, 0.6]]),
    ]
    _, _, gail, imitation = learning_table(results).strip().splitlines()
    assert "| gail | 0.10 | 2 of 2 | 10 | 10 | 10 | 5 |" in gail
    assert "| 0.85 | 0.92 (0.85 to 0.99) |" in gail
    assert "| 1 of 2 |" in imitation
    assert "never (20 to never)" in imitation
    # Half of imitation's runs never got there, so its median is more than that of 20 and 21.
    assert "| 5 | under 0.24 | 0.85 |" in gail
    assert "| never (20 to never) | - |" in imitation


def test_times_are_compared_where_both_got_there() -> None:
    results = [
        learning_result("gail", 0, [[0, 1.0, 0.1], [10, 6.0, 0.95]]),
        learning_result("imitation", 0, [[0, 1.0, 0.1], [10, 30.0, 0.95]]),
    ]
    _, _, gail, imitation = learning_table(results).strip().splitlines()
    assert "| 6 | 0.20 |" in gail
    assert "| 30 | 1.00 |" in imitation


# --- Cells and suites --------------------------------------------------------------------------


def test_a_cell_survives_json_and_its_id_tells_specifications_apart() -> None:
    original = cell(settings={"gamma": 0.98}, measure={"every": 10})
    again = Cell.from_json(original.to_json())
    assert again == original
    assert again.id == original.id
    others = [cell(seed=1), cell(settings={"gamma": 0.9}), cell(total_timesteps=257), cell()]
    assert len({original.id, *(other.id for other in others)}) == 5


def test_repeated_demonstrations_are_at_least_as_many_as_asked_for() -> None:
    task = Task("HopperMuJoCoEnv-v0", HOPPER, 2, n_transitions=5_000)
    episodes = task.load(seed=0)
    assert 5_000 <= sum(len(e) for e in episodes) < 5_000 + 2_000
    assert len({id(e) for e in episodes}) == 2


def test_a_suite_runs_every_method_and_reports_and_is_not_run_twice(tmp_path: Path) -> None:
    task = Task("HopperMuJoCoEnv-v0", HOPPER, 1)
    quick = {"n_envs": 2, "n_steps": 64, "warm_start_updates": 1, "n_epochs": 1}
    cells = [
        cell(task=task, settings=quick, measure={"every": 128, "n_episodes": 2}),
        cell(
            kind="throughput",
            label="fast",
            task=task,
            settings=quick,
            measure={"warm_up": 128},
        ),
    ]
    results = run_suite(cells, tmp_path, jobs=2)
    learning, throughput = (r["result"] for r in results)
    assert [row[0] for row in learning["evaluations"]] == [0, 128, 256]
    assert learning["expert_mean"] > 0
    assert len(learning["imitation_distances"]) == 3
    nearest = int(np.argmin(learning["imitation_distances"]))
    assert learning["picked"] == learning["evaluations"][nearest][2]
    assert learning["best"] == max(row[2] for row in learning["evaluations"])
    assert throughput["env_steps"] == 256
    assert throughput["steps_per_second"] == pytest.approx(
        256 / sum(throughput["seconds"].values()), rel=0.001
    )
    stages = {"environment", "policy", "relabelling", "discriminator", "generator", "rest"}
    stages |= {"rehearsal"}
    assert set(throughput["seconds"]) == stages
    tables = write_report(results, tmp_path, "A title", "sb3-gail bench this")
    report = (tmp_path / "bench.md").read_text()
    assert tables in report
    assert "sb3-gail bench this" in report
    assert "over 1 seeds" in report
    assert json.loads((tmp_path / "bench.json").read_text()) == results
    assert (tmp_path / "learning.png").stat().st_size > 1000
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "cells").iterdir()}
    assert run_suite(cells, tmp_path) == results
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "cells").iterdir()} == before


def test_dac_stages_and_its_ratio_to_sac(tmp_path: Path) -> None:
    task = Task("HopperMuJoCoEnv-v0", HOPPER, 1)
    cells = [
        cell(
            kind="throughput",
            method=method,
            label=method,
            task=task,
            settings={"learning_starts": 10, **settings},
            measure={"warm_up": 20},
            total_timesteps=30,
        )
        for method, settings in (("sac", {}), ("dac", {"warm_start_updates": 1}))
    ]
    results = run_suite(cells, tmp_path)
    sac, dac = (r["result"] for r in results)
    for stage in ("generator", "discriminator", "relabelling", "rehearsal"):
        assert dac["seconds"][stage] > 0
    ratio = dac["steps_per_second"] / sac["steps_per_second"]
    assert f"| {ratio:.2f} |" in write_report(results, tmp_path, "A title")


def test_a_cell_that_fails_says_why_in_one_line(tmp_path: Path) -> None:
    broken = cell(settings={"nonsense": 1}, measure={"every": 1, "n_episodes": 1})
    with pytest.raises(BenchError, match="nonsense") as caught:
        run_suite([broken], tmp_path)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "cells").glob("*.json"))


@pytest.mark.parametrize("method", ["imitation", "ppo", "sac", "dac", "bc", "imitation_bc"])
def test_peers_learn_and_can_be_evaluated(method: str) -> None:
    task = Task("HopperMuJoCoEnv-v0", HOPPER, 1)
    settings: dict[str, Any] = {
        "bc": {"total_timesteps": 640},
        "imitation_bc": {"n_epochs": 1},
        "sac": {"learning_starts": 10},
        "dac": {"learning_starts": 10, "warm_start_updates": 1},
    }.get(method, {})
    peer = METHODS[method](task, 0, settings)
    seen: list[int] = []
    peer.learn(
        {"sac": 20, "dac": 20, "bc": 0, "imitation_bc": 0}.get(method, 2000), seen.append
    )  # PPO's rollouts are whole
    assert seen[-1] == {"sac": 20, "dac": 20, "bc": 0, "imitation_bc": 0}.get(method, 2048)
    actions, _ = peer.model.predict(np.zeros((3, 11), np.float32), deterministic=True)
    assert actions.shape == (3, 3)


# --- Data --------------------------------------------------------------------------------------


def test_the_most_memory_held_is_seen_though_it_is_given_back() -> None:
    before = memory.start_peak()
    np.ones(8_000_000)  # 64 MB
    assert 60e6 < memory.peak() - before < 90e6


def test_both_packages_load_the_same_synthetic_demonstrations(tmp_path: Path) -> None:
    array_bytes = write_files(tmp_path, 3, 5)
    assert array_bytes == 4 * (3 + 3 * 5 * (11 + 3 + 1))
    loaded = {name: how.load(tmp_path / how.file) for name, how in LOADERS.items()}
    for name in ("stored", "compressed"):
        assert [len(episode) for episode in loaded[name]] == [4, 4, 4]
    assert len(loaded["ours"]) == len(loaded["imitation"]) == 12
    for name in ("obs", "acts", "next_obs", "dones"):
        ours, theirs = (getattr(loaded[by], name) for by in ("ours", "imitation"))
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    measured = measure_loading("stored", tmp_path)
    assert measured["seconds"] > 0
    assert measured["peak_bytes"] >= 0


@pytest.mark.parametrize("draws", DRAWS.values(), ids=list(DRAWS))
def test_draws_are_batches_of_whole_transitions(draws: Any) -> None:
    episodes = random_episodes(1500, n_steps=400)
    assert [len(episode) for episode in episodes] == [400, 400, 400, 300]
    follows = {bytes(o): bytes(n) for e in episodes for o, n in itertools.pairwise(e.obs)}
    obs, acts, next_obs, dones = draws(episodes)()
    assert (obs.shape, acts.shape, dones.shape) == ((1024, 11), (1024, 3), (1024,))
    for before, after in zip(obs, next_obs, strict=True):
        assert follows[bytes(before)] == bytes(after)
    assert {array.dtype for array in (obs, acts, next_obs)} == {np.dtype(np.float32)}


def data_rows() -> list[dict[str, Any]]:
    rates = {
        (4, "ours"): [100.0, 200.0],
        (4, "imitation"): [10.0, 10.0],
        (9, "ours"): [90.0, 100.0],
        (9, "imitation"): [9.0, 4.0],
    }
    return [
        {"transitions": n, "drawn_by": by, "batch_as": "tensors", "per_second": measured}
        for (n, by), measured in rates.items()
    ]


def test_data_tables_pair_the_repeats() -> None:
    _, _, few, many = batches_table(data_rows()).strip().splitlines()
    assert few == "| 4 | tensors | 150 (100 to 200) | 10 | 15 (10 to 20) |"
    # 10 and 25: not 95 / 6.5.
    assert many.endswith("| 18 (10 to 25) |")
    header, _, ours, imitations = scale_table(data_rows()).strip().splitlines()
    assert "rate with 9 / with 4" in header
    assert ours == "| ours | tensors | 0.70 (0.50 to 0.90) |"
    assert imitations == "| imitation | tensors | 0.65 (0.40 to 0.90) |"


def test_memory_is_counted_in_sizes_of_the_arrays() -> None:
    loading = [
        {"loader": name, "repeat": repeat, "seconds": 1.0 + repeat, "peak_bytes": 30 + 10 * repeat}
        for name in LOADERS
        for repeat in range(1 if name == "imitation" else 3)
    ]
    table = loading_table({"loading": loading, "array_bytes": 20}).strip().splitlines()
    assert table[2].startswith("| stored.npz | load_demonstrations | trajectories |")
    assert table[2].endswith("| 2.00 (1.00 to 3.00) | 2.00 (1.50 to 2.50) | 3 |")
    assert table[5].endswith("| 1.00 | 1.50 | 1 |")


def test_the_data_suite_measures_all_in_turn_and_leaves_no_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def here(module: str, *arguments: Path, name: str, log: Path) -> None:
        assert module == "sb3_gail_ext.bench.data.child"
        measure(*arguments)

    monkeypatch.setattr("sb3_gail_ext.bench.data.suite.run_module", here)
    sizes: dict[str, Any] = {"n_episodes": 2, "n_steps": 4, "n_transitions": [1024, 1100]}
    results = run_data_suite(tmp_path, **sizes, repeats=2, imitation_repeats=1, seconds=0.01)
    assert [row["loader"] for row in results["loading"]] == [*LOADERS, *list(LOADERS)[:3]]
    assert len(results["batches"]) == 2 * 2 * 3
    for row in results["batches"]:
        assert len(row["per_second"]) == 2
        assert min(row["per_second"]) > 0
    assert list(tmp_path.iterdir()) == []
    tables = write_data_report(results, tmp_path, "sb3-gail bench data")
    assert tables in (tmp_path / "bench.md").read_text()
    assert json.loads((tmp_path / "bench.json").read_text()) == results


def test_a_module_that_fails_says_why_in_one_line(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with pytest.raises(BenchError, match=r"^reading failed: .*nowhere.*all of it: ") as caught:
        run_module("json.tool", tmp_path / "nowhere", name="reading", log=log)
    assert "\n" not in str(caught.value)
    assert "nowhere" in log.read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--episodes", "0"], "--episodes"),
        (["--steps", "1"], "--steps is 1; give 2 or more"),
        (["--transitions", "5000", "1000"], "--transitions is 1000; a batch needs 1024"),
        (["--imitation-repeats", "0"], "--imitation-repeats"),
        (["--env", "HopperMuJoCoEnv-v0"], "--env"),
    ],
)
def test_data_needs_no_environment_and_refuses_bad_sizes(
    arguments: list[str], words: str, capsys: Any, tmp_path: Path
) -> None:
    try:
        status = main(["bench", "data", "--out", str(tmp_path / "new"), *arguments])
    except SystemExit as stop:  # argparse's
        status = int(stop.code or 0)
    assert status == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not (tmp_path / "new").exists()


def test_the_help_of_data_has_its_own_options_only(capsys: Any) -> None:
    with pytest.raises(SystemExit):
        main(["bench", "data", "--help"])
    help_text = capsys.readouterr().out
    assert "--episodes" in help_text
    assert not [name for name in ("--env", "--demos", "--seeds", "--jobs") if name in help_text]


def test_the_commands_batch_is_the_one_that_is_drawn() -> None:
    assert data_command._BATCH_SIZE == BATCH_SIZE


# --- The command -------------------------------------------------------------------------------


def cells_of(*arguments: str) -> list[Cell]:
    parsed = build_parser().parse_args(
        ["bench", *arguments, "--env", "HopperMuJoCoEnv-v0", "--demos", HOPPER]
    )
    return bench_command.build_cells(parsed)


def test_plain_sac_is_timed_with_dacs_settings() -> None:
    cells = cells_of("throughput", "--methods", "sac", "dac")
    sac, dac = (c.settings for c in cells if c.seed == 0)
    assert {**dac, **sac} == dac
    assert {"batch_size", "train_freq", "gradient_steps"} <= set(sac)
    parameters = inspect.signature(AdversarialOffPolicy.__init__).parameters
    for name in {"batch_size", "train_freq", "gradient_steps"}:
        assert sac[name] == parameters[name].default
    assert all(c.settings == {} for c in cells_of("learning", "--methods", "sac", "dac"))


def test_methods_of_one_seed_stand_side_by_side() -> None:
    cells = cells_of("learning", "--seeds", "2", "--steps", "1000", "--methods", "gail", "bc")
    assert [(c.seed, c.method) for c in cells] == [(0, "gail"), (0, "bc"), (1, "gail"), (1, "bc")]
    assert all(c.total_timesteps == 1000 for c in cells)
    later = cells_of("learning", "--seeds", "2", "--first-seed", "5", "--methods", "gail")
    assert [c.seed for c in later] == [5, 6]


def test_variants_are_gail_with_other_settings() -> None:
    arguments = ["--seeds", "1", "--variant", "short", "gamma=0.9", "learning_rate=lin_1e-3"]
    gail, *_, short = cells_of("learning", *arguments)
    assert (gail.method, short.method, short.label) == ("gail", "gail", "short")
    changed = {"gamma": 0.9, "learning_rate": "lin_1e-3"}
    assert short.settings == {**gail.settings, **changed}


def test_more_transitions_are_for_those_who_read_them() -> None:
    cells = cells_of("throughput", "--seeds", "1", "--transitions", "4000", "9000")
    assert [(c.method, c.task.n_transitions) for c in cells] == [
        ("ppo", 4000),
        ("gail", 4000),
        ("imitation", 4000),
        ("gail", 9000),
        ("imitation", 9000),
    ]
    ppo, gail = cells[0], cells[1]
    assert ppo.settings == {}  # both get PPO_SETTINGS
    assert {"batch_size": 64, "n_epochs": 10}.items() <= gail.settings.items()


def test_variants_start_from_gails_settings_wherever_gail_stands() -> None:
    arguments = ["--seeds", "1", "--variant", "wide", "n_envs=32"]
    ppo, gail, _, wide = cells_of("throughput", *arguments)
    assert (ppo.settings, wide.settings) == ({}, {**gail.settings, "n_envs": 32})


def test_results_of_other_code_or_data_are_not_taken_for_these(tmp_path: Path) -> None:
    task = Task("HopperMuJoCoEnv-v0", HOPPER, 1)
    other = tmp_path / "other.npz"
    other.write_bytes(Path(HOPPER).read_bytes() + b" ")
    changed = Task("HopperMuJoCoEnv-v0", str(other), 1)
    assert task.fingerprint() == task.fingerprint()
    assert task.fingerprint() != changed.fingerprint()
    assert cell(fingerprint="a").id != cell(fingerprint="b").id


def test_shares_of_a_negative_return_are_refused(tmp_path: Path) -> None:
    episode = load_demonstrations(HOPPER, limit=1)[0]
    path = tmp_path / "costs.npz"
    save_demonstrations(path, [replace(episode, rews=-episode.rews)])
    with pytest.raises(DemonstrationError, match="positive"):
        Task("HopperMuJoCoEnv-v0", str(path)).expert_mean(1)


def test_the_commands_methods_are_those_that_exist() -> None:
    assert set(bench_command.METHODS) == set(METHODS) - {"dagger"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--steps", "0"], "--steps"),
        (["--transitions", "5000"], "--transitions"),
        (["--variant", "imitation", "gamma=0.9"], "label"),
        (["--variant", "x", "gama=0.9"], "gama"),
        (["--variant", "x", "gamma"], "KEY=VALUE"),
        (["--seeds", "0"], "--seeds"),
        (["--jobs", "-1"], "--jobs"),
    ],
)
def test_bad_arguments_end_in_one_line(
    arguments: list[str], words: str, capsys: Any, tmp_path: Path
) -> None:
    common = ["--env", "HopperMuJoCoEnv-v0", "--demos", HOPPER, "--out", str(tmp_path / "new")]
    assert main(["bench", "learning", *common, *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not (tmp_path / "new").exists()
