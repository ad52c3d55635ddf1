"""A callback that keeps the checkpoint nearest to the demonstrations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from imitation.data.types import Trajectory
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv

from sb3_gail_ext.atomic import atomically
from sb3_gail_ext.demonstrations.dict_observations import as_arrays
from sb3_gail_ext.demonstrations.recording import record_demonstrations
from sb3_gail_ext.rewards.distance import imitation_distance


class KeepBestImitator(BaseCallback):
    """Saves the model whenever it comes nearest to the demonstrations; for lack of a reward.

    Like SB3's `EvalCallback`, which needs one. Logs `eval/imitation_distance`.

    >>> keep = KeepBestImitator("Hopper-v4", demonstrations, "best_model.zip", every=10_000)
    >>> model.learn(100_000, callback=keep)
    >>> best = DAC.load("best_model.zip")

    :param env: as in `record_demonstrations`; not the training environment.
    :param demonstrations: as in `imitation_distance`.
    :param path: of the model's zip; one that lies there already is overwritten by the first test.
    :param every: environment steps between two tests.
    :param n_episodes: of each test, from the same starts every time.
    :param seed: of the first start.
    """

    def __init__(
        self,
        env: str | VecEnv,
        demonstrations: Sequence[Trajectory],
        path: str | Path,
        *,
        every: int = 10_000,
        n_episodes: int = 10,
        seed: int = 20_000,
    ) -> None:
        super().__init__()
        self.env = env
        self.demonstrations = demonstrations
        self.path = Path(path).with_suffix(".zip")
        self.every = every
        self.n_episodes = n_episodes
        self.seed = seed
        self.steps: list[int] = []
        self.distances: list[float] = []
        self._next_test = 0

    def _on_training_start(self) -> None:
        self._next_test = self.num_timesteps
        self._tested_at = -1

    def _on_rollout_start(self) -> None:
        if self.num_timesteps >= self._next_test:
            self._next_test = self.num_timesteps + self.every
            self._test()

    def _on_training_end(self) -> None:
        if self._tested_at != self.num_timesteps:
            self._test()
            self.logger.record("time/total_timesteps", self.num_timesteps)
            self.logger.dump(self.num_timesteps)  # no rollout follows that would

    def _on_step(self) -> bool:
        return True

    def _test(self) -> None:
        episodes = record_demonstrations(self.model, self.env, self.n_episodes, seed=self.seed)
        space = self.model.observation_space
        distance = imitation_distance(
            as_arrays(space, episodes),  # type: ignore[arg-type]  # no Transitions
            as_arrays(space, self.demonstrations),  # type: ignore[arg-type]
        )
        self.logger.record("eval/imitation_distance", distance)
        if not self.distances or distance < min(self.distances):
            with atomically(self.path) as temporary:
                self.model.save(temporary)
        self._tested_at = self.num_timesteps
        self.steps.append(self.num_timesteps)
        self.distances.append(distance)
