"""Reward nets as plain data, from which they are built again without running anybody's code."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch as th
from gymnasium import spaces
from imitation.rewards.reward_nets import BasicRewardNet, CnnRewardNet, RewardNet
from torch.nn.utils.parametrize import is_parametrized

from sb3_gail_ext.rewards.networks import default_reward_net

_INPUTS = ("use_state", "use_action", "use_next_state", "use_done")
_ACTIVATIONS = ("Tanh", "ReLU", "LeakyReLU", "ELU", "GELU", "SiLU", "Sigmoid")


def describe(net: RewardNet) -> dict[str, Any] | None:
    """What `build` makes the same architecture of; None: of any other class than `imitation`'s two.

    :param net: an MLP or CNN as `default_reward_net` makes them.
    """
    if type(net) is BasicRewardNet:
        settings = _describe_layers(net.mlp.children(), th.nn.Linear, "hid_sizes", "out_features")
    elif type(net) is CnnRewardNet:
        settings = _describe_layers(
            net.cnn.children(), th.nn.Conv2d, "hid_channels", "out_channels"
        )
        settings["hwc_format"] = net.hwc_format
    else:
        return None
    settings |= {name: bool(getattr(net, name)) for name in _INPUTS}
    description = {"class": type(net).__name__, **settings}
    return description if _is_same(net, description) else None


def build(
    description: dict[str, Any], observation_space: spaces.Space, action_space: spaces.Space
) -> RewardNet:
    """A net of fresh weights.

    :param description: of `describe`.
    :raises ValueError: if it names what `describe` never does.
    """
    settings = dict(description)
    kind, name = settings.pop("class", None), settings.pop("activation", None)
    if kind not in (BasicRewardNet.__name__, CnnRewardNet.__name__):
        raise ValueError(f"unknown class of reward net {kind!r}")
    if name is not None and name not in _ACTIVATIONS:
        raise ValueError(f"unknown activation {name!r}")
    settings["activation"] = getattr(th.nn, name) if name is not None else None
    net = default_reward_net(observation_space, action_space, **settings)
    if type(net).__name__ != kind:
        raise ValueError(f"a {kind} does not fit observations in {observation_space}")
    return net


def _describe_layers(
    layers: Iterable[th.nn.Module], kind: type[th.nn.Module], sizes: str, size: str
) -> dict[str, Any]:
    """Of the hidden ones: a Sequential's last of `kind`, and what follows it, is the output."""
    layers = list(layers)
    weighted = [layer for layer in layers if isinstance(layer, kind)]
    names = [type(layer).__name__ for layer in layers if type(layer).__name__ in _ACTIVATIONS]
    dropouts = [layer.p for layer in layers if isinstance(layer, th.nn.Dropout)]
    hidden = weighted if kind is th.nn.Conv2d else weighted[:-1]
    return {
        sizes: [int(getattr(layer, size)) for layer in hidden],
        "activation": names[0] if names else None,
        "dropout_prob": float(dropouts[0]) if dropouts else 0.0,
        "spectral_norm": any(is_parametrized(layer) for layer in weighted),
    }


def _is_same(net: RewardNet, description: dict[str, Any]) -> bool:
    """Whether the description leaves nothing out: layers of the same kinds, weights, and places."""
    try:
        again = build(description, net.observation_space, net.action_space)
    except (TypeError, ValueError):
        return False
    return repr(again) == repr(net)
