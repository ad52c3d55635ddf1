"""What SB3's test_custom_policy, test_sde, test_predict and test_train_eval_mode check."""

from pathlib import Path
from typing import Any

import numpy as np
import torch as th
from columns import STEPS, Algorithm
from matrix import feature
from probing import PLACES, Halving, Layers, answers, extractors, optimizer, parameters, same
from stable_baselines3.common.logger import Logger
from watching import Memory


@feature("Learning-rate schedules", "test_run")
def test_schedules(algorithm: Algorithm) -> None:
    schedule, memory = Halving(), Memory()
    model = algorithm.make(learning_rate=schedule)
    model.set_logger(Logger(None, [memory]))
    model.learn(2 * STEPS, log_interval=1)
    now = model._current_progress_remaining
    assert now <= 0.25
    rate = optimizer(model).param_groups[0]["lr"]
    assert np.isclose(rate, 1e-3 * (1 + now))
    assert max(schedule.asked) > min(schedule.asked)
    rates = [row["train/learning_rate"] for row in memory.rows if "train/learning_rate" in row]
    assert rates or algorithm.name in ("BC", "DAgger")  # which log `imitation`'s rows
    for logged in rates:
        assert np.isclose(logged, [1e-3 * (1 + asked) for asked in schedule.asked]).any()


@feature("gSDE", "test_sde")
def test_gsde(algorithm: Algorithm, tmp_path: Path) -> None:
    more = {} if algorithm.name in ("BC", "DAgger") else {"sde_sample_freq": 4}
    model = algorithm.make(use_sde=True, **more)
    noise = getattr(model.policy, "actor", model.policy)
    assert noise.use_sde
    model.learn(STEPS)
    model.save(tmp_path / "model")
    loaded = algorithm.cls.load(tmp_path / "model", device="cpu")
    np.testing.assert_array_equal(answers(loaded), answers(model))
    one, two = (model.policy.predict(PLACES)[0] for _ in range(2))
    model.policy.reset_noise()
    three = model.policy.predict(PLACES)[0]
    np.testing.assert_array_equal(one, two)  # noise of the state, until it is drawn again
    assert (one != three).any()


@feature("`policy_kwargs`: `net_arch`, `activation_fn`", "test_custom_policy")
def test_net_arch(algorithm: Algorithm) -> None:
    kwargs = {"net_arch": [5, 6], "activation_fn": th.nn.ELU}
    model = algorithm.make(policy_kwargs=kwargs)
    widths = {m.out_features for m in model.policy.modules() if isinstance(m, th.nn.Linear)}
    assert {5, 6} <= widths
    assert any(isinstance(module, th.nn.ELU) for module in model.policy.modules())
    model.learn(STEPS)
    assert np.isfinite(answers(model)).all()


@feature("`policy_kwargs`: `optimizer_class`, `optimizer_kwargs`", "test_custom_policy")
def test_optimizer(algorithm: Algorithm) -> None:
    kwargs = {"net_arch": [4], "optimizer_class": th.optim.AdamW}
    model = algorithm.make(policy_kwargs={**kwargs, "optimizer_kwargs": {"weight_decay": 0.25}})
    before = parameters(model)["policy"]
    model.learn(STEPS)
    assert isinstance(optimizer(model), th.optim.AdamW)
    assert optimizer(model).param_groups[0]["weight_decay"] == 0.25
    assert not same(parameters(model)["policy"], before)


@feature("A features extractor of the user's", "test_custom_policy")
def test_extractor(algorithm: Algorithm, tmp_path: Path) -> None:
    kwargs = {"net_arch": [4], "features_extractor_class": Layers}
    model = algorithm.make(policy_kwargs={**kwargs, "features_extractor_kwargs": {"width": 7}})
    before = [extractor.net[1].weight.detach().clone() for extractor in extractors(model)]
    model.learn(STEPS)
    assert extractors(model)
    assert extractors(model)[0].features_dim == 7
    after = [extractor.net[1].weight for extractor in extractors(model)]
    assert any(not th.equal(one, two) for one, two in zip(before, after, strict=True))
    model.save(tmp_path / "model")
    loaded = algorithm.cls.load(tmp_path / "model", device="cpu")
    np.testing.assert_array_equal(answers(loaded), answers(model))


@feature("Batch norm and dropout: training and evaluation mode", "test_train_eval_mode")
def test_modes(algorithm: Algorithm) -> None:
    kwargs = {"net_arch": [4], "features_extractor_class": Layers}
    model = algorithm.make(policy_kwargs=kwargs)
    before = parameters(model)["policy"]
    model.learn(STEPS)
    moved = [
        name
        for name, value in parameters(model)["policy"].items()
        if "running" in name and not th.equal(value, before[name])
    ]
    assert moved
    trained, first = parameters(model)["policy"], answers(model)
    for _ in range(3):
        np.testing.assert_array_equal(answers(model), first)
    assert same(parameters(model)["policy"], trained)  # `predict` moves no statistics


@feature("A policy class in place of its name", "test_custom_policy")
def test_policy_class(algorithm: Algorithm, tmp_path: Path) -> None:
    base: Any = algorithm.cls.policy_aliases["MlpPolicy"]
    mine = type("Mine", (base,), {"__module__": __name__})
    globals()["Mine"] = mine  # where pickle looks for it
    model = algorithm.make(policy=mine).learn(STEPS)
    assert type(model.policy) is mine
    model.save(tmp_path / "model")
    assert type(algorithm.cls.load(tmp_path / "model", device="cpu").policy) is mine


@feature("`predict`: one or several observations, deterministic or not", "test_predict")
def test_predict(algorithm: Algorithm) -> None:
    model = algorithm.make().learn(STEPS)
    single, state = model.predict(PLACES[0], deterministic=True)
    assert state is None
    np.testing.assert_allclose(single, answers(model)[0], rtol=1e-4, atol=1e-6)
    assert np.shape(single) == model.action_space.shape
    np.testing.assert_array_equal(answers(model), answers(model))
    drawn = [model.predict(PLACES[0])[0] for _ in range(30)]
    assert all(
        model.action_space.contains(np.asarray(action, model.action_space.dtype))
        for action in drawn
    )
    if algorithm.name not in ("TD3", "SQIL (DQN)"):  # SB3's: deterministic, or rarely not
        assert len(np.unique(np.stack(drawn))) > 1
