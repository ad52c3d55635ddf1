"""Pure functions: the discriminator's loss and the rewards made from its logits.

Everywhere, `logits_expert_is_high`: D = sigmoid(logit) is the probability that a transition is
the expert's.
"""

from __future__ import annotations

from collections.abc import Callable

import torch as th
from torch.nn import functional as F


def discriminator_loss(
    expert_logits: th.Tensor, agent_logits: th.Tensor, label_smoothing: float = 0.0
) -> th.Tensor:
    """Binary cross entropy, both sides weighing the same (GAIL, Ho & Ermon 2016, eq. 16).

    :param expert_logits: (n,), high = expert.
    :param agent_logits: (m,), high = expert.
    :param label_smoothing: the expert's label is 1 less this, one-sided (Salimans et al. 2016,
        section 3.4): the agent's stays 0, or its mistakes would be rewarded.
    :returns: a scalar.
    """
    # softplus(-l) + s * l is the cross entropy with the label 1 - s.
    expert = F.softplus(-expert_logits) + label_smoothing * expert_logits
    return 0.5 * (expert.mean() + F.softplus(agent_logits).mean())


def bernoulli_entropy(logits: th.Tensor) -> th.Tensor:
    """Mean entropy of D in nats: ln 2 for a discriminator that cannot tell, 0 for a certain one."""
    return (F.softplus(logits) - th.sigmoid(logits) * logits).mean()


def gradient_penalty(
    logit: Callable[..., th.Tensor], expert: tuple[th.Tensor, ...], agent: tuple[th.Tensor, ...]
) -> th.Tensor:
    """One-sided penalty on the slope of `logit` between expert and agent transitions.

    E[max(0, ||grad|| - 1)^2] at points drawn uniformly on the lines between paired transitions:
    WGAN-GP (Gulrajani et al. 2017, eq. 3), one-sided as in its section 4: a flat discriminator
    is not pushed to be steep. Flags have no slope: a shaped reward's would be its potential.

    :param logit: maps tensors of leading size n to (n,).
    :param expert: inputs of `logit`, each (n, ...); of shape (n,): a flag, like `done`.
    :param agent: likewise, of the same shapes.
    :returns: a scalar.
    """
    n = len(expert[0])
    mix = th.rand(n, device=expert[0].device)
    points = []
    for e, a in zip(expert, agent, strict=True):
        w = mix.reshape(n, *(1,) * (e.ndim - 1))
        points.append((w * e + (1 - w) * a).requires_grad_(e.ndim > 1))
    moved = [point for point in points if point.requires_grad]
    grads = th.autograd.grad(logit(*points).sum(), moved, create_graph=True, allow_unused=True)
    squares = [g.reshape(n, -1).square().sum(1) for g in grads if g is not None]
    # The small constant keeps the square root differentiable where the slope is zero.
    norm = (th.stack(squares).sum(0) + 1e-12).sqrt()
    return F.relu(norm - 1.0).square().mean()


def gail_reward(logits: th.Tensor) -> th.Tensor:
    """-log(1 - D) = softplus(logit): always positive, so it rewards survival."""
    return F.softplus(logits)


def log_d_reward(logits: th.Tensor) -> th.Tensor:
    """log D = -softplus(-logit): always negative, so it rewards ending the episode."""
    return -F.softplus(-logits)


def airl_reward(logits: th.Tensor) -> th.Tensor:
    """log D - log(1 - D) = logit (AIRL, Fu et al. 2018): of either sign, no survival bias."""
    return logits


def fairl_reward(logits: th.Tensor) -> th.Tensor:
    """-logit * exp(logit) (FAIRL, Ghasemipour et al. 2019), the logit clamped to +-5.

    Without the clamp one sure transition would pay e^logit times all others and ruin the critic.
    """
    clamped = logits.clamp(-5.0, 5.0)
    return -clamped * clamped.exp()


REWARD_FORMS: dict[str, Callable[[th.Tensor], th.Tensor]] = {
    "gail": gail_reward,
    "airl": airl_reward,
    "log_d": log_d_reward,
    "fairl": fairl_reward,
}
