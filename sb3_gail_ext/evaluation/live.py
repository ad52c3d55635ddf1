"""A callback that tests the agent while it trains and redraws the chapter's figure."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from imitation.data.types import Trajectory
from matplotlib.figure import Figure
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import Figure as LoggedFigure
from stable_baselines3.common.vec_env import VecEnv

from sb3_gail_ext.algorithms.with_discriminator import WithDiscriminator
from sb3_gail_ext.demonstrations.dict_observations import as_arrays
from sb3_gail_ext.demonstrations.recording import record_demonstrations
from sb3_gail_ext.demonstrations.returns import returns
from sb3_gail_ext.evaluation.plots import chapter_figure, save_figure
from sb3_gail_ext.rewards.distance import DistanceTo

_NO_PICTURES = ("stdout", "log", "json", "csv")  # outputs of SB3's that refuse one


class ChapterFigureCallback(BaseCallback):
    """Every `every` steps: test episodes, `eval/` entries in the log, and the figure again.

    The figure goes to the log, too, for TensorBoard and W&B.

    :param env: as in `record_demonstrations`; not the training environment.
    :param expert: one expert episode, for the right panel.
    :param path: the picture; None draws in a notebook only, where it is redrawn live.
    :param every: environment steps between two tests (the chapter's is 1,000).
    :param n_episodes: test episodes, from the same starts every time.
    :param seed: of the first start.
    :param expert_return: drawn as a line.
    :param demonstrations: whole ones, for `eval/imitation_distance` of the test episodes.
    """

    def __init__(
        self,
        env: str | VecEnv,
        expert: Trajectory,
        path: str | Path | None = None,
        *,
        every: int = 25_000,
        n_episodes: int = 10,
        seed: int = 10_000,
        expert_return: float | None = None,
        title: str = "",
        demonstrations: Sequence[Trajectory] | None = None,
    ) -> None:
        super().__init__()
        self.distance = DistanceTo(demonstrations) if demonstrations is not None else None
        self.env = env
        self.expert = expert
        self.path = Path(path) if path is not None else None
        self.every = every
        self.n_episodes = n_episodes
        self.seed = seed
        self.expert_return = expert_return
        self.title = title
        self.steps: list[int] = []
        self.returns: list[float] = []
        self._next_test = 0
        self._restored_test: int | None = None  # the next one of the run that goes on
        self.agent_rewards = self.expert_rewards = np.zeros(0, np.float32)
        self._venv: VecEnv
        self._picture = _NotebookPicture()

    def _on_training_start(self) -> None:
        restored, self._restored_test = self._restored_test, None
        self._next_test = self.num_timesteps if restored is None else restored
        if isinstance(self.env, str):
            self._venv = make_vec_env(self.env, n_envs=self.n_episodes)
        else:
            self._venv = self.env

    def _on_step(self) -> bool:
        if self.num_timesteps >= self._next_test:
            self._next_test = self.num_timesteps + self.every
            self._test()
        return True

    def _on_training_end(self) -> None:
        if not self.steps or self.steps[-1] != self.num_timesteps:
            self._test()
            self.logger.record("time/total_timesteps", self.num_timesteps)
            self.logger.dump(self.num_timesteps)  # no rollout follows that would
        if isinstance(self.env, str):
            self._venv.close()

    def state(self) -> dict[str, Any]:
        """The curves so far, as JSON, for a checkpoint."""
        return {
            "steps": self.steps,
            "returns": self.returns,
            "agent_rewards": self.agent_rewards.tolist(),
            "expert_rewards": self.expert_rewards.tolist(),
            "next_test": self._next_test,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on with the curves that `state` returned."""
        self.steps, self.returns = list(state["steps"]), list(state["returns"])
        self.agent_rewards = np.array(state["agent_rewards"], np.float32)
        self.expert_rewards = np.array(state["expert_rewards"], np.float32)
        self._restored_test = state["next_test"]

    def _test(self) -> None:
        played = record_demonstrations(self.model, self._venv, self.n_episodes, seed=self.seed)
        episodes: Any = as_arrays(self.model.observation_space, played)
        self.steps.append(self.num_timesteps)
        self.returns.append(float(returns(episodes).mean()))
        self.logger.record("eval/mean_reward", self.returns[-1])
        self.logger.record("eval/mean_ep_length", float(np.mean([len(e) for e in episodes])))
        if self.distance is not None:
            self.logger.record("eval/imitation_distance", self.distance(episodes))
        longest = max(episodes, key=len)
        self.agent_rewards = self._learned_rewards(longest)
        self.expert_rewards = self._learned_rewards(self.expert)
        figure = chapter_figure(
            self.steps,
            self.returns,
            self.agent_rewards,
            self.expert_rewards,
            expert_return=self.expert_return,
            title=self.title,
        )
        if self.path is not None:
            save_figure(figure, self.path)
        self.logger.record("chapter/figure", LoggedFigure(figure, close=True), _NO_PICTURES)
        self._picture.show(figure)

    def _learned_rewards(self, episode: Trajectory) -> np.ndarray:
        model = self.model
        if not isinstance(model, WithDiscriminator):
            raise TypeError(f"{type(model).__name__} has no discriminator; use this with GAIL")
        dones = np.zeros(len(episode), dtype=bool)
        dones[-1] = episode.terminal
        return model.discriminator.reward(episode.obs[:-1], episode.acts, episode.obs[1:], dones)


class _NotebookPicture:
    """A picture in a notebook cell that later ones replace; nothing outside a notebook."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, figure: Figure) -> None:
        try:
            from IPython import get_ipython
            from IPython.display import Image, display
        except ImportError:
            return
        shell = get_ipython()
        if shell is None or "IPKernelApp" not in shell.config:
            return
        png = BytesIO()
        figure.savefig(png, format="png", dpi=80)
        image = Image(data=png.getvalue())
        if self._handle is None:
            self._handle = display(image, display_id=True)
        else:
            self._handle.update(image)
