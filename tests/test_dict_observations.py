"""Dictionaries of observations: their encoding, and that everybody gets what it is for."""

from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from imitation.data import rollout, wrappers
from imitation.data.types import DictObs, TrajectoryWithRew
from imitation.rewards.reward_nets import BasicRewardNet
from sb3_contrib import TRPO
from stable_baselines3 import PPO
from stable_baselines3.common.preprocessing import preprocess_obs
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
from tiny_envs import Pit, Rooms, RoomsExpert

from sb3_gail_ext import (
    BC,
    DAC,
    GAIL,
    SQIL,
    ChapterFigureCallback,
    DAgger,
    DemonstrationError,
    KeepBestImitator,
    adversarial,
    imitation_distance,
    record_demonstrations,
    save_demonstrations,
)
from sb3_gail_ext.cli.common import InputError, check_imitable
from sb3_gail_ext.demonstrations.checks import check_supported_spaces
from sb3_gail_ext.demonstrations.dict_observations import (
    as_arrays,
    flat_space,
    flatten_obs,
    unflatten_obs,
)
from sb3_gail_ext.policies.actions import as_policy_knows

SPACE = spaces.Dict(
    {
        "angle": spaces.Box(-2.0, 3.0, (2, 2), np.float64),
        "bits": spaces.MultiBinary(2),
        "choice": spaces.Discrete(3),
        "codes": spaces.MultiDiscrete([2, 3]),
        "image": spaces.Box(0, 255, (36, 36, 1), np.uint8),
    }
)
ON: dict[str, Any] = {
    "n_steps": 20,
    "batch_size": 20,
    "warm_start_updates": 3,
    "device": "cpu",
    "seed": 0,
    "policy_kwargs": {"net_arch": [8]},
}
OFF: dict[str, Any] = {
    "buffer_size": 200,
    "learning_starts": 4,
    "batch_size": 8,
    "device": "cpu",
    "seed": 0,
    "policy_kwargs": {"net_arch": [8]},
}


def some(n: int) -> dict[str, np.ndarray]:
    """As a VecEnv hands them over: a Discrete key is (n,)."""
    SPACE.seed(0)
    drawn = [SPACE.sample() for _ in range(n)]
    return {key: np.stack([obs[key] for obs in drawn]) for key in SPACE.spaces}


def rooms(continuous: bool = True, **kwargs: Any) -> Rooms:
    return Rooms(Pit(continuous), **kwargs)


def episodes(continuous: bool = True, n: int = 2, **kwargs: Any) -> list[TrajectoryWithRew]:
    return record_demonstrations(RoomsExpert(continuous), rooms(continuous, **kwargs), n)


# --- The encoding -------------------------------------------------------------------------------


def test_rows_are_what_sb3_prepares_for_its_networks() -> None:
    obs = some(5)
    flat = flatten_obs(SPACE, obs)
    tensors = {key: th.as_tensor(array) for key, array in obs.items()}
    prepared = preprocess_obs(tensors, SPACE)
    expected = th.cat([prepared[key].reshape(5, -1) for key in SPACE.spaces], dim=1)
    np.testing.assert_array_equal(flat, expected.numpy())
    assert flat.dtype == np.float32


def test_dictionaries_come_back() -> None:
    obs = some(5)
    back = unflatten_obs(SPACE, flatten_obs(SPACE, obs))
    for key, array in obs.items():
        same_shape = back[key].reshape(array.shape)
        np.testing.assert_array_equal(same_shape, array.astype(np.float32))
        assert back[key].dtype == SPACE[key].dtype
    assert back["choice"].shape == (5, 1)  # as SB3's buffers hold it
    np.testing.assert_array_equal(flatten_obs(SPACE, back), flatten_obs(SPACE, obs))


def test_the_flat_space_holds_the_rows() -> None:
    flat = flat_space(SPACE)
    assert flat.shape == (4 + 2 + 3 + 5 + 36 * 36,)
    assert all(flat.contains(row) for row in flatten_obs(SPACE, some(5)))
    np.testing.assert_array_equal(flat.low[:4], -2.0)
    assert flat.low[4:].max() == 0
    assert flat.high[4:].min() == 1


def test_arrays_pass() -> None:
    array, space = np.ones((3, 2), np.float32), spaces.Box(-1, 1, (2,))
    assert flatten_obs(space, array) is array
    assert unflatten_obs(space, array) is array
    assert flat_space(space) is space
    demonstrations = [object()]
    assert as_arrays(space, demonstrations) is demonstrations  # type: ignore[arg-type,comparison-overlap]


# --- Demonstrations -----------------------------------------------------------------------------


def test_recorded_episodes_hold_what_the_environment_gave() -> None:
    env = rooms()
    episode = record_demonstrations(RoomsExpert(True), env, 1, seed=5)[0]
    obs, _ = env.reset(seed=5)
    for step in range(len(episode) + 1):
        for key, value in obs.items():
            recorded = episode.obs[step].get(key)
            np.testing.assert_array_equal(recorded, value)
            assert recorded.dtype == np.asarray(value).dtype
        if step < len(episode):
            obs, *_ = env.step(episode.acts[step])


def test_a_vecnormalize_is_undone_in_what_is_recorded() -> None:
    plain = episodes(n=1)[0]
    venv = VecNormalize(DummyVecEnv([rooms]), norm_obs_keys=["place"])
    venv.obs_rms["place"].mean[:] = 0.0
    recorded = record_demonstrations(RoomsExpert(True), venv, 1)[0]
    np.testing.assert_allclose(recorded.obs.get("place"), plain.obs.get("place"), atol=1e-6)
    assert recorded.obs.dtype == plain.obs.dtype


def test_demonstrations_of_imitation_itself_are_taken() -> None:
    venv = DummyVecEnv([lambda: wrappers.RolloutInfoWrapper(rooms())])
    expert = PPO("MultiInputPolicy", venv, n_steps=8, batch_size=8, device="cpu")
    until = rollout.make_sample_until(min_episodes=2)
    given = rollout.rollout(expert, venv, until, rng=np.random.default_rng(0))
    as_episodes = GAIL("MultiInputPolicy", rooms(), given, **ON).expert
    steps = rollout.flatten_trajectories(given)
    as_transitions = GAIL("MultiInputPolicy", rooms(), steps, **ON).expert
    assert as_episodes is not None
    assert as_transitions is not None
    for one, two in zip(as_episodes, as_transitions, strict=True):
        np.testing.assert_array_equal(one, two)


def test_images_are_turned_as_sb3_turns_the_environments() -> None:
    settings = {**ON, "warm_start_updates": 1, "n_epochs": 1}
    model = GAIL("MultiInputPolicy", rooms(picture=True), episodes(picture=True), **settings)
    assert model.observation_space["picture"].shape == (1, 36, 36)
    model.learn(20)
    assert model.expert is not None
    recorded = model.rollout_buffer.transitions()
    assert recorded.obs.shape[1] == model.expert.obs.shape[1] == 2 + 3 + 5 + 2 + 36 * 36


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda obs: obs.pop("lamps"), r"obs has the keys \['phase', 'place', 'signs'\]"),
        (lambda obs: obs.update(place=obs["place"][:, :1]), r"obs\['place'\] has shape \(1,\) per"),
        (lambda obs: obs.update(phase=obs["phase"] + 1), r"obs\['phase'\] must be integers"),
        (lambda obs: obs.update(place=obs["place"] * np.nan), "obs holds NaN"),
    ],
)
def test_the_key_that_is_wrong_is_named(change: Any, words: str) -> None:
    episode = episodes(n=1)[0]
    obs = episode.obs.unwrap()
    change(obs)
    with pytest.raises(DemonstrationError, match=words):
        GAIL("MultiInputPolicy", rooms(), [replace(episode, obs=DictObs(obs))], **ON)


def test_what_cannot_be_done_is_refused_in_one_line(tmp_path: Any, line_env: Any) -> None:
    with pytest.raises(DemonstrationError, match="observations are dictionaries"):
        save_demonstrations(tmp_path / "file.npz", episodes())
    assert not list(tmp_path.iterdir())
    with pytest.raises(DemonstrationError, match="observations are dictionaries"):
        imitation_distance(episodes(), episodes())
    with pytest.raises(DemonstrationError, match="observations are dictionaries"):
        GAIL("MlpPolicy", line_env(), episodes(), **{**ON, "policy_kwargs": None})
    nested = spaces.Dict({"outer": spaces.Dict({"inner": SPACE["angle"]})})
    with pytest.raises(ValueError, match=r"observations\['outer'\] of type Dict"):
        check_supported_spaces(nested, spaces.Discrete(2))


def test_the_command_line_refuses_them() -> None:
    gym.register("Rooms-v0", entry_point=rooms)
    with pytest.raises(InputError, match="Rooms-v0: its observations are dictionaries"):
        check_imitable("Rooms-v0")


# --- Who sees what ------------------------------------------------------------------------------


def test_policies_see_dictionaries_normalised_by_key() -> None:
    venv = VecNormalize(DummyVecEnv([rooms]), norm_obs_keys=["place"])
    model = BC("MultiInputPolicy", venv, episodes(), device="cpu", seed=0)
    assert model.expert is not None
    place = model.expert.obs[:, flat_columns("place")]
    np.testing.assert_allclose(venv.obs_rms["place"].mean, place.mean(0), atol=1e-3)
    seen, _ = as_policy_knows(model, model.expert.obs, model.expert.acts)
    assert isinstance(seen, DictObs)
    assert abs(seen.get("place").mean()) < 1e-2
    np.testing.assert_array_equal(seen.get("phase")[:5, 0], [0, 1, 2, 0, 1])


def flat_columns(key: str) -> slice:
    space = rooms().observation_space
    widths = {"lamps": 2, "phase": 3, "place": 2, "signs": 5}
    before = sum(widths[other] for other in list(space.spaces)[: list(space.spaces).index(key)])
    return slice(before, before + widths[key])


@pytest.mark.parametrize("normalize", [False, True])
def test_the_rollouts_transitions_are_the_environments(normalize: bool) -> None:
    def as_seen(venv: Any) -> Any:
        return VecNormalize(venv, norm_obs_keys=["place"], clip_obs=1e9) if normalize else venv

    venv = as_seen(DummyVecEnv([rooms, rooms]))
    model = GAIL("MultiInputPolicy", venv, episodes(), **ON).learn(40)
    transitions = model.rollout_buffer.transitions()
    place = transitions.obs[:, flat_columns("place")]
    step = np.round(place[:, 1] * 10).astype(int)
    phase = transitions.obs[:, flat_columns("phase")].argmax(1)
    np.testing.assert_array_equal(phase, step % 3)
    next_place = transitions.next_obs[:, flat_columns("place")]
    moved = place[:, 0] + Pit.STEP * transitions.acts[:, 0]
    np.testing.assert_allclose(next_place[:, 0], moved, atol=1e-4)  # at ends, too


def test_a_replay_sample_is_what_was_stored_and_demonstrated() -> None:
    given = episodes()
    model = DAC("MultiInputPolicy", rooms(), given, **OFF, expert_share=0.5, warm_start_updates=2)
    model.learn(60)
    sample = model.replay_buffer.sample(200)
    place = sample.observations["place"].numpy()
    step = np.round(place[:, 1] * 10).astype(int)
    np.testing.assert_array_equal(sample.observations["phase"].numpy()[:, 0], step % 3)
    np.testing.assert_array_equal(sample.observations["signs"].numpy()[:, 0], step % 2)
    acts = sample.actions.numpy()[:, 0]
    moved = np.clip(place[:, 0] + Pit.STEP * acts, -1, 1)
    np.testing.assert_allclose(sample.next_observations["place"].numpy()[:, 0], moved, atol=1e-5)
    demonstrated = np.concatenate([episode.obs.get("place")[:-1] for episode in given])
    assert np.isin(place[:100, 0], demonstrated[:, 0].astype(np.float32)).all()
    latest = model.replay_buffer.latest_episode(0, 3)
    assert latest.obs.shape == (4, 12)


def test_half_of_sqils_sample_is_demonstrated() -> None:
    model = SQIL("MultiInputPolicy", rooms(False), episodes(False), **OFF).learn(40)
    sample = model.replay_buffer.sample(20)
    np.testing.assert_array_equal(sample.rewards.numpy()[:, 0], np.repeat([0, 1], 10))
    step = np.round(sample.observations["place"].numpy()[:, 1] * 10).astype(int)
    np.testing.assert_array_equal(sample.observations["phase"].numpy()[:, 0], step % 3)


def test_the_reward_is_the_same_of_dictionaries_and_rows() -> None:
    model = GAIL("MultiInputPolicy", rooms(), episodes(), **ON)
    env, dones = rooms(), np.zeros(1, bool)
    obs, acts = {k: np.asarray(v)[None] for k, v in env.reset(seed=0)[0].items()}, np.ones((1, 1))
    flat = flatten_obs(model.observation_space, obs)
    rewards = [model.discriminator.reward(o, acts, o, dones) for o in (obs, flat)]
    np.testing.assert_array_equal(*rewards)


def test_a_reward_net_of_the_users_sees_rows() -> None:
    flat = flat_space(rooms().observation_space)
    net = BasicRewardNet(flat, rooms().action_space, hid_sizes=(4,))
    model = GAIL("MultiInputPolicy", rooms(), episodes(), reward_net=net, **ON).learn(20)
    assert model.discriminator.net.base is net


def test_a_trpo_and_a_dagger_learn_from_dictionaries() -> None:
    settings = {key: value for key, value in ON.items() if key != "warm_start_updates"}
    adversarial(TRPO)("MultiInputPolicy", rooms(False), episodes(False), **ON).learn(40)
    del settings["n_steps"]
    model = DAgger(
        *("MultiInputPolicy", rooms()),
        **{**settings, "expert": RoomsExpert(True), "steps_per_round": 20, "updates_per_round": 2},
    ).learn(40)
    obs, acts = model._aggregate()
    place = obs[:, flat_columns("place")]
    np.testing.assert_allclose(acts, np.clip(-place[:, :1] / Pit.STEP, -1, 1), atol=1e-6)


def test_the_clone_of_a_dictionary_walks_to_the_middle() -> None:
    model = BC("MultiInputPolicy", rooms(), episodes(n=4), device="cpu", seed=0)
    model.learn(256 * 300)
    played = record_demonstrations(model, rooms(), 2, seed=7)
    assert [len(episode) for episode in played] == [Pit.TIME_LIMIT] * 2
    assert max(abs(episode.obs.get("place")[5:, 0]).max() for episode in played) < 0.05


def test_the_best_imitator_is_kept(tmp_path: Any) -> None:
    venv = DummyVecEnv([rooms])
    keep = KeepBestImitator(venv, episodes(), tmp_path / "best", every=20, n_episodes=1)
    GAIL("MultiInputPolicy", rooms(), episodes(), **ON).learn(40, callback=keep)
    assert (tmp_path / "best.zip").exists()
    assert np.isfinite(keep.distances).all()


def test_the_chapters_figure_is_drawn_of_dictionaries(tmp_path: Any) -> None:
    flat = as_arrays(rooms().observation_space, episodes())
    figure = ChapterFigureCallback(
        DummyVecEnv([rooms]),
        episodes()[0],
        tmp_path / "figure.png",
        every=20,
        n_episodes=1,
        demonstrations=flat,  # type: ignore[arg-type]
    )
    GAIL("MultiInputPolicy", rooms(), episodes(), **ON).learn(20, callback=figure)
    assert (tmp_path / "figure.png").exists()
    assert len(figure.expert_rewards) == len(episodes()[0])
