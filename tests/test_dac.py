"""DAC: the discriminator's rhythm, what a clone is kept by, what ends are worth, saving."""

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th
from sb3_contrib import QRDQN, TQC
from stable_baselines3 import DDPG, DQN, SAC, TD3
from stable_baselines3.common.callbacks import CheckpointCallback, EvalCallback
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.torch_layers import FlattenExtractor
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
from tiny_envs import Goal, Pit, expert_episodes
from watching import same, weights

from sb3_gail_ext import DAC, DemonstrationError, adversarial
from sb3_gail_ext.algorithms.cloned_actor import ClonedActor
from sb3_gail_ext.algorithms.off_policy import AdversarialOffPolicy
from sb3_gail_ext.algorithms.schedules import GeometricSchedule
from sb3_gail_ext.algorithms.with_discriminator import WithDiscriminator
from sb3_gail_ext.policies.loading import load_policy

SMALL: dict[str, Any] = {
    "seed": 0,
    "device": "cpu",
    "buffer_size": 2_000,
    "learning_starts": 10,
    "batch_size": 16,
    "discriminator_batch_size": 16,
    "warm_start_updates": 20,
    "critic_warm_up_updates": 10,
    "policy_kwargs": {"net_arch": [16, 16]},
    "train_freq": 1,
    "discriminator_updates_per_step": 1.0,
}
CLONING = {"warm_start_updates", "critic_warm_up_updates"}
FAMILY = {generator: adversarial(generator) for generator in (TD3, DDPG, TQC)} | {SAC: DAC}


class Encoder(FlattenExtractor):
    """A linear layer of the user's."""

    def __init__(self, space: Any) -> None:
        super().__init__(space)
        self.layer = th.nn.Linear(2, 2)

    def forward(self, observations: th.Tensor) -> th.Tensor:
        return self.layer(super().forward(observations))


def dac(line_env: Any, demonstrations: Any, **kwargs: Any) -> DAC:
    return DAC("MlpPolicy", line_env(), demonstrations, **{**SMALL, **kwargs})


def actor(model: Any) -> dict[str, th.Tensor]:
    return {name: value.clone() for name, value in model.policy.actor.state_dict().items()}


# --- The discriminator -------------------------------------------------------------------------


@pytest.mark.parametrize(("ratio", "n_updates"), [(1.0, 20), (0.25, 5), (3, 60), (0, 0)])
def test_discriminator_updates_per_environment_step(
    line_env: Any, line_demonstrations: Any, ratio: float, n_updates: int
) -> None:
    model = dac(line_env, line_demonstrations, discriminator_updates_per_step=ratio)
    sizes = []
    update = model.discriminator.update

    def spy(expert: Any, agent: Any) -> dict[str, float]:
        sizes.append((len(expert), len(agent)))
        return update(expert, agent)

    model.discriminator.update = spy  # type: ignore[method-assign]
    model.learn(30)  # the first ten train nothing
    assert sizes == [(16, 16)] * n_updates


def test_it_sees_actions_in_the_environments_range(line_demonstrations: Any) -> None:
    model = DAC("MlpPolicy", "Pendulum-v1", **SMALL)  # torques from -2 to 2
    buffer = model.replay_buffer
    obs = np.zeros((1, 3), np.float32)
    buffer.add(obs, obs, np.array([[0.75]], np.float32), np.zeros(1), np.zeros(1), [{}])
    assert model._draw_agent().acts.tolist() == [[1.5]] * 16


def test_the_environments_reward_changes_no_weight(line_env: Any, line_demonstrations: Any) -> None:
    models = []
    for reward in (None, -1e6):
        model = DAC("MlpPolicy", line_env(reward), line_demonstrations, **SMALL)
        before = weights(model)
        models.append(model.learn(60))
    assert not same(before, weights(models[0]))
    assert same(weights(models[0]), weights(models[1]))


def test_the_discriminator_is_logged(line_env: Any, line_demonstrations: Any) -> None:
    model = dac(line_env, line_demonstrations).learn(30, log_interval=10_000)
    logged = model.logger.name_to_value
    assert 0 <= logged["discriminator/accuracy_agent"] <= 1
    assert logged["rehearsal/squared_error"] > 0


# --- The clone ---------------------------------------------------------------------------------


def test_the_clone_acts_before_anything_is_trained(line_env: Any, line_demonstrations: Any) -> None:
    model = dac(
        line_env,
        line_demonstrations,
        warm_start_updates=500,
        learning_starts=1_000,
        trial_episodes=0,
    )
    model.learn(200)
    stored = model.replay_buffer.observations[:200, 0], model.replay_buffer.actions[:200, 0]
    expected = -2 * stored[0][:, :1]  # a demonstration stands for -2 place, halved places
    error = stored[1] - np.clip(expected, -1, 1)
    assert np.abs(error).mean() < 0.25  # exp(-1.6) times sqrt(2 / pi) is 0.16
    assert error.std() > 0.1  # it does explore
    random = dac(line_env, line_demonstrations, warm_start_updates=0, learning_starts=1_000)
    random.learn(200)
    assert np.abs(random.replay_buffer.actions[:200]).mean() == pytest.approx(0.5, abs=0.1)


def test_the_targets_actor_is_the_clone(line_env: Any, line_demonstrations: Any) -> None:
    model = FAMILY[TD3]("MlpPolicy", line_env(), line_demonstrations, **SMALL).learn(1)
    assert same(actor(model), dict(model.policy.actor_target.state_dict()))


def test_a_frozen_extractor_stays_frozen(line_env: Any, line_demonstrations: Any) -> None:
    """It comes first among the actor's parameters, and the actor learns nevertheless."""
    for warm_up in (0, 15):
        model = dac(
            line_env,
            line_demonstrations,
            critic_warm_up_updates=warm_up,
            policy_kwargs={"net_arch": [16], "features_extractor_class": Encoder},
        )
        frozen = model.actor.features_extractor.layer
        frozen.requires_grad_(False)
        before = frozen.weight.clone()
        model.learn(40)
        assert th.equal(before, frozen.weight)
        assert not frozen.weight.requires_grad
        assert not model.actor.log_std.weight.any()
        assert model.actor.mu.weight.grad is not None


@pytest.mark.parametrize("generator", FAMILY)
def test_only_critics_learn_at_first(
    generator: type, line_env: Any, line_demonstrations: Any
) -> None:
    model = FAMILY[generator](
        "MlpPolicy", line_env(), line_demonstrations, **{**SMALL, "critic_warm_up_updates": 15}
    )
    model.learn(1)
    clone, critic = actor(model), next(model.critic.parameters()).clone()
    model.learn(24, reset_num_timesteps=False)  # 15 of 25 train
    assert same(clone, actor(model))
    assert not th.equal(critic, next(model.critic.parameters()))
    model.learn(5, reset_num_timesteps=False)
    assert not same(clone, actor(model))
    assert all(p.requires_grad for p in model.policy.actor.parameters())


def test_the_actor_learns_a_third_as_fast_and_its_noise_stays(
    line_env: Any, line_demonstrations: Any
) -> None:
    model = dac(line_env, line_demonstrations, learning_rate=1e-3, critic_warm_up_updates=0)
    model.learn(40)
    rates = [o.param_groups[0]["lr"] for o in (model.actor.optimizer, model.critic.optimizer)]
    assert rates == pytest.approx([1e-3 / 3, 1e-3])
    assert not model.actor.log_std.weight.any()
    assert (model.actor.log_std.bias == -1.6).all()


def test_an_actor_learning_rate_of_its_own(line_env: Any, line_demonstrations: Any) -> None:
    for rate in (7e-3, lambda progress: 7e-3 + progress):
        model = dac(line_env, line_demonstrations, actor_learning_rate=rate)
        model.learn(40)
        assert model.actor.optimizer.param_groups[0]["lr"] == 7e-3  # at the end of `learn`


@pytest.mark.parametrize("generator", [SAC, TQC])
def test_the_temperature_stays_where_the_noise_does(
    generator: type, line_env: Any, line_demonstrations: Any
) -> None:
    """A tuner that cannot change the noise raises the temperature for ever."""
    model = FAMILY[generator]("MlpPolicy", line_env(), line_demonstrations, **SMALL).learn(40)
    assert model.ent_coef_optimizer is None
    assert model.ent_coef_tensor == pytest.approx(0.003)
    tuned = FAMILY[generator](
        "MlpPolicy", line_env(), line_demonstrations, **{**SMALL, "ent_coef": "auto_0.01"}
    ).learn(60)
    assert tuned.ent_coef_optimizer is not None
    assert tuned.actor.log_std.weight.any()
    scratch = dac(line_env, line_demonstrations, warm_start_updates=0)
    assert scratch.ent_coef == "auto"


def test_without_a_warm_start_it_is_the_learners_own_actor(
    line_env: Any, line_demonstrations: Any
) -> None:
    model = dac(line_env, line_demonstrations, warm_start_updates=0, learning_rate=1e-3)
    model.learn(30)
    assert model.actor.optimizer.param_groups[0]["lr"] == 1e-3
    slow = dac(line_env, line_demonstrations, warm_start_updates=0, actor_learning_rate=1e-5)
    assert slow.learn(30).actor.optimizer.param_groups[0]["lr"] == 1e-5
    assert model.actor.log_std.weight.any()
    assert "rehearsal/squared_error" not in model.logger.name_to_value


def test_rehearsal_holds_the_actor_at_the_demonstrations(
    line_env: Any, line_demonstrations: Any
) -> None:
    errors = []
    for weight in (0.0, 1e4):
        model = dac(
            line_env,
            line_demonstrations,
            rehearsal_weight=weight,
            actor_learning_rate=1e-2,
            warm_start_updates=500,
        )
        model.learn(300)
        acts, _ = model.policy.predict(model.expert.obs, deterministic=True)
        errors.append(float(np.square(acts - model.expert.acts).mean()))
    assert errors[1] < 0.25 * errors[0]


def test_the_weight_of_rehearsal_can_change_with_the_progress(
    line_env: Any, line_demonstrations: Any
) -> None:
    schedule = GeometricSchedule(1e4, 1e2)
    assert [schedule(p) for p in (1.0, 0.5, 0.0, -0.1)] == pytest.approx([1e4, 1e3, 1e2, 1e2])
    asked = []
    model = dac(
        line_env,
        line_demonstrations,
        critic_warm_up_updates=0,
        rehearsal_weight=lambda progress: asked.append(progress) or schedule(progress),
    )
    model.learn(20)
    assert asked == pytest.approx(np.arange(9, -1, -1) / 20)  # steps 11 to 20 train


def test_predict_answers_with_the_average(line_env: Any, line_demonstrations: Any) -> None:
    model = dac(
        line_env,
        line_demonstrations,
        policy_averaging=0.9,
        trial_episodes=0,
        actor_learning_rate=1e-2,
        critic_warm_up_updates=0,
    )
    name, average, latest = "mu.weight", None, []
    train = model.train

    def spy(*args: Any, **kwargs: Any) -> None:
        train(*args, **kwargs)
        latest.append(actor(model)[name])

    model.train = spy  # type: ignore[method-assign]
    model.learn(40)
    for n, weight in enumerate(latest, start=1):
        kept = min(0.9, 1 - 1 / n)
        average = weight if average is None else kept * average + (1 - kept) * weight
    assert average is not None
    averaged = model.averaged_policy.actor.state_dict()[name]
    np.testing.assert_allclose(averaged, average, rtol=1e-4, atol=1e-6)
    obs = np.array([[0.4, 1.0], [-0.3, 5.0]], np.float32)
    expected, _ = model.averaged_policy.predict(obs, deterministic=True)
    np.testing.assert_array_equal(model.predict(obs, deterministic=True)[0], expected)
    assert not np.array_equal(model.policy.predict(obs, deterministic=True)[0], expected)


# --- What ends are worth -----------------------------------------------------------------------


def test_the_absorbing_states_value_is_learned_as_a_target_is(
    line_env: Any, line_demonstrations: Any
) -> None:
    """V <- V + tau (r + gamma V - V), gradient step by gradient step."""
    model = dac(line_env, line_demonstrations, gamma=0.9, tau=0.1)
    model.discriminator.reward = lambda *_: np.array([2.0], np.float32)  # type: ignore[method-assign]
    value = 0.0
    for _ in range(7):
        value += 0.1 * (2.0 + 0.9 * value - value)
    model._track_absorbing_value(5)
    model._track_absorbing_value(2)
    assert model._absorbing_value == pytest.approx(value)
    assert model._terminal_value() == pytest.approx(0.9 * value)


@pytest.mark.parametrize("terminal_states", ["bootstrap", "end"])
def test_other_terminal_states_need_no_indicator(
    line_env: Any, line_demonstrations: Any, terminal_states: Any
) -> None:
    model = dac(line_env, line_demonstrations, terminal_states=terminal_states).learn(40)
    assert model.discriminator.net.base.observation_space.shape == (2,)
    assert model._terminal_value() == 0.0
    assert not np.isnan(model._draw_agent().obs).any()


def test_the_discriminator_is_shown_self_loops(line_env: Any, line_demonstrations: Any) -> None:
    model = dac(line_env, line_demonstrations, discriminator_batch_size=4_000)
    obs, walk = np.zeros((1, 2), np.float32), np.zeros((1, 1), np.float32)
    for step in range(10):
        over = np.array([step % 5 == 4])
        model.replay_buffer.add(obs, obs, walk, np.zeros(1), over, [{}])
    loops = np.isnan(model._draw_agent().obs).all(1).mean()
    assert loops == pytest.approx(2 / 12, abs=0.03)
    assert not np.isnan(model._draw_expert().obs).any()  # none of its episodes ends so


def episode_length(make_env: Any, form: str, terminal_states: str, seed: int) -> float:
    """Mean length of the last 10 episodes of training."""
    env = Monitor(make_env())
    model = DAC(
        "MlpPolicy",
        env,
        expert_episodes(make_env(), 10),
        reward_form=form,
        terminal_states=terminal_states,
        gradient_penalty=0.5,
        discriminator_learning_rate=3e-3,
        discriminator_batch_size=32,
        learning_rate=3e-3,
        learning_starts=50,
        batch_size=32,
        ent_coef=0.05,
        gamma=0.97,  # short-sighted enough to learn fast, far-sighted enough to be biased
        train_freq=1,
        discriminator_updates_per_step=1.0,
        trial_episodes=0,  # all of training explores
        tau=0.05,
        warm_start_updates=0,  # a clone does not err to begin with
        policy_kwargs={"net_arch": [32]},
        seed=seed,
        device="cpu",
    )
    model.learn(1_200)
    return float(np.mean(env.get_episode_lengths()[-10:]))


GOAL, PIT = functools.partial(Goal, True), functools.partial(Pit, True)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_survival_bonus_never_finishes_unless_ends_are_absorbing(seed: int) -> None:
    """-log(1 - D) pays for each step; the expert needs five to the goal."""
    assert episode_length(GOAL, "gail", "end", seed) > 25  # of 30
    assert episode_length(GOAL, "gail", "absorbing", seed) < 8


@pytest.mark.parametrize("seed", [0, 1])
def test_a_cost_for_living_jumps_into_the_pit_unless_ends_are_absorbing(seed: int) -> None:
    """log D costs each step; the expert stays out of the pit, which is three steps away."""
    assert episode_length(PIT, "log_d", "end", seed) < 6
    assert episode_length(PIT, "log_d", "absorbing", seed) > 25  # of 30


# --- As an SB3 algorithm -----------------------------------------------------------------------


@pytest.mark.parametrize("generator", FAMILY)
def test_every_learner_saves_and_loads(
    generator: type, line_env: Any, line_demonstrations: Any, tmp_path: Path
) -> None:
    cls = FAMILY[generator]
    model = cls("MlpPolicy", line_env(), line_demonstrations, **SMALL).learn(60)
    assert isinstance(model, generator)
    assert isinstance(model, WithDiscriminator)
    model.save(tmp_path / "model")
    model.save_replay_buffer(tmp_path / "buffer")
    loaded = cls.load(tmp_path / "model", env=line_env(), device="cpu")
    assert same(weights(model), weights(loaded))
    obs = np.array([[0.4, 1.0], [-0.3, 5.0]], np.float32)
    np.testing.assert_array_equal(
        model.predict(obs, deterministic=True)[0], loaded.predict(obs, deterministic=True)[0]
    )
    alone = load_policy(tmp_path / "model.zip")  # as `sb3-gail evaluate` does
    np.testing.assert_array_equal(
        model.predict(obs, deterministic=True)[0], alone.predict(obs, deterministic=True)[0]
    )
    assert loaded._absorbing_value == model._absorbing_value != 0
    with pytest.raises(DemonstrationError, match="no demonstrations to learn from"):
        loaded.learn(20)
    loaded.load_replay_buffer(tmp_path / "buffer")
    loaded.set_demonstrations(line_demonstrations)
    before = weights(loaded)
    loaded.learn(20, reset_num_timesteps=False)
    assert loaded.num_timesteps == 80
    assert loaded._started
    assert not same(before, weights(loaded))


def test_a_learner_in_jax_has_no_actor_to_clone() -> None:
    in_jax = type("SAC", (SAC,), {"__module__": "sbx.sac.sac"})
    imitator = adversarial(in_jax)
    assert issubclass(imitator, AdversarialOffPolicy)
    assert not issubclass(imitator, ClonedActor)
    assert issubclass(adversarial(TD3), ClonedActor)


def test_sbx_saves_and_loads(line_env: Any, line_demonstrations: Any, tmp_path: Path) -> None:
    sbx = pytest.importorskip("sbx", reason="needs Stable-Baselines3 2.3 or later")
    cls = adversarial(sbx.SAC)
    arguments = {k: v for k, v in SMALL.items() if k not in CLONING}
    model = cls("MlpPolicy", line_env(), line_demonstrations, **arguments).learn(60)
    assert model.replay_buffer.sample(8).rewards.any()
    model.save(tmp_path / "model")
    loaded = cls.load(tmp_path / "model", env=line_env(), device="cpu")
    obs = np.array([[0.4, 1.0], [-0.3, 5.0]], np.float32)
    np.testing.assert_array_equal(
        model.predict(obs, deterministic=True)[0], loaded.predict(obs, deterministic=True)[0]
    )
    loaded.set_demonstrations(line_demonstrations)
    loaded.learn(20, reset_num_timesteps=False)
    assert loaded.num_timesteps == 80


def test_a_buffer_loaded_after_the_demonstrations(
    line_env: Any, line_demonstrations: Any, tmp_path: Path
) -> None:
    model = dac(line_env, line_demonstrations).learn(30)
    model.save_replay_buffer(tmp_path / "buffer")
    other = dac(line_env, line_demonstrations, expert_share=0.0)
    other.load_replay_buffer(tmp_path / "buffer")
    sample = other.replay_buffer.sample(300)  # the loading model's share, not the saved buffer's
    steps = {tuple(obs) for obs in sample.observations.numpy()}
    assert steps <= {tuple(obs) for obs in model.replay_buffer.observations[:30, 0]}
    plain = SAC("MlpPolicy", line_env(), buffer_size=10)
    plain.save_replay_buffer(tmp_path / "plain")
    with pytest.raises(ValueError, match="holds a ReplayBuffer; give one that DAC's"):
        other.load_replay_buffer(tmp_path / "plain")
    assert other.replay_buffer.sample(2).rewards.shape == (2, 1)


def test_an_undiscounted_task_and_training_before_any_step(
    line_env: Any, line_demonstrations: Any, tmp_path: Path
) -> None:
    model = dac(line_env, line_demonstrations, gamma=1.0).learn(30)
    assert np.isfinite(model._absorbing_value)
    model.save_replay_buffer(tmp_path / "buffer")
    offline = dac(line_env, line_demonstrations)
    offline.load_replay_buffer(tmp_path / "buffer")
    offline.set_logger(model.logger)
    before = weights(offline)
    offline.train(5, 16)
    assert not same(before, weights(offline))


def test_the_same_seed_gives_the_same_weights(line_env: Any, line_demonstrations: Any) -> None:
    one, other = (dac(line_env, line_demonstrations).learn(60) for _ in range(2))
    assert same(weights(one), weights(other))


def test_several_environments_vecnormalize_and_callbacks(
    line_env: Any, line_demonstrations: Any, tmp_path: Path
) -> None:
    venv = VecNormalize(DummyVecEnv([lambda: Monitor(line_env())] * 2))
    model = DAC("MlpPolicy", venv, line_demonstrations, **{**SMALL, "gradient_steps": -1})
    assert not hasattr(model.actor.features_extractor, "scaling")
    evaluation_env = VecNormalize(DummyVecEnv([lambda: Monitor(line_env())]), training=False)
    keep = CheckpointCallback(20, str(tmp_path), save_replay_buffer=True, save_vecnormalize=True)
    model.learn(80, [keep, EvalCallback(evaluation_env, n_eval_episodes=1, eval_freq=20)])
    assert len(list(tmp_path.glob("*replay_buffer*"))) == 2
    assert venv.obs_rms.count > 80 + 20  # 21 of them the demonstrations': cloned as normalised
    assert model._n_updates == 70


def test_gsde_and_one_update_per_episode(line_env: Any, line_demonstrations: Any) -> None:
    model = dac(
        line_env, line_demonstrations, use_sde=True, train_freq=(1, "episode"), gradient_steps=-1
    )
    model.learn(42)  # six episodes of seven steps, the first two of which train nothing
    assert model._n_updates == 5 * 7


def test_what_it_refuses(line_env: Any, cartpole_expert: Any, line_demonstrations: Any) -> None:
    with pytest.raises(ValueError, match=r"Discrete.* was provided; use GAIL"):
        DAC("MlpPolicy", "CartPole-v1", cartpole_expert)
    with pytest.raises(ValueError, match="terminal_states is 'maybe'"):
        dac(line_env, line_demonstrations, terminal_states="maybe")
    with pytest.raises(ValueError, match="n_steps is 3"):
        dac(line_env, line_demonstrations, n_steps=3)
    with pytest.raises(ValueError, match="rehearsal_weight"):
        dac(line_env, line_demonstrations, rehearsal_weight=-1.0)
    with pytest.raises(ValueError, match="expert_share"):
        dac(line_env, line_demonstrations, expert_share=1.5)
    with pytest.raises(TypeError, match="DQN has no actor"):
        adversarial(DQN)
    with pytest.raises(TypeError, match="QRDQN has no actor"):
        adversarial(QRDQN)
    with pytest.raises(AssertionError, match="NatureCNN"):  # SB3's, and not about actions
        DAC("CnnPolicy", line_env(), terminal_states="bootstrap")
    with pytest.raises(TypeError, match="DAC is adversarial already"):
        adversarial(DAC)
