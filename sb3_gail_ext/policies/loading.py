"""The policy in a saved SB3 model, whatever algorithm trained it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sb3_contrib.ars.policies import ARSPolicy
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.save_util import load_from_zip_file

_ANSWERS = ("incumbent", "averaged_policy", "policy")  # the first that is there predicts


def load_policy(path: str | Path) -> BasePolicy:
    """Read what predicts out of a zip that an algorithm's `save` wrote.

    A VecNormalize that it was trained with is not in the file: load such a model on its
    environment instead.

    :raises ValueError: if the file is missing or holds no policy.
    """
    try:
        data, params, _ = load_from_zip_file(path, device="cpu")
        assert data is not None
        policy_class, kwargs = data["policy_class"], dict(data["policy_kwargs"])
        if data.get("use_sde"):
            kwargs["use_sde"] = True
        # It will not be trained; ARS has no gradients, so its policies take no learning rate at all
        rates = () if issubclass(policy_class, ARSPolicy) else (lambda _: 0.0,)
        policy: Any = policy_class(
            data["observation_space"], data["action_space"], *rates, **kwargs
        )
        answers = next((n for n in _ANSWERS if n in params), None)
        if answers is None:
            raise ValueError("no PyTorch policy; record an SBX model in Python, with its own load")
        policy.load_state_dict(params[answers])  # as the algorithm's own `predict`
    except Exception as error:  # what a wrong zip raises depends on how it is wrong
        raise ValueError(
            f"{path}: no SB3 model with a policy ({error}); give the path of a model's zip"
        ) from error
    policy.set_training_mode(False)
    loaded: BasePolicy = policy
    return loaded
