"""The imitation distance against hand-made cases and SciPy's; the callback that keeps the best."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from imitation.data.types import Trajectory, TrajectoryWithRew
from scipy.stats import energy_distance

from sb3_gail_ext import GAIL, DemonstrationError, KeepBestImitator, imitation_distance
from sb3_gail_ext.demonstrations.sampling import subsample_trajectories


def walk(places: Any, *, terminal: bool = False) -> Trajectory:
    """At each of `places` (T,) in turn, always with action 0."""
    obs = np.append(places, 0.0).astype(np.float32)[:, None]
    return Trajectory(obs, np.zeros((len(places), 1), np.float32), None, terminal)


def with_rewards(episode: Trajectory) -> TrajectoryWithRew:
    return TrajectoryWithRew(
        episode.obs, episode.acts, None, episode.terminal, np.zeros(len(episode))
    )


def test_by_hand() -> None:
    """Demonstrations at -1 or 1, the agent at 1: 2 E|X-Y| - E|X-X'| - E|Y-Y'| = 2 - 0 - 1."""
    demonstrations = [walk(np.tile([-1.0, 1.0], 5000))]
    assert imitation_distance([walk(np.ones(1000))], demonstrations) == pytest.approx(1, abs=0.1)


def test_as_scipys_in_one_dimension() -> None:
    rng = np.random.default_rng(0)
    agent, expert = rng.normal(0.3, 1.5, 1000), rng.normal(0.0, 1.0, 1000)
    mean, std = expert.mean(), expert.std()
    expected = energy_distance((agent - mean) / std, (expert - mean) / std) ** 2
    assert imitation_distance([walk(agent)], [walk(expert)]) == pytest.approx(expected, abs=0.02)


def test_who_does_the_same_is_near_and_it_does_not_depend_on_the_scale() -> None:
    places = np.random.default_rng(0).normal(size=1000)
    assert imitation_distance([walk(places)], [walk(places)]) < 0.01
    other = np.random.default_rng(1).normal(0.5, 1.0, size=1000)
    assert imitation_distance([walk(1e3 * other)], [walk(1e3 * places)]) == pytest.approx(
        imitation_distance([walk(other)], [walk(places)])
    )


def test_an_early_fall_is_far_away_and_the_farther_the_earlier() -> None:
    places = np.random.default_rng(0).normal(size=1000)
    stays, falls, falls_early = (
        imitation_distance([walk(places[:n], terminal=n < 1000)], [walk(places)])
        for n in (1000, 800, 200)
    )
    assert stays < 0.01 < 0.5 < falls < 5 < falls_early


def test_an_episode_that_a_time_limit_cut_is_no_fall() -> None:
    places = np.random.default_rng(0).normal(size=1000)
    assert imitation_distance([walk(places[:400])], [walk(places)]) < 0.03


def test_who_lingers_once_is_not_nearer_for_it() -> None:
    """One long episode must not make everything else a small part of the whole."""
    rng = np.random.default_rng(0)
    expert = [walk(rng.normal(size=200), terminal=True) for _ in range(10)]
    off = [walk(rng.normal(1.0, 1.0, size=200), terminal=True) for _ in range(10)]
    lingering = [*off[:9], walk(rng.normal(1.0, 1.0, size=1000), terminal=True)]
    assert imitation_distance(expert, expert) < 0.05 < imitation_distance(off, expert)
    assert imitation_distance(off, expert) < imitation_distance(lingering, expert)
    short = imitation_distance(off, expert, horizon=200)
    assert short > imitation_distance(off, expert, horizon=2_000)


def test_ending_where_the_expert_ends_is_near() -> None:
    """A task that is done after five steps; the agent lingers for thirty."""
    done = [walk(np.arange(5.0), terminal=True) for _ in range(10)]
    lingers = [walk(np.minimum(np.arange(30.0), 4)) for _ in range(10)]
    assert imitation_distance(done, done) < 0.1
    assert imitation_distance(lingers, done) > 1


def test_the_same_episodes_give_the_same_distance() -> None:
    places = np.random.default_rng(0).normal(size=5000)
    pair = [walk(places + 1)], [walk(places)]
    assert imitation_distance(*pair) == imitation_distance(*pair)
    assert imitation_distance(*pair, seed=1) != imitation_distance(*pair)


def test_nothing_to_compare() -> None:
    with pytest.raises(DemonstrationError, match="no episodes to compare"):
        imitation_distance([], [walk(np.ones(3))])
    with pytest.raises(DemonstrationError, match="demonstrations are empty"):
        imitation_distance([walk(np.ones(3))], [])
    whole = with_rewards(walk(np.ones(30)))
    kept = subsample_trajectories([whole], 10, np.random.default_rng(0))
    with pytest.raises(DemonstrationError, match="subsampled"):
        imitation_distance([walk(np.ones(3))], kept)


def test_the_nearest_is_kept(
    line_env: Any, line_demonstrations: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distances = iter([3.0, 1.0, 2.0, 5.0])
    monkeypatch.setattr(
        "sb3_gail_ext.evaluation.keep_best.imitation_distance", lambda *_: next(distances)
    )
    kept = []
    model = GAIL("MlpPolicy", line_env(), line_demonstrations, n_steps=32, seed=0, device="cpu")
    save = model.save
    monkeypatch.setattr(model, "save", lambda path: kept.append(model.num_timesteps) or save(path))
    keep = KeepBestImitator(line_env(), line_demonstrations, tmp_path / "best", every=32)
    model.learn(96, callback=keep)
    assert keep.steps == [0, 32, 64, 96]
    assert keep.distances == [3.0, 1.0, 2.0, 5.0]
    assert kept == [0, 32]
    distances = iter([9.0, 9.0])
    model.learn(32, callback=keep)  # again, from 0
    assert keep.steps[4:] == [0, 32]
    assert GAIL.load(tmp_path / "best.zip").num_timesteps == 32
    assert [path.name for path in tmp_path.iterdir()] == ["best.zip"]


def test_a_clone_is_nearer_than_a_beginner(
    line_env: Any, line_demonstrations: Any, tmp_path: Path
) -> None:
    found = []
    for n_updates in (500, 0):
        model = GAIL(
            "MlpPolicy",
            line_env(),
            line_demonstrations,
            n_steps=32,
            warm_start_updates=n_updates,
            seed=0,
            device="cpu",
        )
        keep = KeepBestImitator(line_env(), line_demonstrations, tmp_path / "best", every=10_000)
        model.learn(32, callback=keep)
        found.append(keep.distances[0])
    assert found[0] < 0.5 * found[1]
