"""Formats that hold pickles: ragged chapter files, `imitation`'s old ones, SB3's replay buffers."""

import os
import pickle
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from demonstration_files import assert_same_arrays, refused
from gymnasium import spaces
from imitation.data import serialize
from imitation.data.types import DictObs, TrajectoryWithRew
from stable_baselines3 import DQN, SAC
from stable_baselines3.common.buffers import DictReplayBuffer, ReplayBuffer

from sb3_gail_ext import DemonstrationError, load_demonstrations
from sb3_gail_ext.demonstrations.ends import TIME_LIMIT, end_of
from sb3_gail_ext.demonstrations.files import format_of
from sb3_gail_ext.demonstrations.returns import are_unknown

EXTERNAL = Path(__file__).parents[2] / "shared/external/imitation_cartpole_rollouts.npz"
Arrays = dict[str, Any]


class Malicious:
    """Its pickle creates a folder when it is loaded."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


def pickled(path: Path, value: Any, protocol: int = pickle.DEFAULT_PROTOCOL) -> Path:
    path.write_bytes(pickle.dumps(value, protocol))
    return path


def objects(values: list[Any]) -> np.ndarray:
    array = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):
        array[i] = value
    return array


def fuzz(original: Path, check: Callable[[list[TrajectoryWithRew]], None], n: int = 150) -> None:
    """Mutated copies load whole or end in a DemonstrationError."""
    rng = random.Random(0)
    data = original.read_bytes()
    path = original.with_name("mutated" + original.suffix)
    for _ in range(n):
        mutated = bytearray(data)
        for _ in range(rng.randint(1, 3)):
            mutated[rng.randrange(len(mutated))] = rng.randrange(256)
        path.write_bytes(mutated[: rng.choice([len(mutated), rng.randrange(len(mutated))])])
        try:
            check(load_demonstrations(path))
        except DemonstrationError as error:
            assert "\n" not in str(error)  # noqa: PT017


def assert_valid(episodes: list[TrajectoryWithRew]) -> None:
    assert episodes
    for episode in episodes:
        for array in (episode.obs, episode.acts):
            assert np.isfinite(array).all()
        assert np.isfinite(episode.rews).all() or are_unknown(episode.rews)


# --- Ragged chapter files ------------------------------------------------------------------------


def ragged_arrays(lengths: tuple[int, ...] = (5, 3, 4)) -> Arrays:
    rng = np.random.default_rng(0)
    rews = [rng.normal(size=n) for n in lengths]
    return {
        "ep_rets": np.array([r.sum() for r in rews]),
        "obs": objects([rng.normal(size=(n, 3)).astype(np.float32) for n in lengths]),
        "acs": objects([rng.normal(size=(n, 2)) for n in lengths]),
        "rews": objects(rews),
    }


def padded(arrays: Arrays) -> Arrays:
    """The same episodes, as a rectangular file has them."""
    longest = max(len(r) for r in arrays["rews"])

    def pad(episode: np.ndarray) -> np.ndarray:
        return np.concatenate(
            [episode, np.zeros((longest - len(episode), *episode.shape[1:]), episode.dtype)]
        )

    rows = {key: np.stack([pad(e) for e in arrays[key]]) for key in ("obs", "acs", "rews")}
    return {"ep_rets": arrays["ep_rets"], **rows}


def written(path: Path, arrays: Arrays) -> Path:
    np.savez(path, **arrays)
    return path


def test_ragged_files_are_read_as_rectangular_ones(tmp_path: Path) -> None:
    arrays = ragged_arrays()
    ragged = written(tmp_path / "ragged.npz", arrays)
    assert format_of(ragged) == "chapter"
    loaded = load_demonstrations(ragged)
    expected = load_demonstrations(written(tmp_path / "padded.npz", padded(arrays)))
    assert [len(episode) for episode in loaded] == [4, 2, 3]  # the last step leads nowhere
    for left, right in zip(loaded, expected, strict=True):
        assert_same_arrays(left, right)
        assert end_of(left) == "unknown"
        assert left.obs.flags.writeable


def test_ragged_obs_beside_padded_rewards(tmp_path: Path) -> None:
    arrays = ragged_arrays()
    expected = load_demonstrations(written(tmp_path / "a.npz", arrays))
    mixed = {**arrays, "rews": padded(arrays)["rews"]}
    for left, right in zip(
        load_demonstrations(written(tmp_path / "b.npz", mixed)), expected, strict=True
    ):
        assert_same_arrays(left, right)


def test_object_arrays_of_equal_episodes_and_lists(tmp_path: Path) -> None:
    arrays = ragged_arrays((4, 4))
    arrays["obs"] = objects([episode.astype(np.float64) for episode in arrays["obs"]])
    expected = load_demonstrations(written(tmp_path / "a.npz", arrays))
    stacked = {
        key: np.array([e.tolist() for e in arrays[key]], dtype=object)
        for key in ("obs", "acs", "rews")
    }
    assert stacked["obs"].shape == (2, 4, 3)
    lists = {key: objects([e.tolist() for e in arrays[key]]) for key in ("obs", "acs", "rews")}
    of_arrays = {key: objects([list(e) for e in arrays[key]]) for key in ("obs", "acs", "rews")}
    for i, variant in enumerate((stacked, lists, of_arrays)):
        path = written(tmp_path / f"{i}.npz", {**arrays, **variant})
        for left, right in zip(load_demonstrations(path), expected, strict=True):
            assert_same_arrays(left, right)


def test_ragged_episodes_of_one_step_have_nothing_left(tmp_path: Path) -> None:
    path = written(tmp_path / "x.npz", ragged_arrays((5, 1, 4)))
    assert [len(episode) for episode in load_demonstrations(path)] == [4, 3]
    refused(written(tmp_path / "y.npz", ragged_arrays((1, 1))), "all episodes have one step")


def test_discrete_ragged_actions(tmp_path: Path) -> None:
    arrays = {**ragged_arrays((3, 2)), "acs": objects([np.array([0, 1, 2]), np.array([3, 4])])}
    loaded = load_demonstrations(written(tmp_path / "x.npz", arrays))
    assert [episode.acts.tolist() for episode in loaded] == [[0, 1], [3]]


def one_changed(key: str, row: int, value: Any) -> Arrays:
    arrays = ragged_arrays()
    arrays[key][row] = value
    return arrays


def shared_lists() -> list[Any]:
    value: list[Any] = [0.0] * 100
    for _ in range(4):
        value = [value] * 100
    return value  # 10 ** 10 numbers


BAD_RAGGED = {
    "text": (one_changed("obs", 1, "episode"), ("array obs", "more than lists of numbers")),
    "a dictionary": (one_changed("acs", 1, {}), ("array acs", "more than lists of numbers")),
    "None in a list": (one_changed("rews", 1, [None] * 3), ("array rews",)),
    "one number": (one_changed("rews", 1, 1.0), ("array rews", "single numbers")),
    "unequal lists": (one_changed("obs", 1, [[1.0], [1.0, 2.0]]), ("array obs",)),
    "huge integers": (one_changed("acs", 1, [[2**80]] * 3), ("array acs", "dtype object")),
    "another shape": (one_changed("obs", 1, np.zeros((3, 4))), ("array obs", "differ in shape")),
    "another length": (one_changed("acs", 1, np.zeros((2, 2))), ("array acs",)),
    "another return": (one_changed("ep_rets", 1, 1e9), ("ep_rets of episode 1",)),
    "NaN": (one_changed("obs", 1, np.full((3, 3), np.nan)), ("episode 1, step 0",)),
    "empty": (
        {key: objects([]) for key in ("obs", "acs", "rews")} | {"ep_rets": np.zeros(0)},
        ("no steps",),
    ),
    "shared lists": (one_changed("obs", 1, shared_lists()), ("array obs",)),
}


@pytest.mark.parametrize(("arrays", "words"), BAD_RAGGED.values(), ids=BAD_RAGGED.keys())
def test_bad_ragged_files(tmp_path: Path, arrays: Arrays, words: tuple[str, ...]) -> None:
    refused(written(tmp_path / "x.npz", arrays), *words)


def test_one_long_and_many_empty_episodes_take_no_memory(tmp_path: Path) -> None:
    n = 100_000
    long, empty = np.ones((n, 3)), np.ones((0, 3))
    arrays = {
        "ep_rets": np.zeros(n),
        "obs": objects([long] + [empty] * (n - 1)),
        "acs": objects([long] + [empty] * (n - 1)),
        "rews": objects([np.zeros(n)] + [np.zeros(0)] * (n - 1)),
    }
    refused(written(tmp_path / "x.npz", arrays), "no steps")


def test_one_array_in_many_places_is_too_large(tmp_path: Path) -> None:
    episode = np.ones((100_000, 3))
    arrays = {**ragged_arrays(), "obs": objects([episode] * 10_000)}
    arrays["acs"], arrays["rews"], arrays["ep_rets"] = arrays["obs"], arrays["obs"], np.ones(10_000)
    refused(written(tmp_path / "x.npz", arrays), "array obs")


@pytest.mark.parametrize("key", ["obs", "acs", "rews"])
def test_names_in_ragged_files_are_refused(tmp_path: Path, key: str) -> None:
    target = tmp_path / "executed"
    path = written(tmp_path / "x.npz", one_changed(key, 1, [Malicious(target)]))
    refused(path, f"array {key} names posix.mkdir", "plain containers only")
    assert not target.exists()
    with np.load(path, allow_pickle=True) as npz:
        npz[key]
    assert target.exists()  # the file was a real threat


def test_mutated_ragged_files(tmp_path: Path) -> None:
    fuzz(written(tmp_path / "x.npz", ragged_arrays()), assert_valid)


# --- imitation -----------------------------------------------------------------------------------


def imitation_episodes() -> list[TrajectoryWithRew]:
    """A true terminal, a time limit, nothing known, and a fragment."""
    rng = np.random.default_rng(1)
    lasts = [{TIME_LIMIT: False, "x": np.float32(1)}, {TIME_LIMIT: True}, {}, {TIME_LIMIT: False}]
    return [
        TrajectoryWithRew(
            obs=rng.normal(size=(n + 1, 3)).astype(np.float32),
            acts=rng.normal(size=(n, 2)),
            infos=objects([{}] * (n - 1) + [last]),
            terminal=terminal,
            rews=rng.normal(size=n),
        )
        for n, last, terminal in zip((4, 1, 3, 2), lasts, (True, True, True, False), strict=True)
    ]


ENDS = ["terminal", "time limit", "unknown", "unknown"]


def imitation_arrays(episodes: list[TrajectoryWithRew] | None = None) -> Arrays:
    """As `imitation` wrote them until version 0.3."""
    episodes = imitation_episodes() if episodes is None else episodes
    return {
        **{k: np.concatenate([getattr(t, k) for t in episodes]) for k in ("obs", "acts", "infos")},
        "terminal": np.array([t.terminal for t in episodes]),
        "rews": np.concatenate([t.rews for t in episodes]),
        "indices": np.cumsum([len(t) for t in episodes[:-1]], dtype=np.int64),
    }


def test_imitation_npz(tmp_path: Path) -> None:
    path = written(tmp_path / "x.npz", imitation_arrays())
    assert format_of(path) == "imitation-npz"
    loaded = load_demonstrations(path)
    with pytest.warns(DeprecationWarning, match="old npz version"):
        expected = serialize.load(path)
    for left, right in zip(loaded, expected, strict=True):
        assert_same_arrays(left, right)
    assert [end_of(episode) for episode in loaded] == ENDS
    assert [episode.terminal for episode in loaded] == [True, False, False, False]


def test_one_episode_of_imitations(tmp_path: Path) -> None:
    episode = imitation_episodes()[0]
    path = written(tmp_path / "x.npz", imitation_arrays([episode]))
    assert_same_arrays(load_demonstrations(path)[0], episode)


def changed(key: str, change: Callable[[np.ndarray], Any]) -> Arrays:
    arrays = imitation_arrays()
    return {**arrays, key: change(arrays[key])}


def nan_at_3(array: np.ndarray) -> np.ndarray:
    array[3] = np.nan
    return array


BAD_IMITATION = {
    "no ends": (
        {k: v for k, v in imitation_arrays().items() if k != "terminal"},
        ("no array terminal",),
    ),
    "short obs": (changed("obs", lambda a: a[:-1]), ("array obs has 13 rows, but 14",)),
    "short infos": (changed("infos", lambda a: a[:-1]), ("array infos",)),
    "missing end": (changed("terminal", lambda a: a[:-1]), ("array obs",)),
    "two dimensions": (changed("rews", lambda a: a[:, None]), ("one dimension",)),
    "shrinking indices": (changed("indices", lambda a: a[::-1]), ("array indices",)),
    "indices behind the end": (changed("indices", lambda a: a + 5), ("array indices",)),
    "negative indices": (changed("indices", lambda a: a - 5), ("array indices",)),
    "float indices": (changed("indices", lambda a: a * 1.0), ("array indices",)),
    "NaN": (changed("acts", nan_at_3), ("episode 0: acts is not finite in step 3",)),
    "text": (changed("obs", lambda a: a.astype(str)), ("array obs", "numeric")),
    "no steps": ({k: a[:0] for k, a in imitation_arrays().items()}, ("array indices",)),
    "objects": (changed("terminal", lambda a: a.astype(object)), ("array terminal", "pickled")),
}


@pytest.mark.parametrize(("arrays", "words"), BAD_IMITATION.values(), ids=BAD_IMITATION.keys())
def test_bad_imitation_files(tmp_path: Path, arrays: Arrays, words: tuple[str, ...]) -> None:
    refused(written(tmp_path / "x.npz", arrays), *words)


def test_names_in_infos_are_refused(tmp_path: Path) -> None:
    target = tmp_path / "executed"
    infos = imitation_arrays()["infos"]
    infos[2] = {"a": [Malicious(target)]}
    path = written(tmp_path / "x.npz", {**imitation_arrays(), "infos": infos})
    refused(path, "array infos names posix.mkdir")
    assert not target.exists()


def test_mutated_imitation_npz(tmp_path: Path) -> None:
    fuzz(written(tmp_path / "x.npz", imitation_arrays()), assert_valid)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_imitation_pickle(tmp_path: Path, protocol: int) -> None:
    path = pickled(tmp_path / "x.pkl", imitation_episodes(), protocol)
    assert format_of(path) == "imitation-pickle"
    loaded = load_demonstrations(path)
    with pytest.warns(DeprecationWarning, match="old pickle version"):
        expected = serialize.load(path)
    for left, right in zip(loaded, expected, strict=True):
        assert_same_arrays(left, right)
        assert left.obs.flags.writeable
    assert [end_of(episode) for episode in loaded] == ENDS


def test_a_pickle_without_infos_and_one_without_terminal(tmp_path: Path) -> None:
    first, second, *_ = imitation_episodes()
    first.__dict__["infos"] = None
    del second.__dict__["terminal"]
    second.__dict__["infos"] = second.infos.tolist()
    loaded = load_demonstrations(pickled(tmp_path / "x.pkl", [first, second]))
    assert [end_of(episode) for episode in loaded] == ["unknown", "time limit"]


def with_state(**state: Any) -> list[TrajectoryWithRew]:
    episodes = imitation_episodes()
    episodes[1].__dict__.update(state)
    return episodes


N = 100_000
LONG = TrajectoryWithRew(np.ones((N + 1, 3)), np.ones((N, 3)), None, False, np.ones(N))

BAD_PICKLES = {
    "one trajectory": (imitation_episodes()[0], ("not a list",)),
    "other things": ([*imitation_episodes(), 3], ("episode 4", "no trajectory")),
    "dictionaries": (with_state(obs=DictObs({"a": np.zeros((2, 3))})), ("dictionaries",)),
    "lists": (with_state(acts=[[1.0, 2.0]]), ("episode 1", "acts is no array (list)")),
    "lengths": (with_state(acts=np.zeros((5, 2))), ("episode 1", "shapes of obs (2, 3)")),
    "no steps": (with_state(acts=np.zeros((0, 2)), rews=np.zeros(0), obs=np.ones((1, 3))), ()),
    "infos": (with_state(infos=[{}] * 7), ("episode 1", "infos")),
    "shapes": (with_state(acts=np.zeros((1, 4))), ("acts of the episodes differ",)),
    "dtypes": (with_state(obs=np.zeros((2, 3))), ("obs of the episodes differ",)),
    "infinite": (with_state(rews=np.full(1, np.inf)), ("episode 1: rews is not finite in step 0",)),
    "NaN": (with_state(rews=np.full(1, np.nan)), ("rews of episode 1 are NaN or missing",)),
    "copies": ([LONG] * 1_000, ("array obs, acts, rews",)),
}


@pytest.mark.parametrize(("value", "words"), BAD_PICKLES.values(), ids=BAD_PICKLES.keys())
def test_bad_imitation_pickles(tmp_path: Path, value: Any, words: tuple[str, ...]) -> None:
    refused(pickled(tmp_path / "x.pkl", value), *words)


def test_names_beside_trajectories_are_refused(tmp_path: Path) -> None:
    target = tmp_path / "executed"
    path = pickled(tmp_path / "x.pkl", [*imitation_episodes(), Malicious(target)])
    refused(path, "the file names posix.mkdir")
    assert not target.exists()
    pickle.loads(path.read_bytes())
    assert target.exists()  # the file was a real threat


def test_mutated_imitation_pickles(tmp_path: Path) -> None:
    fuzz(pickled(tmp_path / "x.pkl", imitation_episodes()), assert_valid)


@pytest.mark.skipif(not EXTERNAL.exists(), reason="the file is not here")
def test_a_file_that_imitation_ships() -> None:
    loaded = load_demonstrations(EXTERNAL)
    with np.load(EXTERNAL, allow_pickle=True) as npz:
        arrays = dict(npz)
    assert len(loaded) == 57
    assert sum(len(episode) for episode in loaded) == 26_964
    for key in ("obs", "acts", "rews"):
        joined = np.concatenate([getattr(episode, key) for episode in loaded])
        assert joined.dtype == arrays[key].dtype
        np.testing.assert_array_equal(joined, arrays[key])
    assert (
        np.cumsum([len(episode) for episode in loaded])[:-1].tolist() == arrays["indices"].tolist()
    )
    assert {end_of(episode) for episode in loaded} == {"unknown"}  # its infos are all empty


# --- Replay buffers ------------------------------------------------------------------------------

BOX = spaces.Box(-np.ones(1, np.float32) * 10_000, np.ones(1, np.float32) * 10_000)
ACTIONS = spaces.Box(np.array([0.0, -2.0], np.float32), np.array([4.0, 2.0], np.float32))


def buffer(size: int, *, n_envs: int = 1, **kwargs: Any) -> ReplayBuffer:
    return ReplayBuffer(size, BOX, ACTIONS, "cpu", n_envs=n_envs, **kwargs)


def play(to: ReplayBuffer, ends: str, first: int = 0) -> None:
    """Step t leads from observation t to t + 1, or to -t where it ends; then t + 1 is the reset's.

    :param ends: a letter a step: "." goes on, "T" is terminal, "L" a time limit.
    """
    for t, end in enumerate(ends, first):
        final = t + 1 if end == "." else -t
        infos = [{TIME_LIMIT: end == "L"}] * to.n_envs
        shape = (to.n_envs, 1)
        to.add(
            np.full(shape, t),
            np.full(shape, final),
            np.full((to.n_envs, 2), [0.5, -0.5]),
            np.full(to.n_envs, t),
            np.full(to.n_envs, end != "."),
            infos,
        )


def read(path: Path, saved: ReplayBuffer) -> list[tuple[list[float], str]]:
    """Observations and end of each episode."""
    pickled(path, saved, pickle.HIGHEST_PROTOCOL)
    assert format_of(path) == "sb3-replay-buffer"
    loaded = load_demonstrations(path)
    for episode in loaded:
        assert episode.rews.tolist() == episode.obs[:-1, 0].tolist()
        # 0.5 of [0, 4] is 0 + 0.75 * 4, and -0.5 of [-2, 2] is -2 + 0.25 * 4
        assert episode.acts.tolist() == [[3.0, -1.0]] * len(episode)
    return [(episode.obs[:, 0].tolist(), end_of(episode)) for episode in loaded]


def test_episodes_of_a_buffer(tmp_path: Path) -> None:
    ours = buffer(20)
    play(ours, "..T.L..")
    assert read(tmp_path / "x.pkl", ours) == [
        ([0, 1, 2, -2], "terminal"),
        ([3, 4, -4], "time limit"),
        ([5, 6, 7], "unknown"),
    ]


def test_a_full_buffer_begins_with_its_oldest_step(tmp_path: Path) -> None:
    ours = buffer(5)
    play(ours, "..T..L.")  # steps 0 and 1 are overwritten
    assert read(tmp_path / "x.pkl", ours) == [
        ([2, -2], "terminal"),
        ([3, 4, 5, -5], "time limit"),
        ([6, 7], "unknown"),
    ]


def test_a_buffer_that_is_exactly_full(tmp_path: Path) -> None:
    ours = buffer(3)
    play(ours, "..T")
    assert read(tmp_path / "x.pkl", ours) == [([0, 1, 2, -2], "terminal")]


def test_environments_side_by_side(tmp_path: Path) -> None:
    ours = buffer(20, n_envs=2)
    play(ours, ".T.")
    assert read(tmp_path / "x.pkl", ours) == [([0, 1, -1], "terminal"), ([2, 3], "unknown")] * 2


def test_without_timeouts_no_end_is_known(tmp_path: Path) -> None:
    ours = buffer(20, handle_timeout_termination=False)
    play(ours, ".T.L.")
    assert read(tmp_path / "x.pkl", ours) == [
        ([0, 1, -1], "unknown"),
        ([2, 3, -3], "unknown"),
        ([4, 5], "unknown"),
    ]


OPTIMIZED = {"optimize_memory_usage": True, "handle_timeout_termination": False}


def test_optimized_buffers_lose_final_observations(tmp_path: Path) -> None:
    ours = buffer(20, **OPTIMIZED)
    play(ours, "..TT..")  # the second episode has one step, of which nothing is left
    assert read(tmp_path / "x.pkl", ours) == [([0, 1, 2], "unknown"), ([4, 5, 6], "unknown")]


def test_the_latest_final_observation_is_still_there(tmp_path: Path) -> None:
    ours = buffer(20, **OPTIMIZED)
    play(ours, "..T")
    assert read(tmp_path / "x.pkl", ours) == [([0, 1, 2, -2], "unknown")]


def test_a_full_optimized_buffer(tmp_path: Path) -> None:
    ours = buffer(5, **OPTIMIZED)
    play(ours, "......T..")
    # Rows hold steps 5, 6, 7, 8 and 4, whose observation was overwritten by where step 8 led.
    assert read(tmp_path / "x.pkl", ours) == [([5, 6], "unknown"), ([7, 8, 9], "unknown")]


def test_a_reset_in_the_middle_splits_an_episode(tmp_path: Path) -> None:
    ours = buffer(20)
    play(ours, "..")
    play(ours, "..T", first=50)
    assert read(tmp_path / "x.pkl", ours) == [
        ([0, 1, 2], "unknown"),
        ([50, 51, 52, -52], "terminal"),
    ]


class Recorder(gym.Wrapper):
    """Keeps the actions that reach the environment."""

    def __init__(self, env: gym.Env) -> None:
        super().__init__(env)
        self.actions: list[Any] = []

    def step(self, action: Any) -> Any:
        self.actions.append(np.array(action))
        return super().step(action)


def test_actions_are_those_that_the_environment_got(tmp_path: Path) -> None:
    env = Recorder(gym.make("Pendulum-v1"))  # actions in [-2, 2], episodes of 200 steps
    model = SAC("MlpPolicy", env, learning_starts=20, buffer_size=1_000, seed=0, train_freq=50)
    model.learn(250)
    model.save_replay_buffer(tmp_path / "x.pkl")
    episodes = load_demonstrations(tmp_path / "x.pkl")
    assert [(len(e), end_of(e)) for e in episodes] == [(200, "time limit"), (50, "unknown")]
    np.testing.assert_array_equal(np.concatenate([e.acts for e in episodes]), np.stack(env.actions))
    assert episodes[0].obs.dtype == episodes[0].acts.dtype == np.float32


def test_discrete_actions_of_a_buffer(tmp_path: Path) -> None:
    env = Recorder(gym.make("CartPole-v1"))
    model = DQN("MlpPolicy", env, learning_starts=1_000, buffer_size=500, seed=0)
    model.learn(60)
    model.save_replay_buffer(tmp_path / "x.pkl")
    episodes = load_demonstrations(tmp_path / "x.pkl")
    assert np.concatenate([e.acts for e in episodes]).tolist() == [int(a) for a in env.actions]
    assert episodes[0].acts.dtype.kind == "i"
    assert {end_of(e) for e in episodes[:-1]} == {"terminal"}


def altered(**state: Any) -> ReplayBuffer:
    ours = buffer(8)
    play(ours, "..T.")
    ours.__dict__.update(state)
    return ours


def unbounded() -> spaces.Box:
    return spaces.Box(-np.inf, np.inf, (2,))


DICTIONARIES = DictReplayBuffer(5, spaces.Dict({"a": BOX}), ACTIONS, "cpu")

BAD_BUFFERS = {
    "empty": (buffer(5), ("empty buffer",)),
    "dictionaries": (DICTIONARIES, ("DictReplayBuffer", "dictionaries")),
    "no bounds": (altered(action_space=unbounded()), ("finite low and high",)),
    "no space": (altered(action_space=None), ("no action space",)),
    "unscaled": (altered(actions=np.full((8, 1, 2), 2.0)), ("outside [-1, 1]",)),
    "infinite": (altered(rewards=np.full((8, 1), np.inf)), ("environment 0", "rews is not finite")),
    "text": (altered(rewards="none"), ("no array rewards",)),
    "shapes": (altered(dones=np.zeros((7, 1))), ("arrays of shapes",)),
    "no environments": (
        altered(**{k: a[:, :0] for k, a in vars(altered()).items() if isinstance(a, np.ndarray)}),
        ("no episodes",),
    ),
    "pos behind the end": (altered(pos=8), ("which of its 8 steps",)),
    "negative pos": (altered(pos=-1), ("which of its 8 steps",)),
    "pos is text": (altered(pos="3"), ("which of its 8 steps",)),
}


@pytest.mark.parametrize(("value", "words"), BAD_BUFFERS.values(), ids=BAD_BUFFERS.keys())
def test_bad_buffers(tmp_path: Path, value: Any, words: tuple[str, ...]) -> None:
    refused(pickled(tmp_path / "x.pkl", value), *words)


def test_hindsight_buffers_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(b"cstable_baselines3.her.her_replay_buffer\nHerReplayBuffer\n)R}b.")
    refused(path, "HerReplayBuffer", "dictionaries")


def test_names_in_buffers_are_refused(tmp_path: Path) -> None:
    target = tmp_path / "executed"
    path = pickled(tmp_path / "x.pkl", altered(device=Malicious(target)))
    refused(path, "the file names posix.mkdir")
    assert not target.exists()


def test_mutated_buffers(tmp_path: Path) -> None:
    fuzz(pickled(tmp_path / "x.pkl", altered()), assert_valid)


# --- Found by content ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", ("not an .npz",)),
        (b"\x80", ("not an .npz",)),
        (b"\x80\x09abc", ("not an .npz",)),
        (b"name,value\n1,2\n", ("not an .npz",)),
        (b"cos\nmkdir\n", ("not an .npz",)),
        (b"(this is text.", ("not an .npz",)),
        (pickle.dumps([1, 2]), ("known format",)),
        (pickle.dumps(np.zeros(3)), ("known format", "_reconstruct")),
        (b"cos\nmkdir\n(Va\ntR.", ("known format", "os.mkdir")),
    ],
    ids=repr,
)
def test_other_files(tmp_path: Path, data: bytes, words: tuple[str, ...]) -> None:
    path = tmp_path / "x"
    path.write_bytes(data)
    refused(path, *words)


@pytest.mark.parametrize("format", ["imitation-npz", "imitation-pickle", "sb3-replay-buffer"])
def test_no_file(tmp_path: Path, format: str) -> None:
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(DemonstrationError, match=str(path)):
            load_demonstrations(path, format=format)
