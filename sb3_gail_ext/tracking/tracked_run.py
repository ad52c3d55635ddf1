"""A W&B run: opened when it is needed, filled from anywhere, ended once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import matplotlib.figure
import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm

from sb3_gail_ext.tracking import artifacts, results
from sb3_gail_ext.tracking.facts import describe
from sb3_gail_ext.tracking.resuming import Stored, read_stored
from sb3_gail_ext.tracking.session import TrackingError, files_in, open_run, require_wandb
from sb3_gail_ext.tracking.writer import STEP, picture

if TYPE_CHECKING:
    from sb3_gail_ext.evaluation.live import ChapterFigureCallback

JOB_TYPES = ("expert", "train", "eval", "compare")


class TrackedRun:
    """What can be logged with or without a model that learns; arguments: see `WandbTracker`."""

    def __init__(
        self,
        project: str = "sb3_gail_ext",
        *,
        folder: str | Path | None = None,
        job_type: str = "train",
        group: str | None = None,
        env: str | None = None,
        algo: str | None = None,
        seed: int | None = None,
        demonstrations: str | Path | None = None,
        n_demos: int | None = None,
        config: Mapping[str, Any] | None = None,
        mode: str | None = None,
        run: Any = None,
        **init: Any,
    ) -> None:
        super().__init__()
        require_wandb()
        if job_type not in JOB_TYPES:
            raise TrackingError(f"job_type is {job_type!r}; give one of {', '.join(JOB_TYPES)}")
        self.folder = Path(folder) if folder is not None else None
        self.config: dict[str, Any] = {}
        self.stored = Stored()
        self._demonstrations = Path(demonstrations) if demonstrations is not None else None
        self._given: dict[str, Any] = {"env": env, "algo": algo, "seed": seed, "n_demos": n_demos}
        self._more_config = dict(config or {})
        self._init = {"project": project, "group": group, "job_type": job_type, **init}
        self._init["mode"] = mode
        self._run = run
        self._is_ours = run is None
        self._is_open = False
        self._surroundings = ExitStack()

    def start(self, model: BaseAlgorithm | None = None) -> Self:
        """Open the run before `learn` does, as for W&B's own `WandbCallback`.

        :param model: says what the run is of. One with steps behind it goes on with the run in
            `folder`.
        :raises TrackingError: if W&B does not answer, or nobody knows what the run is of.
        """
        told = describe(model, demonstrations=self._demonstrations, **self._given)
        self.config = {**told, **self._more_config}
        if self.folder is None:
            name = "{algo}_{env}_{seed}".format_map(self.config)
            self.folder = Path("runs") / name.replace("/", "_")
        if self._is_ours:
            self._open(model, self.folder)
        self._run.config.update(self.config, allow_val_change=True)
        path = self._demonstrations or getattr(model, "demonstrations_path", None)
        if path is not None:
            artifacts.use_dataset(self._run, path)
        self._is_open = True
        return self

    def _open(self, model: BaseAlgorithm | None, folder: Path) -> None:
        init: dict[str, Any] = {
            **names(self.config),
            **{k: v for k, v in self._init.items() if v is not None},
        }
        if model is not None and "id" not in init:
            before = read_stored(folder) if model.num_timesteps > 0 else None
            self.stored = before or Stored()
            init |= {"id": self.stored.id, "resume": "allow" if before else None}
            self.stored.write(folder)
        self._surroundings.enter_context(files_in(folder))
        try:
            self._run = open_run(folder, **init)
        except BaseException:
            self._surroundings.close()
            raise

    @property
    def run(self) -> Any:
        """The W&B run, opened if need be."""
        if not self._is_open:
            self.start()
        return self._run

    def finish(self, exit_code: int = 0) -> None:
        """End the run; only one can be open at a time.

        :param exit_code: other than 0: it failed.
        """
        if self._is_open and self._is_ours:
            self._run.finish(exit_code=exit_code)
        self._is_open = False
        self._surroundings.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.finish(exit_code=0 if error is None else 1)
        except Exception:
            if error is None:  # or what went wrong first is what the user must hear
                raise

    def step(self) -> int:
        """What is logged now is drawn at."""
        return 0

    def log(self, row: Mapping[str, Any]) -> None:
        """Values at the current step."""
        self.run.log({STEP: self.step(), **row})

    def log_evaluation(self, returns: np.ndarray, **arguments: Any) -> None:
        """Figures and a table of true returns (n,); arguments of `results.evaluation_row`."""
        self.log(results.evaluation_row(returns, **arguments))

    def log_videos(self, folder: str | Path) -> None:
        """The films of a folder, `.mp4`."""
        row = results.video_row(Path(folder))
        if row:
            self.log(row)

    def log_figure(self, key: str, figure: matplotlib.figure.Figure) -> None:
        """A matplotlib figure as a picture."""
        self.log({key: picture(figure)})

    def log_chapter_plots(self, drawn: ChapterFigureCallback) -> None:
        """The chapter's two plots, of a callback that has trained along."""
        self.log(
            results.chapter_row(
                drawn.steps, drawn.returns, drawn.agent_rewards, drawn.expert_rewards
            )
        )

    def where(self) -> str:
        """A line for people: the run's page, or its files and how to upload them."""
        if self.run.offline:
            files = Path(self.run.dir).parent
            return f"W&B, offline: {files}; upload it with: wandb sync {files}"
        return f"W&B: {self.run.url}"

    def log_dataset(self, path: str | Path) -> None:
        """A file of demonstrations that this run has made."""
        artifacts.log_dataset(self.run, Path(path))

    def log_model(
        self,
        files: str | Path | Mapping[str, Path],
        aliases: Iterable[str] = ("latest",),
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """A model as an artifact; its metadata says what it came from, and `metadata`.

        :param files: its zip, or several files by their names in the artifact.
        """
        if not isinstance(files, Mapping):
            files = {"model.zip": Path(files)}
        said = {STEP: self.step(), **(metadata or {})}
        artifacts.log_model(self.run, files, list(aliases), self.config, said)


def names(config: Mapping[str, Any]) -> dict[str, str]:
    """`group` and `name` of a run that has this config."""
    n_demos = [] if config["n_demos"] is None else [f"n{config['n_demos']}"]
    return {
        "group": "/".join([config["algo"], config["env"], *n_demos]),
        "name": "{env}__{algo}__{seed}".format_map(config),
    }
