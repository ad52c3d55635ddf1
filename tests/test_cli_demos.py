"""`sb3-gail demos`: what it records, converts, draws and says, and how it refuses."""

import re
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from conftest import Refused
from imitation.data.types import DictObs, TrajectoryWithRew
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.envs import FakeImageEnv
from stable_baselines3.common.vec_env import VecNormalize

from sb3_gail_ext import load_demonstrations, record_demonstrations, save_demonstrations
from sb3_gail_ext.cli.main import main
from sb3_gail_ext.demonstrations.cards import read_card, sha256, write_card
from sb3_gail_ext.demonstrations.dimensions import MAX_FRAMES, observations
from sb3_gail_ext.demonstrations.ends import end_of, infos_of_end
from sb3_gail_ext.demonstrations.files import FORMATS, load_metadata
from sb3_gail_ext.demonstrations.formats.sb2 import sb2_arrays, write_sb2
from sb3_gail_ext.demonstrations.frames import visible
from sb3_gail_ext.demonstrations.plots import demonstrations_figure
from sb3_gail_ext.demonstrations.returns import returns

HOPPER, CARTPOLE = "HopperMuJoCoEnv-v0", "CartPole-v1"


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.zip"
    PPO("MlpPolicy", CARTPOLE, n_steps=8, batch_size=8, seed=0, device="cpu").save(path)
    return path


def record(model: Path, out: Path, *arguments: object, env: str = CARTPOLE) -> int:
    fixed = ["demos", "record", model, "--env", env, "--out", out, "--no-progress"]
    return main([*map(str, fixed), *map(str, arguments)])


def assert_equal(left: list[TrajectoryWithRew], right: list[TrajectoryWithRew]) -> None:
    assert len(left) == len(right)
    for a, b in zip(left, right, strict=True):
        for name in ("obs", "acts", "rews"):
            ours, theirs = getattr(a, name), getattr(b, name)
            assert ours.dtype == theirs.dtype
            np.testing.assert_array_equal(ours, theirs)


# --- record ------------------------------------------------------------------------------------


def test_record_writes_the_episodes_and_a_card(
    model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "x.npz"
    assert record(model_file, out, "--episodes", 3) == 0
    expected = record_demonstrations(PPO.load(model_file), CARTPOLE, 3, seed=1000)
    assert_equal(load_demonstrations(out), expected)
    assert load_metadata(out) == {"env_id": CARTPOLE, "seeds": [1000, 1001, 1002]}
    card = read_card(out)
    assert card is not None
    told = card["demonstrations"]
    assert (card["environment"], card["policy"]) == (CARTPOLE, "ActorCriticPolicy")
    assert (card["model"], card["model_sha256"]) == ("model.zip", sha256(model_file))
    assert card["deterministic"] is True
    assert (told["n_episodes"], told["thrown_away"], told["min_return"]) == (3, 0, None)
    assert told["return_mean"] == round(np.mean([len(e) for e in expected]), 2)  # 1 a step
    assert told["ends"] == Counter(end_of(e) for e in expected)
    said = capsys.readouterr().out
    assert said.startswith(f"wrote {out} and its data card: 3 episodes, ")
    assert "thrown away" not in said


def test_record_keeps_good_episodes_only(
    model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    played = returns(record_demonstrations(PPO.load(model_file), CARTPOLE, 40, seed=0))
    first = int(np.argmin(played[:20]))  # is thrown away
    least = float(played[first]) + 0.5
    good = [seed for seed in range(first, 40) if played[seed] >= least][:3]
    out = tmp_path / "x.npz"
    asked = ("--episodes", 3, "--min-return", least, "--seed", first)
    assert record(model_file, out, *asked) == 0
    told = (read_card(out) or {})["demonstrations"]
    assert told["seeds"] == good
    assert told["thrown_away"] == good[-1] - first + 1 - 3
    assert told["thrown_away"] >= 1
    assert told["return_min"] >= least
    assert f"thrown away: {told['thrown_away']} below {least:g}" in capsys.readouterr().out


def test_record_through_vecnormalize(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    venv = VecNormalize(make_vec_env(CARTPOLE, 2))
    model = PPO("MlpPolicy", venv, n_steps=32, batch_size=64, seed=0, device="cpu").learn(128)
    model.save(tmp_path / "model.zip")
    venv.save(str(tmp_path / "vecnormalize.pkl"))
    expected = record_demonstrations(model, CARTPOLE, 2, seed=1000)
    given = ["--episodes", 2, "--vecnormalize", tmp_path / "vecnormalize.pkl"]
    assert record(tmp_path / "model.zip", tmp_path / "x.npz", *given) == 0
    assert_equal(load_demonstrations(tmp_path / "x.npz"), expected)
    card = read_card(tmp_path / "x.npz") or {}
    assert card["vecnormalize_sha256"] == sha256(tmp_path / "vecnormalize.pkl")
    assert capsys.readouterr().err == ""
    assert record(tmp_path / "model.zip", tmp_path / "y.npz", "--episodes", 1) == 0
    words = r"sb3-gail: .*vecnormalize\.pkl is beside the model: .*add --vecnormalize .*\n"
    assert re.fullmatch(words, capsys.readouterr().err)


def test_sampled_actions_are_others(model_file: Path, tmp_path: Path) -> None:
    for name, more in (("mode", []), ("sampled", ["--stochastic"])):
        assert record(model_file, tmp_path / f"{name}.npz", "--episodes", 2, *more) == 0
    mode, sampled = (load_demonstrations(tmp_path / f"{n}.npz") for n in ("mode", "sampled"))
    assert [e.acts.tolist() for e in mode] != [e.acts.tolist() for e in sampled]
    assert (read_card(tmp_path / "sampled.npz") or {})["deterministic"] is False


@pytest.fixture
def image_env() -> Any:
    gym.register("TinyScreen-v0", lambda **_: FakeImageEnv(3, 36, 36))
    yield "TinyScreen-v0"
    del gym.registry["TinyScreen-v0"]


def test_record_and_draw_images(tmp_path: Path, image_env: str) -> None:
    DQN("CnnPolicy", image_env, buffer_size=10, device="cpu").save(tmp_path / "model.zip")
    out = tmp_path / "x.npz"
    assert record(tmp_path / "model.zip", out, "--episodes", 2, env=image_env) == 0
    for episode in load_demonstrations(out):
        assert (episode.obs.shape, episode.obs.dtype) == ((11, 36, 36, 1), np.uint8)
        assert episode.acts.shape == (10,)
    assert main(["demos", "plot", str(out)]) == 0


def test_what_cannot_be_recorded(
    refused: Refused, model_file: Path, tmp_path: Path, hopper_file: Path
) -> None:
    usual = ("demos", "record", model_file, "--env", CARTPOLE, "--out", refused.out)
    refused(*usual[:-1], hopper_file, words=r"expert\.npz is there already; .*--force")
    refused(*usual, "--episodes", 0, words="--episodes is 0")
    refused(*usual, "--vecnormalize", hopper_file, words=r"expert\.npz: no VecNormalize of Cart")
    refused(*usual, "--vecnormalize", tmp_path / "no.pkl", words=r"no\.pkl: no VecNormalize")
    refused(*usual, "--format", "sb2", words="invalid choice: 'sb2'")
    refused(*usual, "--env", HOPPER, words=f"was not trained on {HOPPER}")
    refused(*usual, "--env", "Nope-v0", words="cannot make environment Nope-v0")
    refused(*usual, "--episodes", 1, "--min-return", 600, "--no-progress", words="only 0 of 10")
    refused(*usual[:2], hopper_file, *usual[3:], words="no SB3 model with a policy")


def test_force_replaces(model_file: Path, hopper_file: Path) -> None:
    assert record(model_file, hopper_file, "--episodes", 1, "--force") == 0
    assert load_demonstrations(hopper_file)[0].obs.shape[1:] == (4,)


# --- convert -----------------------------------------------------------------------------------


def convert(*arguments: object) -> int:
    return main(["demos", "convert", *map(str, arguments)])


def test_convert_from_sb2(
    tmp_path: Path,
    cartpole_expert: list[TrajectoryWithRew],
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_sb2(tmp_path / "old.npz", sb2_arrays(cartpole_expert))
    assert convert(tmp_path / "old.npz", tmp_path / "new.npz", "--to", "chapter") == 0
    without_last = [
        TrajectoryWithRew(e.obs[:-1], e.acts[:-1], None, False, e.rews[:-1])
        for e in cartpole_expert
    ]
    assert_equal(load_demonstrations(tmp_path / "new.npz"), without_last)
    n_steps = sum(map(len, without_last))
    assert capsys.readouterr().out == (
        f"wrote {tmp_path / 'new.npz'} (chapter, from sb2): {len(without_last)} episodes, "
        f"{n_steps:,} steps, read back equal to the bit; ends kept\n"
    )
    assert read_card(tmp_path / "new.npz") is None


@pytest.fixture
def carded(hopper_file: Path) -> Path:
    write_card(hopper_file, {"environment": HOPPER, "demonstrations": {"seeds": [5, 6, 7]}})
    return hopper_file


def test_convert_carries_the_card_over(carded: Path, tmp_path: Path) -> None:
    old = read_card(carded) or {}
    assert convert(carded, tmp_path / "new.npz", "--to", "chapter") == 0
    card = read_card(tmp_path / "new.npz") or {}  # which checks its sha256
    assert card["environment"] == HOPPER
    assert card["demonstrations"]["seeds"] == [5, 6, 7]
    assert card["converted_from"] == {
        "file": "expert.npz",
        "format": "chapter",
        "sha256": sha256(carded),
        "versions": old["versions"],
    }


def test_convert_a_part(carded: Path, tmp_path: Path) -> None:
    asked = (carded, tmp_path / "new.npz", "--to", "chapter", "--limit", 2, "--seed", 3)
    assert convert(*asked) == 0
    expected = load_demonstrations(carded, limit=2, seed=3)
    assert_equal(load_demonstrations(tmp_path / "new.npz"), expected)
    told = (read_card(tmp_path / "new.npz") or {})["demonstrations"]
    assert (told["n_episodes"], told["limit"]) == (2, 2)
    assert told["return_mean"] == round(float(returns(expected).mean()), 2)
    assert "seeds" not in told
    assert "seeds" not in load_metadata(tmp_path / "new.npz")


def test_ends_that_are_lost_are_told(
    tmp_path: Path, hopper_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """By a format that knows terminal states only."""
    kept = load_demonstrations(hopper_file)
    known = [
        TrajectoryWithRew(e.obs, e.acts, infos_of_end(len(e), time_limit=i > 0), i == 0, e.rews)
        for i, e in enumerate(kept)
    ]
    assert [end_of(e) for e in known] == ["terminal", "time limit", "time limit"]
    forgetful = FORMATS["chapter"]._replace(
        read=lambda path: [
            TrajectoryWithRew(e.obs, e.acts, None, e.terminal, e.rews)
            for e in FORMATS["chapter"].read(path)
        ]
    )
    monkeypatch.setitem(FORMATS, "forgetful", forgetful)
    save_demonstrations(hopper_file, known)
    monkeypatch.setitem(FORMATS, "remembering", FORMATS["chapter"]._replace(read=lambda _: known))
    asked = (hopper_file, tmp_path / "x.npz", "--from", "remembering", "--to", "forgetful")
    assert convert(*asked) == 0
    assert "cannot hold every end: 2 x time limit became unknown" in capsys.readouterr().out


def test_a_writer_that_errs_is_found_out(
    refused: Refused, hopper_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    episodes = load_demonstrations(hopper_file)
    half = [TrajectoryWithRew(e.obs / 2, e.acts, None, False, e.rews) for e in episodes]
    wrong = FORMATS["chapter"]._replace(read=lambda _: half)
    monkeypatch.setitem(FORMATS, "wrong", wrong)
    out = refused.out.with_name("other.npz")
    asked = ("demos", "convert", hopper_file, out, "--to", "wrong")
    refused(*asked, words=r"other\.npz: read back, obs of episode 0 .* do not use it")
    monkeypatch.setitem(FORMATS, "wrong", wrong._replace(read=lambda _: episodes[:2]))
    refused(*asked, "--force", words="it holds 2 of 3 episodes")


def test_what_cannot_be_converted(refused: Refused, hopper_file: Path) -> None:
    usual = ("demos", "convert", hopper_file)
    refused(*usual, refused.out, words="--to")
    refused(*usual, refused.out, "--to", "sb2", words="invalid choice: 'sb2'")
    refused(*usual, hopper_file, "--to", "chapter", words="is there already")
    refused(*usual, refused.out, "--to", "chapter", "--from", "sb2", words="no array actions")
    refused(*usual, refused.out, "--to", "chapter", "--limit", 9, words="limit is 9, but")
    refused(*usual[:2], "absent.npz", refused.out, "--to", "chapter", words="no such file")


# --- plot --------------------------------------------------------------------------------------


def titles(episodes: list[TrajectoryWithRew]) -> tuple[list[str], list[str]]:
    """Of the figure: headings of its parts, and titles of the panels that are drawn."""
    figure = demonstrations_figure(episodes, "here")
    headings = [part.get_suptitle() for part in figure.subfigs]
    axes = [axes for part in figure.subfigs for axes in part.axes]
    return headings, [a.get_title() for a in axes if a.get_title()]


def test_plot_draws_every_dimension(
    hopper_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demos", "plot", str(hopper_file)]) == 0
    assert hopper_file.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out == f"wrote {hopper_file.with_suffix('.png')}\n"
    headings, panels = titles(load_demonstrations(hopper_file))
    assert [h.split()[0] for h in headings if h] == ["observations", "actions"]
    assert panels == [*(f"obs {i}" for i in range(11)), *(f"act {i}" for i in range(3))]


def test_of_many_dimensions_the_first_are_drawn(make_trajectory: Any) -> None:
    headings, panels = titles([make_trajectory(5, obs_dim=60)])
    assert "the first 40 of 60 dimensions" in headings[1]
    assert [p for p in panels if p.startswith("obs")] == [f"obs {i}" for i in range(40)]


def test_choices_are_bars_of_their_share() -> None:
    obs = np.arange(20, dtype=np.float32).reshape(5, 4)
    episode = TrajectoryWithRew(obs, np.array([0, 2, 2, 2]), None, True, np.ones(4))
    bars = demonstrations_figure([episode]).subfigs[-1].axes[0].patches
    assert [(bar.get_center()[0], bar.get_height()) for bar in bars] == [(0, 0.25), (2, 0.75)]


def test_what_never_changes_is_said() -> None:
    episode = TrajectoryWithRew(np.ones((4, 2)), np.zeros((3, 0)), None, False, np.ones(3))
    figure = demonstrations_figure([episode])
    assert [a.texts[0].get_text() for a in figure.subfigs[1].axes[:2]] == ["always 1"] * 2
    assert len(figure.subfigs) == 2  # no actions, no panel


def test_dictionaries_are_drawn_by_key() -> None:
    seen = DictObs({"place": np.eye(4)[:, :2], "view": np.zeros((4, 9, 9, 3), np.uint8)})
    episode = TrajectoryWithRew(seen, np.arange(3), None, False, np.ones(3))
    headings, panels = titles([episode])
    assert headings[1] == "view: 9 x 9 x 3 images"
    assert {"place 0", "place 1", "mean frame"} <= set(panels)


def test_frames_as_they_are_seen() -> None:
    colours, stack = np.zeros((8, 9, 3), np.uint8), np.arange(4 * 72).reshape(8, 9, 4)
    assert visible(colours).shape == (8, 9, 3)
    assert visible(np.moveaxis(colours, -1, 0)).shape == (8, 9, 3)
    np.testing.assert_array_equal(visible(stack), stack[..., 3])
    np.testing.assert_array_equal(visible(np.moveaxis(stack, -1, 0)), stack[..., 3])


def test_of_many_images_some_are_looked_at() -> None:
    frames = np.broadcast_to(np.zeros((3, 3, 1), np.uint8), (3 * MAX_FRAMES, 3, 3, 1))
    n = len(frames) - 1
    episode = TrajectoryWithRew(frames, np.zeros(n, int), None, False, np.zeros(n))
    assert len(observations([episode])["obs"]) == MAX_FRAMES


def test_what_cannot_be_drawn(refused: Refused, hopper_file: Path, tmp_path: Path) -> None:
    plot = ("demos", "plot")
    refused(*plot, tmp_path / "absent.npz", words=r"absent\.npz: no such file")
    refused(*plot, hopper_file, "--out", tmp_path / "x.txt", words=r"must end in \.png")
    assert not (tmp_path / "absent.png").exists()


# --- info --------------------------------------------------------------------------------------


def facts(printed: str) -> dict[str, str]:
    rows = (re.split(r"\s{2,}", line, maxsplit=1) for line in printed.splitlines())
    return {row[0]: row[1] for row in rows}


def test_info_says_what_is_in_the_file(
    hopper_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_card(hopper_file, {"environment": HOPPER, "algorithm": "by hand"})
    assert main(["demos", "info", str(hopper_file), "--env", HOPPER]) == 0
    rows = facts(capsys.readouterr().out)
    r = returns(load_demonstrations(hopper_file))
    assert rows["format"] == "chapter"
    assert rows["sha256"] == sha256(hopper_file)
    assert rows["expert"] == "by hand"
    assert (rows["episodes"], rows["transitions"]) == ("3", "90")
    assert rows["length"] == "median 30, from 20 to 40"
    assert rows["return"] == (
        f"mean {r.mean():.1f} ± {r.std():.1f}, from {r.min():.1f} to {r.max():.1f}"
    )
    assert rows["ends"] == "3 unknown"
    assert rows["observation"].startswith("(11,) float32, from -")
    assert rows["action"].startswith("(3,) float32, from -")
    assert rows["metadata seeds"] == "[5, 6, 7]"
    assert rows["fits"] == HOPPER


def test_info_of_choices_and_of_what_never_changes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    obs = np.stack([np.arange(5.0), np.full(5, 3.0)], axis=1)
    episode = TrajectoryWithRew(obs, np.array([0, 1, 1, 1]), None, True, np.ones(4))
    save_demonstrations(tmp_path / "x.npz", [episode])
    assert main(["demos", "info", str(tmp_path / "x.npz"), "--dimensions"]) == 0
    printed = capsys.readouterr().out
    rows = facts(printed.partition("\n\n")[0])
    assert rows["ends"] == "1 terminal"
    assert rows["observation"] == "(2,) float64, from 0 to 4; constant: 1"
    assert rows["action"] == "() int64, 2 choices (0: 25%, 1: 75%)"
    table = [line.split() for line in printed.partition("\n\n")[2].splitlines()]
    assert table[0] == ["dimension", "min", "median", "mean", "std", "max"]
    assert table[1] == ["observation", "0", "0", "2", "2", f"{np.std(range(5)):.4g}", "4"]
    assert table[2] == ["observation", "1", "3", "3", "3", "0", "3"]


def test_info_of_several_files(
    hopper_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_card(hopper_file, {"environment": HOPPER})
    files = [hopper_file, tmp_path / "absent.npz", hopper_file]
    assert main(["demos", "info", *map(str, files)]) == 2
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1
    assert "absent.npz: no such file" in printed.err
    header, *rows = (re.split(r"\s{2,}", line) for line in printed.out.splitlines())
    assert len(rows) == 2
    row = dict(zip(header, rows[0], strict=True))
    assert (row["episodes"], row["steps"], row["obs"], row["act"]) == ("3", "90", "11", "3")
    assert (row["from"], row["ends"]) == (HOPPER, "3 unknown")


def test_info_of_what_does_not_fit(refused: Refused, hopper_file: Path, tmp_path: Path) -> None:
    info = ("demos", "info", hopper_file)
    refused(*info, "--env", CARTPOLE, words=r"\(11,\) .*\(4,\).*another")
    refused(*info, "--env", "Nope-v0", words="cannot make environment Nope-v0")
    refused("demos", "info", tmp_path, words="no demonstrations of a known format")


def test_names_from_a_file_do_not_steer_the_terminal(tmp_path: Path, refused: Refused) -> None:
    path = tmp_path / "x[red].npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("\x1b[31mred.npy", b"")
    refused("demos", "info", path, words=r"x\[red\]\.npz: no array .*found \?\[31mred")
    episode = TrajectoryWithRew(np.ones((2, 1)), np.ones((1, 1)), None, False, np.ones(1))
    save_demonstrations(path, [episode], metadata={"note": "\x1b[31m[bold]red"})
    assert main(["demos", "info", str(path)]) == 0
    rows = facts(refused.capfd.readouterr().out)
    assert rows["metadata note"] == "?[31m[bold]red"
    assert rows["file"] == str(path)
