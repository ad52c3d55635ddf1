"""Stable-Baselines 2's old names: its file layout, recording, cloning and GAIL."""

import os
import re
import warnings
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import gymnasium as gym
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch as th
from demonstration_files import assert_same_arrays
from imitation.data.types import TrajectoryWithRew
from sb3_contrib import QRDQN, TQC, TRPO
from stable_baselines3 import DQN, PPO, SAC, TD3
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

import sb3_gail_ext as sg
from sb3_gail_ext.demonstrations.formats.sb2 import SB2_KEYS, sb2_arrays
from sb3_gail_ext.demonstrations.returns import returns
from sb3_gail_ext.sb2 import GAIL, ExpertDataset, generate_expert_traj, pretrain

ROOT = Path(__file__).parents[1]
CARTPOLE_OF_SB2 = ROOT.parent / "shared/external/sb2_expert_cartpole.npz"

Arrays = dict[str, np.ndarray]


def three_episodes() -> Arrays:
    """Of 3, 2 and 4 steps, made by hand; discrete actions, as Stable-Baselines 2 has them."""
    return {
        "obs": np.arange(18, dtype=np.float32).reshape(9, 2),
        "actions": np.array([[0], [1], [0], [1], [1], [0], [0], [1], [1]]),
        "rewards": np.array([1.0, 2.0, 3.0, 10.0, 20.0, 0.5, 0.5, 0.5, 0.5]),
        "episode_returns": np.array([6.0, 30.0, 2.0]),
        "episode_starts": np.array([1, 0, 0, 1, 0, 1, 0, 0, 0], dtype=bool),
    }


def write(path: Path, arrays: dict[str, Any]) -> Path:
    np.savez(path, **arrays)
    return path


def assert_same(left: TrajectoryWithRew, right: TrajectoryWithRew) -> None:
    """Equal to the bit, and `terminal` alike."""
    assert_same_arrays(left, right)
    assert left.terminal == right.terminal


# --- The file ----------------------------------------------------------------------------------


@pytest.mark.parametrize("format", [None, "sb2"])
def test_each_episode_lacks_its_last_transition_and_none_is_terminal(
    tmp_path: Path, format: str | None
) -> None:
    episodes = sg.load_demonstrations(write(tmp_path / "x.npz", three_episodes()), format=format)
    assert [len(episode) for episode in episodes] == [2, 1, 3]
    assert not any(episode.terminal for episode in episodes)
    first, second, third = episodes
    np.testing.assert_array_equal(first.obs, [[0, 1], [2, 3], [4, 5]])
    np.testing.assert_array_equal(first.acts, [0, 1])
    np.testing.assert_array_equal(first.rews, [1.0, 2.0])
    np.testing.assert_array_equal(second.obs, [[6, 7], [8, 9]])  # not 10, 11: the next episode's
    np.testing.assert_array_equal(second.acts, [1])
    np.testing.assert_array_equal(third.acts, [0, 0, 1])
    assert first.obs.dtype == np.float32
    assert first.acts.dtype == np.int64


def test_a_chapter_file_is_still_found_to_be_one(tmp_path: Path, make_trajectory: Any) -> None:
    episode = make_trajectory(4)
    sg.save_demonstrations(tmp_path / "x.npz", [episode])
    assert_same(sg.load_demonstrations(tmp_path / "x.npz")[0], episode)
    with pytest.raises(sg.DemonstrationError, match=r"no array actions.*A Stable-Baselines 2"):
        sg.load_demonstrations(tmp_path / "x.npz", format="sb2")


def test_columns_of_a_vectorised_recorder_and_other_types_are_read(tmp_path: Path) -> None:
    arrays = three_episodes()
    plain = sg.load_demonstrations(write(tmp_path / "plain.npz", arrays))
    arrays["rewards"] = arrays["rewards"][:, None]
    arrays["episode_starts"] = arrays["episode_starts"].astype(np.float32)[:, None]
    arrays["actions"] = arrays["actions"][:, 0]
    columns = sg.load_demonstrations(write(tmp_path / "columns.npz", arrays))
    for left, right in zip(plain, columns, strict=True):
        assert_same(left, right)


def test_starts_that_older_numpy_made_objects_of(tmp_path: Path) -> None:
    """On a VecEnv, Stable-Baselines 2 appended True and then its `dones`, arrays of one bool."""
    arrays = three_episodes()
    plain = sg.load_demonstrations(write(tmp_path / "plain.npz", arrays))
    starts = np.empty(9, dtype=object)
    starts[:] = [True, *(np.array([start]) for start in arrays["episode_starts"][1:])]
    boxed = sg.load_demonstrations(
        write(tmp_path / "boxed.npz", arrays | {"episode_starts": starts, "x": np.zeros(1)})
    )
    for left, right in zip(plain, boxed, strict=True):
        assert_same(left, right)
    two = starts.copy()
    two[4] = np.zeros(2, dtype=bool)
    with pytest.raises(sg.DemonstrationError, match="episode_starts holds more than True and"):
        sg.load_demonstrations(write(tmp_path / "two.npz", arrays | {"episode_starts": two}))


def test_unknown_rewards_keep_the_returns_that_are_stated(tmp_path: Path) -> None:
    arrays = three_episodes() | {"rewards": np.full(9, np.nan)}
    infinite = arrays | {"episode_returns": np.array([6.0, np.inf, 2.0])}
    with pytest.raises(sg.DemonstrationError, match="return of episode 1 is inf"):
        sg.load_demonstrations(write(tmp_path / "x.npz", infinite))
    episodes = sg.load_demonstrations(write(tmp_path / "x.npz", arrays))
    assert all(np.isnan(episode.rews).all() for episode in episodes)
    assert returns(episodes).tolist() == [6.0, 30.0, 2.0]
    assert sb2_arrays(episodes)["episode_returns"].tolist() == [6.0, 30.0, 2.0]


def test_a_box_of_one_dimension_keeps_it(tmp_path: Path) -> None:
    arrays = three_episodes()
    arrays["actions"] = arrays["actions"].astype(np.float32)
    arrays["rewards"] = arrays["rewards"].round().astype(int)
    arrays["episode_returns"] = np.array([6, 30, 0])
    episode = sg.load_demonstrations(write(tmp_path / "x.npz", arrays))[0]
    assert episode.acts.shape == (2, 1)
    assert episode.rews.dtype == np.float64  # as `imitation` wants them


def changed(key: str, change: Callable[[np.ndarray], Any]) -> Callable[[Arrays], dict[str, Any]]:
    return lambda arrays: {**arrays, key: change(arrays[key])}


def put(key: str, index: Any, value: float) -> Callable[[Arrays], dict[str, Any]]:
    def change(array: np.ndarray) -> np.ndarray:
        array = array.copy()
        array[index] = value
        return array

    return changed(key, change)


BAD = {
    "objects": (changed("obs", lambda a: a.astype(object)), "array obs holds pickled .* numeric"),
    "starts in text": (
        changed("episode_starts", lambda a: a.astype(str).astype(object)),
        "array episode_starts holds more than True and False",
    ),
    "object rewards": (
        changed("rewards", lambda a: a.astype(object)),
        "array rewards holds pickled Python objects, which are never loaded",
    ),
    "paths of images": (changed("obs", lambda a: a[:, 0].astype(str)), "the images, not their pa"),
    "fewer actions": (changed("actions", lambda a: a[:-1]), r"actions has shape \(8, 1\), but obs"),
    "two rewards": (changed("rewards", lambda a: np.stack([a, a], 1)), r"rewards has shape \(9, 2"),
    "a number": (changed("obs", lambda a: a[0, 0]), "no steps"),
    "NaN": (put("obs", (4, 1), np.nan), "obs is not finite in step 4"),
    "no first start": (put("episode_starts", 0, 0), "False at the first step"),
    "fewer returns": (changed("episode_returns", lambda a: a[:2]), "holds 2 episodes.* marks 3"),
    "another return": (
        put("episode_returns", 1, 31.0),
        "episode 1 is 31, but its rewards",
    ),
}


@pytest.mark.parametrize(("change", "words"), BAD.values(), ids=BAD.keys())
def test_a_bad_file_is_refused_in_one_line(tmp_path: Path, change: Any, words: str) -> None:
    path = write(tmp_path / "x.npz", change(three_episodes()))
    for read in (sg.load_demonstrations, lambda p: ExpertDataset(p, verbose=0)):
        with pytest.raises(sg.DemonstrationError, match=words) as caught:
            read(path)
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize("key", SB2_KEYS)
def test_a_missing_array_is_named(tmp_path: Path, key: str) -> None:
    arrays = three_episodes()
    del arrays[key]
    with pytest.raises(sg.DemonstrationError, match=f"no array {key}; found .*Stable-Baselines 2"):
        sg.load_demonstrations(write(tmp_path / "x.npz", arrays))
    with pytest.raises(sg.DemonstrationError, match=f"traj_data: no array {key}"):
        ExpertDataset(traj_data=arrays, verbose=0)


def test_an_episode_of_one_step_can_be_cloned_but_not_followed(tmp_path: Path) -> None:
    arrays = put("episode_starts", 8, 1)(three_episodes())
    arrays["episode_returns"] = np.array([6.0, 30.0, 1.5, 0.5])
    path = write(tmp_path / "x.npz", arrays)
    assert [len(episode) for episode in sg.load_demonstrations(path)] == [2, 1, 2]
    assert ExpertDataset(path, verbose=0).num_transition == 9
    arrays["episode_starts"][:] = True
    arrays["episode_returns"] = arrays["rewards"]
    with pytest.raises(sg.DemonstrationError, match="all episodes have one step"):
        sg.load_demonstrations(write(tmp_path / "x.npz", arrays))


@pytest.mark.skipif(not CARTPOLE_OF_SB2.is_file(), reason=f"no {CARTPOLE_OF_SB2.name} here")
def test_the_file_that_stable_baselines_2_ships() -> None:
    """100 episodes of 500 steps, but one that falls after 27: 99 * 500 + 27."""
    dataset = ExpertDataset(CARTPOLE_OF_SB2, verbose=0)
    assert (dataset.num_traj, dataset.num_transition) == (100, 49_527)
    assert sorted(dataset.returns)[:2] == [27.0, 500.0]
    assert dataset.avg_ret == pytest.approx(495.27)
    assert dataset.std_ret == pytest.approx(473 * np.sqrt(0.01 * 0.99))  # of two values
    episodes = sg.load_demonstrations(CARTPOLE_OF_SB2)
    assert sum(len(episode) for episode in episodes) == 49_527 - 100
    assert [len(e) for e in episodes].index(26) == int(np.argmin(dataset.returns)) == 92
    one = ExpertDataset(CARTPOLE_OF_SB2, traj_limitation=1, batch_size=128, verbose=0)
    assert one.num_transition == 500
    sg.BC("MlpPolicy", "CartPole-v1", CARTPOLE_OF_SB2, device="cpu")  # it fits the environment


# --- ExpertDataset -----------------------------------------------------------------------------


def test_the_attributes_that_scripts_use(capsys: pytest.CaptureFixture) -> None:
    dataset = ExpertDataset(traj_data=three_episodes())
    assert capsys.readouterr().out.splitlines() == [
        "Total trajectories: 3",
        "Total transitions: 9",
        "Average returns: 12.666666666666666",
        f"Std for returns: {dataset.std_ret}",
    ]
    assert dataset.std_ret == pytest.approx(np.sqrt((36 + 900 + 4) / 3 - (38 / 3) ** 2))
    assert dataset.actions.shape == (9, 1)
    np.testing.assert_array_equal(dataset.returns, [6.0, 30.0, 2.0])


@pytest.mark.parametrize(("limit", "steps"), [(1, 3), (2, 5), (3, 9), (7, 9), (-1, 9)])
def test_a_limited_dataset_has_all_steps_of_its_last_episode(limit: int, steps: int) -> None:
    """Stable-Baselines 2 dropped the last, took returns by step, and counted -1 episodes."""
    arrays = three_episodes()
    dataset = ExpertDataset(traj_data=arrays, traj_limitation=limit, verbose=0)
    assert dataset.num_transition == len(dataset.observations) == len(dataset.actions) == steps
    n_episodes = {3: 1, 5: 2, 9: 3}[steps]
    assert dataset.num_traj == len(dataset.trajectories) == n_episodes
    np.testing.assert_array_equal(dataset.returns, [6.0, 30.0, 2.0][:n_episodes])


def test_the_split_is_by_transition_and_a_pass_meets_each_once() -> None:
    dataset = ExpertDataset(
        traj_data=three_episodes(), train_fraction=0.7, batch_size=4, verbose=0, seed=0
    )
    assert (len(dataset.train_loader), len(dataset.val_loader)) == (2, 1)  # 6 and 3 of 9
    rows: dict[str, list[list[int]]] = {}
    for split, n_batches in (("train", 2), ("val", 1)):
        passes = []
        for _ in range(3):
            batches = [dataset.get_next_batch(split) for _ in range(n_batches)]
            obs, acts = map(np.concatenate, zip(*batches, strict=True))
            passes.append([int(row) for row in obs[:, 0] // 2])
            np.testing.assert_array_equal(acts, dataset.actions[passes[-1]])
        assert len({tuple(sorted(p)) for p in passes}) == 1  # the same transitions each time
        rows[split] = passes
    assert sorted(rows["train"][0] + rows["val"][0]) == list(range(9))
    assert rows["train"][0] != rows["train"][1]  # shuffled again
    everything = np.concatenate([dataset.get_next_batch()[0] for _ in range(3)])
    assert sorted(everything[:, 0] // 2) == list(range(9))


def test_without_randomize_a_pass_keeps_its_order_and_a_seed_repeats() -> None:
    def first_pass(**kwargs: Any) -> list[float]:
        dataset = ExpertDataset(traj_data=three_episodes(), batch_size=2, verbose=0, **kwargs)
        return [float(x) for _ in range(6) for x in dataset.get_next_batch("train")[0][:, 0]]

    in_order = first_pass(randomize=False, seed=3)
    assert in_order[:6] == in_order[6:]
    assert first_pass(seed=3) == first_pass(seed=3) != first_pass(seed=4)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "either expert_path or traj_data"),
        ({"expert_path": "x.npz", "traj_data": {}}, "either expert_path or traj_data"),
        ({"traj_data": three_episodes(), "train_fraction": 1.0}, "leaves one side without any"),
        ({"traj_data": three_episodes(), "batch_size": 0}, "batch_size is 0"),
    ],
)
def test_impossible_datasets_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ExpertDataset(**settings, verbose=0)
    with pytest.raises(ValueError, match="split is 'test'"):
        ExpertDataset(traj_data=three_episodes(), verbose=0).get_next_batch("test")


def test_plot_shows_the_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    monkeypatch.setattr(plt, "hist", shown.append)
    monkeypatch.setattr(plt, "show", lambda: shown.append("shown"))
    ExpertDataset(traj_data=three_episodes(), verbose=0).plot()
    np.testing.assert_array_equal(shown[0], [6.0, 30.0, 2.0])
    assert shown[1] == "shown"


# --- generate_expert_traj ----------------------------------------------------------------------


def walk_back(obs: np.ndarray) -> np.ndarray:
    """For LineEnv: one observation or those of all environments."""
    return np.clip(-2.0 * obs[..., :1], -1.0, 1.0).astype(np.float32)


@pytest.mark.parametrize("save_as", ["expert", "expert.npz", "my.expert"])
def test_what_is_generated_comes_back_to_the_bit(
    tmp_path: Path, line_env: Any, stand_still: Any, save_as: str
) -> None:
    arrays = generate_expert_traj(walk_back, tmp_path / save_as, line_env(), n_episodes=3)
    path = tmp_path / (save_as if save_as.endswith(".npz") else f"{save_as}.npz")
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    with np.load(path, allow_pickle=False) as npz:  # as Stable-Baselines 2 reads it
        assert set(npz) == set(SB2_KEYS) == set(arrays)
        for key in SB2_KEYS:
            assert npz[key].dtype == arrays[key].dtype
            np.testing.assert_array_equal(npz[key], arrays[key])
    assert arrays["episode_starts"].dtype == bool
    np.testing.assert_array_equal(np.flatnonzero(arrays["episode_starts"]), [0, 7, 14])
    recorded = sg.record_demonstrations(stand_still, line_env(), 3)
    datasets = [ExpertDataset(path, verbose=0), ExpertDataset(traj_data=arrays, verbose=0)]
    for loaded in (sg.load_demonstrations(path), *(d.trajectories for d in datasets)):
        for whole, ours in zip(recorded, loaded, strict=True):
            cut = TrajectoryWithRew(whole.obs[:-1], whole.acts[:-1], None, False, whole.rews[:-1])
            assert_same(ours, cut)
    np.testing.assert_array_equal(arrays["obs"], np.concatenate([t.obs[:-1] for t in recorded]))


def test_several_environments_give_whole_episodes_in_order(line_env: Any) -> None:
    one = generate_expert_traj(walk_back, env=line_env(), n_episodes=5)
    several = DummyVecEnv([line_env, line_env, line_env])
    together = generate_expert_traj(walk_back, env=several, n_episodes=5)
    for key in SB2_KEYS:
        np.testing.assert_array_equal(one[key], together[key])


def test_discrete_actions_are_a_column_and_may_be_a_functions_plain_integers() -> None:
    env = gym.make("CartPole-v1")
    arrays = generate_expert_traj(lambda obs: int(obs[2] > 0), env=env, n_episodes=2)
    assert arrays["actions"].shape == (len(arrays["obs"]), 1)
    assert arrays["actions"].dtype == np.int64
    np.testing.assert_array_equal(arrays["actions"][:, 0], arrays["obs"][:, 2] > 0)
    assert len(arrays["episode_returns"]) == arrays["episode_starts"].sum() == 2
    assert arrays["episode_returns"].sum() == len(arrays["obs"])  # 1 per step


def test_a_model_is_trained_first_and_acts_as_it_did_there() -> None:
    """Stable-Baselines 2's SAC was deterministic unless told otherwise, its PPO2 was not."""
    sac = SAC("MlpPolicy", "Pendulum-v1", learning_starts=4, device="cpu", seed=0)
    arrays = generate_expert_traj(sac, n_timesteps=6, n_episodes=1)
    assert sac.num_timesteps == 6
    np.testing.assert_allclose(
        arrays["actions"], sac.predict(arrays["obs"], deterministic=True)[0], rtol=0, atol=1e-5
    )
    ppo = PPO("MlpPolicy", "Pendulum-v1", device="cpu", seed=0)
    arrays = generate_expert_traj(ppo, n_episodes=1)
    assert np.abs(arrays["actions"]).mean() > 0.3  # of a mean near 0 and a deviation of 1


def test_under_vecnormalize_the_environments_own_observations_are_recorded(line_env: Any) -> None:
    venv = VecNormalize(DummyVecEnv([line_env]))
    venv.obs_rms.mean, venv.obs_rms.var = np.array([5.0, 5.0]), np.array([4.0, 4.0])
    arrays = generate_expert_traj(PPO("MlpPolicy", venv, device="cpu"), n_episodes=1)
    np.testing.assert_array_equal(arrays["obs"][:, 1], np.arange(len(arrays["obs"])))


def test_images_are_kept_in_the_file_and_a_folder_for_them_is_not(tmp_path: Path) -> None:
    class Screen(gym.Env):
        observation_space = gym.spaces.Box(0, 255, (40, 36, 3), np.uint8)
        action_space = gym.spaces.Discrete(2)

        def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict]:
            super().reset(seed=seed)
            self.shown = self.np_random.integers(256, size=(40, 36, 3), dtype=np.uint8)
            self.n_steps = 0
            return self.shown, {}

        def step(self, action: Any) -> tuple[Any, float, bool, bool, dict]:
            self.n_steps += 1
            return self.shown, 1.0, self.n_steps == 3, False, {}

    with pytest.warns(UserWarning, match="image_folder='shots' is not used"):
        generate_expert_traj(lambda _: 1, tmp_path / "x", Screen(), 0, 4, "shots")
    assert [p.name for p in tmp_path.iterdir()] == ["x.npz"]
    dataset = ExpertDataset(tmp_path / "x.npz", verbose=0)
    assert dataset.observations.shape == (12, 40, 36, 3)
    assert dataset.observations.dtype == np.uint8
    settings = {"n_steps": 4, "batch_size": 4, "device": "cpu", "seed": 0}
    model = pretrain(PPO("CnnPolicy", Screen(), **settings), dataset, 40, 1e-3)
    assert (model.predict(dataset.observations, deterministic=True)[0] == 1).all()
    GAIL("CnnPolicy", Screen(), dataset, timesteps_per_batch=8, device="cpu").learn(8)


class SeesANumber(gym.Env):
    observation_space = gym.spaces.Discrete(5)
    action_space = gym.spaces.Discrete(2)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: generate_expert_traj(lambda obs: 0), ValueError, "pass env"),
        (
            lambda: generate_expert_traj(lambda obs: 0, env=gym.make("CartPole-v1"), n_timesteps=9),
            ValueError,
            "only a model can be trained",
        ),
        (
            lambda: generate_expert_traj("expert", env=gym.make("CartPole-v1")),  # type: ignore[arg-type]
            TypeError,
            "neither a model nor a function",
        ),
        (
            lambda: generate_expert_traj(lambda obs: 0, env=SeesANumber()),
            ValueError,
            "observations of type Discrete",
        ),
    ],
)
def test_impossible_recordings_are_refused(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()


# --- pretrain ----------------------------------------------------------------------------------


class Spaces(gym.Env):
    """No environment to step in: its spaces alone."""

    def __init__(self, action_space: gym.Space) -> None:
        self.observation_space = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.action_space = action_space

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict]:
        return np.zeros(2, np.float32), {}


BOX = gym.spaces.Box(np.array([-2.0], np.float32), np.array([2.0], np.float32))


def linear(algorithm: Any, env: Any, **settings: Any) -> Any:
    if algorithm is PPO:
        settings = {"n_steps": 8, "batch_size": 8, **settings}
    policy_kwargs = {"net_arch": []}
    return algorithm(
        "MlpPolicy", env, policy_kwargs=policy_kwargs, seed=0, device="cpu", **settings
    )


def pairs(obs: np.ndarray, acts: np.ndarray, **settings: Any) -> ExpertDataset:
    """One episode of these steps."""
    arrays = {
        "obs": obs,
        "actions": acts,
        "rewards": np.zeros(len(obs)),
        "episode_returns": np.zeros(1),
        "episode_starts": np.arange(len(obs)) == 0,
    }
    return ExpertDataset(traj_data=arrays, verbose=0, seed=0, **settings)


def some_obs(n: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (n, 2)).astype(np.float32)


def state(module: th.nn.Module) -> dict[str, th.Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(left: dict[str, th.Tensor], right: dict[str, th.Tensor], *, of: str = "") -> bool:
    """Are the weights whose names contain `of` equal?"""
    names = [name for name in left if of in name]
    assert names
    return all(th.equal(left[name], right[name]) for name in names)


def test_a_linear_policy_finds_a_linear_expert_to_the_expected_loss(
    capsys: pytest.CaptureFixture,
) -> None:
    """Around 0.3 x - 0.2 y + 0.1 the actions are 0.25 too high or too low: no error is smaller
    than 0.25^2 = 0.0625, and that is each transition's, held out or not."""
    obs = np.repeat(some_obs(400), 2, axis=0)
    line = obs @ np.array([0.3, -0.2], np.float32) + 0.1
    acts = (line + np.tile([0.25, -0.25], 400))[:, None].astype(np.float32)
    model = linear(PPO, Spaces(BOX), verbose=1)
    before = state(model.policy)
    dataset = pairs(obs, acts, train_fraction=0.9)
    capsys.readouterr()
    assert pretrain(model, dataset, n_epochs=60, learning_rate=5e-3) is model
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10  # a tenth of all epochs between two
    assert lines[-1].startswith("epoch 60/60: ")
    losses = [[float(x) for x in re.findall(r"0\.\d+", line)] for line in lines]
    assert losses[-1] == pytest.approx([0.0625, 0.0625], rel=0.02)
    assert losses[0][1] > losses[-1][1]
    head = model.policy.action_net
    np.testing.assert_allclose(head.weight.detach().numpy(), [[0.3, -0.2]], atol=0.02)
    assert head.bias.item() == pytest.approx(0.1, abs=0.02)
    for untouched in ("value_net", "log_std"):
        assert same(before, state(model.policy), of=untouched)


def probabilities(logits: th.Tensor) -> np.ndarray:
    return th.softmax(logits.detach().flatten(), 0).numpy()


@pytest.mark.parametrize("algorithm", [PPO, DQN])
def test_discrete_choices_become_as_probable_as_they_are_frequent(algorithm: Any) -> None:
    """The cross entropy is least where probabilities are frequencies, here those at one place."""
    acts = np.repeat([0, 1, 1, 1, 2, 2], 50)[:, None]
    dataset = pairs(np.zeros((300, 2), np.float32), acts, batch_size=300)
    model = linear(algorithm, Spaces(gym.spaces.Discrete(3)))
    pretrain(model, dataset, n_epochs=600, learning_rate=0.02)
    learned_from = dataset.get_next_batch("train")[1][:, 0]
    frequencies = np.bincount(learned_from) / 210
    at = th.zeros(1, 2)
    if algorithm is DQN:
        logits = model.policy.q_net(at)
        assert th.equal(model.policy.q_net_target(at), logits)
    else:
        logits = model.policy.get_distribution(at).distribution.logits
    np.testing.assert_allclose(probabilities(logits), frequencies, atol=1e-3)


@pytest.mark.parametrize("algorithm", [SAC, TD3, TQC])
def test_an_actor_that_squashes_learns_actions_in_their_own_range(algorithm: Any) -> None:
    obs = some_obs(500)
    acts = 2 * np.tanh(obs @ np.array([[0.5], [-1.0]], np.float32) + 0.2)
    model = linear(algorithm, Spaces(BOX))
    before = state(model.policy)
    pretrain(model, pairs(obs, acts), n_epochs=150, learning_rate=5e-3)
    predicted, _ = model.predict(obs, deterministic=True)
    np.testing.assert_allclose(predicted, acts, atol=0.02)
    assert same(before, state(model.policy), of="critic")
    if algorithm is TD3:
        assert same(state(model.policy.actor), state(model.policy.actor_target))
    else:
        assert same(before, state(model.policy), of="log_std")


def test_pretraining_goes_on_from_what_was_learned() -> None:
    model = linear(PPO, Spaces(BOX))
    before = state(model.policy)
    pretrain(model, pairs(some_obs(9), np.zeros((9, 1), np.float32)), n_epochs=0)
    assert same(before, state(model.policy))


def test_losses_are_printed_when_asked_for(capsys: pytest.CaptureFixture) -> None:
    dataset = pairs(some_obs(9), np.zeros((9, 1), np.float32))
    for verbose, n_lines in ((1, 2), (0, 0)):
        model = linear(PPO, Spaces(BOX), verbose=verbose)
        capsys.readouterr()
        pretrain(model, dataset, n_epochs=9, val_interval=4)
        assert len(capsys.readouterr().out.splitlines()) == n_lines


def test_observations_are_seen_through_the_models_vecnormalize() -> None:
    venv = VecNormalize(DummyVecEnv([lambda: Spaces(BOX)]))
    venv.obs_rms.mean, venv.obs_rms.var = np.array([0.5, 0.0]), np.array([0.25, 1.0])
    obs = some_obs(300)
    model = linear(PPO, venv)
    pretrain(model, pairs(obs, obs[:, :1].copy()), n_epochs=150, learning_rate=5e-3)
    # x = 0.5 + 0.5 z, z being what the policy sees of x
    np.testing.assert_allclose(model.policy.action_net.weight.detach(), [[0.5, 0.0]], atol=5e-3)
    assert model.policy.action_net.bias.item() == pytest.approx(0.5, abs=5e-3)


def test_attaching_demonstrations_later_does_not_move_a_clones_inputs(
    line_env: Any, line_demonstrations: Any
) -> None:
    """`sb3_gail_ext.GAIL` scales them by the first demonstrations it meets."""
    model = sg.GAIL("MlpPolicy", line_env(), n_steps=8, batch_size=8, device="cpu")
    dataset = ExpertDataset(traj_data=sb2_arrays(line_demonstrations), verbose=0)
    pretrain(model, dataset, n_epochs=20, learning_rate=1e-2)
    obs = dataset.observations
    before, _ = model.predict(obs, deterministic=True)
    model.set_demonstrations(line_demonstrations)
    np.testing.assert_array_equal(model.predict(obs, deterministic=True)[0], before)


@pytest.mark.parametrize(
    ("model", "acts", "error", "words"),
    [
        ("box", np.full((9, 1), 3.0), sg.DemonstrationError, "dataset: acts leave the action"),
        ("box", np.zeros((9, 2)), sg.DemonstrationError, "acts has shape"),
        ("choices", np.full((9, 1), 3), sg.DemonstrationError, "integers from 0 to 2"),
        ("quantiles", np.zeros((9, 1), int), TypeError, "QRDQN cannot be pretrained"),
    ],
)
def test_what_cannot_be_cloned_is_refused(
    model: str, acts: np.ndarray, error: type[Exception], words: str
) -> None:
    models = {
        "box": lambda: TD3("MlpPolicy", Spaces(BOX), device="cpu"),
        "choices": lambda: DQN("MlpPolicy", Spaces(gym.spaces.Discrete(3)), device="cpu"),
        "quantiles": lambda: QRDQN("MlpPolicy", Spaces(gym.spaces.Discrete(3)), device="cpu"),
    }
    with pytest.raises(error, match=words):
        pretrain(models[model](), pairs(some_obs(9), acts))


# --- GAIL --------------------------------------------------------------------------------------

QUIET = {"device": "cpu", "seed": 0}


@pytest.fixture
def line_dataset(line_demonstrations: Any) -> ExpertDataset:
    return ExpertDataset(traj_data=sb2_arrays(line_demonstrations), verbose=0)


def test_the_defaults_are_stable_baselines_2s(line_env: Any, line_dataset: ExpertDataset) -> None:
    model = GAIL("MlpPolicy", line_env(), line_dataset, **QUIET)
    assert model.n_steps * model.n_envs == model.discriminator_batch_size == 1024
    assert (model.g_step, model.n_discriminator_updates) == (3, 1)
    assert (model.target_kl, model.gae_lambda, model.gamma) == (0.01, 0.98, 0.99)
    assert (model.cg_max_steps, model.cg_damping) == (10, 1e-2)
    assert (model.learning_rate, model.n_critic_updates, model.batch_size) == (3e-4, 3, 128)
    assert model.discriminator_learning_rate == 3e-4
    assert model.gradient_penalty == model.warm_start_updates == model.policy_averaging == 0
    hidden = [m for m in model.discriminator.net.modules() if isinstance(m, th.nn.Linear)]
    assert [m.out_features for m in hidden] == [100, 100, 1]
    assert model.policy.log_std.item() == 0.0
    np.testing.assert_array_equal(model.expert.obs[:6], line_dataset.observations[:6])


def test_the_discriminators_loss_is_half_of_the_old_one(line_env: Any) -> None:
    """There: the sum of both sides' cross entropies, less adversary_entcoeff times D's entropy."""
    from sb3_gail_ext.rewards.objectives import bernoulli_entropy, discriminator_loss

    model = GAIL("MlpPolicy", line_env(), adversary_entcoeff=0.4, **QUIET)
    expert, agent = th.tensor([0.5, 2.0]), th.tensor([-1.0, 0.3])
    d = {name: 1 / (1 + np.exp(-x.numpy())) for name, x in (("e", expert), ("a", agent))}
    both = np.concatenate([d["e"], d["a"]])
    entropy = -(both * np.log(both) + (1 - both) * np.log(1 - both)).mean()
    old = -np.log(d["e"]).mean() - np.log(1 - d["a"]).mean() - 0.4 * entropy
    ours = discriminator_loss(expert, agent) - model.discriminator.entropy_coef * (
        bernoulli_entropy(th.cat([expert, agent]))
    )
    assert ours.item() == pytest.approx(old / 2, rel=1e-6)


def test_it_is_the_adversarial_trpo_with_these_arguments(
    line_env: Any, line_dataset: ExpertDataset
) -> None:
    old = GAIL(
        "MlpPolicy",
        make_vec_env(line_env, n_envs=2, seed=0),
        line_dataset,
        hidden_size_adversary=8,
        adversary_entcoeff=0.02,
        g_step=1,
        d_step=4,
        d_stepsize=1e-2,
        timesteps_per_batch=64,
        max_kl=0.03,
        cg_iters=5,
        lam=0.9,
        cg_damping=0.05,
        vf_stepsize=1e-3,
        vf_iters=2,
        gamma=0.95,
        **QUIET,
    ).learn(192)
    new = sg.adversarial(TRPO)(
        "MlpPolicy",
        make_vec_env(line_env, n_envs=2, seed=0),
        line_dataset.trajectories,
        reward_net_kwargs={"hid_sizes": (8, 8)},
        entropy_bonus=0.01,
        n_discriminator_updates=4,
        discriminator_learning_rate=1e-2,
        discriminator_batch_size=16,
        gradient_penalty=0.0,
        normalize_policy_inputs=False,
        normalize_learned_reward=False,
        warm_start_updates=0,
        rehearsal_updates=0,
        critic_warm_up_rollouts=0,
        policy_averaging=0.0,
        n_steps=32,
        target_kl=0.03,
        cg_max_steps=5,
        gae_lambda=0.9,
        cg_damping=0.05,
        learning_rate=1e-3,
        n_critic_updates=2,
        batch_size=64,
        gamma=0.95,
        **QUIET,
    ).learn(192)
    assert same(state(old.policy), state(new.policy))
    assert same(state(old.discriminator.net), state(new.discriminator.net))


def test_the_discriminator_learns_in_every_g_steps_rollout(
    line_env: Any, line_dataset: ExpertDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"timesteps_per_batch": 32, "g_step": 3, "d_step": 2, **QUIET}
    model = GAIL("MlpPolicy", line_env(), line_dataset, **settings)
    update, seen = model.discriminator.update, []

    def watched(expert: Any, agent: Any) -> dict[str, float]:
        seen.append((model._n_rollouts, len(expert), len(agent)))
        return update(expert, agent)

    monkeypatch.setattr(model.discriminator, "update", watched)
    policies = [state(model.policy)]
    model.learn(5 * 32, callback=lambda *_: policies.append(state(model.policy)) or True)
    assert seen == [(0, 16, 16)] * 2 + [(3, 16, 16)] * 2
    assert model.num_timesteps == 160
    of_rollouts = policies[1::32]
    assert not any(same(a, b) for a, b in pairwise(of_rollouts))
    assert model._measured["loss"] > 0


def test_a_saved_model_predicts_the_same_and_goes_on(
    tmp_path: Path, line_env: Any, line_dataset: ExpertDataset
) -> None:
    settings = {"timesteps_per_batch": 32, "hidden_size_adversary": 12, "g_step": 2, **QUIET}
    model = GAIL("MlpPolicy", line_env(), line_dataset, **settings).learn(64)
    model.save(tmp_path / "gail")
    obs = line_dataset.observations
    expected, _ = model.predict(obs, deterministic=True)
    alone = GAIL.load(tmp_path / "gail", device="cpu")
    np.testing.assert_array_equal(alone.predict(obs, deterministic=True)[0], expected)
    assert same(state(alone.discriminator.net), state(model.discriminator.net))
    with pytest.raises(sg.DemonstrationError, match="no demonstrations"):
        GAIL.load(tmp_path / "gail", line_env(), device="cpu").learn(32)
    again = GAIL.load(tmp_path / "gail", line_env(), device="cpu", expert_dataset=line_dataset)
    again.learn(64, reset_num_timesteps=False)
    assert (again.num_timesteps, again.g_step, again._n_rollouts) == (128, 2, 4)


def test_both_kinds_of_callbacks_can_stop_it(line_env: Any, line_dataset: ExpertDataset) -> None:
    class Stop(BaseCallback):
        def _on_step(self) -> bool:
            return self.num_timesteps < 7

    model = GAIL("MlpPolicy", line_env(), line_dataset, timesteps_per_batch=32, **QUIET)
    assert model.learn(64, callback=Stop()).num_timesteps == 7
    assert model.learn(64, callback=lambda now, _: now["self"].num_timesteps < 5).num_timesteps == 5


def test_pretrain_is_a_method_too(line_env: Any, line_dataset: ExpertDataset) -> None:
    settings = {"timesteps_per_batch": 32, "g_step": 1, **QUIET}
    model = GAIL("MlpPolicy", line_env(), line_dataset, **settings).learn(32)
    assert model.pretrain(line_dataset, n_epochs=300, learning_rate=3e-3) is model
    predicted, _ = model.predict(line_dataset.observations, deterministic=True)
    np.testing.assert_allclose(predicted, line_dataset.actions, atol=0.1)


def test_newer_arguments_win(line_env: Any, line_demonstrations: Any) -> None:
    settings = {"n_steps": 64, "gradient_penalty": 0.5, "learning_rate": 1e-2}
    model = GAIL("MlpPolicy", line_env(), line_demonstrations, **settings, **QUIET)
    assert model.n_steps == 64
    assert model.discriminator.gradient_penalty_coef == 0.5
    assert model.learning_rate == 1e-2
    assert len(model.expert) == 21


def last_places(arrays: Arrays) -> np.ndarray:
    ends = [*np.flatnonzero(arrays["episode_starts"])[1:], len(arrays["obs"])]
    return arrays["obs"][np.array(ends) - 1, 0]


@pytest.mark.slow
def test_it_goes_where_the_expert_goes(line_env: Any) -> None:
    """To 1, from a start within 0.5 of 0: staying alive, which any positive reward teaches, is
    possible anywhere."""
    expert = generate_expert_traj(
        lambda obs: np.clip(2 * (1 - obs[:1]), -1, 1), env=line_env(), n_episodes=10
    )
    np.testing.assert_allclose(last_places(expert), 1.0, atol=0.02)
    settings = {"timesteps_per_batch": 512, "g_step": 1, "d_step": 4, "d_stepsize": 1e-3}
    dataset = ExpertDataset(traj_data=expert, verbose=0)
    venv = make_vec_env(line_env, n_envs=8, seed=0)
    model = GAIL("MlpPolicy", venv, dataset, **settings, **QUIET)

    def deterministic(obs: np.ndarray) -> np.ndarray:
        return model.predict(obs, deterministic=True)[0]

    before = generate_expert_traj(deterministic, env=line_env(), n_episodes=10, seed=100)
    assert np.abs(last_places(before)).max() < 0.6
    model.learn(8192)
    after = generate_expert_traj(deterministic, env=line_env(), n_episodes=10, seed=100)
    np.testing.assert_allclose(last_places(after), 1.0, atol=0.4)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"entcoeff": 0.01}, "entcoeff is 0.01, but TRPO has no entropy bonus"),
        ({"policy_kwargs": {"act_fun": None}}, "'act_fun', which SB3 does not know; use activa"),
        ({"policy_kwargs": {"layers": [8]}}, r"use net_arch=dict\(pi=layers, vf=layers\)"),
        ({"g_step": 0}, "g_step is 0"),
        ({"d_step": 2000}, "d_step is 2000; give a number from 1 to 1024"),
    ],
)
def test_arguments_without_a_counterpart_are_refused(
    line_env: Any, settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        GAIL("MlpPolicy", line_env(), **settings)


def test_arguments_of_tensorflow_are_said_to_have_no_effect(line_env: Any) -> None:
    with pytest.warns(UserWarning, match=r"call torch.set_num_threads\(2\)"):
        GAIL("MlpPolicy", line_env(), n_cpu_tf_sess=2, **QUIET)
    with pytest.warns(UserWarning, match="full_tensorboard_log has no effect"):
        GAIL("MlpPolicy", line_env(), full_tensorboard_log=True, **QUIET)


# --- The examples ------------------------------------------------------------------------------

OLD_GAIL_EXAMPLE = """\
import gym
from stable_baselines import GAIL, SAC
from stable_baselines.gail import ExpertDataset, generate_expert_traj

model = SAC('MlpPolicy', 'Pendulum-v0', verbose=1)
generate_expert_traj(model, 'expert_pendulum', n_timesteps=100, n_episodes=10)
dataset = ExpertDataset(expert_path='expert_pendulum.npz', traj_limitation=10, verbose=1)
model = GAIL('MlpPolicy', 'Pendulum-v0', dataset, verbose=1)
model.learn(total_timesteps=1000)
model.save("gail_pendulum")
del model
model = GAIL.load("gail_pendulum")
env = gym.make('Pendulum-v0')
obs = env.reset()
while True:
    action, _states = model.predict(obs)
    obs, rewards, dones, info = env.step(action)
"""

OLD_PRETRAIN_EXAMPLE = """\
from stable_baselines import PPO2
from stable_baselines.gail import ExpertDataset

dataset = ExpertDataset(expert_path='expert_cartpole.npz', traj_limitation=1, batch_size=128)
model = PPO2('MlpPolicy', 'CartPole-v1', verbose=1)
model.pretrain(dataset, n_epochs=1000)
"""


def of_the_page(n: int) -> tuple[str, str]:
    """The n-th example of the page, before and after."""
    page = (ROOT / "docs/migration.md").read_text()
    lines = re.findall(r"```diff\n(.*?)```", page, re.DOTALL)[n].splitlines()
    sides = ([line[1:] for line in lines if line[:1] != other] for other in "+-")
    before, after = ("\n".join(side) + "\n" for side in sides)
    return before, after


def test_the_old_gail_example_runs_with_its_imports_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = of_the_page(0)
    assert before == OLD_GAIL_EXAMPLE
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        exec(after.replace("while True:", "for _ in range(20):"), names)
    assert names["dataset"].num_traj == 10
    assert names["dataset"].num_transition == 2000
    assert names["model"].num_timesteps == 1024
    assert np.isfinite(names["rewards"])
    assert sorted(os.listdir()) == ["expert_pendulum.npz", "gail_pendulum.zip"]


def test_the_old_pretrain_example_runs_with_its_names_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cartpole_expert: Any
) -> None:
    before, after = of_the_page(1)
    assert before == OLD_PRETRAIN_EXAMPLE
    monkeypatch.chdir(tmp_path)
    np.savez("expert_cartpole.npz", **sb2_arrays(cartpole_expert))
    names: dict[str, Any] = {}
    exec(after.replace("n_epochs=1000", "n_epochs=200"), names)
    model, dataset = names["model"], names["dataset"]
    assert dataset.num_transition == len(cartpole_expert[0])
    agreed = model.predict(dataset.observations, deterministic=True)[0] == dataset.actions[:, 0]
    assert agreed.mean() > 0.7  # 0.77; of 1,000 epochs 0.9
