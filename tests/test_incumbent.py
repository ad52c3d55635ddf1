"""Who answers `predict`: trials among the steps that explore, who wins them, what is saved."""

from collections.abc import Iterator
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


class Judge:
    """In the place of the distance: says what it is told to, and keeps what it was shown."""

    def __init__(self, distances: list[float]) -> None:
        self.left: Iterator[float] = iter(distances)
        self.shown: list[int] = []
        self.challengers: list[np.ndarray] = []
        self.model: Any = None

    def __call__(self, episodes: Any) -> float:
        assert all(len(episode) == EPISODE for episode in episodes)
        self.shown.append(len(episodes))
        self.challengers.append(answers(self.model.challenger))
        return next(self.left)


def judged(env: Any, demonstrations: Any, distances: list[float], **kwargs: Any) -> Any:
    model = dac(env, demonstrations, **kwargs)
    model._distance_to = judge = Judge(distances)  # type: ignore[assignment]
    judge.model = model
    return model, judge


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


def test_the_first_trial_is_the_clones_and_the_nearest_answers(
    line_env: Any, line_demonstrations: Any
) -> None:
    """Each trial is judged after 2, 3 and 4 of its episodes; between two, one explores."""
    model, judge = judged(
        line_env(), line_demonstrations, [0.5] * 3 + [0.4, 0.4, 0.2] + [0.3, 0.3, 0.3]
    )
    model.learn(1)
    clone = answers(model)
    np.testing.assert_array_equal(clone, answers(model.policy))
    model.learn(24 * EPISODE)
    assert judge.shown == [2, 3, 4] * 3
    first, second, third = judge.challengers[2::3]
    np.testing.assert_array_equal(first, clone)
    assert not np.array_equal(second, third)
    np.testing.assert_array_equal(answers(model), second)
    assert model.best_distance == 0.2


def test_who_is_no_worse_for_all_that_can_be_told_wins_but_the_mark_stays(
    line_env: Any, line_demonstrations: Any
) -> None:
    close, far = 0.109, 0.111  # 0.1 and the noise between two sets of the same policy's episodes
    for distance, winner in ((close, 1), (far, 0)):
        model, judge = judged(line_env(), line_demonstrations, [0.1] * 3 + [distance] * 3)
        model.learn(16 * EPISODE)
        np.testing.assert_array_equal(answers(model), judge.challengers[2::3][winner])
        assert model.best_distance == 0.1


def test_who_is_plainly_worse_is_dropped_from_half_of_the_trial_on(
    line_env: Any, line_demonstrations: Any
) -> None:
    model, judge = judged(line_env(), line_demonstrations, [0.1] * 3 + [0.21, 0.19, 0.21, 0.0])
    model.learn(1)
    clone = answers(model)
    model.learn(22 * EPISODE)
    assert judge.shown == [2, 3, 4, 2, 2, 3, 2]
    np.testing.assert_array_equal(answers(model), clone)


def test_trials_of_several_environments_and_what_a_vecnormalize_hides(
    line_env: Any, line_demonstrations: Any
) -> None:
    venv = VecNormalize(DummyVecEnv([lambda: Monitor(line_env())] * 3))
    model, judge = judged(venv, line_demonstrations, [0.1] * 50, trial_episodes=5)
    episodes = []
    note = model.replay_buffer.latest_episode

    def spy(env: int, n_steps: int) -> Any:
        episodes.append(note(env, n_steps))
        return episodes[-1]

    model.replay_buffer.latest_episode = spy
    model.learn(3 * 8 * EPISODE)
    assert set(judge.shown) <= {2, 3, 4, 5, 6}
    assert len(episodes) > 6
    for episode in episodes:  # as the environment gives them: the second coordinate counts steps
        np.testing.assert_array_equal(episode.obs[:, 1], np.arange(EPISODE + 1))
        assert np.abs(episode.acts).max() <= 2


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
    assert not np.array_equal(answers(model), answers(model.policy))
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(answers(load_policy(tmp_path / "model.zip")), answers(model))
    loaded = cls.load(tmp_path / "model", line_env())
    np.testing.assert_array_equal(answers(loaded), answers(model))
    loaded.set_demonstrations(line_demonstrations)
    assert loaded.best_distance == model.best_distance < np.inf
    loaded._distance_to = lambda _: 1e3  # nobody comes near
    loaded.learn(20 * EPISODE, reset_num_timesteps=False)
    np.testing.assert_array_equal(answers(loaded), answers(model))


def test_other_demonstrations_begin_anew(line_env: Any, line_demonstrations: Any) -> None:
    model = dac(line_env(), line_demonstrations).learn(100)
    assert model.best_distance < np.inf
    model.set_demonstrations(line_demonstrations[:1])
    assert model.best_distance == np.inf


def test_what_it_refuses(line_env: Any, line_demonstrations: Any) -> None:
    with pytest.raises(ValueError, match=r"trial_share is 1\.5"):
        dac(line_env(), line_demonstrations, trial_share=1.5)
    with pytest.raises(ValueError, match="trial_episodes is -1"):
        dac(line_env(), line_demonstrations, trial_episodes=-1)
