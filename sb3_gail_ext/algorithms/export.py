"""Write the generator alone, as a file that needs nothing of this package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.save_util import recursive_getattr, save_to_zip_file

from sb3_gail_ext.policies.scaled import ScaledFlattenExtractor, fold_scaling

_SCHEDULES = ("learning_rate", "clip_range", "clip_range_vf")


def export_generator(
    model: OnPolicyAlgorithm,
    policy: ActorCriticPolicy,
    path: str | Path,
    *,
    excluded: set[str],
    modules: list[str],
) -> None:
    """Save `model` as its SB3 algorithm would, e.g. for `PPO.load(path)`.

    A schedule is replaced by its initial value; the demonstrations' scaling of the observations
    goes into the weights of the first layers.

    :param policy: saved as the model's.
    :param excluded: attributes that the SB3 algorithm does not have.
    :param modules: names of what it saves the weights of.
    """
    data = {name: value for name, value in vars(model).items() if name not in excluded}
    for name in _SCHEDULES:
        if callable(data.get(name)):
            data[name] = float(data[name](1.0))
    params = {name: recursive_getattr(model, name).state_dict() for name in modules}
    params["policy"] = policy.state_dict()
    if isinstance(policy.features_extractor, ScaledFlattenExtractor):
        params["policy"] = fold_scaling(policy)
        data["policy_kwargs"] = _without_scaling(data["policy_kwargs"])
    save_to_zip_file(path, data=data, params=params)


def _without_scaling(policy_kwargs: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in policy_kwargs.items() if k != "features_extractor_class"}
