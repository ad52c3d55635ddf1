"""Who answers `predict`: trials among the steps that explore, who wins them, what is saved."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import LineEnv
from imitation.data.types import TrajectoryWithRew, Transitions
from sb3_contrib import TQC
from stable_baselines3 import TD3
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from sb3_gail_ext import DAC, adversarial
from sb3_gail_ext.algorithms.cloned_actor import clone_actor
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
    n_missing = 10
    mark = 0.1

    def __init__(self, model: Any, outcomes: list[str]) -> None:
        self.model = model
        self.left = iter(outcomes)
        self.episodes: list[Any] = []
        self.challengers: list[np.ndarray] = []

    def add(self, episode: Any) -> str | None:
        self.episodes.append(episode)
        if len(self.episodes) % 2:
            return None
        self.challengers.append(answers(self.model.challenger))
        return next(self.left)


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
    model = dac(line_env(), line_demonstrations, trial_share=share, learning_starts=1_000)
    model.learn(20 * EPISODE)
    obs = model.replay_buffer.observations[: 20 * EPISODE, 0]
    meant = model.policy.scale_action(model.policy.predict(obs, deterministic=True)[0])
    quiet = np.abs(model.replay_buffer.actions[: 20 * EPISODE, 0] - meant) < 1e-6
    assert quiet.mean() == pytest.approx(share, abs=0.06)


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


class Lottery(LineEnv):
    """Every other episode, on average, ends after two steps."""

    def reset(self, **kwargs: Any) -> Any:
        obs, info = super().reset(**kwargs)
        self.short = self.np_random.random() < 0.5
        return obs, info

    def step(self, action: np.ndarray) -> Any:
        obs, reward, terminated, truncated, info = super().step(action)
        return obs, reward, terminated or (self.short and obs[1] >= 2), truncated, info


@pytest.mark.parametrize("n_envs", [1, 8])
def test_short_episodes_count_as_often_as_they_are_played(
    line_demonstrations: Any, n_envs: int
) -> None:
    """Of eight begun for the sake of two, the two that end first would be short ones."""
    venv = make_vec_env(Lottery, n_envs=n_envs, seed=1)
    model = dac(venv, line_demonstrations, learning_starts=100_000, trial_episodes=2)
    counted = []
    assert model._race is not None
    model._race._distance_to = lambda _: 1.0  # nobody ever wins; each plays all it has to
    add = model._race.add

    def spy(episode: Any) -> Any:
        counted.append(len(episode))
        return add(episode)

    model._race.add = spy  # type: ignore[method-assign]
    model.learn(6_000)
    assert len(counted) > 200
    assert np.mean(np.array(counted) == 2) == pytest.approx(0.5, abs=0.1)


def test_some_environments_explore_while_others_play_a_trial(
    line_demonstrations: Any,
) -> None:
    venv = make_vec_env(Lottery, n_envs=3, seed=0)
    model = dac(venv, line_demonstrations, learning_starts=100_000)
    mixed = 0
    for _ in range(300):
        model.learn(3, reset_num_timesteps=False)
        in_trial = model._in_trial
        if 0 < in_trial.sum() < 3:
            mixed += 1
            actions, stored = model._sample_action(0)
            assert model._race is not None
            player = model.incumbent if model._race.incumbent_plays else model.challenger
            quiet, _ = player.predict(model._last_obs, deterministic=True)
            np.testing.assert_array_equal(np.abs(actions - quiet)[:, 0] < 1e-6, in_trial)
            np.testing.assert_allclose(stored, actions, atol=1e-6)  # LineEnv's are in [-1, 1]
    assert mixed > 30


def test_an_episode_counts_as_long_as_a_demonstration_and_what_follows_explores(
    line_env: Any, line_demonstrations: Any
) -> None:
    shorter = [
        TrajectoryWithRew(d.obs[:4], d.acts[:3], None, False, d.rews[:3])
        for d in line_demonstrations
    ]
    model = dac(line_env(), shorter, trial_share=1.0, learning_starts=1_000)
    model._race = race = Told(model, ["lost"] * 50)  # type: ignore[assignment]
    race.incumbent_plays = True
    model.learn(4 * EPISODE)
    assert [len(episode) for episode in race.episodes] == [3] * 4
    obs = model.replay_buffer.observations[: 4 * EPISODE, 0]
    meant = model.policy.scale_action(model.policy.predict(obs, deterministic=True)[0])
    quiet = np.abs(model.replay_buffer.actions[: 4 * EPISODE, 0] - meant) < 1e-6
    np.testing.assert_array_equal(quiet[:, 0], ([True] * 3 + [False] * 4) * 4)


def test_a_buffer_that_holds_no_episode_means_no_trials(
    line_env: Any, line_demonstrations: Any
) -> None:
    assert dac(line_env(), line_demonstrations, buffer_size=EPISODE)._race is not None
    assert dac(line_env(), line_demonstrations, buffer_size=EPISODE - 1)._race is None


def test_learning_in_pieces_is_the_same_race(line_env: Any, line_demonstrations: Any) -> None:
    model = dac(line_env(), line_demonstrations)
    model._race = race = Told(model, ["lost"] * 50)  # type: ignore[assignment]
    for _ in range(42):
        model.learn(2, reset_num_timesteps=False)
    assert len(race.episodes) == 6  # of twelve


def test_a_nearer_challenger_wins_the_real_race(line_env: Any, line_demonstrations: Any) -> None:
    """A clone that learned next to nothing, and an actor that goes on being cloned."""
    model = dac(line_env(), line_demonstrations, warm_start_updates=1, trial_episodes=2)
    model.learn(1)
    before = answers(model)
    clone_actor(model.averaged_policy, model._draw_as_policy_knows, n_updates=500)
    model.policy.load_state_dict(model.averaged_policy.state_dict())
    model.learning_starts = 100_000
    model.learn(12 * EPISODE, reset_num_timesteps=False)
    assert not np.array_equal(answers(model), before)
    np.testing.assert_array_equal(answers(model), answers(model.averaged_policy))


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
    model.learn(20, reset_num_timesteps=False)


class Exchange(BaseCallback):
    """Other demonstrations in the middle of a trial."""

    def __init__(self, demonstrations: Any) -> None:
        super().__init__()
        self.demonstrations = demonstrations

    def _on_step(self) -> bool:
        if self.num_timesteps == 3:
            self.model.set_demonstrations(self.demonstrations)  # type: ignore[attr-defined]
        return True


def test_demonstrations_that_nobody_can_compare_with_end_the_race(
    line_env: Any, line_demonstrations: Any
) -> None:
    steps = subsample_trajectories(line_demonstrations, 2, np.random.default_rng(0))
    model = dac(line_env(), line_demonstrations).learn(40, Exchange(steps))
    assert model._race is None
    np.testing.assert_array_equal(answers(model), answers(model.averaged_policy))
    model = dac(line_env(), line_demonstrations).learn(40, Exchange(line_demonstrations[:2]))
    assert model._race is not None  # and the first episode, half of the old race, did not count


def test_parameters_go_from_one_model_to_another(line_env: Any, line_demonstrations: Any) -> None:
    model = dac(line_env(), line_demonstrations).learn(100)
    other = dac(line_env(), line_demonstrations, seed=1).learn(20)
    other.set_parameters(model.get_parameters())
    np.testing.assert_array_equal(answers(other), answers(model))


def test_td3s_noise_is_of_no_trial(line_env: Any, line_demonstrations: Any) -> None:
    noise = NormalActionNoise(np.zeros(1), np.full(1, 0.5))
    model = adversarial(TD3)(
        "MlpPolicy",
        line_env(),
        line_demonstrations,
        **{**SMALL, "learning_starts": 1_000},
        action_noise=noise,
    ).learn(2 * EPISODE)
    obs = model.replay_buffer.observations[: 2 * EPISODE, 0]
    meant = model.policy.scale_action(model.policy.predict(obs, deterministic=True)[0])
    off = np.abs(model.replay_buffer.actions[: 2 * EPISODE, 0] - meant).reshape(2, EPISODE)
    assert off.max(1)[0] < 1e-6 < 0.2 < off.max(1)[1]


def test_what_it_refuses(line_env: Any, line_demonstrations: Any) -> None:
    with pytest.raises(ValueError, match=r"trial_share is 1\.5"):
        dac(line_env(), line_demonstrations, trial_share=1.5)
    with pytest.raises(ValueError, match="trial_episodes is -1"):
        dac(line_env(), line_demonstrations, trial_episodes=-1)
