"""`pretrain`: behaviour cloning of any SB3 model, with Stable-Baselines 2's losses."""

from __future__ import annotations

import math
from typing import Any, TypeVar

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3 import DQN
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy
from torch.nn import functional as F

from sb3_gail_ext.algorithms.ranges import check_ranges
from sb3_gail_ext.algorithms.warm_start import descend
from sb3_gail_ext.demonstrations.checks import check_fits_spaces, check_supported_spaces
from sb3_gail_ext.demonstrations.images import order_axes_as
from sb3_gail_ext.demonstrations.sampling import TransitionBatch
from sb3_gail_ext.policies.actions import as_policy_knows
from sb3_gail_ext.policies.scaled import fit_scaling
from sb3_gail_ext.sb2.dataset import Batch, ExpertDataset

Model = TypeVar("Model", bound=BaseAlgorithm)

_ANSWERS = ("averaged_policy", "incumbent")  # that this package's models may predict with


def pretrain(
    model: Model,
    dataset: ExpertDataset,
    n_epochs: int = 10,
    learning_rate: float = 1e-4,
    adam_epsilon: float = 1e-8,
    val_interval: int | None = None,
) -> Model:
    """Make the model's policy do what the demonstrations do, given their observations.

    For a Box the loss is the mean squared error of the deterministic action (in [-1, 1] where the
    policy squashes its actions, as SAC's and TD3's do); for Discrete actions it is the cross
    entropy, of a DQN's with its values as logits, so that they are no estimates of returns.
    The critics and the deviation of a Gaussian policy stay as they are. Unlike in Stable-Baselines
    2, what the model had learned before is not lost.

    Losses are printed if the model is verbose.

    :param model: PPO, A2C, TRPO, SAC, TD3, DDPG, TQC, DQN, or one of this package's.
    :param n_epochs: passes over the training split.
    :param learning_rate: of an Adam that the model does not keep.
    :param val_interval: epochs between two prints of the losses; None: a tenth of all.
    :returns: the model itself.
    :raises DemonstrationError: if the demonstrations do not fit the model's spaces.
    :raises ValueError: if the spaces or a number are none that can be used.
    :raises TypeError: if the model has no policy that can be cloned.
    """
    check_ranges(n_epochs=(n_epochs, 0, math.inf), learning_rate=(learning_rate, 0, math.inf))
    interval = val_interval if val_interval is not None else max(n_epochs // 10, 1)
    check_ranges(val_interval=(interval, 1, math.inf))
    check_supported_spaces(model.observation_space, model.action_space)
    pairs = _pairs(model, dataset.observations, dataset.actions)
    check_fits_spaces(pairs, model.observation_space, model.action_space, "dataset")
    net: Any = _what_learns(model)
    fit_scaling(model.policy, pairs.obs)  # of this package's policies, as demonstrations would
    optimizer = th.optim.Adam(net.parameters(), lr=learning_rate, eps=adam_epsilon)
    rates = np.full(len(dataset.train_loader), learning_rate)
    for epoch in range(1, n_epochs + 1):
        net.train(True)
        loss = descend(lambda: _loss(model, dataset.get_next_batch("train")), optimizer, rates)
        net.train(False)
        if model.verbose > 0 and epoch % interval == 0:
            held_out = _validation_loss(model, dataset)
            print(f"epoch {epoch}/{n_epochs}: training loss {loss:.6f}, validation {held_out:.6f}")
    _copy_to_the_others(model)
    return model


def _pairs(model: BaseAlgorithm, obs: np.ndarray, acts: np.ndarray) -> TransitionBatch:
    """As the environment has them; what follows an observation does not matter here."""
    if isinstance(model.action_space, spaces.Discrete):
        acts = acts.reshape(len(acts), *acts.shape[2:])  # (n, 1) to (n,)
    if obs.dtype.kind == "f":
        obs = obs.astype(np.float32)
    if acts.dtype.kind == "f":
        acts = acts.astype(np.float32)
    pairs = TransitionBatch(obs, acts, obs, np.zeros(len(obs), dtype=bool))
    return order_axes_as(model.observation_space, pairs)


def _what_learns(model: BaseAlgorithm) -> th.nn.Module:
    """The part of the policy that chooses actions.

    :raises TypeError: if there is none that we know of.
    """
    policy: Any = model.policy
    if isinstance(policy, ActorCriticPolicy):
        return policy
    net = getattr(policy, "actor", None)
    if isinstance(model, DQN):
        net = policy.q_net
    if not isinstance(net, th.nn.Module):
        raise TypeError(
            f"{type(model).__name__} cannot be pretrained: its policy is neither an actor-critic "
            "nor has it an actor; use PPO, A2C, TRPO, SAC, TD3, TQC or DQN"
        )
    return net


def _loss(model: BaseAlgorithm, batch: Batch) -> th.Tensor:
    pairs = _pairs(model, *batch)
    arrays = as_policy_knows(model, pairs.obs, pairs.acts)
    obs, acts = (th.as_tensor(array, device=model.device) for array in arrays)
    policy: Any = model.policy
    if isinstance(model.action_space, spaces.Box):
        return F.mse_loss(policy._predict(obs, deterministic=True), acts)
    if isinstance(policy, ActorCriticPolicy):
        cross_entropy: th.Tensor = -policy.get_distribution(obs).log_prob(acts).mean()
        return cross_entropy
    return F.cross_entropy(policy.q_net(obs), acts.long())


def _validation_loss(model: BaseAlgorithm, dataset: ExpertDataset) -> float:
    """Of one pass over the held-out pairs, each weighing the same."""
    batches = [next(dataset.val_loader) for _ in range(len(dataset.val_loader))]
    with th.no_grad():
        losses = [(len(batch[0]), _loss(model, batch).item()) for batch in batches]
    n_pairs = sum(n for n, _ in losses)
    return sum(n * loss for n, loss in losses) / n_pairs


def _copy_to_the_others(model: BaseAlgorithm) -> None:
    """Target networks, and what a model of ours answers with, start from what was cloned."""
    policy: Any = model.policy
    for target, source in (("actor_target", "actor"), ("q_net_target", "q_net")):
        if hasattr(policy, target):
            getattr(policy, target).load_state_dict(getattr(policy, source).state_dict())
    for name in _ANSWERS:
        if hasattr(model, name):
            getattr(model, name).load_state_dict(policy.state_dict())
