"""What every algorithm that learns from demonstrations shares: attaching them, and their scale."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from imitation.data.types import Trajectory, Transitions
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.preprocessing import get_flattened_obs_dim
from stable_baselines3.common.type_aliases import GymEnv
from stable_baselines3.common.vec_env import VecEnv, VecNormalize, unwrap_vec_normalize

from sb3_gail_ext.algorithms.random_states import (
    RandomStates,
    random_states,
    restore_random_states,
)
from sb3_gail_ext.demonstrations.checks import check_fits_spaces
from sb3_gail_ext.demonstrations.dict_observations import as_arrays, flat_space, unflatten_obs
from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.files import load_demonstrations, load_metadata
from sb3_gail_ext.demonstrations.identity import Identity, identify
from sb3_gail_ext.demonstrations.images import channels_as, order_axes_as
from sb3_gail_ext.demonstrations.sampling import TransitionBatch, flatten
from sb3_gail_ext.policies.scaled import ScaledFlattenExtractor, fit_scaling

Demonstrations = str | Path | Sequence[Trajectory] | Transitions


class Demonstrated(BaseAlgorithm):
    """Mixin: a model with demonstrations: checked, scaling its inputs, never saved with it."""

    expert: TransitionBatch | None = None
    demonstrations_path: Path | None = None  # if they are a file's
    n_demonstrations: int | None = None  # episodes, if that is what was given
    learned_from: Identity | None = None  # in the file, where the demonstrations are not
    random_states: RandomStates | None = None  # in the file, and from `load` to `learn`
    resumed_from: RandomStates | None = None  # which of them this `learn` began with

    def set_demonstrations(self, demonstrations: Demonstrations) -> None:
        """Imitate these from now on. The first set also fixes the scaling of the policy's inputs.

        A model that has learned from others, as its file says, warns and names both.

        :param demonstrations: the path of a file, `imitation` trajectories or `Transitions`, of
            Dict observations with `DictObs`.
        :raises DemonstrationError: if they do not fit the environment.
        """
        source, path = "demonstrations", None
        if isinstance(demonstrations, str | Path):
            source, path = str(demonstrations), Path(demonstrations)
            self._warn_if_recorded_elsewhere(demonstrations)
            demonstrations = load_demonstrations(demonstrations)
        demonstrations = as_arrays(self.observation_space, demonstrations)
        space = flat_space(self.observation_space)
        expert = order_axes_as(space, self._flatten(demonstrations))
        check_fits_spaces(expert, space, self.action_space, source)
        self._remember(identify(expert, path))
        self._attach(expert, demonstrations)
        self.demonstrations_path = path
        self.n_demonstrations = (
            None if isinstance(demonstrations, Transitions) else len(demonstrations)
        )

    @classmethod
    def load(
        cls,
        path: Any,
        env: GymEnv | None = None,
        *args: Any,
        demonstrations: Demonstrations | None = None,
        **kwargs: Any,
    ) -> Self:
        """As in SB3, and attach these demonstrations: the file has none.

        With `seed=...` it does not go on with the file's random states.

        :raises DemonstrationError: if they do not fit the environment.
        """
        model = super().load(path, env, *args, **kwargs)
        if kwargs.get("seed") is not None:
            model.set_random_seed(kwargs["seed"])
            if hasattr(model, "_rng"):
                model._rng = np.random.default_rng(kwargs["seed"])
        if demonstrations is not None:
            model.set_demonstrations(demonstrations)
        return model

    def _flatten(self, demonstrations: Sequence[Trajectory] | Transitions) -> TransitionBatch:
        return flatten(demonstrations)

    def _attach(self, expert: TransitionBatch, given: Sequence[Trajectory] | Transitions) -> None:
        """What an algorithm does with demonstrations that fit.

        :param given: the same as trajectories, where that is how they came.
        """
        self.expert = expert
        fit_scaling(self.policy, expert.obs)

    def _remember(self, identity: Identity) -> None:
        before = self.learned_from
        if before is not None and before.sha256 != identity.sha256 and self.num_timesteps:
            warnings.warn(
                f"these demonstrations ({identity}) are not those that this model has learned "
                f"from ({before})",
                stacklevel=3,
            )
        self.learned_from = identity

    def _warn_if_recorded_elsewhere(self, path: str | Path) -> None:
        # The chapter's own trap: MuJoCo's hops in PyBullet's physics, where they fall.
        spec = self.env.get_attr("spec")[0] if self.env is not None else None
        recorded_in = load_metadata(path).get("env_id")
        if spec is not None and recorded_in not in (None, spec.id):
            warnings.warn(f"{path}: recorded in {recorded_in}, not in {spec.id}", stacklevel=3)

    def _check_ready(self) -> None:
        """:raises DemonstrationError: if there is nothing to learn from."""
        if self.expert is None:
            raise DemonstrationError(
                "there are no demonstrations to learn from: pass demonstrations=... or call "
                "set_demonstrations(...) before learn()"
            )

    def _check_normalize_is_outermost(self) -> None:
        normalize = self.get_vec_normalize_env()
        if normalize is not None and normalize.norm_obs:
            dims = [get_flattened_obs_dim(s.observation_space) for s in (normalize, self)]
            if dims[0] != dims[1]:
                raise ValueError(
                    f"VecNormalize sees observations of {dims[0]} numbers, the model of {dims[1]}: "
                    "put it outside the wrappers that change them, VecNormalize(VecFrameStack(...))"
                )

    def _normalize_as_expert(self) -> None:
        """Before cloning: a VecNormalize in training takes its first statistics from the expert.

        Those of the first rollouts would move the clone's inputs.
        """
        assert self.expert is not None  # `_setup_learn` has checked
        normalize = self.get_vec_normalize_env()
        if normalize is not None and normalize.norm_obs and normalize.training:
            self._update_statistics(normalize, self.expert)
            latest = normalize.normalize_obs(normalize.get_original_obs())
            self._last_obs = channels_as(self.observation_space, latest)  # as SB3 turned them

    def _update_statistics(self, normalize: VecNormalize, expert: TransitionBatch) -> None:
        """Those of observations; of a Dict space each key's own."""
        if not isinstance(normalize.obs_rms, dict):
            normalize.obs_rms.update(expert.obs)
            return
        obs = unflatten_obs(self.observation_space, expert.obs)
        for key, statistics in normalize.obs_rms.items():
            statistics.update(obs[key])

    # How SB3 is extended.

    def save(self, *args: Any, **kwargs: Any) -> None:
        """As in SB3, with the random states; the demonstrations are named, not saved."""
        pending = self.random_states  # of a model that was loaded and has not learned since
        self.random_states = pending or random_states()
        try:
            super().save(*args, **kwargs)
        finally:
            self.random_states = pending

    def set_random_seed(self, seed: int | None = None) -> None:
        """As in SB3; it takes the place of the random states that a file brought."""
        if "policy" in vars(self):  # not while `load` builds the model
            self.random_states = None
        super().set_random_seed(seed)

    def _setup_learn(self, *args: Any, **kwargs: Any) -> tuple[int, BaseCallback]:
        if self.env is None:
            raise ValueError(
                "there is no environment: pass env=... to load(), or call set_env(...)"
            )
        self._check_ready()
        self._check_normalize_is_outermost()
        if normalizes_obs(self.env) and any(
            isinstance(module, ScaledFlattenExtractor) for module in self.policy.modules()
        ):
            raise ValueError(
                "VecNormalize and this policy would both scale the observations: make the model "
                "on the VecNormalize, or with normalize_policy_inputs=False"
            )
        prepared = super()._setup_learn(*args, **kwargs)
        self.resumed_from, self.random_states = self.random_states, None
        if self.resumed_from is not None:
            restore_random_states(self.resumed_from)
        return prepared

    def _excluded_save_params(self) -> list[str]:
        attached = ["expert", "demonstrations_path", "n_demonstrations"]
        return [*super()._excluded_save_params(), *attached, "resumed_from"]


def normalizes_obs(env: Any) -> bool:
    """Is there a VecNormalize that scales observations?"""
    normalize = unwrap_vec_normalize(env) if isinstance(env, VecEnv) else None
    return normalize is not None and normalize.norm_obs


def with_scaled_inputs(policy: Any, env: Any, policy_kwargs: dict[str, Any]) -> dict[str, Any]:
    """`policy_kwargs` that scale an MLP policy's inputs as the demonstrations are scaled.

    A mere copy, which SB3 may write into, for a policy of the user's own, or where a VecNormalize
    scales them already.
    """
    if policy != "MlpPolicy" or normalizes_obs(env):
        return dict(policy_kwargs)
    return {"features_extractor_class": ScaledFlattenExtractor, **policy_kwargs}
