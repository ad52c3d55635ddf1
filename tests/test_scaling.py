"""What learners see on a steady scale: observations by the demonstrations, rewards by returns."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from imitation.data.types import TrajectoryWithRew
from stable_baselines3 import PPO
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import FlattenExtractor
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from sb3_gail_ext import GAIL
from sb3_gail_ext.demonstrations.scaling import ObservationScaling
from sb3_gail_ext.policies.scaled import ScaledFlattenExtractor, fold_scaling
from sb3_gail_ext.rewards.scaling import ReturnScale, Unscaled

OBSERVATIONS = spaces.Box(-np.inf, np.inf, (3,), np.float32)
CENTRE, SPREAD = np.array([5.0, -200.0, 0.1]), np.array([0.5, 30.0, 2.0])
SMALL = {
    "n_steps": 64,
    "batch_size": 64,
    "n_epochs": 1,
    "device": "cpu",
    "seed": 0,
    "warm_start_updates": 5,
    "critic_warm_up_rollouts": 0,
}


def observed(n: int = 200, seed: int = 0, shape: tuple[int, ...] = (3,)) -> np.ndarray:
    standard = np.random.default_rng(seed).normal(size=(n, 3))
    return (CENTRE + SPREAD * standard).astype(np.float32).reshape(n, *shape)


def stop_at_once(_: Any, __: Any) -> bool:
    return False


# --- Observations ------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3,), (1, 3)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_are_standardised(shape: tuple[int, ...], dtype: type) -> None:
    scaling = ObservationScaling(spaces.Box(-np.inf, np.inf, shape, dtype))
    obs = observed(shape=shape)
    scaling.fit_once(obs.astype(dtype))
    scaled = scaling(th.as_tensor(obs)).numpy()
    assert scaled.shape == obs.shape
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled.mean(0), 0.0, atol=1e-5)
    np.testing.assert_allclose(scaled.std(0), 1.0, rtol=1e-5)


def test_a_mean_far_from_zero_does_not_cost_precision() -> None:
    """A deviation of 1 at a million: single precision would have the sum of a thousand wrong."""
    obs = (1e6 + np.arange(-500, 501)[:, None] % 3).astype(np.float32)
    scaling = ObservationScaling(spaces.Box(-np.inf, np.inf, (1,), np.float32))
    scaling.fit_once(obs)
    assert scaling.std.item() == pytest.approx(obs.astype(np.float64).std(), rel=1e-6)
    assert scaling.mean.item() == pytest.approx(obs.astype(np.float64).mean(), abs=0.07)


def test_before_it_is_fitted_nothing_is_scaled() -> None:
    obs = th.as_tensor(observed())
    assert th.equal(ObservationScaling(OBSERVATIONS)(obs), obs)
    assert th.equal(ScaledFlattenExtractor(OBSERVATIONS)(obs), obs)


def test_only_the_first_fit_counts_also_after_loading() -> None:
    scaling, loaded = ObservationScaling(OBSERVATIONS), ObservationScaling(OBSERVATIONS)
    scaling.fit_once(observed())
    loaded.load_state_dict(scaling.state_dict())
    for each in (scaling, loaded):
        each.fit_once(np.zeros((10, 3), np.float32))
        np.testing.assert_allclose(each.mean, observed().mean(0), rtol=1e-5)
        np.testing.assert_allclose(each.std, observed().std(0), rtol=1e-5)


@pytest.mark.parametrize(
    ("space", "obs", "fitted_to"),
    [
        (spaces.Discrete(4), th.tensor([[0.0, 0, 1, 0]]), np.array([2, 3])),
        (spaces.Box(0, 255, (2, 2), np.uint8), th.rand(1, 2, 2), np.ones((9, 2, 2), np.uint8)),
        (spaces.Box(-9, 9, (2,), np.int64), th.tensor([[7.0, -7.0]]), np.array([[3, 3], [1, 5]])),
    ],
    ids=["one-hot", "pixels", "integers"],
)
def test_what_is_no_array_of_floats_passes_as_it_is(
    space: spaces.Space, obs: th.Tensor, fitted_to: np.ndarray
) -> None:
    scaling, extractor = ObservationScaling(space), ScaledFlattenExtractor(space)
    for each in (scaling, extractor):
        each.fit_once(fitted_to)
    assert not scaling.fitted
    assert th.equal(scaling(obs), obs)
    assert th.equal(extractor(obs), obs.flatten(1))
    assert extractor.features_dim == obs.numel()


def test_dicts_pass_as_they_are() -> None:
    obs = {"x": th.rand(2, 3)}
    scaling = ObservationScaling(spaces.Dict({"x": OBSERVATIONS}))
    assert not scaling.applies
    assert scaling(obs) is obs


def test_a_constant_coordinate_stays_quiet() -> None:
    obs = observed()
    obs[:, 1] = 4.0
    scaling = ObservationScaling(OBSERVATIONS)
    scaling.fit_once(obs)
    disturbed = th.as_tensor(obs[:1]) + th.tensor([[0.0, 0.001, 0.0]])
    assert abs(scaling(disturbed)[0, 1].item()) < 0.2
    assert scaling(th.as_tensor(obs))[:, 1].abs().max() == 0.0


def test_the_extractor_flattens_what_it_has_scaled() -> None:
    space = spaces.Box(-np.inf, np.inf, (3, 1), np.float32)
    extractor = ScaledFlattenExtractor(space)
    obs = observed(shape=(3, 1))
    extractor.fit_once(obs)
    expected = (obs - obs.mean(0)) / obs.std(0)
    assert extractor.features_dim == 3
    np.testing.assert_allclose(extractor(th.as_tensor(obs)), expected[..., 0], rtol=1e-3, atol=1e-4)


# --- Folding -----------------------------------------------------------------------------------

CONTINUOUS, DISCRETE = spaces.Box(-9.0, 9.0, (2,), np.float32), spaces.Discrete(3)


def outputs(policy: ActorCriticPolicy, obs: np.ndarray) -> tuple[th.Tensor, th.Tensor]:
    """Means or logits of the actions, and values."""
    with th.no_grad():
        actions = policy.get_distribution(th.as_tensor(obs)).distribution
        discrete = isinstance(actions, th.distributions.Categorical)
        of_actions = actions.logits if discrete else actions.mean
        return of_actions, policy.predict_values(th.as_tensor(obs))


@pytest.mark.parametrize("action_space", [CONTINUOUS, DISCRETE], ids=["box", "discrete"])
@pytest.mark.parametrize(
    "net_arch", [None, [], [7], {"pi": [8], "vf": [16, 4]}, {"pi": [], "vf": [5]}, {"pi": [6]}]
)
def test_a_folded_policy_acts_and_values_the_same(
    action_space: spaces.Space, net_arch: Any
) -> None:
    th.manual_seed(0)
    space = spaces.Box(-np.inf, np.inf, (3, 1), np.float32)
    settings = {"net_arch": net_arch, "activation_fn": th.nn.ReLU, "ortho_init": False}
    scaled = ActorCriticPolicy(
        space,
        action_space,
        lambda _: 1e-3,
        features_extractor_class=ScaledFlattenExtractor,
        **settings,
    )
    scaled.features_extractor.fit_once(observed(shape=(3, 1)))
    for layer in scaled.modules():
        if isinstance(layer, th.nn.Linear):
            th.nn.init.normal_(layer.bias)  # not the zeros that they start from
    plain = ActorCriticPolicy(space, action_space, lambda _: 1e-3, **settings)
    kept = {name: value.clone() for name, value in scaled.state_dict().items()}
    plain.load_state_dict(fold_scaling(scaled))
    obs = observed(50, seed=1, shape=(3, 1))
    for of_plain, of_scaled in zip(outputs(plain, obs), outputs(scaled, obs), strict=True):
        assert of_scaled.std(0).min() > 0.01
        th.testing.assert_close(of_plain, of_scaled, rtol=1e-4, atol=1e-4)
    assert all(th.equal(kept[name], value) for name, value in scaled.state_dict().items())


# --- GAIL's policy -----------------------------------------------------------------------------


def episode(seed: int = 0, **spread: float) -> TrajectoryWithRew:
    """For Pendulum-v1, of states that it never has: their scaling is easily told."""
    obs = observed(41, seed) * spread.get("times", 1.0)
    acts = np.linspace(-1, 1, 40, dtype=np.float32)[:, None]
    return TrajectoryWithRew(obs, acts, infos=None, terminal=False, rews=np.zeros(40))


def pendulum(demonstrations: Any, policy: Any = "MlpPolicy", env: Any = None, **kw: Any) -> GAIL:
    return GAIL(policy, env or "Pendulum-v1", demonstrations, **{**SMALL, **kw})


def extractors(model: GAIL) -> list[th.nn.Module]:
    policies = (model.policy, model.averaged_policy)
    return [e for p in policies for e in (p.pi_features_extractor, p.vf_features_extractor)]


@pytest.mark.parametrize(
    "policy_kwargs", [None, {"share_features_extractor": False}], ids=["shared", "one each"]
)
def test_actor_and_critic_see_what_the_first_demonstrations_scale(
    tmp_path: Path, policy_kwargs: Any
) -> None:
    model = pendulum([episode()], policy_kwargs=policy_kwargs)
    obs = episode().obs[:-1]
    model.set_demonstrations([episode(1, times=3.0)])
    model.learn(64)
    model.save(tmp_path / "model")
    loaded = GAIL.load(tmp_path / "model", device="cpu")
    loaded.set_demonstrations([episode(1, times=3.0)])
    for each in (model, loaded):
        for extractor in extractors(each):
            np.testing.assert_allclose(extractor.scaling.mean, obs.mean(0), rtol=1e-4)
            np.testing.assert_allclose(extractor.scaling.std, obs.std(0), rtol=1e-4)
    np.testing.assert_array_equal(
        model.predict(obs, deterministic=True)[0], loaded.predict(obs, deterministic=True)[0]
    )


def test_the_policy_is_a_plain_one_on_standardised_observations() -> None:
    model = pendulum([episode()])
    plain = ActorCriticPolicy(model.observation_space, model.action_space, lambda _: 1e-3)
    same_names = {
        n: v for n, v in model.policy.state_dict().items() if "extractor.scaling" not in n
    }
    plain.load_state_dict(same_names)
    obs = episode().obs
    standardised = (obs - obs[:-1].mean(0)) / obs[:-1].std(0)
    for ours, expected in zip(
        outputs(model.policy, obs), outputs(plain, standardised), strict=True
    ):
        assert ours.std() > 1e-3
        th.testing.assert_close(ours, expected, rtol=1e-3, atol=1e-5)


class Constant(FlattenExtractor):
    """A user's own."""


@pytest.mark.parametrize(
    ("kwargs", "expected"),
    [
        ({}, ScaledFlattenExtractor),
        ({"policy": ActorCriticPolicy}, ScaledFlattenExtractor),
        ({"policy_kwargs": {"net_arch": [5]}}, ScaledFlattenExtractor),
        ({"normalize_policy_inputs": False}, FlattenExtractor),
        ({"policy_kwargs": {"features_extractor_class": Constant}}, Constant),
        ({"policy_kwargs": {"features_extractor_class": FlattenExtractor}}, FlattenExtractor),
    ],
)
def test_who_scales_and_who_does_not(kwargs: dict[str, Any], expected: type) -> None:
    model = pendulum([episode()], **kwargs)
    assert type(model.policy.features_extractor) is expected
    net_arch = kwargs.get("policy_kwargs", {}).get("net_arch", [64, 64])
    assert model.policy.mlp_extractor.policy_net[0].out_features == net_arch[0]


@pytest.mark.parametrize(
    ("norm_obs", "expected"), [(True, FlattenExtractor), (False, ScaledFlattenExtractor)]
)
def test_observations_are_not_scaled_twice(norm_obs: bool, expected: type) -> None:
    venv = VecNormalize(DummyVecEnv([lambda: gym.make("Pendulum-v1")]), norm_obs=norm_obs)
    model = pendulum([episode()], env=venv, warm_start_updates=0)
    assert type(model.policy.features_extractor) is expected
    assert model.discriminator.net.obs_scaling.fitted  # which never sees VecNormalize's


def test_scaling_of_the_policy_does_not_hang_on_that_of_the_discriminator() -> None:
    one = pendulum([episode()], normalize_inputs=False)
    assert one.policy.features_extractor.scaling.fitted
    assert not one.discriminator.net.obs_scaling.fitted
    other = pendulum([episode()], normalize_policy_inputs=False)
    assert other.discriminator.net.obs_scaling.fitted


@pytest.mark.parametrize(
    "policy_kwargs",
    [
        {},
        {"net_arch": []},
        {"net_arch": {"pi": [9, 5], "vf": [4]}},
        {"share_features_extractor": False},
        {"features_extractor_class": FlattenExtractor},
    ],
    ids=["default", "linear", "uneven", "one extractor each", "plain"],
)
def test_an_exported_policy_acts_and_values_as_the_original(
    tmp_path: Path, policy_kwargs: dict[str, Any]
) -> None:
    model = pendulum([episode()], policy_kwargs=policy_kwargs).learn(64)
    model.export_policy(tmp_path / "policy")
    exported = PPO.load(tmp_path / "policy", device="cpu")
    assert type(exported.policy.features_extractor) is FlattenExtractor
    obs = observed(50, seed=1)
    theirs, ours = outputs(exported.policy, obs), outputs(model.averaged_policy, obs)
    for exported_output, original in zip(theirs, ours, strict=True):
        assert original.std() > 1e-4
        th.testing.assert_close(exported_output, original, rtol=1e-4, atol=1e-5)


class Board(gym.Env):
    """Integers all around."""

    observation_space = spaces.Box(0, 9, (4,), np.int64)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self.n = 0
        return self.np_random.integers(0, 10, 4), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict]:
        self.n += 1
        return self.np_random.integers(0, 10, 4), 0.0, False, self.n >= 10, {}


def test_a_policy_of_integer_observations_is_exported_too(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    obs, acts = rng.integers(0, 10, (21, 4)), rng.integers(0, 2, 20)
    demonstration = TrajectoryWithRew(obs, acts, infos=None, terminal=False, rews=np.zeros(20))
    model = GAIL("MlpPolicy", Board(), [demonstration], **SMALL).learn(64)
    model.export_policy(tmp_path / "policy")
    exported = PPO.load(tmp_path / "policy", device="cpu")
    originals = outputs(model.averaged_policy, obs)
    for theirs, ours in zip(outputs(exported.policy, obs), originals, strict=True):
        assert ours.std() > 1e-3
        th.testing.assert_close(theirs, ours)


# --- Rewards -----------------------------------------------------------------------------------


class Replay(gym.Env):
    """Pays `rewards` one after another; episodes end where `dones` say so."""

    observation_space = spaces.Box(-1.0, 1.0, (1,), np.float32)
    action_space = spaces.Discrete(1)

    def __init__(self, rewards: np.ndarray, dones: np.ndarray) -> None:
        self.steps = iter(zip(rewards.tolist(), dones.tolist(), strict=True))

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict]:
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict]:
        reward, done = next(self.steps)
        return np.zeros(1, np.float32), reward, done, False, {}


N_ROLLOUTS, N_STEPS, N_ENVS = 4, 25, 3


@pytest.fixture
def recorded() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rewards, dones and episode starts of four rollouts, (rollouts, steps, envs)."""
    rng = np.random.default_rng(0)
    rewards = rng.normal(2.0, 3.0, size=(N_ROLLOUTS * N_STEPS, N_ENVS)).astype(np.float32)
    dones = rng.random(rewards.shape) < 0.07
    dones[N_STEPS - 1] = [True, False, False]  # at the border of rollouts, and across it
    starts = np.concatenate([np.ones((1, N_ENVS)), dones[:-1]]).astype(np.float32)
    shape = (N_ROLLOUTS, N_STEPS, N_ENVS)
    return rewards.reshape(shape), dones.reshape(shape), starts.reshape(shape)


@pytest.mark.parametrize("gamma", [0.99, 0.5])
def test_rewards_are_scaled_as_vecnormalize_would(
    recorded: tuple[np.ndarray, np.ndarray, np.ndarray], gamma: float
) -> None:
    """It scales step by step with statistics so far, so what is compared is their end state."""
    rewards, dones, starts = recorded
    flat = rewards.reshape(-1, N_ENVS), dones.reshape(-1, N_ENVS)
    envs = [lambda e=e: Replay(flat[0][:, e], flat[1][:, e]) for e in range(N_ENVS)]
    reference = VecNormalize(
        DummyVecEnv(envs),  # type: ignore[arg-type]
        norm_obs=False,
        clip_reward=np.inf,
        gamma=gamma,
    )
    reference.reset()
    scale = ReturnScale()
    for rollout in range(N_ROLLOUTS):
        for _ in range(N_STEPS):
            reference.step(np.zeros(N_ENVS, int))
        scaled = scale(rewards[rollout], starts[rollout], gamma)
        expected = reference.normalize_reward(rewards[rollout])
        np.testing.assert_allclose(scaled, expected, rtol=1e-6)
        assert abs(np.sqrt(reference.ret_rms.var) - 1) > 1


def test_returns_so_far_are_forgotten_where_the_number_of_environments_changes() -> None:
    """Gamma is 1: returns are 3 and 6, then 3 in the only environment that is left."""
    scale, running = ReturnScale(), np.zeros((1, 1))
    scale(np.full((2, 2), 3.0), np.array([[1.0, 1.0], [0.0, 0.0]]), 1.0)
    scaled = scale(np.full((1, 1), 3.0), running, 1.0)
    assert scaled.item() == pytest.approx(3.0 / np.std([3, 3, 6, 6, 3]), rel=1e-3)


def test_unscaled_rewards_are_the_rewards() -> None:
    rewards = np.array([[1.5, -3.0]], np.float32)
    assert Unscaled()(rewards, np.zeros((1, 2)), 0.9) is rewards


def spy_on_relabelling(model: GAIL) -> list[dict[str, np.ndarray]]:
    """Filled with each round's learned rewards, and with what the generator gets for them."""
    seen: list[dict[str, np.ndarray]] = []
    relabel = model.rollout_buffer.relabel

    def spy(reward_fn: Callable, scale: Callable) -> np.ndarray:
        buffer = model.rollout_buffer
        bootstrap, starts = buffer.rewards.copy(), buffer.episode_starts.copy()
        learned = relabel(reward_fn, scale)
        seen.append({"learned": learned, "starts": starts, "paid": buffer.rewards - bootstrap})
        return learned

    model.rollout_buffer.relabel = spy  # type: ignore[method-assign]
    return seen


def returns_by_hand(rounds: list[dict[str, np.ndarray]], gamma: float) -> np.ndarray:
    rewards = np.concatenate([r["learned"] for r in rounds])
    starts = np.concatenate([r["starts"] for r in rounds])
    returns = np.zeros(rewards.shape)
    for env in range(rewards.shape[1]):
        for t in range(len(rewards)):
            carried = 0.0 if starts[t, env] else gamma * returns[t - 1, env]
            returns[t, env] = rewards[t, env] + carried
    return returns


def test_a_loaded_model_goes_on_with_the_scale_it_had(
    tmp_path: Path, line_env: Any, line_demonstrations: Any
) -> None:
    """Episodes of seven steps, rollouts of forty; a loaded model's environments start afresh."""
    settings = {**SMALL, "n_steps": 40, "batch_size": 40, "reward_form": "airl"}
    model = GAIL("MlpPolicy", DummyVecEnv([line_env] * 2), line_demonstrations, **settings)
    rounds = spy_on_relabelling(model)
    model.learn(2 * 80)
    del model.rollout_buffer.relabel  # a test's own, not to be saved
    model.save(tmp_path / "model")
    loaded = GAIL.load(tmp_path / "model", env=DummyVecEnv([line_env] * 2), device="cpu")
    loaded.set_demonstrations(line_demonstrations)
    rounds_of_loaded = spy_on_relabelling(loaded)
    loaded.learn(2 * 80, reset_num_timesteps=False)
    rounds += rounds_of_loaded
    assert len(rounds) == 4
    assert rounds[1]["starts"][0].min() == 0  # an episode across the border
    assert rounds[2]["starts"][0].min() == 1
    for n in range(1, 5):
        deviation = returns_by_hand(rounds[:n], model.gamma).std()
        # A running variance that begins with a ten-thousandth of a sample.
        np.testing.assert_allclose(
            rounds[n - 1]["paid"], rounds[n - 1]["learned"] / deviation, rtol=1e-3, atol=1e-5
        )
    alone = returns_by_hand(rounds[2:3], model.gamma).std()
    assert abs(alone / returns_by_hand(rounds[:3], model.gamma).std() - 1) > 0.01
