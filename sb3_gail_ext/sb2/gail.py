"""Stable-Baselines 2's `GAIL`: its arguments and defaults on sb3-contrib's TRPO."""

from __future__ import annotations

import math
import warnings
from typing import Any, Self

from imitation.rewards.reward_nets import RewardNet
from sb3_contrib import TRPO
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback

from sb3_gail_ext.algorithms.demonstrated import Demonstrations
from sb3_gail_ext.algorithms.on_policy import AdversarialOnPolicy
from sb3_gail_ext.algorithms.ranges import check_ranges
from sb3_gail_ext.sb2.dataset import ExpertDataset
from sb3_gail_ext.sb2.pretraining import pretrain

# What Stable-Baselines 2 did not have.
_PLAIN: dict[str, Any] = {
    "gradient_penalty": 0.0,
    "normalize_policy_inputs": False,
    "normalize_learned_reward": False,
    "warm_start_updates": 0,
    "rehearsal_updates": 0,
    "critic_warm_up_rollouts": 0,
    "policy_averaging": 0.0,
}
_CRITIC_BATCH = 128

# Of its policies' arguments, those that SB3's policies have under another name, or not at all.
_POLICY_KWARGS = {
    "act_fun": "activation_fn=torch.nn.Tanh, a class",
    "layers": "net_arch=dict(pi=layers, vf=layers)",
    "cnn_extractor": "features_extractor_class",
    "feature_extraction": 'the policy "MlpPolicy" or "CnnPolicy"',
    "layer_norm": "a features_extractor_class of your own",
    "n_lstm": "a policy without memory: a recurrent one cannot be imitated with",
}


class GAIL(AdversarialOnPolicy, TRPO):
    """GAIL (Ho & Ermon, 2016) as Stable-Baselines 2 had it: for old scripts and comparisons.

    `sb3_gail_ext.GAIL` is the one to learn with: its defaults need far fewer environment steps.
    Differences that remain to Stable-Baselines 2: docs/migration.md.

    :param policy: as in SB3.
    :param env: as in SB3, one environment or a VecEnv of several.
    :param expert_dataset: an `ExpertDataset`, or what `sb3_gail_ext.GAIL` takes. May be left out
        and attached later with `set_demonstrations`, or to `load`.
    :param hidden_size_adversary: units of each of the discriminator's two layers (of images it is
        `imitation`'s CNN, which has none).
    :param adversary_entcoeff: weight of the discriminator's entropy beside the sum of both sides'
        cross entropies. Here the loss is their mean: `entropy_bonus` is half of this.
    :param g_step: rollouts, and policy updates, per round of the discriminator.
    :param d_step: discriminator steps per round, on `timesteps_per_batch // d_step` transitions of
        each side.
    :param d_stepsize: `discriminator_learning_rate`.
    :param gamma: discount factor.
    :param timesteps_per_batch: of a rollout, of all environments: `n_steps` is its share of one,
        rounded down, but one step at least.
    :param max_kl: `target_kl`.
    :param cg_iters: `cg_max_steps`.
    :param lam: `gae_lambda`.
    :param entcoeff: the policy's entropy bonus, which sb3-contrib's TRPO has not: 0 only.
    :param cg_damping: as in TRPO.
    :param vf_stepsize: `learning_rate`, which is the critic's alone.
    :param vf_iters: `n_critic_updates`, in minibatches of 128.
    :param full_tensorboard_log: of no effect, with a warning; `tensorboard_log` logs everything.
    :param n_cpu_tf_sess: likewise; `torch.set_num_threads` is the way.
    :param kwargs: of `adversarial(TRPO)`, by their own names, which win over the above: `device`,
        or what makes it learn faster, e.g. `gradient_penalty=0.5`, `warm_start_updates=10_000`.
    :raises DemonstrationError: if the demonstrations do not fit the environment.
    :raises ValueError: if an argument is out of its range or has no counterpart.
    """

    def __init__(
        self,
        policy: Any,
        env: GymEnv | str | None,
        expert_dataset: ExpertDataset | Demonstrations | None = None,
        hidden_size_adversary: int = 100,
        adversary_entcoeff: float = 1e-3,
        g_step: int = 3,
        d_step: int = 1,
        d_stepsize: float = 3e-4,
        verbose: int = 0,
        _init_setup_model: bool = True,
        *,
        gamma: float = 0.99,
        timesteps_per_batch: int = 1024,
        max_kl: float = 0.01,
        cg_iters: int = 10,
        lam: float = 0.98,
        entcoeff: float = 0.0,
        cg_damping: float = 1e-2,
        vf_stepsize: float = 3e-4,
        vf_iters: int = 3,
        policy_kwargs: dict[str, Any] | None = None,
        full_tensorboard_log: bool = False,
        n_cpu_tf_sess: int | None = None,
        **kwargs: Any,
    ) -> None:
        n_envs = getattr(env, "num_envs", 1)
        check_ranges(
            g_step=(g_step, 1, math.inf),
            timesteps_per_batch=(timesteps_per_batch, 2, math.inf),
            d_step=(d_step, 1, timesteps_per_batch),
        )
        _check_has_counterpart(entcoeff, policy_kwargs or {})
        _warn_of_no_effect(full_tensorboard_log, n_cpu_tf_sess)
        self.hidden_size_adversary = hidden_size_adversary
        self.g_step = g_step
        self._measured: dict[str, float] = {}  # in the latest round of the discriminator
        translated = {
            "demonstrations": expert_dataset,
            "entropy_bonus": adversary_entcoeff / 2,
            "n_discriminator_updates": d_step,
            "discriminator_batch_size": timesteps_per_batch // d_step,
            "discriminator_learning_rate": d_stepsize,
            "n_steps": max(timesteps_per_batch // n_envs, 1),
            "target_kl": max_kl,
            "cg_max_steps": cg_iters,
            "gae_lambda": lam,
            "cg_damping": cg_damping,
            "learning_rate": vf_stepsize,
            "n_critic_updates": vf_iters,
            "batch_size": min(_CRITIC_BATCH, timesteps_per_batch),
        }
        super().__init__(
            policy,
            env,
            gamma=gamma,
            policy_kwargs=policy_kwargs,
            verbose=verbose,
            _init_setup_model=_init_setup_model,
            **{**_PLAIN, **translated, **kwargs},
        )

    def set_demonstrations(self, demonstrations: ExpertDataset | Demonstrations) -> None:
        """As in `sb3_gail_ext.GAIL`, or an `ExpertDataset`."""
        if isinstance(demonstrations, ExpertDataset):
            demonstrations = demonstrations.trajectories
        super().set_demonstrations(demonstrations)

    def learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int = 1,
        tb_log_name: str = "GAIL",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> Self:
        """As in SB3. All environment steps count; Stable-Baselines 2 counted one in `g_step`."""
        learned: Self = super().learn(
            total_timesteps,
            callback=callback,
            log_interval=log_interval,
            tb_log_name=tb_log_name,
            reset_num_timesteps=reset_num_timesteps,
            progress_bar=progress_bar,
        )
        return learned

    def pretrain(
        self,
        dataset: ExpertDataset,
        n_epochs: int = 10,
        learning_rate: float = 1e-4,
        adam_epsilon: float = 1e-8,
        val_interval: int | None = None,
    ) -> Self:
        """As the function of this name, which does it for SB3's own models."""
        return pretrain(self, dataset, n_epochs, learning_rate, adam_epsilon, val_interval)

    @classmethod
    def load(
        cls,
        path: Any,
        env: GymEnv | None = None,
        *args: Any,
        expert_dataset: ExpertDataset | Demonstrations | None = None,
        **kwargs: Any,
    ) -> Self:
        """As in SB3, and attach these demonstrations: the file has none."""
        model: Self = super().load(path, env, *args, **kwargs)
        if expert_dataset is not None:
            model.set_demonstrations(expert_dataset)
        return model

    def _update_discriminator(self) -> dict[str, float]:
        """In the first of every `g_step` rollouts; in the others its figures are the latest."""
        if self._n_rollouts % self.g_step == 0:
            self._measured = super()._update_discriminator()
        return self._measured

    def _default_reward_net(self, **kwargs: Any) -> RewardNet:
        if not is_image_space(self.observation_space):
            kwargs = {"hid_sizes": (self.hidden_size_adversary,) * 2, **kwargs}
        return super()._default_reward_net(**kwargs)


def _check_has_counterpart(entcoeff: float, policy_kwargs: dict[str, Any]) -> None:
    if entcoeff != 0:
        raise ValueError(
            f"entcoeff is {entcoeff}, but TRPO has no entropy bonus here; leave it at 0, or use "
            "sb3_gail_ext.GAIL(..., ent_coef=...), on PPO"
        )
    for name, instead in _POLICY_KWARGS.items():
        if name in policy_kwargs:
            raise ValueError(f"policy_kwargs has {name!r}, which SB3 does not know; use {instead}")


def _warn_of_no_effect(full_tensorboard_log: bool, n_cpu_tf_sess: int | None) -> None:
    if full_tensorboard_log:
        warnings.warn(
            "full_tensorboard_log has no effect: tensorboard_log alone logs everything",
            stacklevel=3,
        )
    if n_cpu_tf_sess is not None:
        warnings.warn(
            f"n_cpu_tf_sess has no effect: call torch.set_num_threads({n_cpu_tf_sess})",
            stacklevel=3,
        )
