"""The absorbing state: how networks see it, how much of the data it is, what it is worth."""

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from imitation.data.types import Transitions
from imitation.rewards.reward_nets import BasicRewardNet

from sb3_gail_ext.demonstrations.sampling import (
    TransitionBatch,
    flatten,
    subsample_trajectories,
    terminal_share,
)
from sb3_gail_ext.rewards.absorbing import (
    AbsorbingRewardNet,
    absorbing_share,
    self_loop,
    with_indicator,
    with_self_loops,
)

OBS = spaces.Box(-np.inf, np.inf, (2,), np.float32)
ACT = spaces.Box(np.array([-4.0], np.float32), np.array([2.0], np.float32))


class Reveals(BasicRewardNet):
    """Keeps what it is given."""

    def forward(self, *inputs: th.Tensor) -> th.Tensor:
        self.seen = inputs
        return super().forward(*inputs)


def a_net() -> AbsorbingRewardNet:
    th.manual_seed(0)
    base = Reveals(with_indicator(OBS), ACT, use_next_state=True, use_done=True)
    return AbsorbingRewardNet(base, OBS)


def three() -> TransitionBatch:
    """The second ends in a terminal state."""
    return TransitionBatch(
        obs=np.array([[1, 2], [3, 4], [5, 6]], np.float32),
        acts=np.array([[2], [-4], [-1]], np.float32),
        next_obs=np.array([[3, 4], [5, 6], [7, 8]], np.float32),
        dones=np.array([False, True, False]),
    )


def test_states_have_a_zero_behind_them_and_the_absorbing_one_a_ten() -> None:
    net = a_net()
    batch = with_self_loops(three(), np.array([False, False, True]), ACT)
    net(*net.preprocess(*batch))
    state, action, next_state, done = (seen.tolist() for seen in net.base.seen)
    assert state == [[1, 2, 0], [3, 4, 0], [0, 0, 10]]
    assert next_state == [[3, 4, 0], [0, 0, 10], [0, 0, 10]]  # a terminal state leads to it
    assert action == [[1], [-1], [0]]  # scaled
    assert done == [0, 0, 0]  # nothing ends


def test_the_indicator_is_not_scaled() -> None:
    net = a_net()
    net.fit_once(np.array([[1, 2], [3, 10]], np.float32))  # mean 2, 6; deviation 1, 4
    net(*net.preprocess(*with_self_loops(three(), np.array([False, False, True]), ACT)))
    assert net.base.seen[0].tolist() == [[-1, -1, 0], [1, -0.5, 0], [0, 0, 10]]


def test_self_loops_leave_the_original_alone() -> None:
    batch = three()
    looped = with_self_loops(batch, np.array([True, False, False]), ACT)
    assert np.isfinite(batch.obs).all()
    assert np.isnan(looped.obs[0]).all()
    assert not looped.dones[0]
    assert looped.acts[0] == -1  # the middle of [-4, 2]
    assert with_self_loops(batch, np.zeros(3, bool), ACT) is batch


def test_observations_in_integers_can_be_absorbing() -> None:
    batch = three()._asdict() | {"obs": np.ones((3, 2), np.uint8), "next_obs": np.ones((3, 2), int)}
    looped = with_self_loops(TransitionBatch(**batch), np.array([True, False, False]), ACT)
    assert np.isnan(looped.obs[0]).all()
    assert looped.obs[1].tolist() == [1, 1]


def test_the_single_self_loop_is_a_row_of_a_batch() -> None:
    loop, net = self_loop(OBS, ACT), a_net()
    rows = with_self_loops(three(), np.ones(3, bool), ACT)
    for one, many in zip(loop, rows, strict=True):
        np.testing.assert_array_equal(one[0], many[0])
        assert one.dtype == many.dtype
    with th.no_grad():
        one, many = (net(*net.preprocess(*batch)) for batch in (loop, rows))
    np.testing.assert_allclose(one, many[:1], atol=1e-6)  # a logit near 0: rounding is absolute


@pytest.mark.parametrize(("space", "size"), [(OBS, 3), (spaces.Box(-1, 1, (2, 3)), 7)])
def test_the_space_is_flat_and_one_longer(space: spaces.Box, size: int) -> None:
    assert with_indicator(space).shape == (size,)


def test_images_have_no_indicator() -> None:
    with pytest.raises(ValueError, match="use terminal_states='bootstrap'"):
        with_indicator(spaces.Box(0, 255, (36, 36, 3), np.uint8))


def test_a_net_for_other_observations_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(2,\), but .* it sees \(3,\)"):
        AbsorbingRewardNet(BasicRewardNet(OBS, ACT), OBS)


def test_the_share_counts_one_self_loop_for_each_terminal_state(make_trajectory) -> None:
    episodes = [make_trajectory(10, terminal=True), make_trajectory(30)]
    assert absorbing_share(episodes) == pytest.approx(1 / 41)  # 40 transitions and a self-loop
    flat = flatten(episodes)
    transitions = Transitions(*flat[:2], np.array([{}] * 40), flat.next_obs, flat.dones)
    assert absorbing_share(transitions) == pytest.approx(1 / 41)
    assert absorbing_share([make_trajectory(30)]) == 0


@pytest.mark.parametrize("every", [3, 7])
def test_subsampling_keeps_the_share(make_trajectory, every: int) -> None:
    """Though it drops most ends: ten terminal states among 200 transitions."""
    episodes = [make_trajectory(20, terminal=True, seed=seed) for seed in range(10)]
    kept = subsample_trajectories(episodes, every, np.random.default_rng(0))
    assert flatten(kept).dones.sum() < 10
    assert terminal_share(kept) == pytest.approx(1 / 20)
