"""A callback that tracks whatever learns in W&B."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback

from sb3_gail_ext.tracking.tracked_run import TrackedRun
from sb3_gail_ext.tracking.writer import WandbWriter


class WandbTracker(TrackedRun, BaseCallback):
    """Tracks any SB3-style model in W&B; offline where nobody is logged in.

    Everything that SB3's logger gets goes into the run, against `global_step`, beside TensorBoard
    and CSV. The run is opened by `learn`, by `start` or by the first thing that is logged, and
    ended by `finish`, by the end of a `with` block or by that of the program, not by the end of
    `learn`, which an evaluation follows. Where a model with steps behind it learns on
    (`reset_num_timesteps=False`), the run in `folder` goes on. See docs/tracking.md.

    >>> with WandbTracker(folder="runs/mine") as tracker:
    ...     model.learn(100_000, callback=tracker)
    ...     tracker.log_evaluation(evaluate(model, "Hopper-v4"))

    :param project: W&B's.
    :param folder: the run's; W&B's files go to `wandb` in it. Default `runs/<algo>_<env>_<seed>`.
    :param job_type: `expert`, `train`, `eval` or `compare`.
    :param group: default `<algo>/<env>/n<n_demos>`.
    :param env: the environment's id. This and the next four are by default the model's.
    :param algo: the algorithm's name.
    :param seed: the run's.
    :param demonstrations: the file, where the model was given trajectories.
    :param n_demos: episodes.
    :param config: more entries of the run's config.
    :param mode: `online`, `offline` or `disabled`; default what WANDB_MODE says.
    :param run: an open W&B run to go on with, as a sweep's; it is not finished here.
    :param best_by: a logged value; whenever it is better than ever, the model is logged with the
        alias `best`. None logs no best one. `KeepBestImitator` logs the default, no reward.
    :param best_is_highest: whether higher is better.
    :param log_models: whether models become artifacts at all.
    :param others: of `wandb.init`, e.g. `entity`, `tags`, `name`.
    :raises ImportError: with a hint, if W&B is not installed.
    :raises TrackingError: if it cannot be used as asked.
    """

    def __init__(
        self,
        project: str = "sb3_gail_ext",
        *,
        best_by: str | None = "eval/imitation_distance",
        best_is_highest: bool = False,
        log_models: bool = True,
        **others: Any,
    ) -> None:
        super().__init__(project, **others)
        self.best_by = best_by if log_models else None
        self.best_is_highest = best_is_highest
        self.log_models = log_models
        self._saved_at = -1  # the step of the latest model that was logged

    def step(self) -> int:
        model = getattr(self, "model", None)
        return model.num_timesteps if model is not None else 0

    def finish(self, exit_code: int = 0) -> None:
        super().finish(exit_code)
        self._leave_logger()

    def _init_callback(self) -> None:
        if not self._is_open:
            self.start(self.model)
        self._leave_logger()
        self.model.logger.output_formats.append(WandbWriter(self.run, on_row=self._notice))

    def _on_step(self) -> bool:
        # Not only when the row is written: until then the model may have learned on.
        self._notice(self.model.logger.name_to_value)
        return True

    def _on_rollout_start(self) -> None:
        self._on_step()

    def _on_training_end(self) -> None:
        if self.log_models and self._saved_at != self.step():
            self._save("latest")

    def _notice(self, row: Mapping[str, Any]) -> None:
        """Keep the model if this row says that it is better than ever."""
        if self.best_by is None or self.best_by not in row:
            return
        value, best = float(row[self.best_by]), self.stored.best
        if best is None or (value > best if self.best_is_highest else value < best):
            self.stored.best = value
            self._save("best", "latest", **{"best_by": self.best_by, self.best_by: value})
            if self._is_ours and self.folder is not None:
                self.stored.write(self.folder)

    def _save(self, *aliases: str, **metadata: Any) -> None:
        with TemporaryDirectory() as folder:  # W&B takes copies
            files = {"model.zip": Path(folder) / "model.zip"}
            self.model.save(files["model.zip"])
            normalize = self.model.get_vec_normalize_env()
            if normalize is not None:
                files["vecnormalize.pkl"] = Path(folder) / "vecnormalize.pkl"
                normalize.save(str(files["vecnormalize.pkl"]))
            self.log_model(files, aliases, metadata)
        self._saved_at = self.step()

    def _leave_logger(self) -> None:
        if getattr(self, "model", None) is not None:
            formats = self.model.logger.output_formats
            formats[:] = [one for one in formats if not isinstance(one, WandbWriter)]
