"""The chapter's rewards and losses as pure functions, in the chapter's own signs.

Source: "Play Video Games with Generative AI: GAIL", chapter 12 of *Generative AI with Python and
TensorFlow 2*. There the discriminator labels the expert 0 and the agent 1, so its logit is high
for the *agent*: everything here takes that ``chapter_logit``, the negative of the
``logit_expert_is_high`` used by ``imitation`` and by the rest of this package.
"""

import torch as th
from torch.distributions import Normal
from torch.nn import functional as F


def chapter_reward(chapter_logit: th.Tensor) -> th.Tensor:
    """Reward ``-log(sigmoid(chapter_logit))``, always positive; any shape, float.

    With ``D = P(expert) = sigmoid(-chapter_logit)`` this is GAIL's ``-log(1 - D)``. It is written
    from the logit, because the printed ``log(sigmoid(x))`` overflows where x is very negative.
    """
    return F.softplus(-chapter_logit)


def chapter_discriminator_loss_printed(
    expert_chapter_logit: th.Tensor, agent_chapter_logit: th.Tensor
) -> th.Tensor:
    """The loss as printed, one value per expert-agent pair: (batch,) and (batch,) -> (batch,).

    The printed code applies ``sigmoid`` and hands the result to a cross-entropy that expects
    logits, so it is squashed twice: each pair's loss lies between 1.006 and 1.693 and the
    gradient vanishes for confident mistakes. The chapter never averages; its tape differentiates
    the sum.
    """
    return F.softplus(th.sigmoid(expert_chapter_logit)) + F.softplus(
        -th.sigmoid(agent_chapter_logit)
    )


def chapter_discriminator_loss_corrected(
    expert_chapter_logit: th.Tensor, agent_chapter_logit: th.Tensor
) -> th.Tensor:
    """Binary cross-entropy on the logits (expert 0, agent 1): (batch,) and (batch,) -> (batch,)."""
    return F.softplus(expert_chapter_logit) + F.softplus(-agent_chapter_logit)


def chapter_ppo_loss(
    *,
    values: th.Tensor,
    returns: th.Tensor,
    actions: th.Tensor,
    advantages: th.Tensor,
    action_mean: th.Tensor,
    old_action_mean: th.Tensor,
    clip_range: float = 0.2,
    vf_coef: float = 0.5,
    ent_coef: float = 0.01,
) -> th.Tensor:
    """The chapter's PPO loss, a scalar, with its ratio *per action dimension*.

    PPO's ratio is that of the joint densities, the product over the action's dimensions. The
    chapter never sums the log-probabilities, so each dimension is clipped by itself.

    :param values: (batch, 1), from the network being trained
    :param returns: (batch, 1)
    :param actions: (batch, action_dim), as sampled, not clipped
    :param advantages: (batch, 1)
    :param action_mean: (batch or 1, action_dim), mean of the new distribution, whose std is 1
    :param old_action_mean: (batch or 1, action_dim), mean of the old distribution, whose std is 1
    """
    new, old = Normal(action_mean, 1.0), Normal(old_action_mean, 1.0)
    ratio = th.exp(new.log_prob(actions) - old.log_prob(actions))  # (batch, action_dim)
    clipped_ratio = th.clamp(ratio, 1 - clip_range, 1 + clip_range)
    actor_loss = -th.min(ratio * advantages, clipped_ratio * advantages).mean()
    critic_loss = F.mse_loss(values, returns)
    return actor_loss + vf_coef * critic_loss - ent_coef * new.entropy().mean()
