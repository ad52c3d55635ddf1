"""GAIfO: imitation of what is seen, whatever the demonstrations say of actions."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from imitation.data.rollout import flatten_trajectories
from imitation.data.types import Trajectory, TrajectoryWithRew
from imitation.rewards.reward_nets import BasicRewardNet, CnnRewardNet
from sb3_contrib import TRPO
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv
from tiny_envs import Goal, expert_episodes

from sb3_gail_ext import GAIL, DemonstrationError, GAIfO, load_demonstrations, save_demonstrations
from sb3_gail_ext.algorithms.gaifo import FromObservation
from sb3_gail_ext.demonstrations.state_only import flatten_states
from sb3_gail_ext.rewards.networks import check_ignores_actions, default_reward_net

SMALL = {"n_steps": 64, "batch_size": 64, "n_epochs": 2, "device": "cpu", "seed": 0}
ENV_IDS = ["Pendulum-v1", "CartPole-v1"]


def gaifo(env: Any, demonstrations: Any, **kwargs: Any) -> GAIfO:
    return GAIfO("MlpPolicy", env, demonstrations, **{**SMALL, **kwargs})


def weights(model: Any) -> list[th.Tensor]:
    nets = (model.policy, model.discriminator.net)
    return [value.clone() for net in nets for value in net.state_dict().values()]


def same(left: list[th.Tensor], right: list[th.Tensor]) -> bool:
    return all(th.equal(a, b) for a, b in zip(left, right, strict=True))


@pytest.fixture
def experts(pendulum_expert: Any, cartpole_expert: Any) -> dict[str, list[TrajectoryWithRew]]:
    return {"Pendulum-v1": pendulum_expert, "CartPole-v1": cartpole_expert}


def with_acts(episodes: list[TrajectoryWithRew], *shape: int, value: float) -> list[Any]:
    return [replace(e, acts=np.full((len(e), *shape), value)) for e in episodes]


# --- Demonstrations ------------------------------------------------------------------------------


@pytest.mark.parametrize("env_id", ENV_IDS)
def test_not_a_bit_of_what_is_learned_depends_on_the_experts_actions(
    env_id: str, experts: dict[str, Any]
) -> None:
    expert = experts[env_id]
    trained = weights(gaifo(env_id, expert).learn(128))
    none = with_acts(expert, 0, value=0.0)
    unknown = with_acts(expert, 1, value=np.nan)
    anothers = with_acts(expert, 17, value=1e6)  # a humanoid's
    mixed = [*anothers[:1], *unknown[1:]]
    plain = [Trajectory(e.obs, np.zeros((len(e), 0)), None, e.terminal) for e in expert]
    for given in (none, unknown, anothers, mixed, plain, flatten_trajectories(anothers)):
        assert same(weights(gaifo(env_id, given).learn(128)), trained)


def test_observations_still_have_to_fit(experts: dict[str, Any]) -> None:
    with pytest.raises(DemonstrationError, match=r"obs has shape \(4,\).*another environment"):
        gaifo("Pendulum-v1", experts["CartPole-v1"])
    broken = [replace(e, obs=np.full_like(e.obs, np.nan)) for e in experts["Pendulum-v1"]]
    with pytest.raises(DemonstrationError, match="obs holds NaN"):
        gaifo("Pendulum-v1", broken)
    with pytest.raises(DemonstrationError, match="empty"):
        gaifo("Pendulum-v1", [])


def test_files_without_actions_hold_none_of_each_step(
    tmp_path: Path, experts: dict[str, Any]
) -> None:
    """`acs` of shape (N, T, 0): written, read, imitated, and refused by what needs actions."""
    expert, path = experts["Pendulum-v1"], tmp_path / "observations.npz"
    save_demonstrations(path, with_acts(expert, 0, value=0.0))
    assert load_demonstrations(path)[0].acts.shape == (len(expert[0]), 0)
    from_file = gaifo("Pendulum-v1", path).learn(64)
    assert same(weights(from_file), weights(gaifo("Pendulum-v1", expert).learn(64)))
    with pytest.raises(DemonstrationError, match=f"{path}: acts has shape \\(0,\\)"):
        GAIL("MlpPolicy", "Pendulum-v1", path, device="cpu")


def test_a_foreign_file_without_actions_is_told_how_to_say_so(
    tmp_path: Path, experts: dict[str, Any]
) -> None:
    obs = np.stack([e.obs[:-1] for e in experts["Pendulum-v1"]])
    rews = np.zeros(obs.shape[:2])
    arrays = {"obs": obs, "rews": rews, "ep_rets": rews.sum(1)}
    np.savez(tmp_path / "foreign.npz", **arrays)
    with pytest.raises(DemonstrationError, match=r"no array acs.*np\.zeros\(\(N, T, 0\)\)"):
        gaifo("Pendulum-v1", tmp_path / "foreign.npz")
    np.savez(tmp_path / "foreign.npz", **arrays, acs=np.zeros((*rews.shape, 0)))
    model = gaifo("Pendulum-v1", tmp_path / "foreign.npz")
    assert len(model.expert) == rews.size - len(rews)  # without final observations


@pytest.mark.parametrize(
    "space",
    [
        spaces.Box(np.array([0.5, -2.0], np.float32), np.array([1.0, -1.0], np.float32)),
        spaces.Box(-np.inf, np.inf, (3,), np.float32),
        spaces.Discrete(4),
        spaces.Discrete(4, start=2),
    ],
)
def test_what_stands_for_an_action_is_one(space: spaces.Space, experts: dict[str, Any]) -> None:
    expert = experts["CartPole-v1"]
    flat = flatten_states(expert, space)
    assert flat.acts.shape == (sum(len(e) for e in expert), *space.shape)
    assert space.contains(flat.acts[0])
    assert (flat.acts == flat.acts[0]).all()
    np.testing.assert_array_equal(flat.next_obs[:5], expert[0].obs[1:6])
    np.testing.assert_array_equal(
        np.flatnonzero(flat.dones),
        [
            i
            for i, e in zip(np.cumsum([len(e) for e in expert]) - 1, expert, strict=True)
            if e.terminal
        ],
    )


# --- The discriminator ---------------------------------------------------------------------------


@pytest.mark.parametrize("env_id", ENV_IDS)
def test_rewards_depend_on_both_observations_and_not_on_the_action(
    env_id: str, experts: dict[str, Any]
) -> None:
    model = gaifo(env_id, experts[env_id]).learn(64)
    obs, acts, next_obs, dones = model.rollout_buffer.transitions().take(np.arange(20))
    reward = model.discriminator.reward(obs, acts, next_obs, dones)
    assert reward.shape == (20,)
    others = acts[::-1].copy()
    assert not np.array_equal(others, acts)
    np.testing.assert_array_equal(model.discriminator.reward(obs, others, next_obs, dones), reward)
    moved = next_obs + np.float32(0.1)
    assert np.abs(model.discriminator.reward(obs, acts, moved, dones) - reward).min() > 0
    elsewhere = obs + np.float32(0.1)
    assert np.abs(model.discriminator.reward(elsewhere, acts, next_obs, dones) - reward).min() > 0


VECTORS = spaces.Box(-np.inf, np.inf, (3,), np.float32)
IMAGES = spaces.Box(0, 255, (36, 36, 3), np.uint8)


@pytest.mark.parametrize(
    ("observations", "action_space"),
    [
        (VECTORS, spaces.Box(-2.0, 2.0, (1,))),
        (VECTORS, spaces.Discrete(3)),
        (gym.make("CartPole-v1").observation_space, spaces.Discrete(2)),
        (spaces.Box(-np.inf, np.inf, (3,), np.float64), spaces.Discrete(2)),
        (IMAGES, spaces.Discrete(3)),
    ],
)
def test_nets_that_look_at_actions_are_found_out(observations: Any, action_space: Any) -> None:
    check_ignores_actions(default_reward_net(observations, action_space, use_action=False))
    net = default_reward_net(observations, action_space, use_next_state=True)
    assert isinstance(net, CnnRewardNet if observations is IMAGES else BasicRewardNet)
    with pytest.raises(ValueError, match=r"reward_net looks at actions.*use_action=False"):
        check_ignores_actions(net)


def test_a_users_net_has_to_ignore_actions(experts: dict[str, Any]) -> None:
    env = gym.make("Pendulum-v1")
    both = {"observation_space": env.observation_space, "action_space": env.action_space}
    with pytest.raises(ValueError, match="looks at actions"):
        gaifo(env, None, reward_net=BasicRewardNet(**both))
    with pytest.raises(ValueError, match="looks at actions"):
        gaifo(env, None, reward_net_kwargs={"use_action": True})
    net = BasicRewardNet(**both, use_action=False, use_next_state=True, use_done=True)
    model = gaifo(env, experts["Pendulum-v1"], reward_net=net).learn(64)
    assert model.discriminator.net.base is net


def test_finding_out_draws_no_numbers_of_the_users() -> None:
    env = gym.make("Pendulum-v1")
    spaces_ = (env.observation_space, env.action_space)
    for space in spaces_:
        space.seed(5)
    check_ignores_actions(default_reward_net(*spaces_, use_action=False))
    drawn = [space.sample() for space in spaces_]
    for space, first in zip(spaces_, drawn, strict=True):
        space.seed(5)
        np.testing.assert_array_equal(space.sample(), first)


# --- The algorithm -------------------------------------------------------------------------------


def test_there_is_nothing_to_clone() -> None:
    model = gaifo("Pendulum-v1", None)
    assert (model.warm_start_updates, model.critic_warm_up_rollouts) == (0, 0)
    with pytest.raises(ValueError, match="no actions to clone") as caught:
        gaifo("Pendulum-v1", None, warm_start_updates=100)
    assert "\n" not in str(caught.value)


def test_it_finds_the_goal_from_observations_alone() -> None:
    expert = with_acts(expert_episodes(Goal(continuous=True), 10), 0, value=0.0)
    venv = DummyVecEnv([lambda: Goal(continuous=True)] * 4)
    settings = {"n_steps": 128, "n_epochs": 4, "learning_rate": 1e-3, "reward_form": "log_d"}
    model = gaifo(venv, expert, **settings).learn(8 * 512)
    obs = np.linspace(-0.6, 0.4, 11, dtype=np.float32)[:, None]
    actions, _ = model.predict(obs, deterministic=True)
    assert actions.mean() > 0.8  # its expert goes right at full speed


@pytest.mark.parametrize("env_id", ENV_IDS)
def test_a_saved_model_predicts_the_same_and_goes_on(
    tmp_path: Path, env_id: str, experts: dict[str, Any]
) -> None:
    expert = with_acts(experts[env_id], 5, value=9.0)
    model = gaifo(env_id, expert).learn(128)
    model.save(tmp_path / "model")
    loaded = GAIfO.load(tmp_path / "model", env=gym.make(env_id), device="cpu")
    assert same(weights(model), weights(loaded))
    obs = expert[0].obs[:20]
    np.testing.assert_array_equal(
        model.predict(obs, deterministic=True)[0], loaded.predict(obs, deterministic=True)[0]
    )
    loaded.set_demonstrations(expert)
    loaded.learn(64, reset_num_timesteps=False)
    assert loaded.num_timesteps == 192
    assert not same(weights(model), weights(loaded))
    model.export_policy(tmp_path / "policy")
    exported = PPO.load(tmp_path / "policy", device="cpu")
    ours, theirs = (m.predict(obs, deterministic=True)[0] for m in (model, exported))
    np.testing.assert_allclose(theirs, ours, atol=1e-5)


def test_trpo_can_be_the_generator(experts: dict[str, Any]) -> None:
    class GAIfOWithTRPO(FromObservation, TRPO):
        pass

    settings = {"n_steps": 32, "batch_size": 32, "seed": 0, "device": "cpu"}
    model = GAIfOWithTRPO(
        "MlpPolicy", "Pendulum-v1", with_acts(experts["Pendulum-v1"], 0, value=0.0), **settings
    )
    before = weights(model)
    model.learn(64)
    assert not same(before, weights(model))
