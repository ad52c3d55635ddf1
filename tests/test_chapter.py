"""The chapter's components against numbers recorded from the chapter's own code.

``reference/chapter_values.npz`` was recorded by running the chapter's notebook in TensorFlow 2.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from stable_baselines3.common.buffers import RolloutBuffer
from torch.nn import functional as F

from sb3_gail_ext.chapter import (
    ChapterActorCriticPolicy,
    ChapterDiscriminator,
    KerasAdam,
    chapter_discriminator_loss_corrected,
    chapter_discriminator_loss_printed,
    chapter_ppo_loss,
    chapter_reward,
)

RECORDED = dict(np.load(Path(__file__).parent / "reference" / "chapter_values.npz"))
OBS_SPACE = spaces.Box(-np.inf, np.inf, (11,), np.float32)
ACT_SPACE = spaces.Box(-1.0, 1.0, (3,), np.float32)
TOLERANCE: dict[str, Any] = {"rtol": 0, "atol": 3e-6}  # a few float32 roundings of numbers up to 15


def recorded(name: str) -> th.Tensor:
    return th.as_tensor(RECORDED[name])


def linear(prefix: str, torch_name: str) -> dict[str, th.Tensor]:
    """Keras' kernel is (in, out), torch's weight (out, in)."""
    kernel, bias = recorded(f"{prefix}_kernel"), recorded(f"{prefix}_bias")
    return {f"{torch_name}.weight": kernel.T, f"{torch_name}.bias": bias}


def norm(prefix: str, torch_name: str) -> dict[str, th.Tensor]:
    gamma, beta = recorded(f"{prefix}_gamma"), recorded(f"{prefix}_beta")
    return {f"{torch_name}.weight": gamma, f"{torch_name}.bias": beta}


def recorded_discriminator_weights(prefix: str) -> dict[str, th.Tensor]:
    return {
        **linear(f"{prefix}_dense0", "layers.0.0"),
        **norm(f"{prefix}_bn0", "layers.1"),
        **linear(f"{prefix}_dense1", "layers.2.0"),
        **norm(f"{prefix}_bn1", "layers.3"),
        **linear(f"{prefix}_out", "output"),
    }


@pytest.fixture
def discriminator() -> ChapterDiscriminator:
    """The printed discriminator with the recorded weights."""
    net = ChapterDiscriminator(OBS_SPACE, ACT_SPACE, variant="printed")
    net.load_state_dict(recorded_discriminator_weights("disc"))
    return net.eval()


@pytest.fixture
def policy() -> ChapterActorCriticPolicy:
    """The printed actor-critic with the recorded weights; it has no second norm in the record."""
    net = ChapterActorCriticPolicy(OBS_SPACE, ACT_SPACE, lambda _: 3e-4, variant="printed")
    trunk = "mlp_extractor.policy_layers"
    weights = {
        **linear("ac_dense0", f"{trunk}.0.0"),
        **norm("ac_bn0", f"{trunk}.1"),
        **linear("ac_dense1", f"{trunk}.2.0"),
        **linear("ac_value", "value_net"),
        **linear("ac_action", "action_net.0"),
    }
    shared = {name.replace("policy_layers", "value_layers"): w for name, w in weights.items()}
    unexpected = net.load_state_dict({**weights, **shared}, strict=False).unexpected_keys
    assert not unexpected
    return net


def pairs(name: str) -> tuple[th.Tensor, th.Tensor]:
    """Recorded (batch, 14) inputs -> observations (batch, 11), actions (batch, 3)."""
    state, action = recorded(name).split([11, 3], dim=1)
    return state, action


def both_chapter_logits(net: ChapterDiscriminator) -> tuple[th.Tensor, th.Tensor]:
    return net.chapter_logit(*pairs("disc_expert_in")), net.chapter_logit(*pairs("disc_agent_in"))


# --- discriminator -----------------------------------------------------------------------------


def test_logits(discriminator: ChapterDiscriminator) -> None:
    logits = th.cat(both_chapter_logits(discriminator))
    th.testing.assert_close(logits, recorded("disc_logit").squeeze(1), **TOLERANCE)


def test_forward_is_high_for_the_expert(discriminator: ChapterDiscriminator) -> None:
    """``forward``, after ``imitation``'s own preprocessing, is the negative of the chapter's."""
    obs, acts = (x.double().numpy() for x in pairs("disc_expert_in"))
    logits = discriminator.predict(obs, acts, obs, np.zeros(len(obs), bool))
    np.testing.assert_allclose(logits, -RECORDED["disc_logit"][: len(obs), 0], **TOLERANCE)


def test_rewards(discriminator: ChapterDiscriminator) -> None:
    reward = chapter_reward(th.cat(both_chapter_logits(discriminator)))
    th.testing.assert_close(reward, recorded("disc_reward"), **TOLERANCE)


def test_reward_is_gails() -> None:
    """-log(sigmoid(chapter_logit)) = -log(1 - D) with D = P(expert) = sigmoid(-chapter_logit)."""
    chapter_logit = th.linspace(-5, 5, 11, dtype=th.float64)
    probability_of_expert = th.sigmoid(-chapter_logit)
    th.testing.assert_close(chapter_reward(chapter_logit), -th.log(1 - probability_of_expert))
    assert chapter_reward(th.tensor(-1e4)).isfinite()


def test_printed_loss(discriminator: ChapterDiscriminator) -> None:
    loss = chapter_discriminator_loss_printed(*both_chapter_logits(discriminator))
    th.testing.assert_close(loss, recorded("disc_loss_printed").squeeze(1), **TOLERANCE)


def test_corrected_loss_is_cross_entropy_with_expert_zero() -> None:
    expert, agent = th.randn(8), th.randn(8)
    expected = F.binary_cross_entropy_with_logits(
        th.cat([expert, agent]), th.cat([th.zeros(8), th.ones(8)]), reduction="sum"
    )
    loss = chapter_discriminator_loss_corrected(expert, agent).sum()
    th.testing.assert_close(loss, expected)


@pytest.mark.parametrize("variant", ["printed", "corrected"])
def test_a_trainers_cross_entropy_is_the_variants_loss(variant: Any) -> None:
    """In training mode, BCE with expert = 1 on ``forward`` is the chapter's loss (a mean of)."""
    net = ChapterDiscriminator(OBS_SPACE, ACT_SPACE, variant=variant).train()
    logits = [
        net(*pairs(name), None, None)  # next_state and done are not looked at
        for name in ("disc_expert_in", "disc_agent_in")
    ]
    labels_expert_is_one = th.cat([th.ones(64), th.zeros(64)])
    bce = F.binary_cross_entropy_with_logits(th.cat(logits), labels_expert_is_one)
    loss = {
        "printed": chapter_discriminator_loss_printed,
        "corrected": chapter_discriminator_loss_corrected,
    }[variant](*both_chapter_logits(net))
    th.testing.assert_close(bce, loss.mean() / 2)


def test_one_optimiser_step(discriminator: ChapterDiscriminator) -> None:
    """One step of Keras' Adam on the summed loss moves every weight as recorded."""
    optimiser = KerasAdam(discriminator.parameters(), lr=3e-4)
    chapter_discriminator_loss_printed(*both_chapter_logits(discriminator)).sum().backward()
    optimiser.step()
    expected = recorded_discriminator_weights("disc_after_step")
    for name, weight in discriminator.state_dict().items():
        # A step is 3e-4 long; torch's own placement of epsilon is off by up to 6e-5.
        th.testing.assert_close(weight, expected[name], rtol=0, atol=3e-7)


def test_keras_adam_follows_keras_formula_after_reload() -> None:
    """Four steps, with a save and load between, against the formula in Keras' documentation."""
    gradients = [th.tensor([1e-6, 1.0]) * k for k in (1.0, -0.5, 2.0, 0.1)]
    weight = th.nn.Parameter(th.zeros(2))
    optimiser = KerasAdam([weight], lr=0.1)
    m = v = expected = th.zeros(2)
    for t, gradient in enumerate(gradients, start=1):
        weight.grad = gradient
        optimiser.step()
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        step_size = 0.1 * (1 - 0.999**t) ** 0.5 / (1 - 0.9**t)
        expected = expected - step_size * m / (v.sqrt() + 1e-7)
        th.testing.assert_close(weight.data, expected)
        reloaded = KerasAdam([weight], lr=0.1)
        reloaded.load_state_dict(optimiser.state_dict())
        optimiser = reloaded


@pytest.mark.parametrize("variant", ["printed", "corrected"])
def test_every_discriminator_weight_is_trained(variant: Any) -> None:
    """Unlike the chapter's actor-critic, its discriminator uses both hidden layers."""
    net = ChapterDiscriminator(OBS_SPACE, ACT_SPACE, variant=variant)
    net(*pairs("disc_agent_in"), None, None).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_corrected_logit_depends_on_its_own_row_only() -> None:
    net = ChapterDiscriminator(OBS_SPACE, ACT_SPACE).train()
    state, action = pairs("disc_agent_in")
    th.testing.assert_close(
        net.chapter_logit(state, action)[:1], net.chapter_logit(state[:1], action[:1])
    )


# --- actor-critic and PPO ----------------------------------------------------------------------


def test_actor_critic_outputs(policy: ChapterActorCriticPolicy) -> None:
    value, action_mean = policy.value_and_action_mean(recorded("ac_obs"))
    th.testing.assert_close(value, recorded("ac_value"), **TOLERANCE)
    th.testing.assert_close(action_mean, recorded("ac_action_mean"), **TOLERANCE)


def test_actor_critic_through_sb3(policy: ChapterActorCriticPolicy) -> None:
    """The same numbers where SB3 asks for them; its entropy is summed over the 3 dimensions."""
    obs = recorded("ac_obs")
    values, _, entropy = policy.evaluate_actions(obs, recorded("ppo_actions"))
    assert entropy is not None
    actions, _ = policy.predict(RECORDED["ac_obs"], deterministic=True)
    th.testing.assert_close(values, recorded("ac_value"), **TOLERANCE)
    th.testing.assert_close(entropy / 3, recorded("ac_entropy").expand(len(obs)), **TOLERANCE)
    np.testing.assert_allclose(actions, RECORDED["ac_action_mean"], **TOLERANCE)


def test_ppo_loss(policy: ChapterActorCriticPolicy) -> None:
    values, action_mean = policy.value_and_action_mean(recorded("ac_obs"))
    loss = chapter_ppo_loss(
        values=values,
        returns=recorded("ppo_returns"),
        actions=recorded("ppo_actions"),
        advantages=recorded("ppo_advantages"),
        action_mean=action_mean,
        old_action_mean=recorded("ppo_old_action_mean"),
    )
    th.testing.assert_close(loss, recorded("ppo_loss_on_batch"), **TOLERANCE)


def test_sb3_buffer_computes_the_chapters_returns() -> None:
    """So the package has no advantage estimation of its own."""
    masks, n = RECORDED["gae_masks"], len(RECORDED["gae_rewards"])
    buffer = RolloutBuffer(n, OBS_SPACE, ACT_SPACE, "cpu", gae_lambda=0.95, gamma=0.99)
    buffer.rewards[:, 0] = RECORDED["gae_rewards"]
    buffer.values[:, 0] = RECORDED["gae_values"]
    buffer.episode_starts[1:, 0] = 1 - masks[:-1]  # a mask is 0 on an episode's last step
    last_value = recorded("gae_next_value").reshape(1, 1)
    buffer.compute_returns_and_advantage(last_value, dones=1 - masks[-1:])
    np.testing.assert_allclose(buffer.returns[:, 0], RECORDED["gae_returns"], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("variant", "used"), [("printed", False), ("corrected", True)])
def test_second_hidden_layer_of_the_actor_critic(variant: Any, used: bool) -> None:
    net: Any = ChapterActorCriticPolicy(OBS_SPACE, ACT_SPACE, lambda _: 3e-4, variant=variant)
    value, action_mean = net.value_and_action_mean(recorded("ac_obs"))
    (value.sum() + action_mean.sum()).backward()
    for layers in (net.mlp_extractor.policy_layers, net.mlp_extractor.value_layers):
        assert layers[0][0].weight.grad.abs().sum() > 0
        assert all((p.grad is not None) == used for p in layers[2:].parameters())


def test_standard_deviation_is_trained_only_when_corrected() -> None:
    def build(variant: Any) -> ChapterActorCriticPolicy:
        return ChapterActorCriticPolicy(OBS_SPACE, ACT_SPACE, lambda _: 3e-4, variant=variant)

    assert "log_std" not in dict(build("printed").named_parameters())
    assert "log_std" in dict(build("corrected").named_parameters())
    assert th.all(build("printed").log_std == 0)


def test_action_mean_reaches_the_bounds_of_other_action_spaces() -> None:
    wide = spaces.Box(np.array([-2.0, 0.0], np.float32), np.array([2.0, 1.0], np.float32))
    net: Any = ChapterActorCriticPolicy(OBS_SPACE, wide, lambda _: 3e-4)
    tanh_mean = net.action_net[1]
    th.testing.assert_close(tanh_mean(th.full((1, 2), 20.0)), th.tensor([[2.0, 1.0]]))
    th.testing.assert_close(tanh_mean(th.full((1, 2), -20.0)), th.tensor([[-2.0, 0.0]]))


# --- bad input ---------------------------------------------------------------------------------


def test_bad_arguments_say_what_is_wrong() -> None:
    unknown: Any = "fixed"
    with pytest.raises(ValueError, match="variant must be one of"):
        ChapterDiscriminator(OBS_SPACE, ACT_SPACE, variant=unknown)
    with pytest.raises(ValueError, match="at least 1"):
        ChapterDiscriminator(OBS_SPACE, ACT_SPACE, hidden_size=0)
    with pytest.raises(ValueError, match="variant must be one of"):
        ChapterActorCriticPolicy(OBS_SPACE, ACT_SPACE, lambda _: 1.0, variant=unknown)
    with pytest.raises(ValueError, match="bounded Box actions"):
        ChapterActorCriticPolicy(OBS_SPACE, spaces.Discrete(2), lambda _: 1.0)
    with pytest.raises(ValueError, match="use_sde"):
        ChapterActorCriticPolicy(OBS_SPACE, ACT_SPACE, lambda _: 1.0, use_sde=True)
