"""Who answers `predict`: trials among the steps that explore, who wins them, what is saved."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from imitation.data.types import Transitions
from sb3_contrib import TQC
from stable_baselines3 import TD3
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from sb3_gail_ext import DAC, adversarial
from sb3_gail_ext.demonstrations.sampling import flatten, subsample_trajectories
from sb3_gail_ext.policies.loading import load_policy

EPISODE = 7  # steps, of LineEnv
SMALL: dict[str, Any] = {
    "seed": 0,
    "device": "cpu",
    "buffer_size": 2_000,
    "learning_starts": 10,
    "batch_size": 16,
    "discriminator_batch_size": 16,
    "warm_start_updates": 20,
    "critic_warm_up_updates": 5,
    "actor_learning_rate": 1e-2,
    "policy_averaging": 0.5,
    "policy_kwargs": {"net_arch": [16]},
    "train_freq": 1,
    "trial_episodes": 4,
}
OBS = np.array([[0.4, 1.0], [-0.3, 5.0]], np.float32)


def dac(env: Any, demonstrations: Any, **kwargs: Any) -> DAC:
    return DAC("MlpPolicy", env, demonstrations, **{**SMALL, **kwargs})


def answers(policy: Any) -> np.ndarray:
    actions: np.ndarray = policy.predict(OBS, deterministic=True)[0]
    return actions


class Told:
    """In the place of a race: every second episode ends it, as it is told to."""

    incumbent_plays = False
    mark = 0.1

    def __init__(self, model: Any, outcomes: list[str]) -> None:
        self.model = model
        self.left = iter(outcomes)
        self.episodes: list[Any] = []
        self.challengers: list[np.ndarray] = []
        self.n_withdrawn = 0

    def add(self, episode: Any) -> str | None:
        self.episodes.append(episode)
        if len(self.episodes) % 2:
            return None
        self.challengers.append(answers(self.model.challenger))
        return next(self.left)

    def withdraw(self) -> None:
        self.n_withdrawn += 1


def test_a_trial_is_played_without_noise_and_between_trials_it_explores(
    line_env: Any, line_demonstrations: Any
) -> None:
    model = dac(line_env(), line_demonstrations, learning_starts=1_000)  # nothing learns
    model.learn(10 * EPISODE)
    obs = model.replay_buffer.observations[: 10 * EPISODE, 0]
    done = model.replay_buffer.actions[: 10 * EPISODE, 0]
    meant = model.policy.scale_action(model.challenger.predict(obs, deterministic=True)[0])
    noise = np.abs(done - meant).reshape(10, EPISODE).max(1)
    np.testing.assert_array_equal(noise > 1e-3, np.arange(10) % 2 == 1)  # every second explores


@pytest.mark.parametrize("share", [0.25, 0.75, 1.0])
def test_the_share_of_steps_in_trials(
    line_env: Any, line_demonstrations: Any, share: float
) -> None:
    model = dac(line_env(), line_demonstrations, trial_share=share)
    model.learn(20 * EPISODE)
    assert model._n_trial_steps / model._n_steps == pytest.approx(share, abs=0.06)


def test_whose_episode_it_is(line_env: Any, line_demonstrations: Any) -> None:
    model = dac(line_env(), line_demonstrations, trial_share=1.0).learn(1)
    model.incumbent.actor.mu.bias.data += 1.0
    for plays, player in ((True, model.incumbent), (False, model.challenger)):
        model._race = Told(model, [])
        model._race.incumbent_plays = plays
        model._in_trial[:] = True
        expected, _ = player.predict(model._last_obs, deterministic=True)
        np.testing.assert_array_equal(model._sample_action(0)[0], expected)


def test_the_clone_answers_until_a_challenger_wins(line_env: Any, line_demonstrations: Any) -> None:
    model = dac(line_env(), line_demonstrations)
    model.learn(1)
    clone = answers(model)
    np.testing.assert_array_equal(clone, answers(model.policy))
    for outcomes, winner in ((["lost", "lost"], None), (["won", "lost"], 0), (["lost", "won"], 1)):
        model = dac(line_env(), line_demonstrations).learn(1)
        model._race = race = Told(model, outcomes)  # type: ignore[assignment]
        model.learn(8 * EPISODE)
        assert not np.array_equal(*race.challengers)  # it is the actor of its time
        assert race.n_withdrawn == 1 + 2
        expected = clone if winner is None else race.challengers[winner]
        np.testing.assert_array_equal(answers(model), expected)


def test_episodes_are_whole_and_as_the_environment_saw_them(
    line_env: Any, line_demonstrations: Any
) -> None:
    venv = VecNormalize(DummyVecEnv([lambda: Monitor(line_env())] * 3))
    model = dac(venv, line_demonstrations, buffer_size=3 * 15)  # it turns over
    model._race = race = Told(model, ["lost"] * 50)  # type: ignore[assignment]
    model.learn(3 * 8 * EPISODE)
    model.learn(3 * 8 * EPISODE + 3, reset_num_timesteps=False)
    assert len(race.episodes) > 10
    for episode in race.episodes:  # the second coordinate counts steps
        np.testing.assert_array_equal(episode.obs[:, 1], np.arange(EPISODE + 1))
        moved = np.diff(episode.obs[:, 0])
        np.testing.assert_allclose(moved, 0.5 * episode.acts[:, 0], atol=1e-6)
        assert not episode.terminal


def test_an_episode_longer_than_the_buffer_counts_for_nobody(
    line_env: Any, line_demonstrations: Any
) -> None:
    model = dac(line_env(), line_demonstrations, buffer_size=EPISODE - 1)
    model._race = race = Told(model, [])  # type: ignore[assignment]
    model.learn(3 * EPISODE)
    assert not race.episodes


@pytest.mark.parametrize("kind", ["transitions", "subsampled", "none asked for", "no share"])
def test_without_whole_demonstrations_the_averaged_actor_answers(
    line_env: Any, line_demonstrations: Any, tmp_path: Path, kind: str
) -> None:
    demonstrations, kwargs = line_demonstrations, {}
    if kind == "transitions":
        batch = flatten(line_demonstrations)
        demonstrations = Transitions(
            batch.obs, batch.acts, np.array([{}] * len(batch)), batch.next_obs, batch.dones
        )
    elif kind == "subsampled":
        demonstrations = subsample_trajectories(line_demonstrations, 2, np.random.default_rng(0))
    else:
        kwargs = {"trial_episodes": 0} if kind == "none asked for" else {"trial_share": 0.0}
    model = dac(line_env(), demonstrations, **kwargs).learn(60)
    np.testing.assert_array_equal(answers(model), answers(model.averaged_policy))
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(answers(load_policy(tmp_path / "model.zip")), answers(model))
    np.testing.assert_array_equal(answers(DAC.load(tmp_path / "model")), answers(model))


@pytest.mark.parametrize("generator", [None, TD3, TQC])
def test_the_incumbent_is_saved_and_still_to_be_beaten(
    generator: Any, line_env: Any, line_demonstrations: Any, tmp_path: Path
) -> None:
    cls = DAC if generator is None else adversarial(generator)
    model = cls("MlpPolicy", line_env(), line_demonstrations, **SMALL).learn(100)
    model.incumbent.actor.load_state_dict(model.policy.actor.state_dict())
    for parameter in model.incumbent.actor.parameters():
        parameter.data += 0.01  # somebody else than the learning actor
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(answers(load_policy(tmp_path / "model.zip")), answers(model))
    loaded = cls.load(tmp_path / "model", line_env())
    np.testing.assert_array_equal(answers(loaded), answers(model))
    loaded.set_demonstrations(line_demonstrations)
    loaded._race._distance_to = lambda _: 1.0  # nobody is nearer
    loaded.learn(20 * EPISODE, reset_num_timesteps=False)
    np.testing.assert_array_equal(answers(loaded), answers(model))


def test_other_demonstrations_begin_anew(line_env: Any, line_demonstrations: Any) -> None:
    model = dac(line_env(), line_demonstrations).learn(100)
    assert model._race is not None
    assert not model._race.incumbent_plays
    model.set_demonstrations(line_demonstrations[:1])
    assert model._race.incumbent_plays


def test_what_it_refuses(line_env: Any, line_demonstrations: Any) -> None:
    with pytest.raises(ValueError, match=r"trial_share is 1\.5"):
        dac(line_env(), line_demonstrations, trial_share=1.5)
    with pytest.raises(ValueError, match="trial_episodes is -1"):
        dac(line_env(), line_demonstrations, trial_episodes=-1)
