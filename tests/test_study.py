"""What a comparison consists of: its cells, their ids, and what cannot be compared."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sb3_gail_ext import DemonstrationError, evaluate, load_demonstrations, save_demonstrations
from sb3_gail_ext import folder_lock as lock
from sb3_gail_ext.bench.methods import METHODS
from sb3_gail_ext.bench.task import Cell, Task
from sb3_gail_ext.comparison.study import (
    COMPARABLE,
    Study,
    cells_of,
    check_demonstrations_suffice,
)
from sb3_gail_ext.demonstrations.cards import write_card
from sb3_gail_ext.evaluation.random_policy import RandomPolicy
from sb3_gail_ext.evaluation.scale import Scale, measure_scale
from sb3_gail_ext.presets.errors import PresetError

HOPPER = "HopperMuJoCoEnv-v0"


@pytest.fixture
def study(hopper_file: Path) -> Study:
    return Study(("bc", "gail"), {HOPPER: hopper_file}, n_demonstrations=(1, 2), seeds=(0, 1))


def test_every_combination_is_one_cell(study: Study) -> None:
    cells = cells_of(study)
    assert len({cell.id for cell in cells}) == len(cells) == 2 * 2 * 2
    assert {(c.method, c.task.n_demonstrations, c.seed) for c in cells} == {
        (m, n, s) for m in ("bc", "gail") for n in (1, 2) for s in (0, 1)
    }


def test_seed_by_seed(study: Study) -> None:
    assert [cell.seed for cell in cells_of(study)] == [0] * 4 + [1] * 4


def test_another_seed_changes_no_other_cell(study: Study) -> None:
    before = {cell.id for cell in cells_of(study)}
    after = {cell.id for cell in cells_of(replace(study, seeds=(0, 1, 2)))}
    assert before < after


@pytest.mark.parametrize("change", [{"steps": 10}, {"every": 10}])
def test_cloning_knows_no_steps(study: Study, change: dict[str, int]) -> None:
    clones = [replace(s, methods=("bc",)) for s in (study, replace(study, **change))]
    before, after = ([cell.id for cell in cells_of(s)] for s in clones)
    assert before == after


def test_the_path_of_the_file_is_no_matter_its_content_is(study: Study, tmp_path: Path) -> None:
    ids = [cell.id for cell in cells_of(study)]
    moved = tmp_path / "moved.npz"
    moved.write_bytes(study.demonstrations[HOPPER].read_bytes())
    assert [c.id for c in cells_of(replace(study, demonstrations={HOPPER: moved}))] == ids
    save_demonstrations(moved, load_demonstrations(moved)[:2])
    changed = [c.id for c in cells_of(replace(study, demonstrations={HOPPER: moved}))]
    assert set(changed).isdisjoint(ids)


def test_a_data_card_with_other_returns_is_another_cell(study: Study, tmp_path: Path) -> None:
    carded = tmp_path / "carded.npz"
    carded.write_bytes(study.demonstrations[HOPPER].read_bytes())
    ids = []
    for value in (1.0, 2.0):
        write_card(
            carded,
            {"environment": HOPPER, "evaluation": {"returns": [value] * 10, "first_seed": 0}},
        )
        ids.append(cells_of(replace(study, demonstrations={HOPPER: carded}))[0].id)
    assert ids[0] != ids[1]


def test_another_expert_to_ask_is_another_cell(hopper_file: Path, tmp_path: Path) -> None:
    ids = []
    for content in (b"one", b"another"):
        (tmp_path / "expert.zip").write_bytes(content)
        study = Study(("dagger",), {HOPPER: hopper_file}, experts={HOPPER: tmp_path / "expert.zip"})
        ids.append(cells_of(study)[0].id)
    assert ids[0] != ids[1]


@pytest.mark.parametrize(
    "change", [{"steps": 10}, {"every": 10}, {"subsample": 3}, {"n_final_episodes": 3}]
)
def test_another_specification_is_another_cell(study: Study, change: dict[str, int]) -> None:
    study = replace(study, methods=("gail",))
    before = {cell.id for cell in cells_of(study)}
    assert before.isdisjoint(cell.id for cell in cells_of(replace(study, **change)))


def test_cells_come_back_from_json(study: Study) -> None:
    for cell in cells_of(study):
        assert Cell.from_json(cell.to_json()) == cell
        assert Cell.from_json(cell.to_json()).id == cell.id


def test_demonstrations_are_subsampled(hopper_file: Path) -> None:
    whole = Task(HOPPER, str(hopper_file), 1).load(seed=3)
    thin = Task(HOPPER, str(hopper_file), 1, subsample=20).load(seed=3)
    assert len(thin) == pytest.approx(len(whole[0]) / 20, abs=1)
    assert all(len(step) == 1 for step in thin)


def test_each_method_has_steps_of_its_own(hopper_file: Path, tmp_path: Path) -> None:
    methods = ("gail", "dac", "dagger", "chapter_corrected")
    (tmp_path / "expert.zip").touch()
    study = Study(methods, {HOPPER: hopper_file}, experts={HOPPER: tmp_path / "expert.zip"})
    steps = {cell.method: cell.total_timesteps for cell in cells_of(study)}
    assert steps == {
        "gail": 300_000,  # its section in gail.yml
        "chapter_corrected": 300_000,
        "dac": 100_000,  # dac.yml's default
        "dagger": 20_000,
    }


def test_all_but_the_plain_learners_can_be_compared() -> None:
    assert set(METHODS) - set(COMPARABLE) == {"ppo", "sac"}


# --- What cannot be compared -------------------------------------------------------------------


def test_an_unknown_method(hopper_file: Path) -> None:
    with pytest.raises(ValueError, match=r"unknown method 'gial'; give some of gail, airl"):
        Study(("gial",), {HOPPER: hopper_file})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"methods": ()}, "methods is empty"),
        ({"seeds": ()}, "seeds is empty"),
        ({"seeds": (1, 1)}, "give each one once"),
        ({"n_demonstrations": (0,)}, "1 or more"),
        ({"seeds": (2**32,)}, "too large"),
        ({"settings": {"dac": {}}}, "none of the methods"),
        ({"methods": ("bc", "dagger")}, "nobody to ask in HopperMuJoCoEnv-v0"),
    ],
)
def test_bad_arguments(study: Study, change: dict[str, tuple], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(study, **change)


def test_more_demonstrations_than_there_are(study: Study, hopper_file: Path) -> None:
    n = len(load_demonstrations(hopper_file))
    with pytest.raises(DemonstrationError, match=f"{n + 1} demonstrations were asked for, but it"):
        check_demonstrations_suffice(replace(study, n_demonstrations=(1, n + 1)))


def test_demonstrations_of_another_robot(study: Study) -> None:
    with pytest.raises(DemonstrationError, match="obs"):
        check_demonstrations_suffice(
            replace(study, demonstrations={"Pendulum-v1": study.demonstrations[HOPPER]})
        )


def test_an_unknown_setting(study: Study) -> None:
    with pytest.raises(PresetError, match="settings of gail: unknown key 'gama'"):
        cells_of(replace(study, settings={"gail": {"gama": 0.9}}))


def test_numbers_of_numpy(study: Study) -> None:
    numbers = replace(study, seeds=np.arange(2), n_demonstrations=np.array([1, 2]))
    assert [c.id for c in cells_of(numbers)] == [c.id for c in cells_of(study)]


def test_missing_demonstrations(tmp_path: Path) -> None:
    with pytest.raises(DemonstrationError, match="nowhere"):
        check_demonstrations_suffice(Study(("bc",), {HOPPER: tmp_path / "nowhere.npz"}))


def test_one_comparison_at_a_time(tmp_path: Path) -> None:
    refused = pytest.raises(lock.FolderInUseError, match="in use by another")
    with lock.sole_user(tmp_path), refused, lock.sole_user(tmp_path):
        pass
    with lock.sole_user(tmp_path):  # free again
        pass


# --- The scale ---------------------------------------------------------------------------------


def test_a_score_is_0_for_chance_and_1_for_the_expert() -> None:
    assert [Scale(20.0, 120.0).score(r) for r in (20.0, 120.0, 70.0, 0.0)] == [0.0, 1.0, 0.5, -0.2]


def test_costs_have_scores_too() -> None:
    assert Scale(-1000.0, -200.0).score(-400.0) == 0.75


def test_the_scale_is_of_the_same_starts_every_time(hopper_file: Path) -> None:
    rewarded = [replace(t, rews=t.rews + 1.0) for t in load_demonstrations(hopper_file)]
    save_demonstrations(hopper_file, rewarded)
    first, again = (measure_scale(HOPPER, hopper_file, 3) for _ in range(2))
    assert first == again
    assert not first.same_starts  # there is no data card
    assert first.expert_mean == pytest.approx(np.mean([t.rews.sum() for t in rewarded]))
    chance = evaluate(RandomPolicy(HOPPER), HOPPER, 3, seed=0)
    assert first.random_mean == pytest.approx(chance.mean())


def test_an_expert_has_to_be_better_than_chance(hopper_file: Path) -> None:
    with pytest.raises(DemonstrationError, match="scores need an expert that is better"):
        measure_scale(HOPPER, hopper_file, 3)  # its returns are random numbers around 0
