"""What SB3's test_run, test_spaces, test_vec_*, test_cnn, test_dict_env and others run."""

from typing import Any

import numpy as np
import pytest
from columns import STEPS, Algorithm
from matrix import feature
from probing import parameters, same
from stable_baselines3.common.buffers import DictReplayBuffer, DictRolloutBuffer
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    SubprocVecEnv,
    VecCheckNan,
    VecFrameStack,
    VecMonitor,
    VecNormalize,
)
from verdicts import IMAGES
from walk import Walk


def predicts_valid_actions(model: Any) -> None:
    venv = model.get_env()
    actions, state = model.predict(venv.reset(), deterministic=True)
    assert actions.shape == (venv.num_envs, *venv.action_space.shape)
    assert state is None
    assert all(venv.action_space.contains(action) for action in actions)


def learns(model: Any, steps: int = STEPS) -> None:
    """So many steps, and something of it."""
    before = parameters(model)["policy"]
    model.learn(steps)
    assert model.num_timesteps == steps
    assert not same(before, parameters(model)["policy"])
    predicts_valid_actions(model)


@feature("Box actions", "test_run")
def test_box(algorithm: Algorithm) -> None:
    learns(algorithm.make(algorithm.env(actions="box"), like="array box"))


@feature("Box actions, each dimension with its own bounds", "test_spaces")
def test_uneven_box(algorithm: Algorithm) -> None:
    env = algorithm.env(actions="uneven")  # refuses actions that are outside
    learns(algorithm.make(env, like="array uneven"))


@feature("Discrete actions", "test_run")
def test_discrete(algorithm: Algorithm) -> None:
    learns(algorithm.make(algorithm.env(actions="discrete"), like="array discrete"))


@feature("MultiDiscrete actions", "test_spaces")
def test_multi_discrete(algorithm: Algorithm) -> None:
    algorithm.untaught(algorithm.env(actions="MultiDiscrete"))


@feature("MultiBinary actions", "test_spaces")
def test_multi_binary(algorithm: Algorithm) -> None:
    algorithm.untaught(algorithm.env(actions="MultiBinary"))


@feature("Environments by their id", "test_run")
def test_ids(algorithm: Algorithm) -> None:
    env = "CartPole-v1" if algorithm.actions == "discrete" else "Pendulum-v1"
    learns(algorithm.make(env, like=env))


@feature("float64 observations", "test_spaces")
def test_float64(algorithm: Algorithm) -> None:
    learns(algorithm.make(algorithm.env("float64"), like="float64"))


@feature("Discrete observations", "test_spaces")
def test_discrete_observations(algorithm: Algorithm) -> None:
    algorithm.untaught(algorithm.env("Discrete"))


@feature("MultiDiscrete observations", "test_spaces")
def test_multi_discrete_observations(algorithm: Algorithm) -> None:
    algorithm.untaught(algorithm.env("MultiDiscrete"))


@feature("MultiBinary observations", "test_spaces")
def test_multi_binary_observations(algorithm: Algorithm) -> None:
    algorithm.untaught(algorithm.env("MultiBinary"))


@feature(IMAGES, "test_cnn")
def test_images(algorithm: Algorithm) -> None:
    more: dict[str, Any] = {}
    actions = algorithm.actions
    if algorithm.discriminates and algorithm.replays:
        more = {"terminal_states": "bootstrap", "reward_net_kwargs": {"use_action": False}}
    elif algorithm.discriminates:
        actions = "discrete"
    env = algorithm.env("picture", actions)
    model = algorithm.make(env, like=f"picture {actions}", **more)
    learns(model, 16)
    assert model.observation_space.shape == (1, 36, 36)  # SB3 has put the channel first,
    raw, _ = env.reset(seed=0)
    model.predict(raw)  # and does so in `predict`


@feature("Dict observations, `MultiInputPolicy`", "test_dict_env")
def test_dict(algorithm: Algorithm) -> None:
    model = algorithm.make(DummyVecEnv([lambda: algorithm.env("dict")] * 2), like="dict")
    learns(model)
    buffer = getattr(model, "rollout_buffer", getattr(model, "replay_buffer", None))
    assert buffer is None or isinstance(buffer, DictRolloutBuffer | DictReplayBuffer)


@feature("Dict observations, `VecNormalize(norm_obs_keys=...)`", "test_dict_env")
def test_dict_normalized(algorithm: Algorithm) -> None:
    venv = VecNormalize(DummyVecEnv([lambda: algorithm.env("dict")]), norm_obs_keys=["place"])
    learns(algorithm.make(venv, like="dict"))
    assert venv.obs_rms["place"].count > 10


@feature("Dict observations, `VecFrameStack`", "test_dict_env")
def test_dict_stacked(algorithm: Algorithm) -> None:
    venv = VecFrameStack(DummyVecEnv([lambda: algorithm.env("boxes")]), 2)
    learns(algorithm.make(venv, like="boxes stacked"))


@feature("Several environments, `DummyVecEnv`", "test_run")
def test_several(algorithm: Algorithm) -> None:
    venv = DummyVecEnv([lambda: algorithm.env()] * 2)
    learns(algorithm.make(venv))


@feature("`SubprocVecEnv`, to the bit as `DummyVecEnv`", "test_vec_envs")
def test_subprocesses(algorithm: Algorithm) -> None:
    makers = [lambda: algorithm.env()] * 2
    trained = []
    for venv in (DummyVecEnv(makers), SubprocVecEnv(makers, start_method="fork")):
        trained.append(parameters(algorithm.make(venv).learn(STEPS)))
        venv.close()
    assert same(*trained)


@feature("`VecFrameStack`", "test_vec_stacked_obs")
def test_stacked(algorithm: Algorithm) -> None:
    venv = VecFrameStack(DummyVecEnv([lambda: algorithm.env()]), 2)
    model = algorithm.make(venv, like="array stacked")
    learns(model)
    assert model.observation_space.shape == (4,)


@feature("`VecNormalize`, observations", "test_vec_normalize")
def test_normalized_observations(algorithm: Algorithm) -> None:
    venv = VecNormalize(DummyVecEnv([lambda: algorithm.env()]), norm_reward=False)
    learns(algorithm.make(venv))
    assert venv.obs_rms.count > 10
    assert (venv.obs_rms.mean != 0).all()


@feature("`VecNormalize`, rewards: the learner never sees the environment's", "test_vec_normalize")
def test_normalized_rewards(algorithm: Algorithm) -> None:
    trained = []
    for bonus in (0.0, 50.0):
        makers: Any = [lambda bonus=bonus: algorithm.env(bonus=bonus)]
        model = algorithm.make(VecNormalize(DummyVecEnv(makers)))
        trained.append(parameters(model.learn(STEPS)))
    assert same(*trained)


@feature("`VecMonitor`, `VecCheckNan`", "test_vec_monitor, test_vec_check_nan")
def test_monitored(algorithm: Algorithm) -> None:
    walk = algorithm.env()
    venv = VecMonitor(VecCheckNan(DummyVecEnv([lambda: walk]), raise_exception=True))
    model = algorithm.make(venv)
    learns(model)
    recorded = [episode["r"] for episode in model.ep_info_buffer]
    np.testing.assert_allclose(recorded, walk.returns[: len(recorded)], atol=1e-5)  # Monitor rounds


@feature("The same seed, the same weights", "test_deterministic")
def test_seeds(algorithm: Algorithm) -> None:
    one, two, other = (
        parameters(algorithm.make(seed=seed).learn(STEPS))["policy"] for seed in (1, 1, 2)
    )
    assert same(one, two)
    assert not same(one, other)


@feature("`evaluate_policy`", "test_utils")
def test_evaluation(algorithm: Algorithm) -> None:
    model = algorithm.make().learn(STEPS)
    walk = algorithm.env()
    venv = make_vec_env(lambda: walk, seed=3)
    rewards, lengths = evaluate_policy(model, venv, 3, return_episode_rewards=True)
    np.testing.assert_allclose(rewards, walk.returns[:3], atol=1e-5)  # Monitor rounds
    assert sum(lengths) == len(walk.acts)


@feature("`stats_window_size`", "test_run")
def test_window(algorithm: Algorithm) -> None:
    model = algorithm.make(stats_window_size=2).learn(STEPS)
    assert model.ep_info_buffer.maxlen == 2


@feature("`train_freq` in episodes, `gradient_steps=-1`", "test_run")
def test_train_freq(algorithm: Algorithm) -> None:
    walk = algorithm.env()
    model = algorithm.make(walk, train_freq=(2, "episode"), gradient_steps=-1).learn(STEPS)
    assert len(walk.returns) % 2 == 0
    assert model.num_timesteps == len(walk.acts) >= STEPS
    assert model._n_updates == model.num_timesteps


@feature("Action noise", "test_run")
def test_action_noise(algorithm: Algorithm) -> None:
    noise = Steady()
    learns(algorithm.make(action_noise=noise))
    assert noise.n_calls


class Steady(NormalActionNoise):
    """Counts how often it is asked."""

    def __init__(self) -> None:
        super().__init__(np.zeros(1), 0.5 * np.ones(1))
        self.n_calls = 0

    def __call__(self) -> np.ndarray:
        self.n_calls += 1
        return super().__call__()


@feature("n-step returns (SB3 2.9)", "test_n_step_replay")
def test_n_step_returns(algorithm: Algorithm) -> None:
    learns(algorithm.make(n_steps=3))


@feature("`optimize_memory_usage`", "test_run")
def test_optimized_memory(algorithm: Algorithm) -> None:
    learns(algorithm.make(optimize_memory_usage=True))


@feature("A buffer class of the user's", "test_her, test_buffers")
def test_buffer_class(algorithm: Algorithm) -> None:
    kind = "replay" if algorithm.replays else "rollout"
    algorithm.make(**{f"{kind}_buffer_class": DictReplayBuffer})


@pytest.mark.parametrize("kind", ["array", "dict", "picture"])
def test_the_walk_is_an_environment(kind: str) -> None:
    env = Walk(kind)
    obs, _ = env.reset(seed=0)
    assert env.observation_space.contains(obs)
    obs, reward, terminated, truncated, _ = env.step(np.ones(1, np.float32))
    assert env.observation_space.contains(obs)
    assert not terminated
    assert not truncated
    assert reward == 1 + env.place
