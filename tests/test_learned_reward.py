"""A learned reward alone: in a file without code, as a RewardNet, and as a VecEnv's reward."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th
from conftest import LineEnv
from gymnasium import spaces
from imitation.rewards.reward_nets import BasicRewardNet, CnnRewardNet, RewardNet
from imitation.rewards.reward_wrapper import RewardVecEnvWrapper
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecNormalize

from sb3_gail_ext import AIRL, DAC, GAIL, ChapterDiscriminator, GAIfO, load_reward
from sb3_gail_ext.rewards.descriptions import build, describe
from sb3_gail_ext.rewards.networks import default_reward_net

SMALL = {"n_steps": 32, "batch_size": 32, "n_epochs": 1, "warm_start_updates": 2}
BOX = spaces.Box(-1.0, 1.0, (3,), np.float32)
IMAGES = spaces.Box(0, 255, (16, 16, 3), np.uint8)


def batch(model: Any, n: int = 20) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(0)
    obs, next_obs = rng.normal(size=(2, n, *model.observation_space.shape)).astype(np.float32)
    acts = rng.uniform(-2, 2, size=(n, *model.action_space.shape)).astype(np.float32)
    return obs, acts, next_obs, rng.random(n) < 0.3


CASES = [
    pytest.param(GAIL, {}, id="gail"),
    pytest.param(GAIL, {"reward_form": "fairl"}, id="fairl"),
    pytest.param(GAIL, {"reward_net_kwargs": {"spectral_norm": True}}, id="spectral norm"),
    pytest.param(
        GAIL,
        {"reward_net_kwargs": {"hid_sizes": (7,), "activation": th.nn.ReLU, "dropout_prob": 0.5}},
        id="dropout",
    ),
    pytest.param(GAIfO, {"warm_start_updates": 0}, id="gaifo"),
    pytest.param(DAC, {"learning_starts": 8, "buffer_size": 200, "batch_size": 8}, id="dac"),
]


@pytest.mark.parametrize(("cls", "settings"), CASES)
def test_the_file_pays_what_the_discriminator_pays(
    cls: Any, settings: dict[str, Any], tmp_path: Path, pendulum_expert: Any
) -> None:
    ours = {"warm_start_updates": 2} if cls is DAC else SMALL
    model = cls("MlpPolicy", "Pendulum-v1", pendulum_expert, **{**ours, **settings}).learn(64)
    model.save_reward(tmp_path / "reward.pt")
    reward = load_reward(tmp_path / "reward.pt")
    assert isinstance(reward, RewardNet)
    expected = model.discriminator.reward(*batch(model))
    assert np.ptp(expected) > 0
    np.testing.assert_array_equal(reward.predict(*batch(model)), expected)


def test_airl_saves_the_recovered_reward_without_shaping_and_without_log_pi(
    tmp_path: Path, pendulum_expert: Any
) -> None:
    kwargs = {"reward_net_kwargs": {"use_action": False}}
    model = AIRL("MlpPolicy", "Pendulum-v1", pendulum_expert, **SMALL, **kwargs).learn(64)
    model.save_reward(tmp_path / "reward.pt")
    reward = load_reward(tmp_path / "reward.pt")
    obs, acts, next_obs, dones = batch(model)
    shaped = model.discriminator.net.base
    scaled = model.discriminator.net.scale(*shaped.preprocess(obs, acts, next_obs, dones))
    with th.no_grad():
        g = shaped.base(*scaled).numpy()
    np.testing.assert_array_equal(reward.predict(obs, acts, next_obs, dones), g)
    other = reward.predict(obs, -acts, next_obs[::-1].copy(), ~dones)
    np.testing.assert_array_equal(other, g)  # g(s) knows neither action nor what follows


def test_a_net_of_a_class_of_ones_own_is_loaded_into_one(
    tmp_path: Path, pendulum_expert: Any
) -> None:
    model = GAIL("MlpPolicy", "Pendulum-v1", **SMALL)
    nets = [ChapterDiscriminator(model.observation_space, model.action_space) for _ in range(2)]
    model = GAIL("MlpPolicy", "Pendulum-v1", pendulum_expert, reward_net=nets[0], **SMALL)
    model.learn(32).save_reward(tmp_path / "reward.pt")
    with pytest.raises(ValueError, match=r"ChapterDiscriminator, .* pass load_reward\(path, rew"):
        load_reward(tmp_path / "reward.pt")
    reward = load_reward(tmp_path / "reward.pt", reward_net=nets[1])
    expected = model.discriminator.reward(*batch(model))
    np.testing.assert_array_equal(reward.predict(*batch(model)), expected)
    wrong = BasicRewardNet(model.observation_space, model.action_space)
    with pytest.raises(ValueError, match=r"reward.pt: .*Missing key"):
        load_reward(tmp_path / "reward.pt", reward_net=wrong)


@pytest.mark.parametrize(
    "net",
    [
        BasicRewardNet(BOX, BOX),
        BasicRewardNet(BOX, BOX, use_action=False, use_next_state=True, use_done=True),
        default_reward_net(BOX, spaces.Discrete(3), hid_sizes=()),
        CnnRewardNet(IMAGES, spaces.Discrete(3)),
        default_reward_net(IMAGES, spaces.Discrete(3), hid_channels=(4, 5, 6), use_next_state=True),
    ],
)
def test_a_described_net_is_built_again(net: RewardNet) -> None:
    description = describe(net)
    assert description is not None
    again = build(description, net.observation_space, net.action_space)
    again.load_state_dict(net.state_dict())  # the same names and shapes
    assert repr(again) == repr(net)


def test_what_a_description_would_leave_out_is_not_described() -> None:
    odd = BasicRewardNet(BOX, BOX, normalize_input_layer=th.nn.BatchNorm1d)
    assert describe(odd) is None
    wide = CnnRewardNet(IMAGES, spaces.Discrete(3), kernel_size=5)
    assert describe(wide) is None


def test_no_file_runs_code(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "ran",))

    (tmp_path / "evil.pt").write_bytes(pickle.dumps(Evil()))
    th.save({"component": Evil()}, tmp_path / "evil2.pt")
    for name in ("evil.pt", "evil2.pt"):
        with pytest.raises(ValueError, match=name):
            load_reward(tmp_path / name)
    assert not (tmp_path / "ran").exists()
    with pytest.raises(ValueError, match="unknown activation 'Linear'"):
        build({"class": "BasicRewardNet", "activation": "Linear"}, BOX, BOX)


def line_reward(tmp_path: Path, line_demonstrations: Any) -> Any:
    # AIRL's reward form and (s, s', done): the end of an episode is there to be got wrong.
    kwargs = {"use_next_state": True, "use_done": True}
    model = GAIL(
        "MlpPolicy", LineEnv(), line_demonstrations, reward_net_kwargs=kwargs, seed=0, **SMALL
    ).learn(64)
    model.save_reward(tmp_path / "reward.pt")
    return load_reward(tmp_path / "reward.pt")


def test_the_wrapped_environment_pays_it_at_ends_as_well(
    tmp_path: Path, line_demonstrations: Any
) -> None:
    reward = line_reward(tmp_path, line_demonstrations)
    venv = reward.wrap(make_vec_env(LineEnv, n_envs=2, seed=0))
    venv.reset()
    logs = [env.unwrapped.log for env in venv.unwrapped.envs]
    paid, true_returns = [], []
    for _ in range(30):
        acts = np.array([[0.9], [0.1]], np.float32)  # the one falls off, the other meets the limit
        _, rewards, _, infos = venv.step(acts)
        paid.append(rewards)
        true_returns += [info["episode"]["r"] for info in infos if "episode" in info]
    for env, log in enumerate(logs):
        obs, acts, next_obs = (
            np.stack([getattr(step, name) for step in log]) for name in ("obs", "act", "next_obs")
        )
        ended = np.array([step.terminated for step in log])
        assert ended.any() == (env == 0)
        expected = reward.predict(obs, acts, next_obs, ended)
        np.testing.assert_allclose(np.stack(paid)[:, env], expected, rtol=1e-6)
    assert true_returns  # the Monitor below still tells them
    PPO("MlpPolicy", VecNormalize(venv), n_steps=16, batch_size=16).learn(32)


def test_imitations_wrapper_takes_it_as_well(tmp_path: Path, line_demonstrations: Any) -> None:
    reward = line_reward(tmp_path, line_demonstrations)
    venv = RewardVecEnvWrapper(make_vec_env(LineEnv, n_envs=2, seed=0), reward.predict_processed)
    PPO("MlpPolicy", venv, n_steps=16, batch_size=16).learn(32)


def test_environments_that_do_not_fit_are_refused(tmp_path: Path, line_demonstrations: Any) -> None:
    reward = line_reward(tmp_path, line_demonstrations)
    with pytest.raises(ValueError, match="the reward is of observations in"):
        reward.wrap(make_vec_env("Pendulum-v1"))
    with pytest.raises(ValueError, match=r"VecNormalize\(reward.wrap\(venv\)\)"):
        reward.wrap(VecNormalize(make_vec_env(LineEnv)))
