"""The discriminator: a reward net with its optimiser, and the reward read off it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from imitation.util.networks import evaluating, training

from sb3_gail_ext.demonstrations.dict_observations import flatten_obs
from sb3_gail_ext.demonstrations.sampling import TransitionBatch
from sb3_gail_ext.rewards.networks import NormalizedRewardNet
from sb3_gail_ext.rewards.objectives import (
    REWARD_FORMS,
    bernoulli_entropy,
    discriminator_loss,
    gradient_penalty,
)

LogitOffset = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], th.Tensor]


class Discriminator:
    """Tells expert from agent transitions; its logit is high for the expert's.

    :param net: returns logits (n,), expert is high.
    :param logit_offset: maps a batch of transitions to what is added to the net's output, (batch,)
        without gradients: AIRL's -log pi(a|s). The gradient penalty leaves it out.
    :param learning_rate: Adam's.
    :param reward_form: a key of `REWARD_FORMS`: how logits become rewards.
    :param gradient_penalty_coef: weight of the one-sided gradient penalty; 0 leaves it out.
    :param entropy_coef: weight of an entropy bonus that keeps D from certainty.
    :param observation_space: the environment's, if it is a Dict, which `net` sees flat.
    :raises ValueError: if `reward_form` is unknown.
    """

    def __init__(
        self,
        net: NormalizedRewardNet,
        *,
        learning_rate: float,
        reward_form: str,
        gradient_penalty_coef: float,
        entropy_coef: float = 0.0,
        weight_decay: float = 0.0,
        label_smoothing: float = 0.0,
        logit_offset: LogitOffset | None = None,
        observation_space: spaces.Space | None = None,
        device: th.device | str = "cpu",
    ) -> None:
        if reward_form not in REWARD_FORMS:
            raise ValueError(f"reward_form is {reward_form!r}; use one of {list(REWARD_FORMS)}")
        self.net = net.to(device)
        self.optimizer = th.optim.Adam(
            net.parameters(), lr=learning_rate, weight_decay=weight_decay
        )
        self.reward_form = reward_form
        self.gradient_penalty_coef = gradient_penalty_coef
        self.entropy_coef = entropy_coef
        self.label_smoothing = label_smoothing
        self.logit_offset = logit_offset
        self.observation_space = observation_space or net.observation_space

    def set_learning_rate(self, learning_rate: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate

    def update(self, expert: TransitionBatch, agent: TransitionBatch) -> dict[str, float]:
        """One optimiser step on batches of equal size; returns what it measured before the step."""
        # Side by side: a small operation costs the same for one side as for both.
        side_by_side = map(np.concatenate, zip(expert, agent, strict=True))
        both, sizes = self.net.scale(*self.net.preprocess(*side_by_side)), [len(expert), len(agent)]
        expert_inputs, agent_inputs = zip(*(x.split(sizes) for x in both), strict=True)
        with training(self.net):
            expert_outputs, agent_outputs = self.net.base(*both).split(sizes)
            expert_logits = self._offset(expert_outputs, expert)
            agent_logits = self._offset(agent_outputs, agent)
            loss = discriminator_loss(expert_logits, agent_logits, self.label_smoothing)
            entropy, penalty = th.zeros(()), th.zeros(())
            if self.entropy_coef != 0:
                entropy = bernoulli_entropy(th.cat([expert_logits, agent_logits]))
            if self.gradient_penalty_coef > 0:
                penalty = gradient_penalty(self.net.base, expert_inputs, agent_inputs)
            self.optimizer.zero_grad()
            total = loss + self.gradient_penalty_coef * penalty - self.entropy_coef * entropy
            total.backward()
            self.optimizer.step()
        return _measure(expert_logits.detach(), agent_logits.detach(), loss, penalty)

    def logits(
        self, obs: np.ndarray, acts: np.ndarray, next_obs: np.ndarray, dones: np.ndarray
    ) -> th.Tensor:
        """Logits (batch,), expert is high, without gradients, in evaluation mode."""
        with evaluating(self.net), th.no_grad():
            outputs = self.net(*self.net.preprocess(obs, acts, next_obs, dones))
            return self._offset(outputs, TransitionBatch(obs, acts, next_obs, dones))

    def _offset(self, outputs: th.Tensor, transitions: TransitionBatch) -> th.Tensor:
        return outputs if self.logit_offset is None else outputs + self.logit_offset(*transitions)

    def reward(self, obs: Any, acts: np.ndarray, next_obs: Any, dones: np.ndarray) -> np.ndarray:
        """What the generator is trained on, float32 of shape (batch,).

        :param obs: (batch, *obs_shape), as the environment gives them (not normalised): of a Dict
            space a dictionary of arrays, or flat, (batch, D).
        :param acts: (batch, *act_shape), within the action space.
        :param next_obs: (batch, *obs_shape).
        :param dones: (batch,) bool, true terminal states only.
        """
        obs, next_obs = (flatten_obs(self.observation_space, o) for o in (obs, next_obs))
        rewards = REWARD_FORMS[self.reward_form](self.logits(obs, acts, next_obs, dones))
        return rewards.cpu().numpy().astype(np.float32)


def _measure(
    expert_logits: th.Tensor, agent_logits: th.Tensor, loss: th.Tensor, penalty: th.Tensor
) -> dict[str, float]:
    measured = {
        "loss": loss,
        "accuracy_expert": (expert_logits > 0).float().mean(),
        "accuracy_agent": (agent_logits <= 0).float().mean(),
        "entropy": bernoulli_entropy(th.cat([expert_logits, agent_logits])),
        "gradient_penalty": penalty,
    }
    return dict(zip(measured, th.stack(list(measured.values())).tolist(), strict=True))
