"""GAIL as an SB3 algorithm: learning, saving, callbacks, logs, schedules, other generators."""

import inspect
import subprocess
import sys
import warnings
import zipfile
from dataclasses import replace
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
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.callbacks import BaseCallback, CheckpointCallback, EvalCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.save_util import load_from_zip_file
from stable_baselines3.common.torch_layers import FlattenExtractor
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
from watching import Memory, same, weights

from sb3_gail_ext import (
    BC,
    GAIL,
    DemonstrationError,
    LinearSchedule,
    adversarial,
    evaluate,
    record_demonstrations,
    save_demonstrations,
)

SMALL = {
    "n_steps": 64,
    "batch_size": 64,
    "n_epochs": 2,
    "device": "cpu",
    "seed": 0,
    "warm_start_updates": 10,
    "rehearsal_updates": 64,  # two after a rollout of 64 steps
    "critic_warm_up_rollouts": 0,
}


def pendulum(demonstrations: Any, **kwargs: Any) -> GAIL:
    return GAIL("MlpPolicy", "Pendulum-v1", demonstrations, **{**SMALL, **kwargs})


def cartpole(demonstrations: Any, **kwargs: Any) -> GAIL:
    return GAIL("MlpPolicy", "CartPole-v1", demonstrations, **{**SMALL, **kwargs})


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
    # Without a warm start, which would leave nothing to learn.
    model = GAIL(
        "MlpPolicy",
        venv,
        cartpole_expert,
        warm_start_updates=0,
        critic_warm_up_rollouts=0,
        batch_size=64,
        learning_rate=LinearSchedule(5e-4),
        seed=0,
        device="cpu",
    )
    # Sampled actions: the mode of an untrained policy may balance by luck.
    before = evaluate(model, "CartPole-v1", 10, deterministic=False).mean()
    model.learn(20_480)
    after = evaluate(model, "CartPole-v1", 10, deterministic=False).mean()
    assert before < 60
    assert after > 250


@pytest.mark.parametrize("form", ["gail", "airl", "log_d", "fairl"])
def test_every_reward_form_trains_both_networks(pendulum_expert: Any, form: str) -> None:
    # Without a warm start, so that nothing but the reward can move the policy.
    model = pendulum(pendulum_expert, reward_form=form, warm_start_updates=0)
    nets = (model.policy, model.discriminator.net)
    before = [p.clone() for net in nets for p in net.parameters()]
    model.learn(128)
    after = [p for net in nets for p in net.parameters()]
    assert len(before) > 10
    assert all(not th.equal(p, q) for p, q in zip(before, after, strict=True))
    assert all(th.isfinite(p).all() for p in after)
    assert model.num_timesteps == 128


def test_discrete_actions_train(cartpole_expert: Any) -> None:
    model = cartpole(cartpole_expert, warm_start_updates=0)
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
    model = pendulum(pendulum_expert, n_discriminator_updates=0, warm_start_updates=0)
    before = weights(model)
    model.learn(64)
    after = weights(model)
    assert all(th.equal(before[k], after[k]) for k in before if k.startswith("discriminator"))
    assert not same(before, after)


def accuracies(expert: float, agent: float) -> dict[str, float]:
    return {"accuracy_expert": expert, "accuracy_agent": agent}


@pytest.mark.parametrize(("limit", "n_updates"), [(1.0, 6), (0.99, 5), (0.95, 5), (0.6, 4)])
def test_the_discriminators_steps_end_where_it_tells_both_sides_apart(
    cartpole_expert: Any, limit: float, n_updates: int
) -> None:
    model = cartpole(
        cartpole_expert, n_discriminator_updates=6, max_discriminator_accuracy=limit, n_epochs=1
    )
    outcomes = [(1.0, 0.1), (0.2, 1.0), (0.6, 0.6), (0.7, 0.9), (1.0, 1.0), (0.5, 0.5)]
    given: list[dict[str, float]] = []

    def update(expert: Any, agent: Any) -> dict[str, float]:
        given.append(accuracies(*outcomes[len(given) % 6]))
        return given[-1]

    model.discriminator.update = update  # type: ignore[method-assign]
    memory = logging_to_memory(model)
    model.learn(64)
    assert len(given) == n_updates
    expected = np.mean(outcomes[:n_updates], axis=0)
    model.learn(64, reset_num_timesteps=False)  # logs what came before
    row = memory.rows[-1]
    logged = [row[f"discriminator/accuracy_{side}"] for side in ("expert", "agent")]
    np.testing.assert_allclose(logged, expected)


def test_a_discriminator_that_is_good_enough_is_left_as_it_is(cartpole_expert: Any) -> None:
    """The same again with the real one: it stops early, having learned on until then."""

    def n_updates(limit: float) -> int:
        # A random agent's falls beside an expert that never moves: soon told apart.
        model = cartpole(
            cartpole_expert,
            n_discriminator_updates=40,
            discriminator_learning_rate=1e-2,
            max_discriminator_accuracy=limit,
            warm_start_updates=0,
        )
        model.learn(64)
        state = model.discriminator.optimizer.state_dict()["state"]
        return int(state[0]["step"])

    assert n_updates(1.0) == 40
    assert 1 < n_updates(0.6) < 40


def parameters(policy: Any) -> dict[str, th.Tensor]:
    return {name: value.detach().clone() for name, value in policy.named_parameters()}


@pytest.mark.parametrize("warm_start_updates", [0, 10])
def test_predictions_are_those_of_a_running_average_that_begins_with_the_clone(
    pendulum_expert: Any, warm_start_updates: int
) -> None:
    model = pendulum(
        pendulum_expert,
        policy_averaging=0.75,
        learning_rate=1e-2,
        warm_start_updates=warm_start_updates,
    )
    policies: list[dict[str, th.Tensor]] = []
    train = model.train

    def spy() -> None:
        if not policies:
            policies.append(parameters(model.policy))  # what the first rollout was made with
        train()
        policies.append(parameters(model.policy))

    model.train = spy  # type: ignore[method-assign]
    model.learn(28 * 64)  # of which a seventh is four rounds: 1 - 1 / 4 may be kept
    assert len(policies) == 29
    for name, value in parameters(model.averaged_policy).items():
        by_hand = policies[0][name]
        for policy in policies[1:]:
            by_hand = 0.75 * by_hand + 0.25 * policy[name]
        th.testing.assert_close(value, by_hand)
    obs = pendulum_expert[0].obs
    predicted = model.predict(obs, deterministic=True)[0]
    latest = model.policy.predict(obs, deterministic=True)[0]
    expected = model.averaged_policy.predict(obs, deterministic=True)[0]
    np.testing.assert_array_equal(predicted, expected)
    assert np.abs(predicted - latest).max() > 1e-3


def test_rollouts_are_of_the_policy_itself_and_no_averaging_is_none(pendulum_expert: Any) -> None:
    """What averaging changes is what `predict` says, not what is learned."""
    averaged, plain = (pendulum(pendulum_expert, policy_averaging=a).learn(896) for a in (0.9, 0.0))
    assert same(parameters(averaged.policy), parameters(plain.policy))
    assert same(parameters(plain.averaged_policy), parameters(plain.policy))
    assert not same(parameters(averaged.averaged_policy), parameters(averaged.policy))


def test_the_average_survives_saving_and_goes_on(tmp_path: Path, pendulum_expert: Any) -> None:
    model = pendulum(pendulum_expert, learning_rate=1e-2).learn(13 * 64)
    model.save(tmp_path / "model")
    loaded = GAIL.load(tmp_path / "model", env=gym.make("Pendulum-v1"), device="cpu")
    before = parameters(loaded.averaged_policy)
    assert same(before, parameters(model.averaged_policy))
    assert not same(before, parameters(model.policy))
    loaded.set_demonstrations(pendulum_expert)
    loaded.learn(64, reset_num_timesteps=False)
    latest, kept = parameters(loaded.policy), 0.5  # fourteen rounds: two are a seventh
    for name, value in parameters(loaded.averaged_policy).items():
        th.testing.assert_close(value, kept * before[name] + (1 - kept) * latest[name])


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
    for demonstrations in (None, pendulum_expert[1:]):
        if demonstrations:
            model.set_demonstrations(demonstrations)
        scaling = model.discriminator.net.obs_scaling
        np.testing.assert_allclose(scaling.mean, obs.mean(0), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(scaling.std, obs.std(0), rtol=1e-4, atol=1e-5)
    unscaled = pendulum(pendulum_expert, normalize_inputs=False).discriminator.net.obs_scaling
    np.testing.assert_array_equal(unscaled.mean, 0.0)
    np.testing.assert_array_equal(unscaled.std, 1.0)


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


def test_a_net_with_spectral_norm_survives_saving(tmp_path: Path, pendulum_expert: Any) -> None:
    model = pendulum(pendulum_expert, reward_net_kwargs={"spectral_norm": True}).learn(64)
    model.save(tmp_path / "model")
    loaded = GAIL.load(tmp_path / "model", device="cpu")
    batch = model.expert.take(np.arange(9))  # type: ignore[union-attr]
    rewards = model.discriminator.reward(*batch)
    assert np.ptp(rewards) > 0
    np.testing.assert_array_equal(loaded.discriminator.reward(*batch), rewards)


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
for name, algorithm in (("clip", PPO), ("rate", PPO), ("trpo", TRPO), ("linear", PPO)):
    model = algorithm.load(name + ".zip", device="cpu")
    assert type(model.policy.features_extractor).__name__ == "FlattenExtractor"
    np.save(name + ".npy", model.predict(np.load("obs.npy"), deterministic=True)[0])
"""


def test_exported_policies_open_where_this_package_is_not_installed(
    tmp_path: Path, pendulum_expert: Any
) -> None:
    models = {
        "clip": pendulum(pendulum_expert, clip_range=LinearSchedule(0.2)),
        "rate": pendulum(pendulum_expert, learning_rate=LinearSchedule(1e-3)),
        "trpo": adversarial(TRPO)(
            "MlpPolicy",
            "Pendulum-v1",
            pendulum_expert,
            **{name: value for name, value in SMALL.items() if name != "n_epochs"},
        ),
        "linear": pendulum(pendulum_expert, policy_kwargs={"net_arch": []}),
    }
    for name, model in models.items():
        model.learn(64)
        model.export_policy(tmp_path / f"{name}.zip")
    np.save(tmp_path / "obs.npy", pendulum_expert[0].obs)
    subprocess.run([sys.executable, "-c", PLAIN_LOAD], cwd=tmp_path, check=True, timeout=60)
    for name, model in models.items():
        assert (model.policy.features_extractor.scaling.std > 1.5).any()  # there is much to fold
        expected = model.predict(pendulum_expert[0].obs, deterministic=True)[0]
        assert np.ptp(expected) > 0.01
        # The scaling has gone into the weights: equal but for float32's rounding.
        np.testing.assert_allclose(np.load(tmp_path / f"{name}.npy"), expected, atol=1e-5, rtol=0)


def test_the_exported_policy_of_gail_itself_goes_on_learning_as_ppo(
    tmp_path: Path, pendulum_expert: Any
) -> None:
    model = pendulum(pendulum_expert, learning_rate=LinearSchedule(1.25e-3)).learn(64)
    model.export_policy(tmp_path / "policy")
    loaded = PPO.load(tmp_path / "policy", env=gym.make("Pendulum-v1"), device="cpu")
    assert type(loaded) is PPO
    assert not any("expert" in name or "discriminator" in name for name in vars(loaded))
    assert loaded.learning_rate == 1.25e-3  # its initial value
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


def test_the_log_compares_the_learned_reward_with_a_constant_one(cartpole_expert: Any) -> None:
    """Of the first round's whole episodes, in the rewards as they are learned, not as scaled."""
    model = cartpole(cartpole_expert, n_steps=512, warm_start_updates=0)
    memory = logging_to_memory(model)
    rounds: list[tuple[np.ndarray, np.ndarray]] = []
    relabel = model.rollout_buffer.relabel

    def spy(*args: Any) -> np.ndarray:
        learned = relabel(*args)
        rounds.append((learned[:, 0], model.rollout_buffer.episode_starts[:, 0].copy()))
        return learned

    model.rollout_buffer.relabel = spy  # type: ignore[method-assign]
    model.learn(1024)
    rewards, starts = rounds[0]
    borders = np.flatnonzero(starts)
    assert len(borders) > 11
    lengths = np.diff(borders)
    returns = np.array([r.sum() for r in np.split(rewards, borders)[1:-1]])
    row = memory.rows[-1]
    assert row["rollout/learned_return"] == pytest.approx(returns.mean(), rel=1e-4)
    constant = (returns / lengths).mean() * lengths.mean()
    assert row["rollout/constant_reward_return"] == pytest.approx(constant, rel=1e-4)
    share = np.corrcoef(lengths, returns)[0, 1] ** 2
    assert row["rollout/constant_reward_share"] == pytest.approx(share, rel=1e-4)
    assert abs(np.std(returns) - 1) > 0.5  # a scaled reward's would differ


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
    default = inspect.signature(GAIL).parameters["gae_lambda"].default
    assert pendulum(pendulum_expert).gae_lambda == default
    assert pendulum(pendulum_expert, gae_lambda=0.5).gae_lambda == 0.5
    assert pendulum(pendulum_expert, n_steps=128).n_steps == 128


# --- The true reward is not learned from -------------------------------------------------------


class Noise(gym.Wrapper):
    """Pays at random, and much."""

    def __init__(self, env: gym.Env, seed: int) -> None:
        super().__init__(env)
        self.rng = np.random.default_rng(seed)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict]:
        obs, _, terminated, truncated, info = self.env.step(action)
        return obs, self.rng.normal(scale=1e4), terminated, truncated, info


def plain(state: Any) -> Any:
    """Tensors anywhere inside dicts and lists as arrays."""
    if isinstance(state, th.Tensor):
        return state.detach().numpy().copy()
    if isinstance(state, dict):
        return {key: plain(value) for key, value in state.items()}
    return [plain(value) for value in state] if isinstance(state, list) else state


@pytest.mark.parametrize("env_id", ["Pendulum-v1", "HopperMuJoCoEnv-v0"])
def test_not_a_bit_of_what_is_learned_depends_on_the_environments_reward(
    env_id: str, pendulum_expert: Any, make_trajectory: Any
) -> None:
    """With all that is on by default: two runs that differ in nothing but the reward."""
    expert = pendulum_expert
    if env_id != "Pendulum-v1":
        expert = [make_trajectory(40, obs_dim=11, act_dim=3)]

    def trained(wrap: Any) -> tuple[list[float], Any]:
        model = GAIL(
            "MlpPolicy",
            wrap(gym.make(env_id)),
            expert,
            n_steps=128,
            batch_size=64,
            seed=0,
            device="cpu",
            warm_start_updates=50,
            critic_warm_up_rollouts=2,
        )
        assert model.normalize_learned_reward
        assert model.normalize_policy_inputs
        model.learn(5 * 128)
        buffer = model.rollout_buffer
        learned = {
            "policy": model.policy.state_dict(),
            "policy's optimiser": model.policy.optimizer.state_dict(),
            "discriminator": model.discriminator.net.state_dict(),
            "discriminator's optimiser": model.discriminator.optimizer.state_dict(),
            "rewards": buffer.rewards,
            "returns": buffer.returns,
            "advantages": buffer.advantages,
            "values": buffer.values,
            "scale": vars(model._scale_rewards._statistics),
        }
        return [episode["r"] for episode in model.ep_info_buffer], plain(learned)

    true_returns, expected = trained(lambda env: env)
    assert len(true_returns) >= 3
    assert np.abs(expected["advantages"]).min() > 0
    for seed in (0, 1):
        noisy_returns, learned = trained(lambda env, s=seed: Noise(env, s))
        assert np.abs(np.subtract(noisy_returns, true_returns)).min() > 10
        np.testing.assert_equal(learned, expected)


# --- Warnings ----------------------------------------------------------------------------------


def warned(model: GAIL, n_rounds: int) -> list[str]:
    """What `learn` has warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.learn(n_rounds * model.n_steps)
    assert model._n_rollouts == n_rounds
    return [str(w.message) for w in caught if w.category is UserWarning]


def test_wrongly_scaled_actions_are_warned_of_once(pendulum_expert: Any) -> None:
    """Demonstrations in percent, where the agent explores with a few of them."""
    percent = gym.wrappers.RescaleAction(gym.make("Pendulum-v1"), -100.0, 100.0)
    demonstrations = [replace(e, acts=80 + 10 * e.acts) for e in pendulum_expert]  # 60 to 100
    settings = {**SMALL, "n_steps": 32, "batch_size": 32, "n_epochs": 1, "warm_start_updates": 0}
    model = GAIL(
        "MlpPolicy",
        percent,
        demonstrations,
        **settings,
        gradient_penalty=0.0,
        n_discriminator_updates=20,
        discriminator_batch_size=32,
    )
    messages = [m for m in warned(model, 60) if "saturated" in m]
    assert len(messages) == 1
    assert "another scale of actions" in messages[0]


def test_a_healthy_run_warns_of_nothing(cartpole_expert: Any) -> None:
    model = cartpole(cartpole_expert, n_epochs=1, warm_start_updates=300)
    assert warned(model, 40) == []


# --- Other generators --------------------------------------------------------------------------


@pytest.mark.parametrize("generator", [TRPO, A2C])
def test_any_on_policy_algorithm_can_be_the_generator(
    tmp_path: Path, generator: Any, pendulum_expert: Any
) -> None:
    imitator = adversarial(generator)
    assert issubclass(imitator, generator)
    assert imitator.__name__ == f"Adversarial{generator.__name__}"
    assert adversarial(generator) is imitator
    settings = {"n_steps": 32, "seed": 0, "device": "cpu"}
    model = imitator(
        "MlpPolicy",
        "Pendulum-v1",
        pendulum_expert,
        **{**settings, "warm_start_updates": 0, "critic_warm_up_rollouts": 0},
    )
    before = weights(model)
    model.learn(64)
    assert not same(before, weights(model))
    model.save(tmp_path / "model")
    assert same(weights(imitator.load(tmp_path / "model", device="cpu")), weights(model))


@pytest.mark.parametrize("wrong", [BC, dict, "PPO"])
def test_other_generators_are_refused_in_one_line(wrong: Any) -> None:
    with pytest.raises(TypeError, match="not an SB3 algorithm class") as caught:
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
    env.observation_space = gym.spaces.Discrete(3)
    env.action_space = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)
    with pytest.raises(ValueError, match="cannot imitate with observations of type Discrete"):
        GAIL("MlpPolicy", env, **SMALL)


def test_an_exported_policy_holds_nothing_but_ppos_own(
    tmp_path: Path, pendulum_expert: Any
) -> None:
    model = GAIL("MlpPolicy", "Pendulum-v1", pendulum_expert, **SMALL)
    model.export_policy(tmp_path / "policy.zip")
    data, _, _ = load_from_zip_file(tmp_path / "policy.zip")
    assert data is not None
    assert data.keys() <= vars(PPO("MlpPolicy", "Pendulum-v1")).keys()


# --- What SB3 allows, beyond the usual ----------------------------------------------------------


def test_state_dependent_exploration_learns_saves_and_predicts(
    tmp_path: Path, pendulum_expert: Any
) -> None:
    model = pendulum(pendulum_expert, use_sde=True)
    model.learn(128)
    model.save(tmp_path / "model")
    loaded = GAIL.load(tmp_path / "model", device="cpu")
    obs = np.zeros((5, 3), np.float32)
    assert np.array_equal(
        model.predict(obs, deterministic=True)[0], loaded.predict(obs, deterministic=True)[0]
    )


def test_squashed_actions_are_cloned_in_the_policys_own_scale(pendulum_expert: Any) -> None:
    torques = [replace(e, acts=np.full_like(e.acts, 1.5)) for e in pendulum_expert]
    squashed = {"squash_output": True}
    model = pendulum(torques, use_sde=True, policy_kwargs=squashed, warm_start_updates=300)
    model.learn(64)
    actions, _ = model.predict(pendulum_expert[0].obs[:50], deterministic=True)
    assert actions.mean() == pytest.approx(1.5, abs=0.2)  # of a range of +-2


@pytest.mark.parametrize("generator", [A2C, TRPO])
def test_other_generators_take_the_warm_start_as_well(generator: Any, pendulum_expert: Any) -> None:
    model = adversarial(generator)(
        "MlpPolicy", "Pendulum-v1", pendulum_expert, n_steps=32, device="cpu", seed=0
    )
    model.learn(4 * 32)
    assert model.num_timesteps == 128
    assert all(th.isfinite(p).all() for p in model.policy.parameters())


class Interrupt(BaseCallback):
    """Ctrl-C before the first step."""

    def _on_training_start(self) -> None:
        raise KeyboardInterrupt

    def _on_step(self) -> bool:
        return True


def test_an_interrupted_learn_does_not_undo_what_was_learned(pendulum_expert: Any) -> None:
    model = pendulum(pendulum_expert)
    model.learn(128)
    before = weights(model)
    with pytest.raises(KeyboardInterrupt):
        model.learn(128, callback=Interrupt())
    assert same(before, weights(model))
    clones = []
    model._clone_expert = lambda: clones.append(1)  # type: ignore[method-assign]
    model.learn(64)
    assert not clones


@pytest.mark.parametrize(
    "wrong",
    [
        {"policy_averaging": 1.5},
        {"policy_averaging": 1.0},
        {"label_smoothing": -0.1},
        {"warm_start_updates": -1},
        {"discriminator_batch_size": 0},
        {"max_discriminator_accuracy": 2},
    ],
)
def test_numbers_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        GAIL("MlpPolicy", "Pendulum-v1", **{**SMALL, **wrong})


def test_observations_are_not_scaled_twice(pendulum_expert: Any) -> None:
    model = pendulum(pendulum_expert)
    model.set_env(VecNormalize(make_vec_env("Pendulum-v1", 1)))
    with pytest.raises(ValueError, match="VecNormalize"):
        model.learn(64)


def test_batch_norms_statistics_reach_the_averaged_policy(pendulum_expert: Any) -> None:
    class Normed(FlattenExtractor):
        def __init__(self, space: gym.Space) -> None:
            super().__init__(space)
            self.norm = th.nn.BatchNorm1d(3)

        def forward(self, observations: th.Tensor) -> th.Tensor:
            return self.norm(super().forward(observations))

    model = pendulum(pendulum_expert, policy_kwargs={"features_extractor_class": Normed})
    model.learn(128)
    latest, average = (
        p.features_extractor.norm.running_mean for p in (model.policy, model.averaged_policy)
    )
    assert latest.abs().max() > 0
    assert th.equal(latest, average)


class Lamp(gym.Env):
    """Ten images of 36 x 36 x 3; the action that names the brighter channel, 0 or 1, is paid."""

    observation_space = gym.spaces.Box(0, 255, (36, 36, 3), np.uint8)
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self.left = 10
        return self._image(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict]:
        reward = float(action == self.on)
        self.left -= 1
        return self._image(), reward, False, self.left == 0, {}

    def _image(self) -> np.ndarray:
        self.on = int(self.np_random.integers(2))
        image = self.np_random.integers(0, 60, self.observation_space.shape, np.uint8)
        image[:, :18, self.on] += 150
        return image


class LampExpert:
    def predict(self, observation: np.ndarray, *_: Any, **__: Any) -> tuple[np.ndarray, None]:
        brightness = observation[..., :18, :].mean(axis=(1, 2))
        return (brightness[:, 1] > brightness[:, 0]).astype(np.int64), None


def test_images_as_recorded_are_imitated_though_sb3_puts_their_channels_first() -> None:
    demonstrations = record_demonstrations(LampExpert(), DummyVecEnv([Lamp]), 20)
    assert demonstrations[0].obs.shape == (11, 36, 36, 3)
    assert sum(demonstrations[0].rews) == 10
    small = {**SMALL, "discriminator_batch_size": 16, "n_discriminator_updates": 2}
    model = GAIL("CnnPolicy", Lamp(), demonstrations, **{**small, "warm_start_updates": 60})
    expert = model.expert
    assert np.array_equal(expert.obs[3, 2], demonstrations[0].obs[3, :, :, 2])
    assert np.array_equal(expert.next_obs[3, 2], demonstrations[0].obs[4, :, :, 2])
    first_layer = next(model.discriminator.net.parameters())
    assert first_layer.shape[1] == 3  # channels, not pixel rows
    model.learn(128)
    assert evaluate(model, DummyVecEnv([Lamp]), 10).mean() > 9


def test_a_reward_net_that_cannot_be_saved_is_refused_before_it_is_trained() -> None:
    spaces = gym.make("Pendulum-v1")
    net = BasicRewardNet(spaces.observation_space, spaces.action_space)
    th.nn.utils.parametrizations.weight_norm(net.mlp.dense0)
    with pytest.raises(ValueError, match=r"reward_net has a parametrized layer, mlp\.dense0"):
        GAIL("MlpPolicy", "Pendulum-v1", reward_net=net)
