"""From episodes to batches: packing, drawing by index, memory-mapped images, subsamples, splits."""

import copy
import hashlib
import pickle
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from imitation.data.rollout import flatten_trajectories
from imitation.data.types import Trajectory, TrajectoryWithRew

import sb3_gail_ext as sg
from sb3_gail_ext import DemonstrationError
from sb3_gail_ext.demonstrations.checks import check_fits_spaces
from sb3_gail_ext.demonstrations.identity import arrays_sha256
from sb3_gail_ext.demonstrations.images import order_axes_as
from sb3_gail_ext.demonstrations.mapped import MappedRows, is_mapped
from sb3_gail_ext.demonstrations.packed import PackedTransitions
from sb3_gail_ext.demonstrations.sampling import (
    TransitionBatch,
    flatten,
    subsample_trajectories,
)

SHAPES = st.sampled_from([(), (3,), (2, 2), (2, 2, 1)])
OBS_DTYPES = st.sampled_from([np.float32, np.float64, np.float16, np.uint8, np.int64])
ACT_DTYPES = st.sampled_from([np.float32, np.float64, np.int64, np.int32])
LENGTHS = st.lists(st.integers(1, 6), min_size=1, max_size=5)


def episodes_of(
    lengths: list[int],
    obs_shape: tuple[int, ...] = (3,),
    act_shape: tuple[int, ...] = (2,),
    obs_dtype: Any = np.float32,
    act_dtype: Any = np.float32,
    seed: int = 0,
) -> list[TrajectoryWithRew]:
    rng = np.random.default_rng(seed)
    return [
        TrajectoryWithRew(
            obs=(rng.random((n + 1, *obs_shape)) * 200).astype(obs_dtype),
            acts=(rng.random((n, *act_shape)) * 200).astype(act_dtype),
            infos=None,
            terminal=bool(rng.integers(2)),
            rews=rng.random(n),
        )
        for n in lengths
    ]


def single(value: np.ndarray) -> np.ndarray:
    return value.astype(np.float32) if value.dtype.kind == "f" else value


def naive_batch(episodes: list[TrajectoryWithRew], index: np.ndarray) -> list[list[Any]]:
    """obs, acts, next_obs and dones of transitions looked up one by one."""
    steps = [(episode, t) for episode in episodes for t in range(len(episode))]
    chosen = [steps[i] for i in index]
    return [
        [single(e.obs[t]) for e, t in chosen],
        [single(e.acts[t]) for e, t in chosen],
        [single(e.obs[t + 1]) for e, t in chosen],
        [e.terminal and t == len(e) - 1 for e, t in chosen],
    ]


# --- Packing and drawing -----------------------------------------------------------------------


@given(LENGTHS, SHAPES, SHAPES, OBS_DTYPES, ACT_DTYPES, st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_a_batch_is_what_looking_up_each_transition_gives(
    lengths: list[int], obs_shape: Any, act_shape: Any, obs_dtype: Any, act_dtype: Any, seed: int
) -> None:
    episodes = episodes_of(lengths, obs_shape, act_shape, obs_dtype, act_dtype, seed)
    expert = flatten(episodes)
    index = np.random.default_rng(seed).integers(sum(lengths), size=7)
    drawn = expert.take(index)
    for array, naive in zip(drawn, naive_batch(episodes, index), strict=True):
        assert array.dtype == np.asarray(naive).dtype
        np.testing.assert_array_equal(array, naive)
    assert type(drawn) is TransitionBatch
    assert len(expert) == sum(lengths)
    for array, part in zip(expert, drawn, strict=True):  # all at once is the same as drawn
        np.testing.assert_array_equal(array[index], part)


def test_floats_lie_in_one_contiguous_float32_matrix() -> None:
    expert = flatten(episodes_of([4, 3], (11,), (3,), np.float64))
    assert isinstance(expert, PackedTransitions)
    assert (expert.rows.shape, expert.rows.dtype) == ((7, 11 + 3 + 11), np.float32)
    assert expert.rows.flags.c_contiguous
    for array in (expert.obs, expert.acts, expert.next_obs):
        assert np.shares_memory(array, expert.rows)


def test_integers_are_not_turned_into_floats() -> None:
    images = flatten(episodes_of([3], (8, 8, 1), (), np.uint8, np.int64))
    assert [array.dtype for array in images] == [np.uint8, np.int64, np.uint8, bool]
    discrete = flatten(episodes_of([3], (4,), (), np.float32, np.int64))
    assert [array.dtype for array in discrete] == [np.float32, np.int64, np.float32, bool]
    assert isinstance(discrete, PackedTransitions)
    assert discrete.rows.shape == (3, 8)


def test_a_batch_is_a_copy() -> None:
    expert = flatten(episodes_of([5]))
    before = expert.obs.copy()
    for array in expert.take(np.arange(5)):
        array[...] = 0
    np.testing.assert_array_equal(expert.obs, before)


def test_the_demonstrations_given_are_copied_too() -> None:
    episodes = episodes_of([5])
    expert = flatten(episodes)
    assert not np.shares_memory(expert.obs, episodes[0].obs)


def test_transitions_of_imitation_are_packed_alike() -> None:
    episodes = episodes_of([4, 2], obs_dtype=np.float64)
    for mine, other in zip(flatten(episodes), flatten(flatten_trajectories(episodes)), strict=True):
        np.testing.assert_array_equal(mine, other)


@pytest.mark.parametrize("again", [copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))])
def test_copies_draw_the_same(again: Any) -> None:
    expert = flatten(episodes_of([4, 2]))
    index = np.array([5, 0, 3])
    for mine, other in zip(expert.take(index), again(expert).take(index), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_the_digest_is_of_four_arrays_one_after_the_other(monkeypatch: Any) -> None:
    expert = flatten(episodes_of([40, 2], (3,), (2,)))
    whole = hashlib.sha256(b"".join(array.tobytes() for array in expert)).hexdigest()
    assert arrays_sha256(expert) == whole
    monkeypatch.setattr("sb3_gail_ext.demonstrations.identity._AT_ONCE", 100)
    assert arrays_sha256(expert) == whole


# --- Memory-mapped images ----------------------------------------------------------------------

N_EPISODES, N_FRAMES, FRAME = 3, 5, (6, 7, 3)


@pytest.fixture
def frames(tmp_path: Path) -> np.ndarray:
    """Frames of three episodes in one file, memory-mapped: (3, 5, 6, 7, 3)."""
    path = tmp_path / "frames.npy"
    rng = np.random.default_rng(0)
    np.save(path, rng.integers(256, size=(N_EPISODES, N_FRAMES, *FRAME), dtype=np.uint8))
    mapped: np.ndarray = np.load(path, mmap_mode="r")
    return mapped


def image_episodes(frames: np.ndarray) -> list[Trajectory]:
    acts = np.arange(N_FRAMES - 1)
    return [Trajectory(obs=f, acts=acts, infos=None, terminal=True) for f in frames]


def test_mapped_images_stay_in_their_file_and_draw_as_others(frames: np.ndarray) -> None:
    mapped = flatten(image_episodes(frames))
    loaded = flatten(image_episodes(np.array(frames)))
    assert isinstance(mapped.obs, MappedRows)
    assert isinstance(mapped.next_obs, MappedRows)
    assert all(np.shares_memory(e, frames) for e in mapped.obs.episodes)
    assert isinstance(loaded.obs, np.ndarray)
    assert mapped.obs.shape == loaded.obs.shape
    assert mapped.obs.dtype == np.uint8
    index = np.array([11, 0, 4, 4, -1])
    for mine, other in zip(mapped.take(index), loaded.take(index), strict=True):
        assert isinstance(mine, np.ndarray)
        assert not np.shares_memory(mine, frames)
        np.testing.assert_array_equal(mine, other)
    assert arrays_sha256(mapped) == arrays_sha256(loaded)


def test_mapped_images_get_their_channels_first_in_their_file(frames: np.ndarray) -> None:
    space = spaces.Box(0, 255, (3, 6, 7), np.uint8)
    mapped = order_axes_as(space, flatten(image_episodes(frames)))
    loaded = order_axes_as(space, flatten(image_episodes(np.array(frames))))
    assert isinstance(mapped.obs, MappedRows)
    assert all(np.shares_memory(e, frames) for e in mapped.obs.episodes)
    assert mapped.obs.shape == loaded.obs.shape == (12, 3, 6, 7)
    for mine, other in zip(mapped, loaded, strict=True):
        np.testing.assert_array_equal(np.asarray(mine), other)
    check_fits_spaces(mapped, space, spaces.Discrete(4))


class Noise(gym.Env):
    """Random frames, whatever is done."""

    observation_space = spaces.Box(0, 255, (36, 36, 3), np.uint8)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self.t = 0
        return self._frame(), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict]:
        self.t += 1
        return self._frame(), 0.0, False, self.t == 9, {}

    def _frame(self) -> np.ndarray:
        return self.np_random.integers(256, size=(36, 36, 3), dtype=np.uint8)


def test_a_file_too_large_for_memory_teaches_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng, path = np.random.default_rng(0), tmp_path / "images.npz"
    obs = rng.integers(256, size=(2, 12, 36, 36, 3), dtype=np.uint8)
    acs = rng.integers(2, size=(2, 12))
    np.savez(path, ep_rets=np.zeros(2), obs=obs, acs=acs, rews=np.zeros((2, 12)))
    quick = {"n_steps": 16, "n_epochs": 1, "batch_size": 16, "discriminator_batch_size": 16}
    quick |= {"warm_start_updates": 2, "n_discriminator_updates": 2}
    models = []
    for largest in (2**30, 1):
        monkeypatch.setattr("sb3_gail_ext.demonstrations.formats.sizes.MAPPED_FROM_BYTES", largest)
        model = sg.GAIL("CnnPolicy", Noise(), path, seed=0, device="cpu", **quick)
        models.append(model.learn(32))
    loaded, mapped = models
    assert isinstance(loaded.expert.obs, np.ndarray)
    assert isinstance(mapped.expert.obs, MappedRows)
    assert all(map(is_mapped, mapped.expert.obs.episodes))
    assert loaded.learned_from.sha256 == mapped.learned_from.sha256
    weights = (model.policy.state_dict().values() for model in models)
    assert all(th.equal(one, other) for one, other in zip(*weights, strict=True))


def test_rows_of_a_mapped_file_are_indexed_as_an_array_is(frames: np.ndarray) -> None:
    rows, whole = MappedRows(list(frames)), frames.reshape(-1, *FRAME)
    assert len(rows) == len(whole) == N_EPISODES * N_FRAMES
    for index in (0, -1, 7, slice(3, 9, 2), slice(None), np.array([14, 2]), np.array([], int)):
        np.testing.assert_array_equal(rows[index], whole[index])
    for beyond in (15, -16, np.array([0, 15])):
        with pytest.raises(IndexError, match="0 to 14"):
            rows[beyond]
    np.testing.assert_array_equal(np.concatenate([rows, whole]), np.concatenate([whole, whole]))


def test_what_is_mapped_is_found_through_views(frames: np.ndarray) -> None:
    assert is_mapped(frames[1, 2:])
    assert is_mapped(np.asarray(frames).reshape(-1)[3:])
    assert not is_mapped(np.array(frames))


def test_mapped_floats_are_packed_as_any_others(tmp_path: Path) -> None:
    episode = episodes_of([6], (4,))[0]
    np.save(tmp_path / "obs.npy", episode.obs)
    obs = np.load(tmp_path / "obs.npy", mmap_mode="r")
    mapped = Trajectory(obs=obs, acts=episode.acts, infos=None, terminal=episode.terminal)
    expert = flatten([mapped])
    assert not is_mapped(expert.obs)
    np.testing.assert_array_equal(expert.obs, episode.obs[:-1])


# --- Subsampling -------------------------------------------------------------------------------


@given(LENGTHS, st.integers(1, 8), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_every_nth_transition_from_an_offset_of_each_episode(
    lengths: list[int], every: int, seed: int
) -> None:
    episodes = episodes_of(lengths, seed=seed)
    kept = flatten(subsample_trajectories(episodes, every, np.random.default_rng(seed)))
    whole, at = flatten(episodes), 0
    for number, episode in enumerate(episodes):
        first = sum(lengths[:number])
        row = {bytes(obs): i for i, obs in enumerate(whole.obs[first : first + len(episode)])}
        offset = row[bytes(kept.obs[at])]
        steps = np.arange(offset, len(episode), every)
        assert offset < min(every, len(episode))
        expected = whole.take(first + steps)
        for mine, other in zip(kept, expected, strict=True):
            np.testing.assert_array_equal(mine[at : at + len(steps)], other)
        at += len(steps)
    assert at == len(kept)


def test_offsets_are_uniform_and_each_episodes_own() -> None:
    episodes = episodes_of([20] * 300, (1,), (1,))
    kept = subsample_trajectories(episodes, 5, np.random.default_rng(0))
    offsets = [
        int(np.flatnonzero(episode.obs[:-1, 0] == kept[4 * number].obs[0, 0])[0])
        for number, episode in enumerate(episodes)
    ]
    # Each of 5 offsets 60 times; six deviations of sqrt(300 * 0.2 * 0.8) = 6.9.
    assert len(kept) == 300 * 4
    assert all(abs(offsets.count(offset) - 60) < 42 for offset in range(5))
    assert max(offsets) == 4


# --- Splits ------------------------------------------------------------------------------------


@given(st.integers(2, 40), st.floats(0.01, 0.99), st.integers(0, 1000))
@settings(max_examples=80, deadline=None)
def test_a_split_has_every_episode_on_one_side(n: int, fraction: float, seed: int) -> None:
    episodes = episodes_of([3] * n)
    split = {"validation_fraction": fraction, "seed": seed}
    train, validation = sg.split_demonstrations(episodes, **split)
    assert train
    assert validation
    assert abs(len(validation) - n * fraction) <= 1
    ids = [id(episode) for episode in episodes]
    places = [[ids.index(id(e)) for e in side] for side in (train, validation)]
    assert sorted(places[0] + places[1]) == list(range(n))
    assert all(side == sorted(side) for side in places)
    again = sg.split_demonstrations(episodes, **split)
    assert [[id(e) for e in side] for side in again] == [
        [id(e) for e in side] for side in (train, validation)
    ]


def test_splits_depend_on_the_seed_and_hold_out_everyone_alike() -> None:
    episodes = episodes_of([2] * 5)
    held_out = [
        id(sg.split_demonstrations(episodes, seed=seed)[1][0]) for seed in range(500)
    ]  # 0.2 of 5: one
    # Each of 5 about 100 times; six deviations of sqrt(500 * 0.2 * 0.8) = 8.9.
    assert all(abs(held_out.count(id(episode)) - 100) < 54 for episode in episodes)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 2.0, float("nan")])
def test_a_share_that_is_none_is_refused(fraction: float) -> None:
    with pytest.raises(DemonstrationError, match="validation_fraction"):
        sg.split_demonstrations(episodes_of([3, 3]), validation_fraction=fraction)


def test_what_has_no_episodes_cannot_be_split() -> None:
    episodes = episodes_of([3, 4, 5])
    for few in ([], episodes[:1]):
        with pytest.raises(DemonstrationError, match="at least 2"):
            sg.split_demonstrations(few)
    with pytest.raises(DemonstrationError, match="give trajectories"):
        sg.split_demonstrations(flatten_trajectories(episodes))  # type: ignore[type-var]
    steps = subsample_trajectories(episodes, 2, np.random.default_rng(0))
    with pytest.raises(DemonstrationError, match="split whole episodes, then subsample"):
        sg.split_demonstrations(steps)
    train, validation = sg.split_demonstrations(episodes)  # as the message says
    assert len(subsample_trajectories(train, 2, np.random.default_rng(0))) >= 2
    assert len(validation) == 1
