"""The chapter's PPO update, as printed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch as th
from stable_baselines3 import PPO
from stable_baselines3.common.type_aliases import RolloutBufferSamples

from sb3_gail_ext.chapter.objectives import chapter_ppo_loss
from sb3_gail_ext.chapter.policy import ChapterActorCriticPolicy


class ChapterPPO(PPO):
    """PPO with the chapter's update, errors included, to show what they cost. Not for use.

    Source: "Play Video Games with Generative AI: GAIL", chapter 12 of *Generative AI with Python
    and TensorFlow 2*. It differs from PPO, and therefore has a ``train`` of its own, in that:

    - the policy is updated on every third rollout; the two others are thrown away;
    - minibatches are drawn with replacement;
    - the ratio is per action dimension (``chapter_ppo_loss``);
    - the distributions in the ratio are built outside the gradient tape. The old one is that of
      the last state in which an action was sampled, for the whole batch; the new one starts
      there, too, and is afterwards the one of the *previous* minibatch. So the policy loss has
      no gradient, nor has the entropy of a fixed standard deviation: the action head never moves,
      and the trunk follows the critic alone.

    Advantages are not normalised, values not clipped, gradients not clipped, whatever was asked.
    """

    UPDATE_EVERY = 3  # rollouts

    policy: ChapterActorCriticPolicy

    def _setup_model(self) -> None:
        super()._setup_model()
        if getattr(self.policy, "variant", None) != "printed":
            raise ValueError(
                "ChapterPPO needs ChapterMlpPolicy, policy_kwargs={'variant': 'printed'}"
            )
        if self.batch_size > self.n_steps * self.n_envs:
            raise ValueError(f"batch_size {self.batch_size} exceeds the rollout of ChapterPPO")

    def train(self) -> None:
        """Update the policy from the rollout buffer, on each third rollout."""
        n_rollouts = self.num_timesteps // (self.n_steps * self.n_envs)
        if n_rollouts % self.UPDATE_EVERY:
            return
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        clip_range = self.clip_range(self._current_progress_remaining)  # type: ignore[operator]
        new_mean = old_mean = self._last_action_mean()
        for batch in self._minibatches():
            values, batch_mean = self.policy.value_and_action_mean(batch.observations)
            loss = chapter_ppo_loss(
                values=values,
                returns=batch.returns.unsqueeze(1),
                actions=batch.actions,
                advantages=batch.advantages.unsqueeze(1),
                action_mean=new_mean,
                old_action_mean=old_mean,
                clip_range=clip_range,
                vf_coef=self.vf_coef,
                ent_coef=self.ent_coef,
            )
            self.policy.optimizer.zero_grad()
            loss.backward()
            self.policy.optimizer.step()
            new_mean = batch_mean.detach()
        self._n_updates += self.n_epochs
        self.logger.record("train/loss", loss.item())
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")

    def _last_action_mean(self) -> th.Tensor:
        """Action mean in the latest state of the first environment, (1, action_dim), no gradient.

        The chapter's latest state is the last one of its last test episode.
        """
        if not isinstance(self._last_obs, np.ndarray):
            raise TypeError("ChapterPPO.train() needs a rollout of array observations")
        with th.no_grad():
            obs = th.as_tensor(self._last_obs[:1], device=self.device)
            return self.policy.value_and_action_mean(obs)[1]

    def _minibatches(self) -> Iterator[RolloutBufferSamples]:
        """``n_epochs`` times as many minibatches as fit into a rollout, drawn with replacement."""
        (rollout,) = self.rollout_buffer.get(batch_size=None)
        size = len(rollout.actions)
        for _ in range(self.n_epochs * (size // self.batch_size)):
            rows = th.randint(size, (self.batch_size,), device=self.device)
            yield rollout._replace(**{name: x[rows] for name, x in rollout._asdict().items()})
