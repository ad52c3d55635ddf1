"""Presets: which settings a YAML file may hold, and that a run's own file repeats it."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env

from sb3_gail_ext import DAC, GAIL, LinearSchedule
from sb3_gail_ext.presets.errors import PresetError
from sb3_gail_ext.presets.loading import load_preset, read_sections, read_settings, shipped
from sb3_gail_ext.presets.preset import (
    ALGORITHMS,
    BASES,
    Preset,
    algorithm_arguments,
    as_settings,
    override,
)
from sb3_gail_ext.presets.resolved import resolve, write_preset
from sb3_gail_ext.presets.signatures import arguments_of
from sb3_gail_ext.presets.values import as_data, fit, in_words

PENDULUM = "Pendulum-v1"
Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_file(text: str) -> Path:
        path = tmp_path / "mine.yml"
        path.write_text(text)
        return path

    return to_file


def gail(preset: Preset) -> GAIL:
    venv = make_vec_env(PENDULUM, n_envs=preset.n_envs)
    return GAIL(preset.policy, venv, device="cpu", **preset.algorithm_kwargs)


def dac(preset: Preset) -> DAC:
    venv = make_vec_env(PENDULUM, n_envs=preset.n_envs)
    return DAC(preset.policy, venv, device="cpu", **preset.algorithm_kwargs)


# --- The shipped file --------------------------------------------------------------------------


@pytest.mark.parametrize("name", read_sections(shipped("gail")))
def test_every_shipped_preset_makes_a_gail(name: str) -> None:
    assert name == "default" or gym.spec(name).id == name
    preset = load_preset(name, "any")
    small = override(preset, {"n_envs": 2, "n_steps": 8, "batch_size": 8}, "test")
    model = gail(small)
    assert model.rollout_buffer.observations.shape == (8, 2, 3)
    assert model.gamma == preset.algorithm_kwargs.get("gamma", 0.99)


@pytest.mark.parametrize("name", read_sections(shipped("dac")))
def test_every_shipped_preset_makes_a_dac(name: str) -> None:
    assert name == "default" or gym.spec(name).id == name
    preset = load_preset(name, "any", "dac")
    assert preset.n_envs == 1
    model = dac(override(preset, {"buffer_size": 100}, "test"))
    assert model.gamma == preset.algorithm_kwargs.get("gamma", 0.95)


def test_an_environment_has_its_own_preset_or_the_default() -> None:
    assert load_preset(None, "Hopper-v4").label == "Hopper-v4 (shipped)"
    assert load_preset(None, PENDULUM).label == "default (shipped)"
    assert load_preset("Hopper-v4", PENDULUM).label == "Hopper-v4 (shipped)"
    assert load_preset("default", "Hopper-v4").label == "default (shipped)"


# --- A user's file -----------------------------------------------------------------------------


def test_a_file_s_section_is_the_environment_s_or_else_default(write: Write) -> None:
    path = write("default: {gamma: 0.9}\nPendulum-v1: {n_envs: 3, policy: ChapterMlpPolicy}\n")
    own = load_preset(str(path), PENDULUM)
    assert own == Preset(n_timesteps=600_000, n_envs=3, policy="ChapterMlpPolicy")
    other = load_preset(path, "Hopper-v4")
    assert other == Preset(algorithm_kwargs={"gamma": 0.9})
    assert (own.label, other.label) == (f"Pendulum-v1 ({path})", f"default ({path})")


def test_a_section_that_is_not_there(write: Write) -> None:
    path = write("Hopper-v4: {}\n")
    with pytest.raises(PresetError) as error:
        load_preset(path, PENDULUM)
    assert str(error.value) == f"{path}: no section Pendulum-v1 or default; it has Hopper-v4"
    with pytest.raises(PresetError, match=r"gail\.yml: no section Hoper-v4; it has default, "):
        load_preset("Hoper-v4", PENDULUM)


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("learning_rate: lin_5e-4", "learning_rate", LinearSchedule(0.0005)),
        ("learning_rate: lin_0.25", "learning_rate", LinearSchedule(0.25)),
        ("learning_rate: lin_.25", "learning_rate", LinearSchedule(0.25)),
        ("learning_rate: 5e-4", "learning_rate", 0.0005),  # PyYAML alone reads a string
        ("learning_rate: 1E3", "learning_rate", 1000.0),
        ("clip_range: lin_0.4", "clip_range", LinearSchedule(0.4)),
        ("clip_range_vf: null", "clip_range_vf", None),
        ("clip_range_vf: 0.3", "clip_range_vf", 0.3),
        ("gamma: 1", "gamma", 1),
        ("max_grad_norm: .inf", "max_grad_norm", float("inf")),
        ("n_steps: null", "n_steps", None),
        ("n_steps: 1_024", "n_steps", 1024),
        ("normalize_inputs: no", "normalize_inputs", False),
        ("reward_form: airl", "reward_form", "airl"),
        (
            "policy_kwargs: {log_std_init: -1.0, net_arch: {pi: [8], vf: []}}",
            "policy_kwargs",
            {"log_std_init": -1.0, "net_arch": {"pi": [8], "vf": []}},
        ),
        ("reward_net_kwargs: {hid_sizes: [4, 4]}", "reward_net_kwargs", {"hid_sizes": [4, 4]}),
    ],
)
def test_values_are_read_as_what_gail_takes(
    write: Write, text: str, key: str, value: object
) -> None:
    preset = load_preset(write(f"default:\n  {text}\n"), PENDULUM)
    assert preset == Preset(algorithm_kwargs={key: value})
    assert type(preset.algorithm_kwargs[key]) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gamma: true", "gamma is True; give a number"),
        ("gamma: '0.9'", "gamma is '0.9'; give a number"),
        ("gamma: .nan", "gamma is nan; give a number"),
        ("gamma:", "gamma is None; give a number"),
        ("gamma: lin_0.9", "gamma is 'lin_0.9'; give a number"),
        ("n_epochs: 2.0", "n_epochs is 2.0; give a whole number"),
        ("n_epochs: true", "n_epochs is True; give a whole number"),
        ("n_epochs: lin_5", "n_epochs is 'lin_5'; give a whole number"),
        ("n_timesteps: 1e6", "n_timesteps is 1000000.0; give a whole number"),
        ("n_timesteps: 0", "n_timesteps is 0; give a positive number"),
        ("n_envs: -1", "n_envs is -1; give a positive number"),
        ("n_envs: null", "n_envs is None; give a whole number"),
        ("n_steps: 0.5", "n_steps is 0.5; give a whole number or null"),
        ("normalize_inputs: 1", "normalize_inputs is 1; give true or false"),
        ("reward_form: 3", "reward_form is 3; give a string"),
        *(
            (f"learning_rate: {rate}", f"learning_rate is '{rate}'; give a number or a schedule")
            for rate in ("lin_", "lin_x", "lin_-1", "lin_nan", "lin_1e999", "exp_5e-4", "lin5")
        ),
        ("policy_kwargs: dict(net_arch=[8])", "policy_kwargs is 'dict(net_arch=[8])'; give a map"),
        ("policy_kwargs: {1: 2}", "policy_kwargs is {1: 2}; give a mapping or null"),
        ("policy_kwargs: {a: 2020-01-01}", "policy_kwargs is {'a': datetime.date("),
        ("policy_kwargs: &a {b: *a}", "policy_kwargs is {'b': {'b': "),
        ("policy: MlpPolic", "policy is 'MlpPolic'; give one of MlpPolicy, CnnPolicy, "),
        ("learing_rate: 1", "unknown key 'learing_rate'; the nearest known one is 'learning_rate'"),
        ("n_env: 8", "unknown key 'n_env'; the nearest known one is 'n_envs'"),
        ("1: 2", "unknown key 1; the nearest known one is '"),
        ("on: 2", "unknown key True; the nearest known one is '"),
        *(
            (f"{key}: 1", f"{key} cannot be set in a preset")
            for key in ("seed", "env", "device", "verbose", "reward_net", "demonstrations")
        ),
        ("rollout_buffer_kwargs: {}", "rollout_buffer_kwargs cannot be set in a preset"),
    ],
)
def test_settings_that_are_refused(write: Write, text: str, message: str) -> None:
    path = write(f"default: {{}}\nPendulum-v1:\n  {text}\n")
    with pytest.raises(PresetError) as error:
        load_preset(path, PENDULUM)
    assert str(error.value).startswith(f"{path}, section Pendulum-v1: {message}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ": no mapping of environment ids to settings"),
        ("- Pendulum-v1\n", ": no mapping of environment ids to settings"),
        ("default:\n", ", section default: no mapping of settings"),
        ("default: [gamma]\n", ", section default: no mapping of settings"),
        ("default:\n  gamma: 0.9\n  gamma: 0.8\n", ": not YAML data (line 2: 'gamma' is given 2"),
        ("default: {}\ndefault: {}\n", ": not YAML data (line 1: 'default' is given 2 times)"),
        ("default: {\n", ": not YAML data (line 2: "),
        ("default: {}\n--- {}\n", ": not YAML data (line 2: "),
        ("default: !!int x\n", ": not YAML data ("),
        ("default: !!bool x\n", ": not YAML data ("),
        ("default: !!timestamp x\n", ": not YAML data ("),
        ("[" * 5000, ": not YAML data (maximum recursion depth"),
        *(
            (f"default: {tag}\n", ": not YAML data (line 1: could not determine a constructor")
            for tag in (
                "!!python/name:os.system",
                "!!python/object:stable_baselines3.PPO {}",
                "{gamma: !!python/tuple [1]}",
            )
        ),
    ],
)
def test_files_that_are_refused(write: Write, text: str, message: str) -> None:
    path = write(text)
    with pytest.raises(PresetError) as error:
        load_preset(path, PENDULUM)
    assert str(error.value).startswith(f"{path}{message}")
    assert "\n" not in str(error.value)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.yml"
    path.write_bytes(b"default: \x80\x81\n")
    with pytest.raises(PresetError, match=r"mine\.yml: not YAML data \(.*unacceptable character"):
        load_preset(path, PENDULUM)


def test_sections_may_share_settings_as_in_rl_zoo(write: Write) -> None:
    path = write(
        "mujoco: &mujoco\n  gamma: 0.9\n  n_epochs: 3\nPendulum-v1:\n  <<: *mujoco\n  n_epochs: 4\n"
    )
    assert load_preset(path, PENDULUM).algorithm_kwargs == {"gamma": 0.9, "n_epochs": 4}


def test_an_override_leaves_the_rest_and_the_original_alone() -> None:
    preset = Preset(n_envs=3, label="mine", algorithm_kwargs={"gamma": 0.9, "n_epochs": 2})
    changed = override(preset, {"gamma": 0.8, "n_timesteps": 5}, "here")
    assert changed == Preset(5, 3, "MlpPolicy", {"gamma": 0.8, "n_epochs": 2})
    assert changed.label == "mine"
    assert preset == Preset(n_envs=3, algorithm_kwargs={"gamma": 0.9, "n_epochs": 2})


def test_settings_of_a_command_line_are_read_as_those_of_a_file() -> None:
    pairs = ["learning_rate=lin_3e-4", "policy_kwargs={a: [1]}", "gamma=.5", "gamma=5e-1"]
    settings = read_settings(pairs, "--set")
    assert settings == {"learning_rate": "lin_3e-4", "policy_kwargs": {"a": [1]}, "gamma": 0.5}
    with pytest.raises(PresetError, match=r"^--variant: gamma is None; give a number$"):
        read_settings(["gamma="], "--variant")


def test_a_preset_s_settings_make_the_same_preset() -> None:
    schedule = LinearSchedule(0.25)
    preset = Preset(5, 3, "CnnPolicy", {"learning_rate": schedule, "n_steps": None})
    settings = as_settings(preset)
    assert settings == {
        "n_timesteps": 5,
        "n_envs": 3,
        "policy": "CnnPolicy",
        "learning_rate": "lin_0.25",
        "n_steps": None,
    }
    assert override(Preset(), settings, "here") == preset


# --- Signatures and annotations ----------------------------------------------------------------


class Last:
    def __init__(self, lost: int = 1) -> None: ...


class Middle(Last):
    def __init__(self, a: "int" = 2, b: float = 2.0) -> None: ...


class First(Middle):
    def __init__(self, *args: int, a: int = 3, c: bool, **kwargs: Any) -> None: ...


def test_arguments_are_those_of_the_first_class_that_names_them() -> None:
    found = {name: tuple(argument) for name, argument in arguments_of(First).items()}
    assert found == {
        "a": (int, 3),
        "c": (bool, inspect.Parameter.empty),
        "b": (float, 2.0),  # and not Last's, which Middle does not hand on
    }


def test_every_argument_of_gail_that_is_data_may_be_set() -> None:
    arguments = algorithm_arguments("gail")
    assert arguments["reward_form"].annotation is str  # AdversarialOnPolicy's
    assert arguments["batch_size"] == (int, 64)  # PPO's
    of_gail = inspect.signature(GAIL).parameters["gae_lambda"].default
    assert arguments["gae_lambda"].default == of_gail != 0.95  # GAIL's, not PPO's
    assert not {"policy", "env", "seed", "rollout_buffer_class", "_init_setup_model"} & {*arguments}
    gail(Preset(algorithm_kwargs={name: a.default for name, a in arguments.items()}))


def test_every_argument_of_dac_that_is_data_may_be_set() -> None:
    arguments = algorithm_arguments("dac")
    assert {"trial_share", "rehearsal_weight", "terminal_states", "gamma", "tau"} <= set(arguments)
    assert arguments["gamma"].default == 0.95  # DAC's, not SAC's
    assert not {"replay_buffer_class", "replay_buffer_kwargs"} & set(arguments)
    with pytest.raises(PresetError, match=r"unknown key 'n_epochs'.*, and --algo gail knows it"):
        override(BASES["dac"], {"n_epochs": 3}, "here")
    with pytest.raises(PresetError, match="unknown key 'trial_share'"):
        override(BASES["gail"], {"trial_share": 0.3}, "here")


@pytest.mark.parametrize(
    ("algorithm", "name"), [(a, name) for a in ALGORITHMS for name in algorithm_arguments(a)]
)
def test_every_default_can_be_written(algorithm: str, name: str) -> None:
    """A new argument that this refuses would be missing in every run's config.yml."""
    annotation, default = algorithm_arguments(algorithm)[name]
    assert fit(as_data(default), annotation) == default


def test_annotations_beyond_those_of_today() -> None:
    assert fit("b", Literal["a", "b"]) == "b"
    assert fit([1, 2], list[int]) == [1, 2]
    for value, annotation in [("c", Literal["a"]), (True, Literal[1]), ([1.5], list[int])]:
        with pytest.raises(TypeError):
            fit(value, annotation)
    assert in_words(Literal["a", "b"]) == "one of 'a', 'b'"
    assert in_words(list[int] | None) == "a list of a whole number or null"
    with pytest.raises(TypeError, match="nothing: only Python can make one"):
        fit("PPO", type[PPO])


# --- The file beside a run ---------------------------------------------------------------------


def test_the_written_settings_are_all_of_them_and_read_back_equal(tmp_path: Path) -> None:
    preset = Preset(
        n_timesteps=77,
        n_envs=4,
        algorithm_kwargs={
            "gamma": 0.5,
            "clip_range": LinearSchedule(0.4),
            "learning_rate": 1e-7,
            "policy_kwargs": {
                "log_std_init": -1.0,
                "net_arch": [8],
                "words": ["1e5", "no", "null"],
            },
        },
    )
    model = gail(override(preset, {"policy_kwargs": {"net_arch": [8]}}, "test"))
    resolved = resolve(preset, model)
    path = tmp_path / "config.yml"
    write_preset(path, resolved, PENDULUM)
    read = load_preset(path, PENDULUM)
    assert read == resolved
    assert {**resolved.algorithm_kwargs, **preset.algorithm_kwargs} == resolved.algorithm_kwargs
    assert resolved.algorithm_kwargs.keys() == algorithm_arguments("gail").keys()
    written = read_sections(path)["Pendulum-v1"]
    assert written["n_timesteps"] == 77
    assert written["n_envs"] == 4
    assert written["policy"] == "MlpPolicy"
    assert written["clip_range"] == "lin_0.4"
    assert written["learning_rate"] == 1e-7
    assert written["n_steps"] == model.n_steps  # which GAIL worked out
    assert written["vf_coef"] == 0.5  # PPO's default
    assert "only Python" not in path.read_text()
    assert [p.name for p in tmp_path.iterdir()] == ["config.yml"]


def test_dacs_settings_read_back_equal(tmp_path: Path) -> None:
    preset = override(BASES["dac"], {"gamma": 0.5, "buffer_size": 50, "n_timesteps": 9}, "here")
    resolved = resolve(preset, dac(preset))
    path = tmp_path / "config.yml"
    write_preset(path, resolved, PENDULUM)
    assert load_preset(path, PENDULUM, "dac") == resolved
    assert "--algo dac" in path.read_text()
    assert read_sections(path)[PENDULUM]["train_freq"] == 4
    assert read_sections(path)[PENDULUM]["ent_coef"] == 0.003  # which DAC worked out
    assert "only Python" not in path.read_text()


def test_gail_s_own_schedule_is_written_in_words(tmp_path: Path) -> None:
    path = tmp_path / "config.yml"
    write_preset(path, resolve(Preset(), gail(Preset())), PENDULUM)
    initial = inspect.signature(GAIL).parameters["learning_rate"].default.initial
    assert f"  learning_rate: lin_{initial}\n" in path.read_text()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("learning_rate", LinearSchedule(1.0, end_fraction=0.5)),
        ("learning_rate", abs),
        ("policy_kwargs", {"activation_fn": PPO}),
        ("reward_net", PPO),
        ("gamma", np.float64(0.5)),
    ],
)
def test_what_only_python_can_express_is_named_in_a_comment(
    tmp_path: Path, key: str, value: object
) -> None:
    path = tmp_path / "config.yml"
    write_preset(path, Preset(algorithm_kwargs={"n_epochs": 3, key: value}), PENDULUM)
    last = path.read_text().splitlines()[-1]
    assert last == f"# {key}: only Python can express {value!r}"
    assert load_preset(path, PENDULUM) == Preset(algorithm_kwargs={"n_epochs": 3})
