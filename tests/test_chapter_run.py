"""The chapter's components in use: in SB3, in ``imitation``'s GAIL, saved, loaded, registered."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from imitation.algorithms.adversarial.gail import GAIL as ImitationGAIL
from imitation.data import rollout
from imitation.data.wrappers import RolloutInfoWrapper
from imitation.policies.base import RandomPolicy
from imitation.policies.serialize import load_policy
from imitation.rewards.serialize import load_reward
from imitation.util import logger
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from sb3_gail_ext import adversarial
from sb3_gail_ext.chapter import (
    CHAPTER_GAIL_PRESETS,
    CHAPTER_GENERATORS,
    CHAPTER_PPO_KWARGS,
    CHAPTER_PPO_KWARGS_CORRECTED,
    ChapterActorCriticPolicy,
    ChapterDiscriminator,
    ChapterPPO,
    chapter_gail_kwargs,
    chapter_reward,
    register_chapter_components,
)

VARIANTS = ["printed", "corrected"]
SHORT: dict[str, Any] = {"n_steps": 100, "device": "cpu", "seed": 0}


@pytest.fixture(autouse=True)
def registered() -> None:
    register_chapter_components()


@pytest.fixture
def venv() -> VecEnv:
    """One Pendulum-v1 cut short at 100 steps: observations (3,), actions (1,) in [-2, 2]."""

    def make() -> gym.Env:
        return RolloutInfoWrapper(gym.make("Pendulum-v1", max_episode_steps=100))

    return DummyVecEnv([make])


def weights(module: th.nn.Module) -> dict[str, th.Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def moved(before: dict[str, th.Tensor], after: dict[str, th.Tensor]) -> set[str]:
    return {name for name in before if not th.equal(before[name], after[name])}


def random_demonstrations(venv: VecEnv) -> Sequence[Any]:
    """Two episodes of a random agent, as ``TrajectoryWithRew``."""
    return rollout.rollout(
        RandomPolicy(venv.observation_space, venv.action_space),
        venv,
        rollout.make_sample_until(min_episodes=2),
        rng=np.random.default_rng(0),
        unwrap=False,
    )


# --- SB3 ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", VARIANTS)
def test_actor_head_moves_only_in_the_corrected_variant(venv: VecEnv, variant: Any) -> None:
    """Six rollouts: two updates as printed, six as corrected."""
    kwargs = {**CHAPTER_PPO_KWARGS, **SHORT}
    policy_kwargs = {"variant": variant}
    model = CHAPTER_GENERATORS[variant](
        "ChapterMlpPolicy", venv, policy_kwargs=policy_kwargs, **kwargs
    )
    before = weights(model.policy)
    model.learn(600)
    names = moved(before, weights(model.policy))
    assert "value_net.weight" in names
    assert "mlp_extractor.policy_layers.0.0.weight" in names
    corrected = variant == "corrected"
    assert ("action_net.0.weight" in names) == corrected
    assert ("mlp_extractor.policy_layers.2.0.weight" in names) == corrected
    assert ("log_std" in names) == corrected


def test_chapter_ppo_updates_on_every_third_rollout(venv: VecEnv) -> None:
    model = ChapterPPO(
        "ChapterMlpPolicy",
        venv,
        policy_kwargs={"variant": "printed"},
        **{**CHAPTER_PPO_KWARGS, **SHORT},
    )
    before = weights(model.policy)
    model.learn(200)
    assert not moved(before, weights(model.policy))
    model.learn(100, reset_num_timesteps=False)
    assert moved(before, weights(model.policy))


def test_chapter_ppo_refuses_other_policies(venv: VecEnv) -> None:
    for policy in ("MlpPolicy", "ChapterMlpPolicy"):  # the latter is corrected by default
        with pytest.raises(ValueError, match="ChapterPPO needs ChapterMlpPolicy"):
            ChapterPPO(policy, venv, **{**CHAPTER_PPO_KWARGS, **SHORT})


@pytest.mark.parametrize("variant", VARIANTS)
def test_save_and_load_a_model(venv: VecEnv, tmp_path: Path, variant: Any) -> None:
    """SB3's own zip, optimiser included: both models go on identically."""
    algorithm = CHAPTER_GENERATORS[variant]
    kwargs: dict[str, Any] = CHAPTER_GAIL_PRESETS[variant]["policy_kwargs"]
    model = algorithm(
        "ChapterMlpPolicy", venv, policy_kwargs=kwargs, **{**CHAPTER_PPO_KWARGS, **SHORT}
    )
    model.learn(300)
    model.save(tmp_path / "model.zip")
    loaded = algorithm.load(tmp_path / "model.zip", env=venv, device="cpu")
    assert not moved(weights(model.policy), weights(loaded.policy))
    for each in (model, loaded):
        each.set_env(venv, force_reset=True)
        each.set_random_seed(1)
        each.learn(300, reset_num_timesteps=False)
    assert not moved(weights(model.policy), weights(loaded.policy))


@pytest.mark.parametrize("variant", VARIANTS)
def test_alias_works_for_other_algorithms(venv: VecEnv, variant: Any) -> None:
    trpo = pytest.importorskip("sb3_contrib").TRPO
    for algorithm, kwargs in ((A2C, SHORT), (trpo, {**SHORT, "batch_size": 100})):
        policy_kwargs = {"variant": variant}
        model = algorithm("ChapterMlpPolicy", venv, policy_kwargs=policy_kwargs, **kwargs)
        before = weights(model.policy)
        model.learn(200)
        assert "action_net.0.weight" in moved(before, weights(model.policy))


# --- imitation ---------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", VARIANTS)
def test_runs_inside_imitations_gail(venv: VecEnv, tmp_path: Path, variant: Any) -> None:
    """Demonstrations of a random agent: what counts is that both networks are trained."""
    demonstrations = random_demonstrations(venv)
    generator = PPO(
        ChapterActorCriticPolicy,
        venv,
        policy_kwargs={"variant": variant},
        **{**CHAPTER_PPO_KWARGS_CORRECTED, **SHORT},
    )
    discriminator = ChapterDiscriminator(venv.observation_space, venv.action_space, variant=variant)
    trainer = ImitationGAIL(
        demonstrations=demonstrations,
        demo_batch_size=100,
        venv=venv,
        gen_algo=generator,
        reward_net=discriminator,
        n_disc_updates_per_round=1,
        disc_opt_kwargs={"lr": 3e-4},
        custom_logger=logger.configure(tmp_path, []),
        allow_variable_horizon=True,
    )
    before = weights(generator.policy), weights(discriminator)
    trainer.train(300)
    assert "action_net.0.weight" in moved(before[0], weights(generator.policy))
    assert moved(before[1], weights(discriminator)) == set(before[1])
    obs, acts = demonstrations[0].obs[:-1], demonstrations[0].acts
    batch = (obs, acts, demonstrations[0].obs[1:], np.zeros(len(acts), bool))
    reward = trainer.reward_train.predict(*batch)
    np.testing.assert_allclose(reward, discriminator.predict_chapter_reward(*batch), rtol=1e-5)


# --- registries and files ----------------------------------------------------------------------


def test_registration_may_be_repeated() -> None:
    register_chapter_components()
    assert PPO.policy_aliases["ChapterMlpPolicy"] is ChapterActorCriticPolicy


@pytest.mark.parametrize("variant", VARIANTS)
def test_reward_through_imitations_registry(venv: VecEnv, tmp_path: Path, variant: Any) -> None:
    net = ChapterDiscriminator(
        venv.observation_space, venv.action_space, variant=variant, hidden_size=8, num_layers=3
    )
    path = str(tmp_path / "reward.pt")
    net.save(path)
    reward_fn = load_reward("ChapterDiscriminator", path, venv)
    obs, acts = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)
    batch = (obs, acts[:, :1], obs, np.zeros(5, bool))
    expected = chapter_reward(net.chapter_logit(th.as_tensor(obs), th.as_tensor(acts[:, :1])))
    np.testing.assert_allclose(reward_fn(*batch), expected.detach().numpy(), rtol=1e-6)


@pytest.mark.parametrize("variant", VARIANTS)
def test_policy_through_imitations_registry(venv: VecEnv, tmp_path: Path, variant: Any) -> None:
    policy = ChapterActorCriticPolicy(
        venv.observation_space, venv.action_space, lambda _: 3e-4, variant=variant, hidden_size=8
    )
    path = str(tmp_path / "policy.pt")
    policy.save(path)
    loaded = load_policy("ChapterMlpPolicy", venv, path=path)
    obs = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    assert not moved(weights(policy), weights(loaded))
    np.testing.assert_array_equal(
        loaded.predict(obs, deterministic=True)[0], policy.predict(obs, deterministic=True)[0]
    )


def test_loading_for_another_environment_is_refused(venv: VecEnv, tmp_path: Path) -> None:
    path = str(tmp_path / "component.pt")
    other = spaces.Box(-1.0, 1.0, (7,), np.float32)
    ChapterDiscriminator(other, venv.action_space).save(path)
    with pytest.raises(ValueError, match="Observation spaces do not match"):
        load_reward("ChapterDiscriminator", path, venv)
    ChapterActorCriticPolicy(other, venv.action_space, lambda _: 1.0).save(path)
    with pytest.raises(ValueError, match="Observation spaces do not match"):
        load_policy("ChapterMlpPolicy", venv, path=path)


def test_foreign_files_are_refused_and_not_unpickled(venv: VecEnv, tmp_path: Path) -> None:
    discriminator = ChapterDiscriminator(venv.observation_space, venv.action_space)
    pickled, garbage, ours = (tmp_path / name for name in ("pickled", "garbage", "ours"))
    th.save(discriminator, pickled)  # imitation's way: the object itself
    garbage.write_bytes(b"not a torch file")
    discriminator.save(ours)
    for path in (pickled, garbage):
        with pytest.raises(ValueError, match=r"was not written by ChapterDiscriminator\.save"):
            ChapterDiscriminator.load(path)
    with pytest.raises(ValueError, match=r"was not written by ChapterActorCriticPolicy\.save"):
        ChapterActorCriticPolicy.load(str(ours))


def test_discrete_spaces_survive_saving(tmp_path: Path) -> None:
    net = ChapterDiscriminator(spaces.Discrete(4), spaces.Discrete(2, start=1))
    net.save(tmp_path / "reward.pt")
    loaded = ChapterDiscriminator.load(tmp_path / "reward.pt")
    assert loaded.observation_space == net.observation_space
    assert loaded.action_space == net.action_space


# --- settings and this package's GAIL ----------------------------------------------------------


@pytest.mark.parametrize("variant", VARIANTS)
def test_preset_is_complete_and_fresh(venv: VecEnv, variant: Any) -> None:
    kwargs = chapter_gail_kwargs(variant, venv)
    assert kwargs["reward_net"].variant == kwargs["policy_kwargs"]["variant"] == variant
    assert set(CHAPTER_PPO_KWARGS) < set(kwargs)
    kwargs["policy_kwargs"]["variant"] = "spoilt"
    assert CHAPTER_GAIL_PRESETS[variant]["policy_kwargs"]["variant"] == variant


@pytest.mark.parametrize("variant", VARIANTS)
def test_preset_runs_in_this_packages_gail(venv: VecEnv, variant: Any) -> None:
    kwargs = {**chapter_gail_kwargs(variant, venv), **SHORT}
    model: Any = adversarial(CHAPTER_GENERATORS[variant])(
        env=venv, demonstrations=random_demonstrations(venv), **kwargs
    )
    policy, discriminator = weights(model.policy), weights(kwargs["reward_net"])
    model.learn(300)
    assert ("action_net.0.weight" in moved(policy, weights(model.policy))) == (
        variant == "corrected"
    )
    assert moved(discriminator, weights(kwargs["reward_net"])) == set(discriminator)
    obs, acts = np.zeros((2, 3), np.float32), np.zeros((2, 1), np.float32)
    assert (model.discriminator.reward(obs, acts, obs, np.zeros(2, bool)) > 0).all()
