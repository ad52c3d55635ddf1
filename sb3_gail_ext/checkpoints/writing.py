"""A callback that writes checkpoints from which a killed run goes on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from sb3_gail_ext.algorithms.demonstrated import Demonstrated
from sb3_gail_ext.algorithms.random_states import RandomStates, random_states
from sb3_gail_ext.checkpoints.errors import CheckpointError
from sb3_gail_ext.checkpoints.folders import (
    keep_latest,
    latest_step,
    new_checkpoint,
)
from sb3_gail_ext.checkpoints.logs import recorded
from sb3_gail_ext.checkpoints.restart import restart
from sb3_gail_ext.failures import check_weights

MODEL = "model.zip"
NORMALIZE = "vecnormalize.pkl"
REPLAY_BUFFER = "replay_buffer.pkl"
STATE = "state.json"


class Stateful(Protocol):
    """What goes on with a run: a callback's curves, say."""

    def state(self) -> dict[str, Any]:
        """As JSON."""


class Checkpoints(BaseCallback):
    """Writes a checkpoint every `every` steps, between two rollouts, and keeps the latest `keep`.

    In each: the model, a VecNormalize's statistics, an off-policy model's replay buffer, what is
    recorded for the next row of the log, and what `states` and `files` name. Go on from the latest
    with `load_checkpoint`. Unlike SB3's CheckpointCallback it never leaves half a checkpoint, and
    an on-policy run that goes on from one is, to the bit, the run that was not stopped: at each
    checkpoint all environments are seeded anew and begin new episodes.

    >>> model.learn(1_000_000, callback=Checkpoints("checkpoints", every=50_000))

    :param folder: of the run's checkpoints, one folder each, named by its step.
    :param every: environment steps between two; the end of `learn` is one more.
    :param keep: the latest so many stay.
    :param states: what else has a state that is kept, by name.
    :param files: copied into each checkpoint, if they exist, such as a CSV of the run's curves.
    :raises ValueError: if a number is not positive, or from `learn` if the model has no rollouts.
    :raises CheckpointError: from `learn`, if later checkpoints of another run are in the folder.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        every: int = 50_000,
        keep: int = 3,
        states: Mapping[str, Stateful] | None = None,
        files: Sequence[str | Path] = (),
    ) -> None:
        super().__init__()
        for name, value in (("every", every), ("keep", keep)):
            if value < 1:
                raise ValueError(f"{name} is {value}; give a positive number")
        self.folder = Path(folder)
        self.every = every
        self.keep = keep
        self.states = dict(states or {})
        self.files = [Path(file) for file in files]
        self._next = 0
        self._in_rollout = False

    @property
    def latest(self) -> int | None:
        """The step of the latest checkpoint on disk."""
        return latest_step(self.folder)

    def _init_callback(self) -> None:
        known = isinstance(self.model, OnPolicyAlgorithm | OffPolicyAlgorithm)
        if not (known and isinstance(self.model, Demonstrated)):
            raise ValueError(
                f"Checkpoints cannot resume {type(self.model).__name__}; use SB3's "
                "CheckpointCallback"
            )

    def _on_training_start(self) -> None:
        if (self.latest or 0) > self.num_timesteps:
            raise CheckpointError(
                f"{self.folder}: checkpoints of another run, up to step {self.latest:,}; go on "
                "from them with load_checkpoint, or give another folder"
            )
        self._next = self._next_multiple()
        # `learn` has used up what a checkpoint held; the first rollout has yet to begin.
        model: Any = self.model
        self._resumed: RandomStates | None = model.resumed_from

    def _on_rollout_start(self) -> None:
        self._in_rollout = True
        if self._resumed is not None:
            if self._is_on_policy():
                restart(self.model, self._resumed)
            self._resumed = None
        elif self.num_timesteps >= self._next:
            self.write()
            self._next = self._next_multiple()

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self._in_rollout = False

    def _on_training_end(self) -> None:
        # Neither in the middle of a rollout, where a callback has ended `learn`, nor again where a
        # finished run was resumed: a checkpoint that is replaced is gone for a moment.
        if not self._in_rollout and self.latest != self.num_timesteps:
            self.write()

    def write(self) -> None:
        """A checkpoint of this moment, which must be between two rollouts.

        :raises OSError: if it cannot be written; the earlier ones stay.
        :raises NotFiniteError: rather than keep a policy of weights that are no numbers.
        """
        check_weights(self.model.policy, self.num_timesteps)
        states = random_states()
        with new_checkpoint(self.folder, self.num_timesteps) as folder:
            self._fill(folder)
        keep_latest(self.folder, self.keep)
        if self._is_on_policy():
            restart(self.model, states)

    def _fill(self, folder: Path) -> None:
        model: Any = self.model
        model.save(folder / MODEL)
        normalize = model.get_vec_normalize_env()
        if normalize is not None:
            normalize.save(str(folder / NORMALIZE))
        if isinstance(model, OffPolicyAlgorithm):
            model.save_replay_buffer(folder / REPLAY_BUFFER)
        for file in self.files:
            if file.exists():
                shutil.copyfile(file, folder / file.name)
        state = {
            "log": recorded(model.logger),
            "states": {name: kept.state() for name, kept in self.states.items()},
        }
        (folder / STATE).write_text(json.dumps(state) + "\n")

    def _next_multiple(self) -> int:
        return (self.num_timesteps // self.every + 1) * self.every

    def _is_on_policy(self) -> bool:
        return isinstance(self.model, OnPolicyAlgorithm)
