"""Demonstrations without rewards: every format reads them, and whoever compares returns says so."""

import json
import pickle
import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from conftest import Refused
from imitation.data import serialize
from imitation.data.types import Trajectory, TrajectoryWithRew
from stable_baselines3 import PPO

from sb3_gail_ext import (
    DemonstrationError,
    check_demonstrations,
    load_demonstrations,
    save_demonstrations,
)
from sb3_gail_ext.bench.task import Task
from sb3_gail_ext.cli.main import main
from sb3_gail_ext.demonstrations.ends import end_of
from sb3_gail_ext.demonstrations.files import format_of
from sb3_gail_ext.demonstrations.plots import demonstrations_figure
from sb3_gail_ext.demonstrations.returns import returns
from sb3_gail_ext.demonstrations.summary import describe
from sb3_gail_ext.evaluation.evaluate import verdict
from sb3_gail_ext.evaluation.scale import measure_scale

HOPPER = "HopperMuJoCoEnv-v0"
LENGTHS = (4, 2, 3)
OBS = [np.arange(3 * (n + 1), dtype=np.float32).reshape(n + 1, 3) + 1 for n in LENGTHS]
ACTS = [np.full((n, 2), 0.5, dtype=np.float32) for n in LENGTHS]
RETURNS = np.array([4.5, -1.0, 7.25])

Arrays = dict[str, Any]
Factory = Callable[..., TrajectoryWithRew]


def write(path: Path, arrays: Arrays) -> Path:
    np.savez(path, **arrays)
    return path


def padded(episodes: list[np.ndarray]) -> np.ndarray:
    longest = max(LENGTHS)
    return np.stack([np.pad(e, ((0, longest - len(e)), (0, 0))) for e in episodes])


def objects(episodes: list[np.ndarray]) -> np.ndarray:
    array = np.empty(len(episodes), dtype=object)
    array[:] = episodes
    return array


def of_imitation() -> list[Trajectory]:
    """As `imitation` has those without rewards."""
    infos = [np.array([{}] * n) for n in LENGTHS]
    return [Trajectory(o, a, i, True) for o, a, i in zip(OBS, ACTS, infos, strict=True)]


def old_npz() -> Arrays:
    """As `imitation` wrote it until version 0.3."""
    episodes = of_imitation()
    return {
        "obs": np.concatenate([t.obs for t in episodes]),
        "acts": np.concatenate([t.acts for t in episodes]),
        "infos": np.concatenate([t.infos for t in episodes if t.infos is not None]),
        "terminal": np.array([t.terminal for t in episodes]),
        "indices": np.cumsum(LENGTHS)[:-1],
    }


BASELINES = [o[:-1] for o in OBS]  # its recorder does not keep the last observations
IN_LISTS = {"obs": objects(BASELINES), "acs": objects(ACTS)}
PADDED = {"obs": padded(BASELINES), "acs": padded(ACTS)}
OF_RECORDER = {"lens": np.array(LENGTHS), "rets": RETURNS}
CHAPTER_LIKE = {
    "Baselines' recorder, ragged": IN_LISTS | OF_RECORDER,
    "Baselines' recorder": PADDED | OF_RECORDER,
    "padded": PADDED | {"ep_rets": RETURNS},
    "NaN": PADDED | {"ep_rets": RETURNS, "rews": np.full((3, 4), np.nan)},
}


@pytest.mark.parametrize("arrays", CHAPTER_LIKE.values(), ids=CHAPTER_LIKE)
def test_files_of_the_chapters_kind_keep_the_returns_that_they_state(
    tmp_path: Path, arrays: Arrays
) -> None:
    path = write(tmp_path / "x.npz", arrays)
    assert format_of(path) == "chapter"
    episodes = load_demonstrations(path)
    for episode, obs, acts in zip(episodes, OBS, ACTS, strict=True):
        np.testing.assert_array_equal(episode.obs, obs[:-1])
        np.testing.assert_array_equal(episode.acts, acts[:-1])
        assert episode.rews.shape == (len(acts) - 1,)
        assert np.isnan(episode.rews).all()
        assert episode.rews.flags.writeable
        assert end_of(episode) == "unknown"
    np.testing.assert_array_equal(returns(episodes), RETURNS)
    save_demonstrations(tmp_path / "y.npz", episodes)
    again = load_demonstrations(tmp_path / "y.npz")
    np.testing.assert_array_equal(returns(again), RETURNS)
    assert describe(again)["return_mean"] == pytest.approx(10.75 / 3, abs=0.005)


def test_observations_and_actions_are_enough(tmp_path: Path) -> None:
    path = write(tmp_path / "x.npz", PADDED)
    assert np.isnan(returns(load_demonstrations(path))).all()


def test_rewards_without_returns_are_summed(tmp_path: Path) -> None:
    rews = np.ones((3, 4))
    path = write(tmp_path / "x.npz", PADDED | {"rews": rews})
    assert returns(load_demonstrations(path)).tolist() == [3.0, 3.0, 3.0]  # the last step is lost


def imitation_folder(path: Path) -> Path:
    serialize.save(path, of_imitation())
    return path


def imitation_pickle(path: Path) -> Path:
    path.write_bytes(pickle.dumps(of_imitation()))
    return path


WRITERS: dict[str, Callable[[Path], Path]] = {
    "imitation": imitation_folder,
    "imitation-npz": lambda path: write(path.with_suffix(".npz"), old_npz()),
    "imitation-pickle": imitation_pickle,
}


@pytest.mark.parametrize("format", WRITERS)
def test_trajectories_of_imitation(tmp_path: Path, format: str) -> None:
    path = WRITERS[format](tmp_path / "x")
    assert format_of(path) == format
    episodes = load_demonstrations(path)
    for episode, obs, acts in zip(episodes, OBS, ACTS, strict=True):
        np.testing.assert_array_equal(episode.obs, obs)
        np.testing.assert_array_equal(episode.acts, acts)
    assert np.isnan(returns(episodes)).all()


@pytest.mark.parametrize("format", ["chapter", "imitation", "minari"])
def test_every_writer_takes_them(tmp_path: Path, format: str) -> None:
    if format == "minari":
        pytest.importorskip("minari")
    save_demonstrations(tmp_path / "x", of_imitation(), format=format)
    episodes = load_demonstrations(tmp_path / "x")
    assert [e.rews.dtype for e in episodes] == [np.float32] * 3
    assert np.isnan(np.concatenate([e.rews for e in episodes])).all()
    save_demonstrations(tmp_path / "y", episodes, format=format)
    for left, right in zip(episodes, load_demonstrations(tmp_path / "y"), strict=True):
        for name in ("obs", "acts", "rews"):
            assert getattr(left, name).tobytes() == getattr(right, name).tobytes()


@pytest.mark.parametrize("format", ["chapter", "imitation", "minari"])
def test_only_some_without_rewards_are_a_mistake(
    tmp_path: Path, format: str, make_trajectory: Factory
) -> None:
    if format == "minari":
        pytest.importorskip("minari")
    whole = make_trajectory(5)
    mixed = [whole, Trajectory(whole.obs, whole.acts, None, False)]
    with pytest.raises(DemonstrationError, match="rews of episode 1 are NaN or missing"):
        save_demonstrations(tmp_path / "x", mixed, format=format)
    assert list(tmp_path.iterdir()) == []


def test_one_nan_is_still_a_mistake_and_an_infinite_return(tmp_path: Path) -> None:
    arrays = PADDED | {"rews": np.ones((3, 4))}
    arrays["rews"][2, 1] = np.nan
    with pytest.raises(DemonstrationError, match="rews is not finite in episode 2, step 1"):
        load_demonstrations(write(tmp_path / "x.npz", arrays))
    arrays["rews"][2] = np.nan
    with pytest.raises(DemonstrationError, match="rews of episode 2 are NaN"):
        load_demonstrations(write(tmp_path / "x.npz", arrays))
    stated = {**CHAPTER_LIKE["padded"], "ep_rets": np.array([1.0, np.inf, 2.0])}
    with pytest.raises(DemonstrationError, match="return of episode 1 is inf"):
        load_demonstrations(write(tmp_path / "x.npz", stated))


@pytest.mark.parametrize("n_steps", [10**9, 10**17])
def test_steps_without_numbers_take_no_memory(tmp_path: Path, n_steps: int) -> None:
    empty = np.zeros((1, n_steps, 0), dtype=np.float32)
    with pytest.raises(DemonstrationError, match="no steps"):
        load_demonstrations(write(tmp_path / "x.npz", {"obs": empty, "acs": empty}))
    of_one = objects([empty[0]])
    with pytest.raises(DemonstrationError, match="no steps"):
        load_demonstrations(write(tmp_path / "y.npz", {"obs": of_one, "acs": of_one}))


def test_a_file_may_state_returns_and_have_no_rewards(tmp_path: Path) -> None:
    """Every format keeps them, and its last step alone does not claim them."""
    recorded = load_demonstrations(write(tmp_path / "x.npz", IN_LISTS | OF_RECORDER))
    formats = ["chapter", "imitation", *(["minari"] if find_spec("minari") else [])]
    for format in formats:
        save_demonstrations(tmp_path / f"{format}-v0", recorded, format=format)
        again = load_demonstrations(tmp_path / f"{format}-v0")
        np.testing.assert_array_equal(returns(again), RETURNS)
        assert all(np.isnan(episode.rews).all() for episode in again)
    steps = load_demonstrations(tmp_path / "x.npz", subsample=2, seed=0)
    assert np.isnan(returns(steps)).all()


def monitored(value: Any) -> list[Trajectory]:
    infos = [np.array([{}] * (n - 1) + [{"episode": {"r": value, "l": n}}]) for n in LENGTHS]
    return [Trajectory(o, a, i, True) for o, a, i in zip(OBS, ACTS, infos, strict=True)]


@pytest.mark.parametrize("format", ["imitation", "imitation-pickle"])
def test_imitation_keeps_monitors_returns(tmp_path: Path, format: str) -> None:
    if format == "imitation":
        serialize.save(tmp_path / "x", monitored(30.5))
    else:
        (tmp_path / "x").write_bytes(pickle.dumps(monitored(30.5)))
    episodes = load_demonstrations(tmp_path / "x")
    assert returns(episodes).tolist() == returns(monitored(30.5)).tolist() == [30.5] * 3


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(2.5), 2.5),
        (np.array([3.0]), 3.0),  # RecordEpisodeStatistics of Gymnasium 0.29
        (7, 7.0),
        *((odd, np.nan) for odd in (None, "abc", np.inf, 10**400, True, 1j, np.zeros(2), {})),
    ],
)
def test_what_an_info_says_of_the_return(tmp_path: Path, value: Any, expected: float) -> None:
    np.testing.assert_array_equal(returns(monitored(value)), [expected] * 3)
    save_demonstrations(tmp_path / "x.npz", monitored(value))
    np.testing.assert_array_equal(returns(load_demonstrations(tmp_path / "x.npz")), [expected] * 3)


def test_names_that_are_a_mistake(tmp_path: Path) -> None:
    wrong = {
        "array rewards must be called rews": PADDED | {"rewards": np.ones((3, 4))},
        "arrays rets and ep_rets are both": PADDED | OF_RECORDER | {"ep_rets": RETURNS},
        "array lens has dtype float64": PADDED | {"lens": np.array(LENGTHS) * 1.0},
        r"array rets has shape \(3, 1\)": PADDED | {"rets": RETURNS[:, None]},
        "array lens has shape": IN_LISTS | {"lens": np.array([LENGTHS] * 2).T},
    }
    for words, arrays in wrong.items():
        with pytest.raises(DemonstrationError, match=words):
            load_demonstrations(write(tmp_path / "x.npz", arrays))


def test_actions_in_lists_that_are_one_step_longer_are_refused(tmp_path: Path) -> None:
    """Rectangular observations are read into an array with room for a last step."""
    obs, acs = np.ones((3, 5, 2)), objects([np.ones((6, 1))] * 3)
    for more in ({}, {"rews": objects([np.ones(6)] * 3), "ep_rets": np.full(3, 6.0)}):
        with pytest.raises(DemonstrationError, match=r"has shape \(1, 6"):
            load_demonstrations(write(tmp_path / "x.npz", {"obs": obs, "acs": acs, **more}))


def test_made_up_rewards_do_not_fill_the_memory(tmp_path: Path) -> None:
    n_steps = 2**27
    obs, acs = np.zeros((1, n_steps, 1), np.uint8), np.zeros((1, n_steps, 0), np.uint8)
    np.savez_compressed(tmp_path / "x.npz", obs=obs, acs=acs)
    with pytest.raises(DemonstrationError, match="obs, with a reward for each step, expands from"):
        load_demonstrations(tmp_path / "x.npz")


# --- What compares returns --------------------------------------------------------------------


@pytest.fixture
def silent_file(tmp_path: Path, make_trajectory: Factory) -> Path:
    """Random episodes of the PyBullet Hopper's shapes, without rewards."""
    episodes = [make_trajectory(n, obs_dim=11, act_dim=3, seed=n) for n in (40, 30, 20)]
    path = tmp_path / "expert.npz"
    save_demonstrations(path, [Trajectory(e.obs, e.acts, None, False) for e in episodes])
    return path


def test_they_are_described_and_drawn(
    silent_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    episodes = load_demonstrations(silent_file)
    assert not any(key.startswith("return") for key in describe(episodes))
    assert main(["demos", "info", str(silent_file)]) == 0
    assert re.search(r"return +unknown \(no rewards\)", capsys.readouterr().out)
    assert main(["demos", "info", str(silent_file), str(silent_file)]) == 0
    assert " ? " in capsys.readouterr().out
    figure = demonstrations_figure(episodes)
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert texts == ["return: unknown, some episodes have no rewards"]


def test_the_check_notes_it(silent_file: Path) -> None:
    report = check_demonstrations(load_demonstrations(silent_file), HOPPER)
    assert [f.severity for f in report.findings if f.message.startswith("no rewards")] == ["note"]


def test_scores_need_rewards(silent_file: Path) -> None:
    with pytest.raises(
        DemonstrationError, match=r"expert\.npz: without rewards, the return .* score needs"
    ):
        measure_scale(HOPPER, silent_file, 2)
    with pytest.raises(DemonstrationError, match="without rewards"):
        Task(HOPPER, str(silent_file)).expert_mean(2)


def test_a_comparison_refuses_them_in_one_line(silent_file: Path, refused: Refused) -> None:
    small = ("--methods", "bc", "--n-demos", 1, "--seeds", 1, "--steps", 100)
    given = ("compare", "--env", HOPPER, "--demos", silent_file, "--out", refused.out)
    refused(*given, *small, words=r"expert\.npz: without rewards")


def test_a_policy_is_trained_on_them_all_the_same(
    silent_file: Path,
    tmp_path: Path,
    few_tests: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "run"
    command = ["train", "--env", HOPPER, "--demos", str(silent_file), "--out", str(out)]
    small = ["--steps", "300", "--eval-episodes", "2", "--set", "n_steps=150", "--no-progress"]
    assert main([*command, *small, "--n-envs", "2", "--set", "warm_start_updates=10"]) == 0
    said = capsys.readouterr().out.splitlines()[-1]
    assert said.startswith("The imitator returns ")
    assert said.endswith("the expert's return is unknown, for its demonstrations have no rewards.")
    summary = json.loads((out / "summary.json").read_text())
    assert said == verdict(summary)
    assert "normalized" not in summary
    compared = ["evaluate", str(out / "policy.zip"), "--env", HOPPER, "--demos", str(silent_file)]
    assert main([*compared, "--episodes", "2"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == said


class Silent(gym.Env):
    """Ten steps; nobody has thought of a reward."""

    observation_space = gym.spaces.Box(-1, 1, (3,), np.float32)
    action_space = gym.spaces.Box(-1, 1, (2,), np.float32)

    def reset(self, **_: Any) -> Any:
        super().reset(**_)
        self.steps = 0
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> Any:
        self.steps += 1
        return self.observation_space.sample(), np.nan, False, self.steps == 10, {}


@pytest.fixture
def silent_model(tmp_path: Path) -> Any:
    gym.register("Silent-v0", Silent)
    PPO("MlpPolicy", "Silent-v0", n_steps=8, batch_size=8).save(tmp_path / "model.zip")
    yield tmp_path / "model.zip"
    del gym.registry["Silent-v0"]


def test_they_are_recorded_where_an_environment_has_none(
    silent_model: Path, tmp_path: Path, refused: Refused
) -> None:
    fixed = ["demos", "record", str(silent_model), "--env", "Silent-v0", "--episodes", "2"]
    assert main([*fixed, "--out", str(tmp_path / "x.npz")]) == 0
    assert "20 steps, return unknown (no rewards)" in refused.capfd.readouterr().out
    assert np.isnan(returns(load_demonstrations(tmp_path / "x.npz"))).all()
    words = "rewards of the episode from seed 1000 are NaN; mend the environment"
    refused(*fixed, "--out", refused.out, "--min-return", 1, words=words)
