"""AIRL: its discriminator's numbers, the density of clipped actions, learning, saving."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from imitation.algorithms.adversarial.airl import AIRL as ImitationAIRL
from imitation.rewards.reward_nets import BasicRewardNet, BasicShapedRewardNet, ShapedRewardNet
from sb3_contrib import TRPO
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
from tiny_envs import Goal, expert_episodes
from watching import same, weights

from sb3_gail_ext import AIRL, GAIL
from sb3_gail_ext.algorithms.airl import AdversarialIRL
from sb3_gail_ext.demonstrations.sampling import TransitionBatch
from sb3_gail_ext.policies.actions import clipped_normal_log_prob, executed_log_prob
from sb3_gail_ext.rewards.discriminator import Discriminator
from sb3_gail_ext.rewards.networks import NormalizedRewardNet, shaped_reward_net
from sb3_gail_ext.rewards.objectives import REWARD_FORMS, gradient_penalty

SMALL = {
    "n_steps": 64,
    "batch_size": 64,
    "n_epochs": 2,
    "device": "cpu",
    "seed": 0,
    "warm_start_updates": 10,
    "critic_warm_up_rollouts": 0,
}


def pendulum(demonstrations: Any, **kwargs: Any) -> AIRL:
    return AIRL("MlpPolicy", "Pendulum-v1", demonstrations, **{**SMALL, **kwargs})


def cartpole(demonstrations: Any, **kwargs: Any) -> AIRL:
    return AIRL("MlpPolicy", "CartPole-v1", demonstrations, **{**SMALL, **kwargs})


def at_each_round(model: AIRL, look: Any) -> None:
    """Call `look` when a rollout is full and nothing has learned from it."""
    train = model.train

    def spy() -> None:
        look()
        train()

    model.train = spy  # type: ignore[method-assign]


# --- The discriminator ---------------------------------------------------------------------------


@pytest.mark.parametrize("make", [pendulum, cartpole])
def test_logits_are_those_of_imitations_airl(
    make: Any, pendulum_expert: Any, cartpole_expert: Any
) -> None:
    model = make(pendulum_expert if make is pendulum else cartpole_expert).learn(128)
    batch = model.expert.take(np.arange(60))
    inside = np.ones(60, bool)
    if make is pendulum:  # on the bounds imitation has densities
        inside = (np.abs(batch.acts) < 1.99).all(axis=1)
    batch = TransitionBatch(*(array[inside] for array in batch))
    batch.dones[::3] = True
    assert len(batch) > 20
    net = model.discriminator.net.eval()
    with th.no_grad():
        _, log_prob, _ = model.policy.evaluate_actions(
            th.as_tensor(batch.obs), th.as_tensor(batch.acts)
        )
        theirs = ImitationAIRL.logits_expert_is_high(
            SimpleNamespace(_reward_net=net), *net.preprocess(*batch), log_policy_act_prob=log_prob
        )
    ours = model.discriminator.logits(*batch)
    th.testing.assert_close(ours, theirs)
    assert log_prob.std() > 0.01
    # The generator's reward is the logit, not f alone.
    np.testing.assert_allclose(model.discriminator.reward(*batch), theirs, rtol=1e-5, atol=1e-6)


def test_the_default_net_is_imitations_shaped_one_with_the_generators_gamma() -> None:
    model = pendulum(None, gamma=0.9, reward_net_kwargs={"use_action": False})
    net = model.discriminator.net.base
    assert isinstance(net, ShapedRewardNet)
    assert net.discount_factor == 0.9
    assert not net.base.use_action
    obs, next_obs, acts = th.randn(5, 3), th.randn(5, 3), th.randn(5, 1)
    done = th.tensor([0.0, 1.0, 0.0, 1.0, 0.0])
    with th.no_grad():
        reward = net.base(obs, acts, next_obs, done)
        here, there = net.potential(obs), net.potential(next_obs)
        by_hand = reward + 0.9 * (1 - done) * there - here  # nothing after a terminal state
        th.testing.assert_close(net(obs, acts, next_obs, done), by_hand)
        theirs = BasicShapedRewardNet(
            *(model.observation_space, model.action_space),
            reward_hid_sizes=(64, 64),
            potential_hid_sizes=(64, 64),
            use_action=False,
            activation=th.nn.Tanh,
            discount_factor=0.9,
        )
        theirs.load_state_dict(net.state_dict())
        th.testing.assert_close(theirs(obs, acts, next_obs, done), by_hand)


def test_images_get_convolutions_for_reward_and_potential() -> None:
    images = spaces.Box(0, 255, (3, 36, 36), np.uint8)
    net = NormalizedRewardNet(
        shaped_reward_net(images, spaces.Discrete(2), discount_factor=0.9, spectral_norm=True)
    )
    frames = np.random.default_rng(0).integers(0, 256, (5, *images.shape), np.uint8)
    data = (frames, np.zeros(5, int), frames[::-1].copy(), np.zeros(5, bool))
    assert net(*net.preprocess(*data)).shape == (5,)
    assert not any(isinstance(m, th.nn.Linear) and m.in_features > 1000 for m in net.modules())


class Bandit(Discriminator):
    """A discriminator of one state and three actions, whose f can be any function of them."""

    expert = np.array([0.7, 0.2, 0.1])

    def __init__(self, policy: np.ndarray) -> None:
        observation, action = spaces.Box(-1.0, 1.0, (1,), np.float32), spaces.Discrete(3)
        super().__init__(
            NormalizedRewardNet(BasicRewardNet(observation, action, hid_sizes=())),
            learning_rate=0.1,
            reward_form="airl",
            gradient_penalty_coef=0.0,
            logit_offset=lambda obs, acts, *_: -th.as_tensor(np.log(policy[acts])).float(),
        )
        self.policy = policy

    @staticmethod
    def transitions(acts: np.ndarray) -> TransitionBatch:
        nowhere = np.zeros((len(acts), 1), np.float32)
        return TransitionBatch(nowhere, acts, nowhere, np.zeros(len(acts), bool))

    def fit(self) -> np.ndarray:
        """f of each action, after training on samples in the exact proportions."""
        sides = [
            self.transitions(np.repeat(np.arange(3), np.round(1000 * p).astype(int)))
            for p in (self.expert, self.policy)
        ]
        for _ in range(300):
            self.update(*sides)
        three = self.transitions(np.arange(3))
        return (self.logits(*three) - self.logit_offset(*three)).numpy()


@pytest.mark.parametrize("policy", [(0.1, 0.3, 0.6), (0.5, 0.4, 0.1)])
def test_f_becomes_the_experts_log_probability_whatever_the_policy(policy: Any) -> None:
    """Fu et al. 2018: at the optimum exp f is the expert's density, without scale."""
    f = Bandit(np.array(policy)).fit()
    np.testing.assert_allclose(f, np.log(Bandit.expert), atol=0.02)


def test_the_penalty_leaves_flags_alone() -> None:
    """f's slope in `done` is the potential, which may be as large as it has to."""
    w = th.tensor([3.0, 4.0])  # of length 5

    def linear(obs: th.Tensor, done: th.Tensor) -> th.Tensor:
        return obs @ w + 100.0 * done

    sides = [(th.randn(6, 2), th.ones(6)), (th.randn(6, 2), th.zeros(6))]
    assert gradient_penalty(linear, *sides).item() == pytest.approx(16.0, rel=1e-4)


# --- log pi of what was executed ------------------------------------------------------------------


def test_a_clipped_normals_density_and_masses_sum_to_one() -> None:
    low, high = th.tensor([-1.0, -0.5]), th.tensor([2.0, np.inf])
    mean, std = th.tensor([0.7, -1.0]), th.tensor([1.5, 0.4])
    normal = th.distributions.Normal(mean.double(), std.double())
    for k in range(2):
        one = th.distributions.Normal(normal.mean[k : k + 1], normal.stddev[k : k + 1])
        grid = th.linspace(float(low[k]) + 2e-5, min(float(high[k]), 9.0) - 2e-5, 20_001).double()
        bounds = (low[k : k + 1], high[k : k + 1])
        density = clipped_normal_log_prob(one, grid[:, None], *bounds).exp()
        total = th.trapezoid(density, grid)
        ends = th.tensor([float(b) for b in bounds if b.isfinite().all()])
        total = total + clipped_normal_log_prob(one, ends[:, None], *bounds).exp().sum()
        assert total.item() == pytest.approx(1.0, abs=1e-3)
    # Dimensions are independent: logs add up.
    values = th.tensor([[0.3, -0.5], [2.0, 0.1]]).double()
    joint = clipped_normal_log_prob(normal, values, low, high)
    by_hand = [
        normal.log_prob(values)[0, 0] + normal.cdf(low.double())[1].log(),
        (1 - normal.cdf(high.double())[0]).log() + normal.log_prob(values)[1, 1],
    ]
    th.testing.assert_close(joint, th.stack(by_hand))


def test_far_masses_keep_their_logarithm() -> None:
    normal = th.distributions.Normal(th.tensor([[-40.0]]), th.tensor([[1.0]]))
    bounds = th.tensor([-1.0]), th.tensor([1.0])
    log_prob = clipped_normal_log_prob(normal, th.tensor([[1.0]]), *bounds)
    assert log_prob.item() == pytest.approx(-(41**2) / 2, rel=0.02)


def test_unbounded_actions_have_the_policys_own_density() -> None:
    unbounded = th.tensor([-np.inf, -np.inf]), th.tensor([np.inf, np.inf])
    normal = th.distributions.Normal(th.randn(5, 2), th.ones(5, 2))
    values = 3 * th.randn(5, 2)
    ours = clipped_normal_log_prob(normal, values, *unbounded)
    th.testing.assert_close(ours, normal.log_prob(values).sum(1))


def area_under_curve(high: th.Tensor, low: th.Tensor) -> float:
    """The share of pairs in which the first is the higher: 1/2 for samples alike."""
    above = (high[:, None] > low[None]).float() + 0.5 * (high[:, None] == low[None]).float()
    return float(above.mean())


def test_bounds_alone_do_not_tell_the_agent_from_an_expert_that_acts_as_it_does() -> None:
    """The same policy on both sides: with f = 0 no offset may prefer one of them."""
    model = PPO("MlpPolicy", "Pendulum-v1", device="cpu", policy_kwargs={"log_std_init": 1.0})
    obs = np.random.default_rng(0).normal(size=(1000, 3)).astype(np.float32)
    expert, agent = (model.policy(th.as_tensor(obs))[0].detach() for _ in range(2))
    executed = [a.clamp(-2.0, 2.0).numpy() for a in (expert, agent)]
    assert (np.abs(executed[0]) == 2).mean() > 0.3
    offsets = [-executed_log_prob(model.policy, obs, acts) for acts in executed]
    assert area_under_curve(*offsets) == pytest.approx(0.5, abs=0.03)
    # What SB3's buffer holds of the agent beside what a density says of the expert's file.
    distribution = model.policy.get_distribution(th.as_tensor(obs))
    wrong = [
        -distribution.log_prob(th.as_tensor(executed[0])).detach(),
        -distribution.log_prob(agent).detach(),
    ]
    assert area_under_curve(*wrong) < 0.45


@pytest.mark.parametrize("normalized", [False, True])
def test_log_pi_is_of_the_policy_that_made_the_rollout(
    normalized: bool, pendulum_expert: Any
) -> None:
    """SB3 keeps each action's density as it acts: equal where nothing was clipped."""
    venv: Any = make_vec_env("Pendulum-v1", 1, seed=0)
    if normalized:
        venv = VecNormalize(venv)
        venv.obs_rms.mean[:] = 0.5
        venv.training = False  # or the statistics would have moved since
    model = AIRL("MlpPolicy", venv, pendulum_expert, **SMALL)
    n_compared = []

    def look() -> None:
        buffer = model.rollout_buffer
        raw, executed = buffer.actions.reshape(-1, 1), buffer.transitions().acts
        inside = (raw == executed).ravel()
        ours = -model._logit_offset(*buffer.transitions()).numpy()
        np.testing.assert_allclose(
            ours[inside], buffer.log_probs.ravel()[inside], rtol=1e-4, atol=1e-4
        )
        n_compared.append(inside.sum())

    at_each_round(model, look)
    model.learn(3 * 64)
    assert len(n_compared) == 3
    assert min(n_compared) > 5


def test_both_sides_are_judged_by_the_same_policy(pendulum_expert: Any) -> None:
    model = pendulum(pendulum_expert)
    acting: list[Any] = []
    seen = []
    at_each_round(model, lambda: acting.append(weights(model)))
    offset = model.discriminator.logit_offset

    def spy(*transitions: Any) -> th.Tensor:
        now = weights(model)
        seen.append(all(th.equal(now[k], acting[-1][k]) for k in now if k.startswith("policy")))
        return offset(*transitions)  # type: ignore[misc]

    model.discriminator.logit_offset = spy
    model.learn(2 * 64)
    assert len(seen) == 2 * (2 * model.n_discriminator_updates + 1)  # two sides, then rewards
    assert all(seen)


@pytest.mark.parametrize("squash", [False, True])
def test_state_dependent_exploration_has_its_density(squash: bool, pendulum_expert: Any) -> None:
    model = pendulum(pendulum_expert, use_sde=True, policy_kwargs={"squash_output": squash})
    model.learn(128)
    batch = model.rollout_buffer.transitions()
    assert th.isfinite(model.discriminator.logits(*batch)).all()
    acts = th.as_tensor(batch.acts)
    inside = (acts.abs() < 1.9).ravel()
    if squash:
        acts = th.as_tensor(model.policy.scale_action(batch.acts))
    expected = model.policy.get_distribution(th.as_tensor(batch.obs)).log_prob(acts).detach()
    ours = -model._logit_offset(*batch)
    th.testing.assert_close(ours[inside], expected[inside])


# --- The algorithm --------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [pendulum, cartpole])
def test_every_weight_of_both_nets_learns(
    make: Any, pendulum_expert: Any, cartpole_expert: Any
) -> None:
    expert = pendulum_expert if make is pendulum else cartpole_expert
    model = make(expert, warm_start_updates=0)
    nets = (model.policy, model.discriminator.net)
    before = [p.clone() for net in nets for p in net.parameters()]
    model.learn(128)
    after = [p for net in nets for p in net.parameters()]
    # A constant added to h moves nothing but (gamma - 1) of it; it still has a gradient.
    assert all(not th.equal(p, q) for p, q in zip(before, after, strict=True))
    assert all(th.isfinite(p).all() for p in after)


def test_airl_finds_the_goal() -> None:
    """Almost as straight as its expert, who takes 5 steps."""
    expert = expert_episodes(Goal(continuous=True), 10)
    venv = DummyVecEnv([lambda: Monitor(Goal(continuous=True))] * 4)
    settings = {**SMALL, "n_steps": 128, "n_epochs": 4, "warm_start_updates": 0}
    model = AIRL("MlpPolicy", venv, expert, **settings, learning_rate=1e-3)
    lengths = []
    at_each_round(model, lambda: lengths.append(latest_lengths(model)))
    model.learn(12 * 512)
    assert lengths[0] > 18
    assert lengths[-1] < 9


def latest_lengths(model: AIRL) -> float:
    return float(np.mean([episode["l"] for episode in list(model.ep_info_buffer or ())[-30:]]))


@pytest.mark.parametrize("form", REWARD_FORMS)
def test_other_rewards_can_be_made_of_airls_discriminator(form: str, cartpole_expert: Any) -> None:
    model = cartpole(cartpole_expert, reward_form=form).learn(64)
    batch = model.expert.take(np.arange(9))  # type: ignore[union-attr]
    expected = REWARD_FORMS[form](model.discriminator.logits(*batch))
    np.testing.assert_array_equal(model.discriminator.reward(*batch), expected.numpy())


def test_the_defaults_that_differ_from_gails() -> None:
    ours, gails = (cls("MlpPolicy", "Pendulum-v1", device="cpu") for cls in (AIRL, GAIL))
    assert (ours.reward_form, gails.reward_form) == ("airl", "gail")
    assert (ours.gradient_penalty, gails.gradient_penalty) == (0.0, 0.5)
    assert ours.label_smoothing == 0  # or f - log pi were no log-ratio
    assert ours.gae_lambda == gails.gae_lambda
    assert ours.n_steps == gails.n_steps


@pytest.mark.parametrize("make", [pendulum, cartpole])
def test_a_saved_model_predicts_the_same_and_goes_on(
    tmp_path: Path, make: Any, pendulum_expert: Any, cartpole_expert: Any
) -> None:
    expert = pendulum_expert if make is pendulum else cartpole_expert
    model = make(expert).learn(128)
    model.save(tmp_path / "model")
    env = gym.make("Pendulum-v1" if make is pendulum else "CartPole-v1")
    loaded = AIRL.load(tmp_path / "model", env=env, device="cpu")
    assert same(weights(model), weights(loaded))
    obs = expert[0].obs[:20]
    np.testing.assert_array_equal(
        model.predict(obs, deterministic=True)[0], loaded.predict(obs, deterministic=True)[0]
    )
    batch = model.expert.take(np.arange(20))
    np.testing.assert_array_equal(
        model.discriminator.reward(*batch), loaded.discriminator.reward(*batch)
    )
    loaded.set_demonstrations(expert)
    loaded.learn(64, reset_num_timesteps=False)
    assert loaded.num_timesteps == 192
    assert not same(weights(model), weights(loaded))


def test_the_exported_policy_is_a_plain_ppos(tmp_path: Path, pendulum_expert: Any) -> None:
    model = pendulum(pendulum_expert).learn(64)
    model.export_policy(tmp_path / "policy")
    loaded = PPO.load(tmp_path / "policy", device="cpu")
    obs = pendulum_expert[0].obs
    ours, theirs = (m.predict(obs, deterministic=True)[0] for m in (model, loaded))
    np.testing.assert_allclose(theirs, ours, atol=1e-5)
    assert not any("discriminator" in name or "reward" in name for name in vars(loaded))


def test_a_users_net_is_f(pendulum_expert: Any) -> None:
    env = gym.make("Pendulum-v1")
    net = BasicShapedRewardNet(env.observation_space, env.action_space, discount_factor=0.99)
    model = pendulum(pendulum_expert, reward_net=net).learn(64)
    assert model.discriminator.net.base is net


def test_trpo_can_be_the_generator(tmp_path: Path, pendulum_expert: Any) -> None:
    class AIRLWithTRPO(AdversarialIRL, TRPO):
        pass

    settings = {"n_steps": 32, "batch_size": 32, "seed": 0, "device": "cpu"}
    model = AIRLWithTRPO("MlpPolicy", "Pendulum-v1", pendulum_expert, **settings)
    model.learn(4 * 32)
    model.save(tmp_path / "model")
    loaded = AIRLWithTRPO.load(tmp_path / "model", device="cpu")
    assert same(weights(model), weights(loaded))
    model.export_policy(tmp_path / "policy")
    TRPO.load(tmp_path / "policy", device="cpu")
