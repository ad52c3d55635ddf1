"""The start of learning: behaviour cloning, then the critic alone, then everything."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from imitation.data.types import TrajectoryWithRew, Transitions
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from sb3_gail_ext import BC, GAIL, evaluate
from sb3_gail_ext.algorithms import on_policy, warm_start
from sb3_gail_ext.algorithms.warm_start import clone_behaviour, fit_values
from sb3_gail_ext.buffers.rollout import RelabelledRolloutBuffer
from sb3_gail_ext.demonstrations.sampling import TransitionBatch

OBSERVATIONS = spaces.Box(-np.inf, np.inf, (3,), np.float32)
ACTIONS = spaces.Box(-5.0, 5.0, (2,), np.float32)
GAIN = np.array([[0.5, -0.2], [0.0, 0.7], [-0.3, 0.1]], np.float32)
SMALL = {
    "n_steps": 64,
    "batch_size": 64,
    "n_epochs": 1,
    "device": "cpu",
    "seed": 0,
    "rehearsal_updates": 0,
}


def states(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 3)).astype(np.float32)


def linear_expert(n: int = 500, *, discrete: bool = False) -> TransitionBatch:
    obs = states(n, seed=1)
    acts = (obs @ GAIN[:, 0] > 0).astype(np.int64) if discrete else obs @ GAIN
    return TransitionBatch(obs, acts, obs, np.zeros(n, bool))


def make_policy(action_space: spaces.Space = ACTIONS, **kwargs: Any) -> ActorCriticPolicy:
    th.manual_seed(0)
    return ActorCriticPolicy(OBSERVATIONS, action_space, lambda _: 1e-2, **kwargs)


def mean_action(policy: ActorCriticPolicy, obs: np.ndarray) -> np.ndarray:
    return policy.predict(obs, deterministic=True)[0]


def values(policy: ActorCriticPolicy, obs: np.ndarray) -> np.ndarray:
    with th.no_grad():
        return policy.predict_values(th.as_tensor(obs)).numpy().ravel()


def tensors(module: th.nn.Module) -> dict[str, th.Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def moved(before: dict[str, th.Tensor], after: dict[str, th.Tensor]) -> set[str]:
    return {name for name in before if not th.equal(before[name], after[name])}


def actor(names: Iterable[str]) -> set[str]:
    """Of a policy's tensors, those that decide on actions."""
    return {n for n in names if n.startswith(("mlp_extractor.policy_net", "action_net", "log_std"))}


def critic(names: Iterable[str]) -> set[str]:
    return {n for n in names if n.startswith(("mlp_extractor.value_net", "value_net"))}


def stop_at_once(_: Any, __: Any) -> bool:
    return False


# --- Behaviour cloning -------------------------------------------------------------------------


def test_the_clone_acts_like_the_expert_on_states_it_has_not_seen() -> None:
    policy = make_policy()
    unseen = states(200, seed=2)
    off_before = np.abs(mean_action(policy, unseen) - unseen @ GAIN).mean()
    clone_behaviour(policy, linear_expert(), n_updates=500, rng=np.random.default_rng(0))
    off = np.abs(mean_action(policy, unseen) - unseen @ GAIN).mean()
    assert off_before > 0.3
    assert off < 0.05


def test_the_clone_chooses_like_the_expert() -> None:
    policy = make_policy(spaces.Discrete(2))
    unseen = states(500, seed=2)
    right = (unseen @ GAIN[:, 0] > 0).astype(np.int64)
    assert (mean_action(policy, unseen) == right).mean() < 0.8
    clone_behaviour(
        policy, linear_expert(discrete=True), n_updates=500, rng=np.random.default_rng(0)
    )
    assert (mean_action(policy, unseen) == right).mean() > 0.95


def test_cloning_leaves_noise_critic_and_optimiser_alone() -> None:
    policy = make_policy(log_std_init=-0.7)
    before = tensors(policy)
    clone_behaviour(policy, linear_expert(), n_updates=20, rng=np.random.default_rng(0))
    after = tensors(policy)
    assert moved(before, after) == actor(before) - {"log_std"}
    assert th.equal(after["log_std"], th.full((2,), -0.7))
    assert policy.optimizer.state_dict()["state"] == {}
    assert not policy.training


def test_cloning_is_repeatable_and_depends_on_the_seed() -> None:
    def cloned(seed: int) -> dict[str, th.Tensor]:
        policy = make_policy()
        rng = np.random.default_rng(seed)
        clone_behaviour(policy, linear_expert(), n_updates=20, rng=rng)
        return tensors(policy)

    one, again, other = cloned(3), cloned(3), cloned(4)
    assert moved(one, again) == set()
    assert moved(one, other) == actor(one) - {"log_std"}


def test_the_learning_rate_falls_linearly_where_it_shall() -> None:
    policy = make_policy()
    optimizer = warm_start.cloning_optimizer(policy)
    rates: list[float] = []
    step = optimizer.step

    def spy() -> None:
        rates.append(optimizer.param_groups[0]["lr"])
        step()

    optimizer.step = spy  # type: ignore[method-assign, assignment]
    settings: dict[str, Any] = {"optimizer": optimizer, "rng": np.random.default_rng(0)}
    clone_behaviour(policy, linear_expert(), n_updates=3, **settings, final_learning_rate=0.0)
    clone_behaviour(policy, linear_expert(), n_updates=2, **settings, learning_rate=3e-4)
    assert rates == pytest.approx([1e-3, 5e-4, 0.0, 3e-4, 3e-4])


def test_the_likelihood_returned_is_that_of_a_gaussian() -> None:
    """One batch, before its step: with deviation s, (a - mean)^2 / 2 s^2 + ln s + ln(2 pi) / 2."""
    policy, expert = make_policy(log_std_init=-0.7), linear_expert(100)
    drawn = expert.take(np.random.default_rng(5).integers(100, size=16))
    squares = ((drawn.acts - mean_action(policy, drawn.obs)) / np.exp(-0.7)) ** 2
    by_hand = (0.5 * squares - 0.7 + 0.5 * np.log(2 * np.pi)).sum(1).mean()
    returned = clone_behaviour(
        policy, expert, n_updates=1, rng=np.random.default_rng(5), batch_size=16
    )
    assert returned == pytest.approx(by_hand, rel=1e-5)


def test_the_likelihood_returned_is_of_the_last_hundred_batches() -> None:
    def returned(n_updates: int) -> float:
        # A learning rate of 0: each batch is as likely as if it were the first.
        return clone_behaviour(
            *(make_policy(), linear_expert()),
            n_updates=n_updates,
            rng=np.random.default_rng(0),
            batch_size=1,
            learning_rate=0.0,
        )

    first, all_of_them = returned(50), returned(150)
    drawn = linear_expert().take(np.random.default_rng(0).integers(500, size=150))
    off = drawn.acts - mean_action(make_policy(), drawn.obs)
    each = 0.5 * (off**2).sum(1) + np.log(2 * np.pi)
    assert first == pytest.approx(each[:50].mean(), rel=1e-5)
    assert all_of_them == pytest.approx(each[50:].mean(), rel=1e-5)


# --- Fitting the critic ------------------------------------------------------------------------


def full_buffer(returns: float) -> RelabelledRolloutBuffer:
    """A rollout of 2 environments, 64 steps each, whose returns are all the same."""
    buffer = RelabelledRolloutBuffer(64, OBSERVATIONS, ACTIONS, n_envs=2, device="cpu")
    for step in range(64):
        obs, nothing = states(2, seed=step), np.zeros(2, np.float32)
        buffer.add(obs, obs[:, :2], nothing, nothing, th.zeros(2, 1), th.zeros(2))
    buffer.returns[:] = returns
    buffer.advantages[:] = -100.0  # the critic is no business of theirs
    return buffer


def test_the_critic_converges_to_constant_returns_and_the_actor_does_not_move() -> None:
    policy = make_policy()
    before = tensors(policy)
    assert np.abs(values(policy, states(50, seed=99)) - 3.0).min() > 1.0
    fit_values(policy, full_buffer(3.0), n_epochs=100, batch_size=32)
    np.testing.assert_allclose(values(policy, states(50, seed=99)), 3.0, atol=0.1)
    assert moved(before, tensors(policy)) == critic(before)
    trained = {id(p) for p in policy.optimizer.state}
    assert trained == {id(p) for n, p in policy.named_parameters() if critic([n])}
    assert not policy.training


def test_earlier_gradients_and_their_momentum_do_not_move_the_actor() -> None:
    policy = make_policy()
    policy.evaluate_actions(th.zeros(4, 3), th.ones(4, 2))[1].mean().backward()
    policy.optimizer.step()
    assert policy.action_net.bias.grad.abs().min() > 0  # type: ignore[union-attr]
    before = tensors(policy)
    fit_values(policy, full_buffer(3.0), n_epochs=1)
    assert moved(before, tensors(policy)) == critic(before)


# --- In GAIL -----------------------------------------------------------------------------------


def test_gail_balances_straight_after_the_warm_start(
    cartpole_expert: list[TrajectoryWithRew],
) -> None:
    model = GAIL("MlpPolicy", "CartPole-v1", cartpole_expert, warm_start_updates=400, **SMALL)
    untrained = evaluate(model, "CartPole-v1", 5, deterministic=False).mean()
    model.learn(1, callback=stop_at_once)  # before the first round
    assert model.num_timesteps == 1
    assert untrained < 60
    assert evaluate(model, "CartPole-v1", 5, deterministic=False).mean() > 400


class Clones:
    """Counts the calls of `clone_behaviour` and keeps the last one's arguments."""

    def __init__(self) -> None:
        self.n = 0

    def __call__(self, policy: Any, expert: TransitionBatch, **kwargs: Any) -> float:
        self.n += 1
        self.expert, self.n_updates = expert, kwargs["n_updates"]
        return clone_behaviour(policy, expert, **kwargs)


@pytest.fixture
def clones(monkeypatch: pytest.MonkeyPatch) -> Clones:
    counted = Clones()
    monkeypatch.setattr(on_policy, "clone_behaviour", counted)
    return counted


def test_only_the_first_learn_of_a_models_life_clones(
    clones: Clones, tmp_path: Path, pendulum_expert: Any
) -> None:
    model = GAIL("MlpPolicy", "Pendulum-v1", pendulum_expert, warm_start_updates=7, **SMALL)
    assert clones.n == 0
    model.learn(64)
    assert clones.n == 1
    assert clones.n_updates == 7
    np.testing.assert_array_equal(clones.expert.obs, model.expert.obs)  # type: ignore[union-attr]
    model.learn(64)  # SB3 counts steps from 0 again
    model.learn(64, reset_num_timesteps=False)
    model.save(tmp_path / "model")
    loaded = GAIL.load(tmp_path / "model", env=gym.make("Pendulum-v1"), device="cpu")
    loaded.set_demonstrations(pendulum_expert)
    loaded.learn(64, reset_num_timesteps=False)
    loaded.learn(64)
    assert clones.n == 1


def test_a_model_saved_before_it_learned_clones_when_it_does(
    clones: Clones, tmp_path: Path, pendulum_expert: Any
) -> None:
    GAIL("MlpPolicy", "Pendulum-v1", None, warm_start_updates=7, **SMALL).save(tmp_path / "model")
    loaded = GAIL.load(tmp_path / "model", env=gym.make("Pendulum-v1"), device="cpu")
    loaded.set_demonstrations(pendulum_expert)
    loaded.learn(64)
    assert clones.n == 1


def test_a_warm_start_of_no_updates_is_none(clones: Clones, pendulum_expert: Any) -> None:
    GAIL("MlpPolicy", "Pendulum-v1", pendulum_expert, warm_start_updates=0, **SMALL).learn(64)
    assert clones.n == 0


def normalized_lines(line_env: Any, **kwargs: Any) -> VecNormalize:
    return VecNormalize(DummyVecEnv([line_env] * 3), **kwargs)


def test_with_vecnormalize_statistics_and_clone_start_from_the_demonstrations(
    clones: Clones, line_env: Any, line_demonstrations: Any
) -> None:
    venv = normalized_lines(line_env)
    model = GAIL("MlpPolicy", venv, line_demonstrations, warm_start_updates=300, **SMALL)
    model.learn(1, callback=stop_at_once)
    obs = np.concatenate([episode.obs[:-1] for episode in line_demonstrations])
    # 21 rows of demonstrations beside 3 of reset and 3 of the first step.
    assert 21 <= venv.obs_rms.count < 28
    # The second coordinate counts steps: 0 to 6 in demonstrations; 0 in the rest, or 1.
    np.testing.assert_allclose(venv.obs_rms.mean[1], (3 * 21 + 3) / 27, rtol=1e-4)
    # The clone has learned what the policy will meet: observations as normalised at that time.
    assert len(clones.expert) == 21
    slope, offset = np.polyfit(obs[:, 1], clones.expert.obs[:, 1], 1)
    mean = 3 * 21 / 24  # of demonstrations and reset
    std = np.sqrt(np.sum((obs[:, 1] - mean) ** 2) / 24 + 3 / 24 * mean**2)
    np.testing.assert_allclose([slope, offset], [1 / std, -mean / std], rtol=1e-4)
    np.testing.assert_array_equal(clones.expert.acts, model.expert.acts)  # type: ignore[union-attr]
    # The discriminator's are still those of the file.
    np.testing.assert_array_equal(model.expert.obs, obs)  # type: ignore[union-attr]


def test_with_vecnormalize_the_clone_acts_like_the_expert(
    line_env: Any, line_demonstrations: Any
) -> None:
    venv = normalized_lines(line_env)
    model = GAIL("MlpPolicy", venv, line_demonstrations, warm_start_updates=300, **SMALL)
    model.learn(1, callback=stop_at_once)
    obs = np.concatenate([episode.obs[:-1] for episode in line_demonstrations])
    acts = np.concatenate([episode.acts for episode in line_demonstrations])
    predicted = model.predict(venv.normalize_obs(obs), deterministic=True)[0]
    assert np.abs(predicted - acts).mean() < 0.2 * np.abs(acts).mean()


def test_statistics_that_the_user_has_frozen_stay_frozen(
    line_env: Any, line_demonstrations: Any
) -> None:
    venv = normalized_lines(line_env, training=False)
    venv.obs_rms.mean[:] = [0.25, 2.0]
    GAIL("MlpPolicy", venv, line_demonstrations, warm_start_updates=5, **SMALL).learn(64)
    np.testing.assert_array_equal(venv.obs_rms.mean, [0.25, 2.0])
    np.testing.assert_array_equal(venv.obs_rms.var, [1.0, 1.0])


# --- Critic warm-up ----------------------------------------------------------------------------

Round = tuple[bool, bool, bool]  # did actor, critic, discriminator move, all of each?


def rounds(model: GAIL) -> list[Round]:
    """Filled with what moves in each round that `model` is going to learn."""
    seen: list[Round] = []
    train = model.train

    def spy() -> None:
        policy, net = tensors(model.policy), tensors(model.discriminator.net.base)
        train()
        changed = moved(policy, tensors(model.policy))
        halves = (changed & actor(policy), changed & critic(policy))
        assert halves[0] in (set(), actor(policy))
        judge = moved(net, tensors(model.discriminator.net.base))
        seen.append((bool(halves[0]), halves[1] == critic(policy), judge == set(net)))

    model.train = spy  # type: ignore[method-assign]
    return seen


WARMING_UP, ALL = (False, True, True), (True, True, True)


@pytest.mark.parametrize("warm_start_updates", [0, 20])
def test_at_first_only_critic_and_discriminator_learn(
    pendulum_expert: Any, warm_start_updates: int
) -> None:
    model = GAIL(
        "MlpPolicy",
        "Pendulum-v1",
        pendulum_expert,
        **{"critic_warm_up_rollouts": 2, "warm_start_updates": warm_start_updates, **SMALL},
    )
    seen = rounds(model)
    model.learn(4 * 64)
    assert seen == [WARMING_UP, WARMING_UP, ALL, ALL]


def test_no_critic_warm_up_is_none(pendulum_expert: Any) -> None:
    model = GAIL(
        "MlpPolicy",
        "Pendulum-v1",
        pendulum_expert,
        **{"critic_warm_up_rollouts": 0, "warm_start_updates": 0, **SMALL},
    )
    seen = rounds(model)
    model.learn(64)
    assert seen == [ALL]


def test_a_loaded_model_finishes_its_critic_warm_up_and_does_not_repeat_it(
    tmp_path: Path, pendulum_expert: Any
) -> None:
    model = GAIL(
        "MlpPolicy",
        "Pendulum-v1",
        pendulum_expert,
        **{"critic_warm_up_rollouts": 2, "warm_start_updates": 0, **SMALL},
    )
    model.learn(64).save(tmp_path / "model")
    loaded = GAIL.load(tmp_path / "model", env=gym.make("Pendulum-v1"), device="cpu")
    loaded.set_demonstrations(pendulum_expert)
    seen = rounds(loaded)
    loaded.learn(2 * 64, reset_num_timesteps=False)
    loaded.learn(64)
    assert seen == [WARMING_UP, ALL, ALL]


def test_the_critic_warms_up_on_the_learned_returns(pendulum_expert: Any) -> None:
    model = GAIL(
        "MlpPolicy",
        "Pendulum-v1",
        pendulum_expert,
        **{**SMALL, "critic_warm_up_rollouts": 100, "warm_start_updates": 0, "n_epochs": 10},
        learning_rate=3e-3,
        discriminator_learning_rate=0.0,
    )
    model.learn(12 * 64)
    buffer = model.rollout_buffer  # the last rollout, after the critic was fitted to it
    off = np.abs(values(model.policy, buffer.observations) - buffer.returns.ravel())
    assert buffer.returns.mean() > 2.0  # of rewards that are all positive
    assert off.mean() < 0.2 * buffer.returns.mean()


# --- Rehearsal ---------------------------------------------------------------------------------


def test_rehearsals_fade_over_the_run_and_leave_the_noise_alone(
    clones: Clones, pendulum_expert: Any
) -> None:
    # 256 per 2,048 steps are 8 for a rollout of 64.
    settings = {**SMALL, "rehearsal_updates": 256, "critic_warm_up_rollouts": 1}
    model = GAIL("MlpPolicy", "Pendulum-v1", pendulum_expert, warm_start_updates=3, **settings)
    rehearse, counts = model._rehearse, []

    def spy() -> None:
        clones.n_updates = 0
        noise = model.policy.log_std.clone()
        rehearse()
        assert th.equal(noise, model.policy.log_std)
        counts.append(clones.n_updates)

    model._rehearse = spy  # type: ignore[method-assign]
    model.learn(4 * 64)
    # After rounds 2, 3 and 4 of 4; the first is the critic's.
    assert counts == [4, 2, 0]


def test_the_last_rollout_may_go_beyond_the_steps_that_were_asked_for(
    clones: Clones, pendulum_expert: Any
) -> None:
    settings = {**SMALL, "rehearsal_updates": 256, "critic_warm_up_rollouts": 0}
    model = GAIL("MlpPolicy", "Pendulum-v1", pendulum_expert, warm_start_updates=3, **settings)
    model.learn(70)
    assert model.num_timesteps == 128
    assert clones.n_updates == 1  # after the first rollout, 6 of 70 steps from the end: 8 * 0.086


def test_what_was_not_cloned_is_not_rehearsed(clones: Clones, pendulum_expert: Any) -> None:
    settings = {**SMALL, "rehearsal_updates": 256, "critic_warm_up_rollouts": 0}
    GAIL("MlpPolicy", "Pendulum-v1", pendulum_expert, warm_start_updates=0, **settings).learn(128)
    assert clones.n == 0


def test_the_cloning_optimiser_survives_saving(tmp_path: Path, pendulum_expert: Any) -> None:
    model = GAIL("MlpPolicy", "Pendulum-v1", pendulum_expert, warm_start_updates=5, **SMALL)
    model.learn(64).save(tmp_path / "model")
    loaded = GAIL.load(tmp_path / "model", device="cpu")
    state = loaded.cloning_optimizer.state_dict()["state"]
    kept = model.cloning_optimizer.state_dict()["state"]
    assert state.keys() == kept.keys() != set()
    for key in kept:
        assert th.equal(state[key]["exp_avg"], kept[key]["exp_avg"])


def test_an_interrupted_warm_start_begins_again(
    monkeypatch: pytest.MonkeyPatch, pendulum_expert: Any
) -> None:
    model = GAIL("MlpPolicy", "Pendulum-v1", pendulum_expert, warm_start_updates=5, **SMALL)

    def interrupted(*_: Any, **__: Any) -> float:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(on_policy, "clone_behaviour", interrupted)
        with pytest.raises(KeyboardInterrupt):
            model.learn(64)
    counted = Clones()
    monkeypatch.setattr(on_policy, "clone_behaviour", counted)
    model.learn(64)
    assert (counted.n, counted.n_updates) == (1, 5)


class Grid(gym.Env):
    """Two by three motors; nothing moves."""

    observation_space = spaces.Box(-1.0, 1.0, (3,))
    action_space = spaces.Box(-1.0, 1.0, (2, 3))

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        return np.zeros(3, np.float32), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        return np.zeros(3, np.float32), 0.0, False, False, {}


@pytest.mark.parametrize("algorithm", ["GAIL", "BC"])
def test_actions_may_have_more_than_one_dimension(algorithm: str) -> None:
    obs, acts = states(50, seed=0), np.full((50, 2, 3), 0.5, np.float32)
    acts[:, 1, 2] = -0.5
    dones = np.zeros(50, bool)
    expert = Transitions(obs=obs, acts=acts, infos=np.array([{}] * 50), next_obs=obs, dones=dones)
    if algorithm == "GAIL":
        settings = {**SMALL, "warm_start_updates": 300, "critic_warm_up_rollouts": 9}
        model: Any = GAIL("MlpPolicy", Grid(), expert, **settings).learn(64)
    else:
        model = BC("MlpPolicy", Grid(), expert, device="cpu", seed=0).learn(256 * 300)
    predicted = model.predict(obs[:2], deterministic=True)[0]
    np.testing.assert_allclose(predicted, acts[:2], atol=0.2)


def test_a_model_without_an_environment_says_so(tmp_path: Path, pendulum_expert: Any) -> None:
    model = GAIL("MlpPolicy", "Pendulum-v1", pendulum_expert, warm_start_updates=1, **SMALL)
    model.save(tmp_path / "model")
    with pytest.raises(ValueError, match=r"there is no environment: pass env="):
        GAIL.load(tmp_path / "model", device="cpu").learn(64)
