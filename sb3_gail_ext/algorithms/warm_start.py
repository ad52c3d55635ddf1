"""Behaviour cloning of the generator, and the values that a cloned policy needs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch as th
from stable_baselines3.common.policies import ActorCriticPolicy
from torch.nn import functional as F

from sb3_gail_ext.buffers.rollout import RelabelledRolloutBuffer
from sb3_gail_ext.demonstrations.sampling import TransitionBatch
from sb3_gail_ext.policies.actions import as_tensors


def cloning_optimizer(policy: ActorCriticPolicy) -> th.optim.Adam:
    """For `clone_behaviour`; not the policy's own, whose state stays fresh for what follows.

    The deviation of a Gaussian policy is left as it is: fitted to a deterministic expert it would
    vanish, and exploration with it.
    """
    return th.optim.Adam([p for name, p in policy.named_parameters() if name != "log_std"])


def clone_behaviour(
    policy: ActorCriticPolicy,
    expert: TransitionBatch,
    *,
    n_updates: int,
    rng: np.random.Generator,
    optimizer: th.optim.Optimizer | None = None,
    batch_size: int = 256,
    learning_rate: float = 1e-3,
    final_learning_rate: float | None = None,
) -> float:
    """Maximise the likelihood of the expert's actions (behaviour cloning; Pomerleau, 1991).

    Counted in updates, not epochs: what it costs does not grow with the demonstrations.

    :param expert: observations as the policy sees them, actions as it gives them.
    :param rng: draws the batches.
    :param optimizer: a `cloning_optimizer` that goes on; None begins with a new one.
    :param final_learning_rate: what `learning_rate` falls to, linearly; None leaves it.
    :returns: the mean negative log-likelihood of the last 100 batches, in nats.
    """
    optimizer = optimizer or cloning_optimizer(policy)
    last = learning_rate if final_learning_rate is None else final_learning_rate

    def neg_log_likelihood() -> th.Tensor:
        batch = expert.take(rng.integers(len(expert), size=batch_size))
        obs = as_tensors(batch.obs, policy.device)
        acts = th.as_tensor(batch.acts, device=policy.device)
        return -policy.get_distribution(obs).log_prob(acts).mean()

    policy.set_training_mode(True)
    loss = descend(neg_log_likelihood, optimizer, np.linspace(learning_rate, last, n_updates))
    policy.set_training_mode(False)
    return loss


def descend(
    batch_loss: Callable[[], th.Tensor], optimizer: th.optim.Optimizer, rates: np.ndarray
) -> float:
    """One step at each learning rate, on the loss of a new batch; the mean of the last 100."""
    losses = []
    for rate in rates:
        for group in optimizer.param_groups:
            group["lr"] = float(rate)
        loss = batch_loss()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return float(np.mean(losses[-100:]))


def fit_values(
    policy: ActorCriticPolicy,
    buffer: RelabelledRolloutBuffer,
    *,
    n_epochs: int = 10,
    batch_size: int = 64,
) -> float:
    """Regress the critic on the rollout's returns and leave the actor alone.

    A cloned policy meets a critic that knows nothing, and the first advantages would undo it.

    :returns: the mean squared error over the last epoch.
    """
    policy.set_training_mode(False)  # batch norm's statistics are the actor's, too
    losses: list[float] = []
    for _ in range(n_epochs):
        losses = []
        for rollout in buffer.get(batch_size):
            values = policy.predict_values(rollout.observations).flatten()
            loss = F.mse_loss(values, rollout.returns)
            policy.optimizer.zero_grad()
            loss.backward()
            for parameter in _shared_parameters(policy):
                parameter.grad = None
            policy.optimizer.step()
            losses.append(loss.item())
    return float(np.mean(losses))


def _shared_parameters(policy: ActorCriticPolicy) -> list[th.nn.Parameter]:
    """What the actor uses as well: the features extractor, unless each has its own."""
    if not policy.share_features_extractor:
        return []
    return list(policy.features_extractor.parameters())
