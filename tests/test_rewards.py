"""The discriminator's losses, reward maps, input scaling and learning."""

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from imitation.rewards.reward_nets import BasicRewardNet, CnnRewardNet, RewardNet
from torch.nn import functional as F

from sb3_gail_ext import ChapterDiscriminator
from sb3_gail_ext.demonstrations.sampling import TransitionBatch
from sb3_gail_ext.rewards.discriminator import Discriminator
from sb3_gail_ext.rewards.networks import NormalizedRewardNet, default_reward_net
from sb3_gail_ext.rewards.objectives import (
    REWARD_FORMS,
    bernoulli_entropy,
    discriminator_loss,
    fairl_reward,
    gradient_penalty,
)

OBSERVATIONS = spaces.Box(-np.inf, np.inf, (3,), np.float32)
ACTIONS = spaces.Box(np.array([-1, 0], np.float32), np.array([1, 10], np.float32))
logit_lists = st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=8)


def batch(
    n: int, centre: float = 0.0, seed: int = 0, actions: spaces.Space = ACTIONS
) -> TransitionBatch:
    rng = np.random.default_rng(seed)
    obs = rng.normal(centre, 1.0, size=(2, n, 3)).astype(np.float32)
    if isinstance(actions, spaces.Discrete):
        acts = rng.integers(actions.n, size=n)
    else:
        acts = rng.uniform([-1, 0], [1, 10], size=(n, 2)).astype(np.float32)
    return TransitionBatch(obs[0], acts, obs[1], np.zeros(n, bool))


# --- Objectives --------------------------------------------------------------------------------


@given(expert=logit_lists, agent=logit_lists)
@settings(deadline=None)  # torch is slow to wake up
def test_loss_is_cross_entropy_with_both_sides_of_equal_weight(
    expert: list[float], agent: list[float]
) -> None:
    e, a = th.tensor(expert), th.tensor(agent)
    labels = th.cat([th.ones(len(e)), th.zeros(len(a))])
    weight = th.cat([th.full((len(e),), 0.5 / len(e)), th.full((len(a),), 0.5 / len(a))])
    reference = F.binary_cross_entropy_with_logits(
        th.cat([e, a]), labels, weight=weight, reduction="sum"
    )
    th.testing.assert_close(discriminator_loss(e, a), reference)


@given(expert=logit_lists, agent=logit_lists, smoothing=st.floats(0, 1))
@settings(deadline=None)
def test_label_smoothing_is_one_sided(
    expert: list[float], agent: list[float], smoothing: float
) -> None:
    e, a = th.tensor(expert), th.tensor(agent)
    reference = 0.5 * (
        F.binary_cross_entropy_with_logits(e, th.full_like(e, 1 - smoothing))
        + F.binary_cross_entropy_with_logits(a, th.zeros_like(a))
    )
    th.testing.assert_close(discriminator_loss(e, a, smoothing), reference, rtol=1e-4, atol=1e-5)


LOGITS = np.array([-1000.0, -80.0, -3.0, -1e-4, 0.0, 1e-4, 3.0, 80.0, 1000.0])


@pytest.mark.parametrize(
    ("form", "formula"),
    [
        # np.logaddexp(0, x) is log(1 + e^x) in float64, for any x.
        ("gail", lambda x: np.logaddexp(0.0, x)),
        ("log_d", lambda x: -np.logaddexp(0.0, -x)),
        ("airl", lambda x: x),
        ("fairl", lambda x: -np.clip(x, -5, 5) * np.exp(np.clip(x, -5, 5))),
    ],
)
def test_rewards_equal_their_formulas_and_stay_finite(form: str, formula: object) -> None:
    rewards = REWARD_FORMS[form](th.tensor(LOGITS, dtype=th.float32)).numpy()
    assert np.isfinite(rewards).all()
    np.testing.assert_allclose(rewards, formula(LOGITS), rtol=1e-5, atol=1e-30)  # type: ignore[operator]


def test_every_reward_form_is_checked_above() -> None:
    assert set(REWARD_FORMS) == {"gail", "log_d", "airl", "fairl"}


@pytest.mark.parametrize(
    ("form", "at_a_half"), [("gail", np.log(2)), ("log_d", -np.log(2)), ("airl", 0), ("fairl", 0)]
)
def test_rewards_of_an_undecided_discriminator(form: str, at_a_half: float) -> None:
    assert REWARD_FORMS[form](th.zeros(1)).item() == pytest.approx(at_a_half)


def test_fairl_prefers_what_is_slightly_agent_like() -> None:
    # -h exp(h) has its maximum 1/e at h = -1.
    assert fairl_reward(th.tensor([-1.0])).item() == pytest.approx(np.exp(-1))
    assert fairl_reward(th.linspace(-5, 5, 101)).max().item() == pytest.approx(np.exp(-1))


@pytest.mark.parametrize(("form", "of_expert"), [("fairl", True), ("airl", False)])
def test_what_the_optimal_discriminator_pays_on_average_is_a_divergence(
    form: str, of_expert: bool
) -> None:
    """Ghasemipour et al. 2019: FAIRL's is KL(expert || agent), AIRL's the reverse."""
    expert, agent = np.array([0.6, 0.3, 0.1]), np.array([0.2, 0.3, 0.5])
    paid = REWARD_FORMS[form](th.as_tensor(np.log(expert / agent))).numpy()
    of, other = (expert, agent) if of_expert else (agent, expert)
    assert agent @ paid == pytest.approx(-(of @ np.log(of / other)))


@given(logit=st.floats(-15, 15))
@settings(deadline=None)
def test_entropy_is_that_of_a_coin(logit: float) -> None:
    p = 1 / (1 + np.exp(-logit))
    entropy = -p * np.log(p) - (1 - p) * np.log1p(-p)
    computed = bernoulli_entropy(th.tensor([logit], dtype=th.float64)).item()
    assert computed == pytest.approx(entropy, rel=1e-6, abs=1e-9)


def test_entropy_is_ln_2_for_a_guess_and_0_for_certainty() -> None:
    assert bernoulli_entropy(th.zeros(5)).item() == pytest.approx(np.log(2))
    assert bernoulli_entropy(th.tensor([-200.0, 200.0])).item() == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("length", [0.3, 1.0, 1.5, 4.0])
def test_gradient_penalty_of_a_linear_net_is_known(length: float) -> None:
    w = th.tensor([1.0, -2.0, 2.0]) / 3 * length  # |w| = length

    def linear(obs: th.Tensor, act: th.Tensor) -> th.Tensor:
        return obs @ w[:2] + act @ w[2:]

    sides = [(th.randn(6, 2), th.randn(6, 1)) for _ in range(2)]
    penalty = gradient_penalty(linear, *sides)
    assert penalty.item() == pytest.approx(max(0.0, length - 1.0) ** 2, abs=1e-5)


def test_gradient_penalty_is_measured_between_the_two_sides() -> None:
    def parabola(x: th.Tensor) -> th.Tensor:  # slope 2x: at most 3 on [1, 1.5]
        return x.square().sum(1)

    penalties = [
        gradient_penalty(parabola, (th.full((50, 1), 1.0),), (th.full((50, 1), 1.5),)).item()
        for _ in range(10)
    ]
    assert all(1.0 < penalty < 4.0 for penalty in penalties)  # (2 - 1)^2 to (3 - 1)^2
    assert len(set(penalties)) > 1  # at random points


def test_gradient_penalty_of_a_constant_has_finite_gradients() -> None:
    w = th.zeros(2, requires_grad=True)
    gradient_penalty(lambda x: x @ w, (th.randn(4, 2),), (th.randn(4, 2),)).backward()
    assert w.grad is not None
    assert th.isfinite(w.grad).all()


# --- Networks ----------------------------------------------------------------------------------


def test_observations_are_standardised_and_actions_mapped_to_unit_range() -> None:
    net = NormalizedRewardNet(default_reward_net(OBSERVATIONS, ACTIONS))
    data = batch(500, centre=7.0)
    net.fit_once(data.obs)
    obs, acts, next_obs, _ = net.scale(*net.preprocess(*data))
    np.testing.assert_allclose(obs.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(obs.std(0, correction=0), 1, rtol=1e-5)
    np.testing.assert_allclose(acts, (data.acts - [0, 5]) / [1, 5], rtol=1e-5, atol=1e-6)
    shifted = (data.next_obs - data.obs.mean(0)) / data.obs.std(0)
    np.testing.assert_allclose(next_obs, shifted, rtol=1e-4, atol=1e-4)


def test_statistics_are_taken_once() -> None:
    net = NormalizedRewardNet(default_reward_net(OBSERVATIONS, ACTIONS))
    np.testing.assert_array_equal(net.obs_scaling.mean, 0)
    np.testing.assert_array_equal(net.obs_scaling.std, 1)
    net.fit_once(batch(50, centre=3.0).obs)
    mean, std = net.obs_scaling.mean.clone(), net.obs_scaling.std.clone()
    assert mean.min() > 2.0
    net.fit_once(batch(50, centre=-3.0).obs)
    assert th.equal(net.obs_scaling.mean, mean)
    assert th.equal(net.obs_scaling.std, std)


def test_a_loaded_net_counts_as_fitted() -> None:
    trained = NormalizedRewardNet(default_reward_net(OBSERVATIONS, ACTIONS))
    trained.fit_once(batch(50, centre=3.0).obs)
    loaded = NormalizedRewardNet(default_reward_net(OBSERVATIONS, ACTIONS))
    loaded.load_state_dict(trained.state_dict())
    loaded.fit_once(batch(50, centre=-3.0).obs)
    assert th.equal(loaded.obs_scaling.mean, trained.obs_scaling.mean)


def test_a_coordinate_that_never_moves_stays_quiet() -> None:
    data = batch(50)
    data.obs[:, 1] = 4.0
    net = NormalizedRewardNet(default_reward_net(OBSERVATIONS, ACTIONS))
    net.fit_once(data.obs)
    far = th.tensor([[0.0, 4.001, 0.0], [0.0, 1e6, 0.0]])
    scaled = net.scale(far, th.zeros(2, 2), far, th.zeros(2))[0]
    assert abs(scaled[0, 1].item()) < 0.2
    assert scaled[1, 1].item() == 10.0  # clamped


def test_unbounded_and_discrete_actions_and_images_pass_unscaled() -> None:
    unbounded = spaces.Box(-np.inf, np.inf, (2,), np.float32)
    acts = th.tensor([[300.0, -4.0]])
    net = NormalizedRewardNet(BasicRewardNet(OBSERVATIONS, unbounded))
    assert th.equal(net.scale(th.zeros(1, 3), acts, th.zeros(1, 3), th.zeros(1))[1], acts)
    discrete = NormalizedRewardNet(BasicRewardNet(OBSERVATIONS, spaces.Discrete(2)))
    one_hot = th.tensor([[0.0, 1.0]])
    assert th.equal(
        discrete.scale(th.zeros(1, 3), one_hot, th.zeros(1, 3), th.zeros(1))[1], one_hot
    )
    images = spaces.Box(0, 255, (36, 36, 3), np.uint8)
    base = default_reward_net(images, spaces.Discrete(2))
    assert isinstance(base, CnnRewardNet)
    pixels = NormalizedRewardNet(base)
    frames = np.random.default_rng(0).integers(0, 256, (5, 36, 36, 3), np.uint8)
    data = TransitionBatch(frames, np.zeros(5, int), frames, np.zeros(5, bool))
    pixels.fit_once(data.obs)
    assert not pixels.obs_scaling.fitted
    assert pixels(*pixels.preprocess(*data)).shape == (5,)


@pytest.mark.parametrize(
    "observations", [OBSERVATIONS, spaces.Box(0, 255, (36, 36, 3), np.uint8)], ids=["mlp", "cnn"]
)
def test_spectral_norm_keeps_the_largest_singular_values_at_1(observations: spaces.Box) -> None:
    th.manual_seed(0)
    net = default_reward_net(observations, spaces.Discrete(2), spectral_norm=True)
    layers = [m for m in net.modules() if isinstance(m, th.nn.Linear | th.nn.Conv2d)]
    assert len(layers) >= 3
    obs = np.random.default_rng(0).integers(0, 256, (2, *observations.shape))
    data = (obs.astype(observations.dtype), np.zeros(2, int), obs, np.zeros(2, bool))
    for layer in layers:
        th.nn.init.normal_(layer.parametrizations.weight.original, std=3.0)  # a steep one
    net.train()
    for _ in range(50):
        net(*net.preprocess(*data))
    largest = [th.linalg.matrix_norm(layer.weight.flatten(1), 2).item() for layer in layers]
    np.testing.assert_allclose(largest, 1.0, rtol=0.02)


def test_spectral_norm_is_left_out_unless_asked_for() -> None:
    net = default_reward_net(OBSERVATIONS, ACTIONS)
    assert not any(th.nn.utils.parametrize.is_parametrized(m) for m in net.modules())


def test_dropout_reaches_the_default_net_and_is_off_when_it_rewards() -> None:
    def differ(**kwargs: object) -> tuple[bool, bool]:
        """Do two passes differ where it learns, and where it rewards?"""
        learner = discriminator(default_reward_net(OBSERVATIONS, ACTIONS, **kwargs))
        data = batch(5)
        inputs = learner.net.preprocess(*data)
        learner.net.train()
        learns = [learner.net(*inputs) for _ in range(2)]
        rewards = [learner.reward(*data) for _ in range(2)]
        return not th.equal(*learns), not np.array_equal(*rewards)

    assert differ(dropout_prob=0.5) == (True, False)
    assert differ() == (False, False)


# --- Discriminator -----------------------------------------------------------------------------


def nets(actions: spaces.Space) -> dict[str, RewardNet]:
    return {
        "default": default_reward_net(OBSERVATIONS, actions),
        "imitation": BasicRewardNet(OBSERVATIONS, actions, use_next_state=True, use_done=True),
        "chapter": ChapterDiscriminator(OBSERVATIONS, actions),
        "chapter as printed": ChapterDiscriminator(OBSERVATIONS, actions, variant="printed"),
    }


def discriminator(net: RewardNet, **settings: object) -> Discriminator:
    defaults = {"learning_rate": 3e-3, "reward_form": "gail", "gradient_penalty_coef": 0.5}
    return Discriminator(NormalizedRewardNet(net), **{**defaults, **settings})  # type: ignore[arg-type]


@pytest.mark.parametrize("actions", [ACTIONS, spaces.Discrete(3)], ids=["box", "discrete"])
@pytest.mark.parametrize("name", nets(ACTIONS))
def test_any_net_learns_to_separate_two_gaussians(name: str, actions: gym.Space) -> None:
    th.manual_seed(0)
    learner = discriminator(nets(actions)[name])
    for step in range(150):
        learner.update(
            batch(64, 1.5, seed=2 * step, actions=actions),
            batch(64, -1.5, seed=2 * step + 1, actions=actions),
        )
    expert = batch(200, 1.5, seed=900, actions=actions)
    agent = batch(200, -1.5, seed=901, actions=actions)
    # In evaluation mode: the printed variant's training logit is squashed below zero.
    assert (learner.logits(*expert) > learner.logits(*agent).median()).float().mean() > 0.95
    assert (learner.logits(*agent) < learner.logits(*expert).median()).float().mean() > 0.95
    assert np.median(learner.reward(*expert)) > np.median(learner.reward(*agent)) + 0.3


def test_reward_is_the_form_of_the_logit_one_float32_each() -> None:
    for form, function in REWARD_FORMS.items():
        learner = discriminator(default_reward_net(OBSERVATIONS, ACTIONS), reward_form=form)
        data = batch(7)
        rewards = learner.reward(*data)
        assert rewards.dtype == np.float32
        assert rewards.shape == (7,)
        inputs = [th.as_tensor(a) for a in (data.obs, (data.acts - [0, 5]) / [1, 5])]
        both = th.cat([inputs[0], inputs[1].float()], dim=1)
        logits = learner.net.base.mlp(both)
        np.testing.assert_allclose(rewards, function(logits).detach(), rtol=1e-4, atol=1e-6)


def test_float64_inputs_give_the_same_reward() -> None:
    learner = discriminator(default_reward_net(OBSERVATIONS, ACTIONS))
    data = batch(7)
    doubled = (data.obs.astype(np.float64), data.acts, data.next_obs.astype(np.float64), data.dones)
    np.testing.assert_array_equal(learner.reward(*doubled), learner.reward(*data))


def test_update_measures_before_its_step_and_moves_downhill() -> None:
    learner = discriminator(
        default_reward_net(OBSERVATIONS, ACTIONS), gradient_penalty_coef=0.0, learning_rate=1e-3
    )
    expert, agent = batch(32, 1.0), batch(32, -1.0, seed=1)
    logits = learner.logits(*expert), learner.logits(*agent)
    measured = learner.update(expert, agent)
    assert measured["loss"] == pytest.approx(discriminator_loss(*logits).item(), rel=1e-5)
    assert measured["entropy"] == pytest.approx(bernoulli_entropy(th.cat(logits)).item(), rel=1e-5)
    assert measured["accuracy_expert"] == pytest.approx((logits[0] > 0).float().mean().item())
    assert measured["accuracy_agent"] == pytest.approx((logits[1] <= 0).float().mean().item())
    assert measured["gradient_penalty"] == 0.0
    assert learner.update(expert, agent)["loss"] < measured["loss"]


def test_gradient_penalty_flattens_and_entropy_bonus_softens() -> None:
    def trained(**settings: object) -> dict[str, float]:
        th.manual_seed(0)
        learner = discriminator(default_reward_net(OBSERVATIONS, ACTIONS), **settings)
        for step in range(60):
            measured = learner.update(batch(64, 1.0, seed=step), batch(64, -1.0, seed=1000 + step))
        return measured

    plain = trained(gradient_penalty_coef=1e-6)
    assert trained(gradient_penalty_coef=10.0)["gradient_penalty"] < plain["gradient_penalty"]
    softened = trained(gradient_penalty_coef=1e-6, entropy_coef=0.5)
    assert softened["entropy"] > plain["entropy"] + 0.05


def test_learning_rate_can_be_set_and_weight_decay_arrives() -> None:
    learner = discriminator(default_reward_net(OBSERVATIONS, ACTIONS), weight_decay=0.25)
    assert learner.optimizer.param_groups[0]["weight_decay"] == 0.25
    learner.set_learning_rate(0.0)
    before = [p.clone() for p in learner.net.parameters()]
    learner.update(batch(8), batch(8, seed=1))
    assert all(th.equal(p, q) for p, q in zip(before, learner.net.parameters(), strict=True))


def test_label_smoothing_keeps_the_discriminator_from_certainty() -> None:
    """Two points told apart for certain: D of the expert's goes to its label, 1 - 0.2."""
    learner = discriminator(
        default_reward_net(OBSERVATIONS, ACTIONS),
        label_smoothing=0.2,
        gradient_penalty_coef=0.0,
        learning_rate=1e-2,
    )
    expert, agent = batch(1, 3.0), batch(1, -3.0)
    for _ in range(200):
        learner.update(expert, agent)
    assert th.sigmoid(learner.logits(*expert)).item() == pytest.approx(0.8, abs=0.02)
    assert th.sigmoid(learner.logits(*agent)).item() < 0.02


def test_reward_leaves_the_net_in_the_mode_it_was_in() -> None:
    learner = discriminator(ChapterDiscriminator(OBSERVATIONS, ACTIONS, variant="printed"))
    for mode in (True, False):
        learner.net.train(mode)
        learner.reward(*batch(3))
        assert learner.net.training is mode


def test_an_unknown_reward_form_is_refused() -> None:
    with pytest.raises(ValueError, match=r"reward_form is 'gali'; use one of .*gail"):
        discriminator(default_reward_net(OBSERVATIONS, ACTIONS), reward_form="gali")
