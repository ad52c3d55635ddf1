"""GAIL as an SB3 algorithm: learning, saving, callbacks, logs, schedules, other generators."""

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from imitation.data.rollout import flatten_trajectories
from imitation.data.types import TrajectoryWithRew
from imitation.rewards.reward_nets import BasicRewardNet
from sb3_contrib import TRPO, MaskablePPO, RecurrentPPO
from stable_baselines3 import A2C, PPO, SAC
from stable_baselines3.common.callbacks import BaseCallback, CheckpointCallback, EvalCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.logger import KVWriter, Logger
from stable_baselines3.common.save_util import load_from_zip_file

from sb3_gail_ext import (
    GAIL,
    DemonstrationError,
    LinearSchedule,
    adversarial,
    evaluate,
    record_demonstrations,
    save_demonstrations,
)

SMALL = {"n_steps": 64, "batch_size": 64, "n_epochs": 2, "device": "cpu", "seed": 0}


class Balance:
    """A hand-written expert of CartPole-v1: push towards where the pole falls."""

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, None]:
        place, speed, angle, turning = np.moveaxis(observation, -1, 0)
        return (0.05 * place + 0.1 * speed + angle + 0.4 * turning > 0).astype(np.int64), None


@pytest.fixture(scope="module")
def cartpole_expert() -> list[TrajectoryWithRew]:
    return record_demonstrations(Balance(), "CartPole-v1", 4, seed=100)


@pytest.fixture(scope="module")
def pendulum_expert() -> list[TrajectoryWithRew]:
    torque = PPO("MlpPolicy", "Pendulum-v1", n_steps=8, batch_size=8, seed=3)
    return record_demonstrations(torque, "Pendulum-v1", 2, deterministic=False)


def pendulum(demonstrations: Any, **kwargs: Any) -> GAIL:
    return GAIL("MlpPolicy", "Pendulum-v1", demonstrations, **{**SMALL, **kwargs})


def cartpole(demonstrations: Any, **kwargs: Any) -> GAIL:
    return GAIL("MlpPolicy", "CartPole-v1", demonstrations, **{**SMALL, **kwargs})


def weights(model: Any) -> dict[str, th.Tensor]:
    nets = {"policy": model.policy, "discriminator": model.discriminator.net}
    return {
        f"{prefix}.{name}": value.clone()
        for prefix, net in nets.items()
        for name, value in net.state_dict().items()
    }


def same(left: dict[str, th.Tensor], right: dict[str, th.Tensor]) -> bool:
    return left.keys() == right.keys() and all(th.equal(left[name], right[name]) for name in left)


class Memory(KVWriter):
    """Keeps every row that is logged."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def write(self, key_values: dict[str, Any], key_excluded: Any, step: int = 0) -> None:
        self.rows.append(dict(key_values))

    def close(self) -> None:
        pass


def logging_to_memory(model: Any) -> Memory:
    memory = Memory()
    model.set_logger(Logger(None, [memory]))
    return memory


# --- Learning ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_gail_learns_to_balance_from_four_demonstrations(
    cartpole_expert: list[TrajectoryWithRew],
) -> None:
    expert = np.mean([e.rews.sum() for e in cartpole_expert])
    assert expert == 500
    venv = make_vec_env("CartPole-v1", 8, seed=0)
    model = GAIL("MlpPolicy", venv, cartpole_expert, seed=0, device="cpu")
    # Sampled actions: the mode of an untrained policy may balance by luck.
    before = evaluate(model, "CartPole-v1", 10, deterministic=False).mean()
    model.learn(20_480)
    after = evaluate(model, "CartPole-v1", 10, deterministic=False).mean()
    assert before < 60
    assert after > 250


@pytest.mark.parametrize("form", ["gail", "airl", "log_d", "fairl"])
def test_every_reward_form_trains_both_networks(pendulum_expert: Any, form: str) -> None:
    model = pendulum(pendulum_expert, reward_form=form)
    before = weights(model)
    model.learn(128)
    after = weights(model)
    for net in ("policy.", "discriminator.base."):
        names = [name for name in before if name.startswith(net)]
        assert all(not th.equal(before[name], after[name]) for name in names)
        assert all(th.isfinite(after[name]).all() for name in names)
    assert model.num_timesteps == 128


def test_discrete_actions_train(cartpole_expert: Any) -> None:
    model = cartpole(cartpole_expert)
    before = weights(model)
    model.learn(128)
    assert not same(before, weights(model))
    rewards = model.discriminator.reward(
        *[a[:5] for a in model.expert]  # type: ignore[union-attr]
    )
    assert rewards.shape == (5,)
    assert rewards.dtype == np.float32


def test_a_reward_net_of_imitation_is_used_and_trained(pendulum_expert: Any) -> None:
    env = gym.make("Pendulum-v1")
    net = BasicRewardNet(
        env.observation_space, env.action_space, use_next_state=True, use_done=True
    )
    before = [p.clone() for p in net.parameters()]
    model = pendulum(pendulum_expert, reward_net=net).learn(64)
    assert model.discriminator.net.base is net
    assert all(not th.equal(p, q) for p, q in zip(before, net.parameters(), strict=True))


def test_reward_net_kwargs_shape_the_default_net(pendulum_expert: Any) -> None:
    model = pendulum(pendulum_expert, reward_net_kwargs={"hid_sizes": (7,)})
    assert model.discriminator.net.base.mlp.dense0.out_features == 7


def test_the_same_seed_gives_the_same_weights(pendulum_expert: Any) -> None:
    one, two = (pendulum(pendulum_expert).learn(128) for _ in range(2))
    other = pendulum(pendulum_expert, seed=1).learn(128)
    assert same(weights(one), weights(two))
    assert not same(weights(one), weights(other))


def test_expert_and_agent_enter_the_discriminator_on_their_own_side(pendulum_expert: Any) -> None:
    model = pendulum(pendulum_expert, n_discriminator_updates=3, discriminator_batch_size=17)
    calls = []
    update = model.discriminator.update

    def spy(expert: Any, agent: Any) -> dict[str, float]:
        calls.append((expert, agent))
        return update(expert, agent)

    model.discriminator.update = spy  # type: ignore[method-assign]
    model.learn(64)
    agent_obs = {tuple(row) for row in model.rollout_buffer.transitions().obs}
    expert_obs = {tuple(row) for row in model.expert.obs}  # type: ignore[union-attr]
    assert len(calls) == 3
    for expert, agent in calls:
        assert len(expert) == len(agent) == 17
        assert {tuple(row) for row in expert.obs} <= expert_obs
        assert {tuple(row) for row in agent.obs} <= agent_obs


def test_no_discriminator_updates_leave_it_alone(pendulum_expert: Any) -> None:
    model = pendulum(pendulum_expert, n_discriminator_updates=0)
    before = weights(model)
    model.learn(64)
    after = weights(model)
    assert all(th.equal(before[k], after[k]) for k in before if k.startswith("discriminator"))
    assert not same(before, after)


# --- Demonstrations ----------------------------------------------------------------------------


def test_path_list_and_transitions_are_the_same_demonstrations(
    tmp_path: Path, pendulum_expert: Any
) -> None:
    path = tmp_path / "expert.npz"
    save_demonstrations(path, pendulum_expert)
    transitions = flatten_trajectories(pendulum_expert)
    models = [
        pendulum(given).learn(64) for given in (path, str(path), pendulum_expert, transitions)
    ]
    assert all(same(weights(models[0]), weights(model)) for model in models[1:])


def test_learning_without_demonstrations_is_refused_at_once() -> None:
    model = pendulum(None)
    with pytest.raises(DemonstrationError, match="set_demonstrations"):
        model.learn(64)
    assert model.num_timesteps == 0


def test_demonstrations_of_another_environment_are_refused(
    tmp_path: Path, cartpole_expert: Any, pendulum_expert: Any
) -> None:
    path = tmp_path / "cartpole.npz"
    save_demonstrations(path, cartpole_expert)
    with pytest.raises(DemonstrationError, match=f"{path}.*another environment"):
        pendulum(path)
    with pytest.raises(DemonstrationError, match="empty"):
        pendulum([])
    model = pendulum(pendulum_expert)
    kept = model.expert
    with pytest.raises(DemonstrationError):
        model.set_demonstrations(cartpole_expert)
    assert model.expert is kept


def test_input_scaling_is_that_of_the_first_demonstrations(pendulum_expert: Any) -> None:
    model = pendulum(pendulum_expert[:1])
    obs = pendulum_expert[0].obs[:-1]
    np.testing.assert_allclose(model.discriminator.net.obs_mean, obs.mean(0), rtol=1e-4, atol=1e-5)
    model.set_demonstrations(pendulum_expert[1:])
    np.testing.assert_allclose(model.discriminator.net.obs_mean, obs.mean(0), rtol=1e-4, atol=1e-5)
    unscaled = pendulum(pendulum_expert, normalize_inputs=False)
    np.testing.assert_array_equal(unscaled.discriminator.net.obs_mean, 0.0)


# --- Saving and loading ------------------------------------------------------------------------


@pytest.mark.parametrize("make", [pendulum, cartpole])
def test_saved_and_loaded_models_are_the_same(
    tmp_path: Path, make: Any, pendulum_expert: Any, cartpole_expert: Any
) -> None:
    expert = pendulum_expert if make is pendulum else cartpole_expert
    model = make(expert).learn(128)
    model.save(tmp_path / "model.zip")
    loaded = GAIL.load(tmp_path / "model.zip", device="cpu")
    assert same(weights(model), weights(loaded))
    obs = expert[0].obs[:20]
    np.testing.assert_array_equal(
        model.predict(obs, deterministic=True)[0], loaded.predict(obs, deterministic=True)[0]
    )
    batch = model.expert.take(np.arange(20))
    np.testing.assert_array_equal(
        model.discriminator.reward(*batch), loaded.discriminator.reward(*batch)
    )
    ours, theirs = (m.discriminator.optimizer.state_dict()["state"] for m in (model, loaded))
    assert all(th.equal(ours[i]["exp_avg"], theirs[i]["exp_avg"]) for i in ours)
    assert len(ours) > 0


def test_a_loaded_model_goes_on_learning_once_it_has_demonstrations(
    tmp_path: Path, pendulum_expert: Any
) -> None:
    pendulum(pendulum_expert, reward_form="airl", gradient_penalty=2.0).learn(64).save(
        tmp_path / "model"
    )
    loaded = GAIL.load(tmp_path / "model", env=gym.make("Pendulum-v1"), device="cpu")
    assert loaded.discriminator.reward_form == "airl"
    assert loaded.discriminator.gradient_penalty_coef == 2.0
    with pytest.raises(DemonstrationError):
        loaded.learn(64)
    loaded.set_demonstrations(pendulum_expert)
    before = weights(loaded)
    loaded.learn(64, reset_num_timesteps=False)
    assert loaded.num_timesteps == 128
    assert not same(before, weights(loaded))


def test_a_users_reward_net_survives_saving(tmp_path: Path, pendulum_expert: Any) -> None:
    env = gym.make("Pendulum-v1")
    net = BasicRewardNet(env.observation_space, env.action_space, hid_sizes=(5,))
    model = pendulum(pendulum_expert, reward_net=net).learn(64)
    model.save(tmp_path / "model")
    loaded = GAIL.load(tmp_path / "model", device="cpu")
    batch = model.expert.take(np.arange(9))  # type: ignore[union-attr]
    np.testing.assert_array_equal(
        model.discriminator.reward(*batch), loaded.discriminator.reward(*batch)
    )


def test_the_file_holds_no_demonstrations(tmp_path: Path, pendulum_expert: Any) -> None:
    """Its size does not depend on how many there are."""
    sizes = []
    for copies in (1, 50):
        pendulum(pendulum_expert * copies).save(tmp_path / "model.zip")
        with zipfile.ZipFile(tmp_path / "model.zip") as archive:
            sizes.append(sum(member.file_size for member in archive.infolist()))
            assert b'"expert"' not in archive.read("data")
    assert abs(sizes[1] - sizes[0]) < 2_000


PLAIN_LOAD = """
import sys
sys.modules["sb3_gail_ext"] = None  # importing it, even from a pickle, now fails
import numpy as np
from sb3_contrib import TRPO, MaskablePPO, RecurrentPPO
from stable_baselines3 import PPO
for name, algorithm in (("clip", PPO), ("rate", PPO), ("trpo", TRPO)):
    model = algorithm.load(name + ".zip", device="cpu")
    np.save(name + ".npy", model.predict(np.load("obs.npy"), deterministic=True)[0])
"""


def test_exported_policies_open_where_this_package_is_not_installed(
    tmp_path: Path, pendulum_expert: Any
) -> None:
    models = {
        "clip": pendulum(pendulum_expert, clip_range=LinearSchedule(0.2)),
        "rate": pendulum(pendulum_expert, learning_rate=LinearSchedule(1e-3)),
        "trpo": adversarial(TRPO)(
            "MlpPolicy", "Pendulum-v1", pendulum_expert, n_steps=64, batch_size=64, device="cpu"
        ),
    }
    for name, model in models.items():
        model.learn(64)
        model.export_policy(tmp_path / f"{name}.zip")
    np.save(tmp_path / "obs.npy", pendulum_expert[0].obs)
    subprocess.run([sys.executable, "-c", PLAIN_LOAD], cwd=tmp_path, check=True, timeout=60)
    for name, model in models.items():
        expected = model.predict(pendulum_expert[0].obs, deterministic=True)[0]
        np.testing.assert_array_equal(np.load(tmp_path / f"{name}.npy"), expected)


def test_the_exported_policy_of_gail_itself_goes_on_learning_as_ppo(
    tmp_path: Path, pendulum_expert: Any
) -> None:
    model = pendulum(pendulum_expert).learn(64)
    model.export_policy(tmp_path / "policy")
    loaded = PPO.load(tmp_path / "policy", env=gym.make("Pendulum-v1"), device="cpu")
    assert type(loaded) is PPO
    assert not any("expert" in name or "discriminator" in name for name in vars(loaded))
    assert loaded.learning_rate == 5e-4
    loaded.learn(64)


# --- SB3's surroundings ------------------------------------------------------------------------


class Stop(BaseCallback):
    def _on_step(self) -> bool:
        return self.num_timesteps < 10


def test_standard_callbacks_and_the_progress_bar_work(
    tmp_path: Path, pendulum_expert: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluation = EvalCallback(
        make_vec_env("Pendulum-v1", 1),
        n_eval_episodes=1,
        eval_freq=64,
        best_model_save_path=str(tmp_path),
        verbose=0,
    )
    checkpoints = CheckpointCallback(64, str(tmp_path), name_prefix="step")
    model = pendulum(pendulum_expert)
    model.learn(128, callback=[evaluation, checkpoints], progress_bar=True)
    assert -2000 < evaluation.last_mean_reward < 0  # Pendulum's true return
    assert (tmp_path / "best_model.zip").is_file()
    latest = GAIL.load(tmp_path / "step_128_steps.zip", device="cpu")
    assert latest.num_timesteps == 128
    mean, _ = evaluate_policy(model, make_vec_env("Pendulum-v1", 1), n_eval_episodes=1)
    assert -2000 < mean < 0


def test_callbacks_can_stop_training(pendulum_expert: Any) -> None:
    assert pendulum(pendulum_expert).learn(128, callback=Stop()).num_timesteps == 10
    model = pendulum(pendulum_expert)
    model.learn(128, callback=lambda local_variables, _: model.num_timesteps < 5)
    assert model.num_timesteps == 5


def test_the_log_tells_the_true_from_the_learned_reward(cartpole_expert: Any) -> None:
    model = cartpole(cartpole_expert)
    memory = logging_to_memory(model)
    model.learn(192)
    # The last round's losses are logged by the next rollout, which is SB3's order of things.
    row = memory.rows[-1]
    assert row["rollout/ep_rew_mean"] == row["rollout/ep_len_mean"]  # CartPole pays 1 per step
    assert row["rollout/learned_rew_mean"] < 5
    assert row["discriminator/loss"] > 0
    assert 0 < row["discriminator/entropy"] <= np.log(2) + 1e-6
    for side in ("expert", "agent"):
        assert 0 <= row[f"discriminator/accuracy_{side}"] <= 1
    assert {"discriminator/gradient_penalty", "train/loss"} <= row.keys()


def test_the_learned_reward_is_the_rollouts_mean(pendulum_expert: Any) -> None:
    model = pendulum(pendulum_expert, learning_rate=0.0, discriminator_learning_rate=0.0)
    memory = logging_to_memory(model)
    rewards = []
    train = model.train

    def spy() -> None:
        rewards.append(model.discriminator.reward(*model.rollout_buffer.transitions()).mean())
        train()

    model.train = spy  # type: ignore[method-assign]
    model.learn(128)
    assert memory.rows[-1]["rollout/learned_rew_mean"] == pytest.approx(rewards[0], rel=1e-5)


def test_schedules_progress_to_their_end(pendulum_expert: Any) -> None:
    """Five rounds: SB3 has 4/5, 3/5, ... 0 of the way to go when it trains."""
    rates: list[tuple[float, float]] = []
    model = pendulum(
        pendulum_expert,
        learning_rate=LinearSchedule(1e-3, end_fraction=0.1),
        discriminator_learning_rate=lambda progress: 0.5 * progress,
    )
    train = model.train

    def spy() -> None:
        train()
        groups = (model.policy.optimizer, model.discriminator.optimizer)
        rates.append(tuple(o.param_groups[0]["lr"] for o in groups))  # type: ignore[arg-type]

    model.train = spy  # type: ignore[method-assign]
    model.learn(5 * 64)
    expected = [(8e-4, 0.4), (6e-4, 0.3), (4e-4, 0.2), (2e-4, 0.1), (1e-4, 0.0)]
    np.testing.assert_allclose(rates, expected, atol=1e-9)


@pytest.mark.parametrize(
    ("progress", "rate"), [(1.0, 3e-4), (0.5, 1.5e-4), (0.02, 6e-6), (0.0, 6e-6)]
)
def test_linear_schedule(progress: float, rate: float) -> None:
    assert LinearSchedule(3e-4)(progress) == pytest.approx(rate)


@pytest.mark.parametrize(("n_envs", "n_steps"), [(1, 2048), (3, 682), (8, 256)])
def test_rollouts_are_of_2048_steps_however_many_environments(n_envs: int, n_steps: int) -> None:
    venv = make_vec_env("CartPole-v1", n_envs)
    assert GAIL("MlpPolicy", venv, device="cpu", batch_size=2).n_steps == n_steps


def test_defaults_may_be_overridden(pendulum_expert: Any) -> None:
    assert pendulum(pendulum_expert).gae_lambda == 0.9
    assert pendulum(pendulum_expert, gae_lambda=0.5).gae_lambda == 0.5
    assert pendulum(pendulum_expert, n_steps=128).n_steps == 128


# --- Other generators --------------------------------------------------------------------------


@pytest.mark.parametrize("generator", [TRPO, A2C])
def test_any_on_policy_algorithm_can_be_the_generator(
    tmp_path: Path, generator: Any, pendulum_expert: Any
) -> None:
    imitator = adversarial(generator)
    assert issubclass(imitator, generator)
    assert imitator.__name__ == f"Adversarial{generator.__name__}"
    assert adversarial(generator) is imitator
    model = imitator("MlpPolicy", "Pendulum-v1", pendulum_expert, n_steps=32, seed=0, device="cpu")
    before = weights(model)
    model.learn(64)
    assert not same(before, weights(model))
    model.save(tmp_path / "model")
    assert same(weights(imitator.load(tmp_path / "model", device="cpu")), weights(model))


@pytest.mark.parametrize("wrong", [SAC, dict, "PPO"])
def test_other_generators_are_refused_in_one_line(wrong: Any) -> None:
    with pytest.raises(TypeError, match="not an on-policy SB3 algorithm") as caught:
        adversarial(wrong)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("generator", "words"),
    [
        (GAIL, "adversarial already"),
        (MaskablePPO, "collects rollouts in a way of its own"),
        (RecurrentPPO, "collects rollouts in a way of its own"),
    ],
)
def test_generators_that_cannot_be_relabelled_are_refused(generator: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        adversarial(generator)


def test_observations_that_are_no_array_are_refused() -> None:
    env = gym.Env()
    env.observation_space = gym.spaces.Dict({"x": gym.spaces.Box(-1.0, 1.0, (2,), np.float32)})
    env.action_space = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)
    with pytest.raises(ValueError, match="cannot imitate with observations of type Dict"):
        GAIL("MultiInputPolicy", env, **SMALL)


def test_an_exported_policy_holds_nothing_but_ppos_own(
    tmp_path: Path, pendulum_expert: Any
) -> None:
    model = GAIL("MlpPolicy", "Pendulum-v1", pendulum_expert, **SMALL)
    model.export_policy(tmp_path / "policy.zip")
    data, _, _ = load_from_zip_file(tmp_path / "policy.zip")
    assert data is not None
    assert data.keys() <= vars(PPO("MlpPolicy", "Pendulum-v1")).keys()
