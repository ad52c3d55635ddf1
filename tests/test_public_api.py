"""The names and signatures that users and other projects rely on."""

import inspect
from importlib.metadata import version

import gymnasium as gym
import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

import sb3_gail_ext as sg

CONTRACT = {
    "load_demonstrations": ["path", "format", "limit", "subsample", "seed"],
    "save_demonstrations": ["path", "trajectories", "format", "metadata"],
    "record_demonstrations": [
        *("model", "env", "n_episodes", "deterministic", "seed", "min_return", "progress_bar"),
    ],
    "check_demonstrations": ["demonstrations", "env", "n_episodes"],
    "split_demonstrations": ["trajectories", "validation_fraction", "seed"],
    "adversarial": ["generator"],
}


@pytest.mark.parametrize("name", sg.__all__)
def test_every_listed_name_is_there_and_documented(name: str) -> None:
    value = getattr(sg, name)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert value.__doc__


def test_names_of_the_contract_are_listed() -> None:
    promised = {
        *CONTRACT,
        "DemonstrationError",
        "GAIL",
        "AIRL",
        "GAIfO",
        "ChapterDiscriminator",
        "ChapterActorCriticPolicy",
        "CHAPTER_PPO_KWARGS",
    }
    assert promised <= set(sg.__all__)
    assert len(sg.__all__) == len(set(sg.__all__))


@pytest.mark.parametrize("name", CONTRACT)
def test_signatures_of_the_contract(name: str) -> None:
    assert list(inspect.signature(getattr(sg, name)).parameters) == CONTRACT[name]


def test_options_are_keyword_only() -> None:
    names = ("load_demonstrations", "save_demonstrations", "record_demonstrations")
    for name in (*names, "split_demonstrations"):
        parameters = inspect.signature(getattr(sg, name)).parameters.values()
        assert all(p.kind is p.KEYWORD_ONLY for p in parameters if p.default is not p.empty)
    for algorithm in (sg.GAIL, sg.AIRL, sg.GAIfO):
        parameters = inspect.signature(algorithm).parameters.values()
        assert [p.name for p in parameters][:3] == ["policy", "env", "demonstrations"]
        assert all(p.kind is not p.POSITIONAL_OR_KEYWORD for p in list(parameters)[3:])


def test_algorithms_are_sb3s() -> None:
    for algorithm in (sg.GAIL, sg.AIRL, sg.GAIfO):
        assert issubclass(algorithm, PPO)
    assert issubclass(sg.adversarial(PPO), OnPolicyAlgorithm)


def test_demonstration_errors_are_value_errors() -> None:
    assert issubclass(sg.DemonstrationError, ValueError)


def test_importing_registers_the_environments() -> None:
    for robot in ("Hopper", "Walker2D", "HalfCheetah", "Ant", "Humanoid"):
        assert gym.spec(f"{robot}MuJoCoEnv-v0").max_episode_steps == 1000


def test_the_version_is_the_installed_one() -> None:
    assert sg.__version__ == version("sb3_gail_ext")
