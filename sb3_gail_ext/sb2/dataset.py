"""`ExpertDataset`: demonstrations as Stable-Baselines 2 kept them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from imitation.data.types import TrajectoryWithRew

from sb3_gail_ext.demonstrations.formats.sb2 import checked_sb2, load_sb2, sb2_trajectories

Batch = tuple[np.ndarray, np.ndarray]  # observations (n, *obs_shape), actions (n, *act_shape)


class Batches:
    """Endless minibatches: pass after pass over the same pairs, the last of a pass may be short.

    :param rng: draws a new order for each pass; None keeps the old one.
    """

    def __init__(
        self,
        observations: np.ndarray,
        actions: np.ndarray,
        indices: np.ndarray,
        batch_size: int,
        rng: np.random.Generator | None,
    ) -> None:
        self._observations, self._actions = observations, actions
        self._indices = indices
        self._batch_size = batch_size
        self._rng = rng
        self._next = 0

    def __len__(self) -> int:
        """Minibatches of one pass."""
        return math.ceil(len(self._indices) / self._batch_size)

    def __next__(self) -> Batch:
        if self._next == 0 and self._rng is not None:
            self._indices = self._rng.permutation(self._indices)
        first = self._next * self._batch_size
        drawn = self._indices[first : first + self._batch_size]
        self._next = (self._next + 1) % len(self)
        return self._observations[drawn], self._actions[drawn]


class ExpertDataset:
    """Demonstrations in Stable-Baselines 2's layout, for `GAIL` and `pretrain`.

    Attributes, as they were: `observations`, `actions` (discrete ones (T, 1)), `returns` (N,),
    `avg_ret`, `std_ret`, `num_traj`, `num_transition`, `train_loader`, `val_loader`. Unlike there,
    observations keep their shape, `returns` are those of the kept episodes, and a limited dataset
    has all steps of its last episode (there one was missing).

    :param expert_path: an `.npz` file; nothing pickled is loaded from it.
    :param traj_data: the arrays of such a file, e.g. from `generate_expert_traj`, instead.
    :param train_fraction: of the transitions, those `pretrain` learns from; it watches the others.
    :param batch_size: of `pretrain`; `GAIL` has its own.
    :param traj_limitation: keep the first so many episodes; -1, or more than there are: all.
    :param randomize: shuffle the transitions of each pass.
    :param verbose: 1 prints what is in it.
    :param sequential_preprocessing: of no effect: there are no worker processes to turn off.
    :param seed: of the split and the order of the transitions.
    :raises DemonstrationError: if the arrays cannot be used; the line says what to do.
    :raises ValueError: if there are two sources or none, or no pair on one side of the split.
    """

    def __init__(
        self,
        expert_path: str | Path | None = None,
        traj_data: Mapping[str, np.ndarray] | None = None,
        train_fraction: float = 0.7,
        batch_size: int = 64,
        traj_limitation: int = -1,
        randomize: bool = True,
        verbose: int = 1,
        sequential_preprocessing: bool = False,
        *,
        seed: int | None = None,
    ) -> None:
        if (expert_path is None) == (traj_data is None):
            raise ValueError("give either expert_path or traj_data")
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; give a positive number")
        self._source = "traj_data" if expert_path is None else str(expert_path)
        self._arrays = (
            load_sb2(Path(expert_path))
            if expert_path is not None
            else checked_sb2(self._source, traj_data or {})
        )
        if traj_limitation > 0:
            self._arrays = _first_episodes(self._arrays, traj_limitation)
        self.observations, self.actions = self._arrays["obs"], self._arrays["actions"]
        self.returns = self._arrays["episode_returns"]
        self.avg_ret, self.std_ret = float(self.returns.mean()), float(self.returns.std())
        self.num_traj, self.num_transition = len(self.returns), len(self.observations)
        self.randomize = randomize
        self.verbose = verbose
        self._rng = np.random.default_rng(seed)
        self.train_loader, self.val_loader = self._split(train_fraction, batch_size)
        self.init_dataloader(batch_size)
        if verbose >= 1:
            self.log_info()

    @property
    def trajectories(self) -> list[TrajectoryWithRew]:
        """The episodes as `imitation` has them, each without its last transition.

        :raises DemonstrationError: if an episode has no other.
        """
        return sb2_trajectories(self._source, self._arrays)

    def init_dataloader(self, batch_size: int) -> None:
        """Begin anew with what `get_next_batch()` draws from: all transitions."""
        self.dataloader = self._batches(np.arange(self.num_transition), batch_size)

    def get_next_batch(self, split: str | None = None) -> Batch:
        """Observations and actions of the next minibatch.

        :param split: `"train"`, `"val"`, or None for both.
        :raises ValueError: if it is something else.
        """
        loaders = {None: self.dataloader, "train": self.train_loader, "val": self.val_loader}
        if split not in loaders:
            raise ValueError(f"split is {split!r}; use 'train', 'val' or None")
        return next(loaders[split])

    def log_info(self) -> None:
        """Print how much there is, and how good the expert was."""
        print(f"Total trajectories: {self.num_traj}")
        print(f"Total transitions: {self.num_transition}")
        print(f"Average returns: {self.avg_ret}")
        print(f"Std for returns: {self.std_ret}")

    def plot(self) -> None:
        """Show a histogram of the episodes' returns."""
        import matplotlib.pyplot as plt  # here, for it chooses a display

        plt.hist(self.returns)
        plt.show()

    def _split(self, train_fraction: float, batch_size: int) -> tuple[Batches, Batches]:
        order = self._rng.permutation(self.num_transition)
        n_train = int(train_fraction * len(order))
        if not 0 < n_train < len(order):
            raise ValueError(
                f"{self._source}: train_fraction {train_fraction:g} of {len(order)} transitions "
                "leaves one side without any; give a number between 0 and 1, or more episodes"
            )
        return self._batches(order[:n_train], batch_size), self._batches(
            order[n_train:], batch_size
        )

    def _batches(self, indices: np.ndarray, batch_size: int) -> Batches:
        rng = self._rng if self.randomize else None
        return Batches(self.observations, self.actions, indices, batch_size, rng)


def _first_episodes(arrays: dict[str, np.ndarray], n_episodes: int) -> dict[str, np.ndarray]:
    """All steps of the first episodes, up to the step at which the next one starts."""
    firsts = np.flatnonzero(arrays["episode_starts"])
    if n_episodes >= len(firsts):
        return arrays
    ends = dict.fromkeys(arrays, int(firsts[n_episodes]))
    ends["episode_returns"] = n_episodes
    return {key: array[: ends[key]] for key, array in arrays.items()}
