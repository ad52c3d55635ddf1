"""The chapter's actor-critic as a Stable-Baselines3 policy, ``"ChapterMlpPolicy"``.

Source: "Play Video Games with Generative AI: GAIL", chapter 12 of *Generative AI with Python and
TensorFlow 2*.
"""

from __future__ import annotations

from typing import Any

import torch as th
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import Schedule
from stable_baselines3.common.utils import get_device
from torch import nn

from sb3_gail_ext.chapter.networks import (
    Variant,
    chapter_layers,
    check_variant,
    initialise_as_keras,
)
from sb3_gail_ext.chapter.optimiser import KerasAdam
from sb3_gail_ext.rewards.storage import load_component, save_component


class ChapterTrunk(nn.Module):
    """The hidden layers, in the shape of SB3's ``MlpExtractor``: (batch, n) -> two (batch, hidden).

    Both attributes are the same list where the trunk is shared. ``value_layers`` is so named
    because sb3-contrib's TRPO tells a critic's parameters by "value" in their name.
    """

    def __init__(
        self, n_inputs: int, hidden_size: int, num_layers: int, variant: Variant, share: bool
    ) -> None:
        super().__init__()
        self.latent_dim_pi = self.latent_dim_vf = hidden_size
        # The chapter calls `layers[0]` and then `layers[1:num_layers]`, but its list has two
        # entries per layer (Dense, norm): with two layers, the second Dense is never reached.
        self.n_used = num_layers if variant == "printed" else 2 * num_layers
        self.policy_layers = chapter_layers(n_inputs, hidden_size, num_layers, variant)
        self.value_layers = (
            self.policy_layers
            if share
            else chapter_layers(n_inputs, hidden_size, num_layers, variant)
        )

    def forward(self, features: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
        return self.forward_actor(features), self.forward_critic(features)

    def forward_actor(self, features: th.Tensor) -> th.Tensor:
        for layer in self.policy_layers[: self.n_used]:
            features = layer(features)
        return features

    def forward_critic(self, features: th.Tensor) -> th.Tensor:
        for layer in self.value_layers[: self.n_used]:
            features = layer(features)
        return features


class TanhMean(nn.Module):
    """Bring an action mean into the action space's bounds; ``tanh`` itself where they are +-1."""

    centre: th.Tensor
    half_range: th.Tensor

    def __init__(self, action_space: spaces.Box) -> None:
        super().__init__()
        low, high = th.as_tensor(action_space.low), th.as_tensor(action_space.high)
        self.register_buffer("centre", (high + low).float() / 2)
        self.register_buffer("half_range", (high - low).float() / 2)

    def forward(self, x: th.Tensor) -> th.Tensor:
        return self.centre + self.half_range * th.tanh(x)


class ChapterActorCriticPolicy(ActorCriticPolicy):
    """Two hidden layers of 32 ReLU units, a tanh action mean, a Gaussian around it, a value.

    *Printed*: actor and critic share the trunk; of its two hidden layers only the first is used;
    batch norm only scales and shifts; the standard deviation is 1 and not trained; Keras'
    initialisation and Adam.

    *Corrected*, each for a reason:

    - both hidden layers are used, and normalisation is layer norm (``chapter_layers``);
    - the standard deviation is trained (from ``exp(log_std_init)``): noise of 1 on actions in
      [-1, 1] is clipped one time in three at best, and the chapter keeps it there for ever;
    - actor and critic have a trunk each (``share_trunk=False``): the critic's loss is a squared
      error of returns that nobody normalises, and on a shared trunk its gradient is about a
      thousand times the actor's (norms 40 and 0.03 on Hopper-v4 after five rollouts);
    - orthogonal initialisation with a small action head, as SB3 does: tanh starts unsaturated.

    Use as ``PPO("ChapterMlpPolicy", env, policy_kwargs=dict(variant="printed"))``. As printed, the
    *update* is wrong as well: that is ``ChapterPPO``.
    """

    action_space: spaces.Box

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        lr_schedule: Schedule,
        *,
        variant: Variant = "corrected",
        hidden_size: int = 32,
        num_layers: int = 2,
        share_trunk: bool | None = None,
        log_std_init: float = 0.0,
        use_sde: bool = False,
        optimizer_class: type[th.optim.Optimizer] | None = None,
        optimizer_kwargs: dict[str, Any] | None = None,
    ) -> None:
        """
        :param variant: ``"corrected"`` or ``"printed"``
        :param hidden_size: units in each hidden layer
        :param num_layers: hidden layers, per trunk
        :param share_trunk: one trunk for actor and critic; by default only in the printed variant
        :param log_std_init: log of the (initial) standard deviation; 0 is the chapter's 1
        :param use_sde: not supported; here because SB3's algorithms pass it
        :param optimizer_class: by default Adam, in the printed variant with Keras' arithmetic
        :param optimizer_kwargs: for the optimiser, without the learning rate
        """
        check_variant(variant)
        if use_sde:
            raise ValueError(
                "ChapterActorCriticPolicy has no state-dependent exploration (use_sde)"
            )
        if not isinstance(action_space, spaces.Box) or not action_space.is_bounded():
            raise ValueError(f"ChapterActorCriticPolicy needs bounded Box actions: {action_space}")
        self.variant = variant
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.share_trunk = variant == "printed" if share_trunk is None else share_trunk
        default_optimizer = KerasAdam if variant == "printed" else th.optim.Adam
        super().__init__(
            observation_space,
            action_space,
            lr_schedule,
            activation_fn=nn.ReLU,
            ortho_init=variant == "corrected",
            log_std_init=log_std_init,
            optimizer_class=optimizer_class or default_optimizer,
            optimizer_kwargs=optimizer_kwargs,
        )

    def _build_mlp_extractor(self) -> None:
        self.mlp_extractor = ChapterTrunk(  # type: ignore[assignment]  # same interface
            self.features_dim, self.hidden_size, self.num_layers, self.variant, self.share_trunk
        )

    def _build(self, lr_schedule: Schedule) -> None:
        super()._build(lr_schedule)
        self.action_net: nn.Module = nn.Sequential(self.action_net, TanhMean(self.action_space))
        if self.variant == "printed":
            self.apply(initialise_as_keras)
            del self.log_std  # a parameter; as a buffer it is saved, but seen by no optimiser
            self.register_buffer("log_std", th.full(self.action_space.shape, self.log_std_init))
        self.optimizer = self.optimizer_class(
            self.parameters(),
            lr=lr_schedule(1),  # type: ignore[call-arg]
            **self.optimizer_kwargs,
        )

    def value_and_action_mean(self, obs: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
        """(batch, ...) observations -> (batch, 1) values and (batch, action_dim) action means."""
        latent_pi, latent_vf = self.mlp_extractor(self.extract_features(obs))
        return self.value_net(latent_vf), self.action_net(latent_pi)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {
            "observation_space": self.observation_space,
            "action_space": self.action_space,
            "lr_schedule": self._dummy_schedule,  # a policy alone is not trained
            **self._settings(),
        }

    def _settings(self) -> dict[str, Any]:
        names = ("variant", "hidden_size", "num_layers", "share_trunk", "log_std_init")
        return {name: getattr(self, name) for name in names}

    def save(self, path: str) -> None:
        """Write weights and settings to one file that can be read without running code from it."""
        save_component(path, self, self._settings())

    @classmethod
    def load(cls, path: str, device: th.device | str = "auto") -> ChapterActorCriticPolicy:
        """Read a policy that ``save`` wrote."""
        saved = load_component(path, cls.__name__, get_device(device))
        policy = cls(
            saved.observation_space, saved.action_space, cls._dummy_schedule, **saved.settings
        )
        policy.load_state_dict(saved.state_dict)
        return policy.to(get_device(device))
